//! Work on the past: one market of one stream over one span, asked of the venue page by page.
//!
//! Pages come newest first, so a job works backwards: what it has [`Reached`] is where the next
//! page ends. The writer alone counts rows and moves that mark, from the pages it took; so a job
//! that is taken up again after a kill goes on behind the last page that was durable.

use smol_str::SmolStr;

use super::gap::words;
use super::market::Market;
use super::span::Span;
use super::subscription::Stream;
use super::time::Timestamp;

words! {
    /// Why the past is asked for.
    JobKind {
        /// A person asked for it.
        Backfill = "backfill",
        /// A gap is to be closed.
        Repair = "repair",
    }
}

words! {
    /// How far a job is.
    JobState {
        /// Not begun.
        Planned = "planned",
        /// Begun; after a kill, to be taken up again.
        Running = "running",
        /// All there was to have is here.
        Done = "done",
        /// It gave up; `error` says why.
        Failed = "failed",
        /// A person ended it.
        Cancelled = "cancelled",
    }
}

impl JobState {
    /// Whether nothing more will come of it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// The earliest that the pages of a job told. The next page ends before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Its own time. Clock: the venue's.
    pub at: Timestamp,
    /// Its id, where it is a trade.
    pub id: Option<i64>,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number: from the same series as the sessions', so that the `session` of a row names
    /// either the connection or the job that brought it.
    pub id: i64,
    /// Why.
    pub kind: JobKind,
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The market.
    pub market: Market,
    /// Which times are asked for: of candles that open, of trades that happened, inside it.
    pub span: Span,
    /// The gap that it is to close.
    pub gap: Option<i64>,
    /// How far it is.
    pub state: JobState,
    /// Rows that were not there before.
    pub rows: u64,
    /// Rows that were there already.
    pub known: u64,
    /// Requests made, those that failed among them.
    pub calls: u64,
    /// What went wrong last.
    pub error: Option<String>,
    /// How far back it came; none before its first page.
    pub reached: Option<Reached>,
}
