//! What a person sees while recording: one line that renews itself on a terminal, a log line now
//! and then elsewhere.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use super::output;
use crate::ingest::progress::Progress;

/// How often the line on a terminal is renewed.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How often a log line is written where there is no terminal.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// Shows progress until it is dropped.
pub(super) async fn show(progress: watch::Receiver<Progress>) {
    let bar = io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::default_spinner());
        bar
    });
    let mut before = progress.borrow().clone();
    let mut ticks = tokio::time::interval(if bar.is_some() { LINE_EVERY } else { LOG_EVERY });
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let now = progress.borrow().clone();
        let text = line(&before, &now);
        if let Some(bar) = &bar {
            bar.set_message(text);
        } else {
            tracing::info!("{text}");
        }
        before = now;
    }
}

/// Rates since `before`, lag, queue and files.
fn line(before: &Progress, now: &Progress) -> String {
    let elapsed = now.at.since(before.at).as_millis().max(1);
    let mut parts = Vec::new();
    for ((_, stream), tally) in &now.streams {
        let past = before.streams.iter().find(|((_, other), _)| other == stream);
        let told = u128::from(tally.told - past.map_or(0, |(_, past)| past.told.min(tally.told)));
        let times = tally.last_recv.zip(tally.last);
        let lag = times.map(|(recv, event)| format!(" lag {} ms", recv.since(event).as_millis()));
        let lag = lag.unwrap_or_default();
        parts.push(format!("{stream} {}/s{lag}", told * 1_000 / elapsed));
    }
    if parts.is_empty() {
        parts.push("nothing has come yet".to_owned());
    }
    let waits = if now.queue_waits > before.queue_waits { " (full)" } else { "" };
    let unread = if now.unread > 0 { format!(" · {} unread", now.unread) } else { String::new() };
    format!(
        "{} · queue {}{waits} · {} rows wait · {} files, {}{unread}",
        parts.join(" · "),
        output::count(now.queued),
        output::count(u64::try_from(now.waiting_rows).unwrap_or(u64::MAX)),
        output::count(now.files),
        output::bytes(now.file_bytes),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::progress::Tally;
    use crate::model::subscription::Stream;
    use crate::model::time::Timestamp;

    #[test]
    fn says_rates_and_lag() {
        let at = Timestamp::from_millis;
        let picture = |second: i64, told| Progress {
            at: at(second * 1_000),
            waiting_rows: 1_234,
            streams: [(
                ("v".into(), Stream::Trade),
                Tally {
                    told,
                    last: Some(at(1_960)),
                    last_recv: Some(at(2_000)),
                    ..Tally::default()
                },
            )]
            .into(),
            ..Progress::default()
        };
        let text = line(&picture(0, 100), &picture(2, 700));
        assert_eq!(text, "trade 300/s lag 40 ms · queue 0 · 1,234 rows wait · 0 files, 0 B");
        let nothing = line(&Progress::default(), &Progress::default());
        assert!(nothing.starts_with("nothing has come yet"), "{nothing}");
    }
}
