//! Posts what waits, again and again until it is taken.

use std::time::Duration;

use super::outbox::Outbox;
use crate::net::backoff::Backoff;
use crate::net::clock::Clock;
use crate::net::http::{Hook, HttpError};

/// How long the last post at the end of a run may take.
const LAST_WITHIN: Duration = Duration::from_secs(2);
/// The longest wait that the webhook may ask for.
const RETRY_AFTER: Duration = Duration::from_mins(5);

/// Delivers until it is dropped.
pub(super) async fn keep(outbox: &Outbox, hook: &Hook, min_interval: Duration, clock: &dyn Clock) {
    loop {
        outbox.filled().await;
        until_taken(outbox, hook, clock).await;
        tokio::time::sleep(min_interval).await;
    }
}

/// Posts until the webhook took it, or says that it never will. What comes meanwhile goes with it.
async fn until_taken(outbox: &Outbox, hook: &Hook, clock: &dyn Clock) {
    let mut backoff = Backoff::new();
    while let Some(batch) = outbox.batch(clock.now()) {
        let error = match hook.post(batch.body.clone()).await {
            Ok(()) => {
                outbox.taken(&batch);
                if backoff.failures() > 0 {
                    tracing::info!("the webhook takes notices again");
                }
                return;
            }
            Err(error) => error,
        };
        let Some(told) = again(&error) else {
            outbox.refused(&batch);
            tracing::error!(
                "{} events reached nobody: the webhook refused them: {error}",
                batch.events
            );
            return;
        };
        let wait = backoff.failed(Duration::ZERO, rand::random()).max(told);
        if backoff.failures() == 1 {
            tracing::warn!(
                "the webhook did not take a notice, it is tried again until it does: {error}"
            );
        } else {
            tracing::debug!(
                "the webhook did not take a notice, the next try is in {wait:?}: {error}"
            );
        }
        tokio::time::sleep(wait).await;
    }
}

/// How long to wait at least before the same is tried again; none where that is of no use.
fn again(error: &HttpError) -> Option<Duration> {
    match error {
        HttpError::Status { status, retry_after, .. } => {
            let passes = matches!(status, 408 | 425 | 429) || *status >= 500;
            passes.then(|| retry_after.unwrap_or_default().min(RETRY_AFTER))
        }
        HttpError::Setup(_)
        | HttpError::BadUrl { .. }
        | HttpError::Dns { .. }
        | HttpError::Unreachable { .. }
        | HttpError::Tls { .. }
        | HttpError::Timeout { .. }
        | HttpError::Broken { .. }
        | HttpError::TooLong { .. } => Some(Duration::ZERO),
    }
}

/// One more try at the end of a run, for a moment.
pub(super) async fn last(outbox: &Outbox, hook: &Hook, clock: &dyn Clock) {
    if let Some(batch) = outbox.batch(clock.now())
        && let Ok(Ok(())) = tokio::time::timeout(LAST_WITHIN, hook.post(batch.body.clone())).await
    {
        outbox.taken(&batch);
    }
    let untold = outbox.untold();
    if untold > 0 {
        tracing::warn!("{untold} events reached nobody: the webhook did not take them");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again() {
        let told = Some(Duration::from_hours(1));
        for (status, retry_after, wait) in [
            (500, None, Some(Duration::ZERO)),
            (503, told, Some(RETRY_AFTER)),
            (429, Some(Duration::from_secs(7)), Some(Duration::from_secs(7))),
            (408, None, Some(Duration::ZERO)),
            (302, None, None),
            (400, told, None),
            (404, None, None),
        ] {
            let (url, start) = (String::new(), String::new());
            let error = HttpError::Status { url, status, start, retry_after };
            assert_eq!(again(&error), wait, "{status}");
        }
    }
}
