//! What an answer means for a job. Pure.

use std::sync::Arc;
use std::time::Duration;

use super::super::pager::BadPage;
use crate::model::frame::{Frame, Origin};
use crate::model::job::Job;
use crate::model::market::Source;
use crate::model::record::Record;
use crate::model::time::{DAY, Timestamp};
use crate::net::http::HttpError;
use crate::venue::{DecodeError, PastPage, Venue};

/// How far our midnight and the venue's can be apart.
const MIDNIGHT: Duration = Duration::from_secs(10);

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It may be had later.
    Again(String),
    /// The rate was exceeded, or this machine is blocked: the budget says when to go on.
    Rate(String),
    /// There is no such market.
    NoMarket(String),
    /// It will not be had.
    Never(String),
}

impl Refusal {
    /// What `error` means at `venue`.
    pub(super) fn of(venue: &dyn Venue, job: &Job, error: &HttpError) -> Self {
        let words = error.to_string();
        match error {
            HttpError::Status { status, start, .. } => match status {
                _ if venue.denies_market(*status, start) => {
                    Self::NoMarket(format!("{} has no market {}", venue.name(), job.market))
                }
                418 | 429 => Self::Rate(words),
                400 | 401 | 404 | 405 | 410 | 414 | 422 => Self::Never(words),
                _ => Self::Again(words),
            },
            HttpError::Setup(_) | HttpError::BadUrl { .. } => Self::Never(words),
            HttpError::Dns { .. }
            | HttpError::Unreachable { .. }
            | HttpError::Tls { .. }
            | HttpError::Timeout { .. }
            | HttpError::Broken { .. }
            | HttpError::TooLong { .. } => Self::Again(words),
        }
    }

    pub(super) fn words(&self) -> &str {
        let (Self::Again(words) | Self::Rate(words) | Self::NoMarket(words) | Self::Never(words)) =
            self;
        words
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::Again(format!("the answer cannot be read: {error}"))
    }
}

impl From<BadPage> for Refusal {
    fn from(error: BadPage) -> Self {
        Self::Again(format!("the answer is not what was asked for: {error}"))
    }
}

/// What the pages of a job are recorded as.
pub(super) fn origin(job: &Job) -> Arc<Origin> {
    Arc::new(Origin {
        venue: job.venue.clone(),
        session: job.id,
        source: Source::Rest,
        stream: Some(job.stream),
        market: Some(job.market.clone()),
    })
}

/// The records of a page.
pub(super) fn records(venue: &dyn Venue, frame: &Frame) -> Result<Vec<Record>, Refusal> {
    let mut records = Vec::new();
    venue.decode(frame, &mut records)?;
    Ok(records)
}

/// How long to wait before an empty page of one day can be believed; none where it can. Around
/// midnight the venue may have looked into another day than we meant.
pub(super) fn doubtful(page: &PastPage, asked: Timestamp, now: Timestamp) -> Option<Duration> {
    if page.within.from() == Timestamp::MIN {
        return None;
    }
    let late = now.day().after(DAY).since(now);
    let early = now.since(now.day());
    if late < MIDNIGHT {
        return Some(late + MIDNIGHT);
    }
    (early < MIDNIGHT || asked.day() != now.day())
        .then(|| MIDNIGHT.saturating_sub(early).max(Duration::from_millis(1)))
}
