//! The rows that the writer publishes, one struct a table.

use smol_str::SmolStr;

use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// Rows of one market in one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourRows {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The market; none where the rows name none.
    pub market: Option<Market>,
    /// The hour's first instant.
    pub hour: Timestamp,
    /// How many there are more than before.
    pub rows: u64,
    /// The earliest time of them.
    pub first: Timestamp,
    /// The latest time of them.
    pub last: Timestamp,
}

/// A day of one stream that a policy took away: it is not missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The UTC day.
    pub span: Span,
    /// Files of it that went.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Why, in words.
    pub policy: String,
    /// When. Clock: ours.
    pub at: Timestamp,
}

/// How long the live messages of one stream were on their way, in one hour of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourLags {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The hour's first instant. Clock: ours.
    pub hour: Timestamp,
    /// The buckets that are not empty.
    pub buckets: Vec<LagRows>,
}

/// One bucket of lags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagRows {
    /// Its upper bound, inclusive; the last has none. Unit: microseconds.
    pub upto_us: Option<u64>,
    /// How many more there are than before.
    pub records: u64,
    /// The greatest of them. Unit: microseconds.
    pub max_us: u64,
}

/// All rows of one stream in some hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recount {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The first hour that was counted.
    pub first: Timestamp,
    /// The last hour that was counted.
    pub last: Timestamp,
    /// What is in these hours: those without rows are left out.
    pub hours: Vec<HourRows>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its number.
    pub id: i64,
    /// The venue's name.
    pub venue: SmolStr,
    /// The URL it was opened to.
    pub endpoint: String,
    /// What it asked for, as JSON.
    pub subscriptions: String,
    /// When it was up. Clock: ours.
    pub opened: Timestamp,
    /// When the first data came. Clock: ours.
    pub first_data: Option<Timestamp>,
    /// When it ended. Clock: ours.
    pub closed: Option<Timestamp>,
    /// Why it ended, in words.
    pub why: Option<String>,
    /// Frames that came over it.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// The last proof of life. Clock: ours.
    pub proven_until: Option<Timestamp>,
    /// What it told, beside others that told the same.
    pub tally: SessionTally,
}

/// What a session told, beside others that told the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionTally {
    /// Records that it told.
    pub records: u64,
    /// Those that had been told before, by it or by another session.
    pub duplicates: u64,
    /// Those that it told first, and another session after it.
    pub led: u64,
    /// By how much it was first, summed. Unit: microseconds. Clock: ours.
    pub lead_us: u64,
}

/// A stretch of time in which a session is proven to have carried a market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSpan {
    /// The session; it must be known, or be in the same change.
    pub session: i64,
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The market.
    pub market: Market,
    /// Its first frame. Clock: ours.
    pub from: Timestamp,
    /// Where it ends; none while it lasts: then it is proven as far as its session is.
    pub to: Option<Timestamp>,
}

/// One market as the venue last listed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstrumentRow {
    /// The venue's name.
    pub venue: SmolStr,
    /// The market.
    pub market: Market,
    /// Whether it is in the list.
    pub listed: bool,
    /// Its name in the language of the venue's home.
    pub name_local: Option<String>,
    /// Its name in English.
    pub name_english: Option<String>,
    /// Whether the venue warns of it.
    pub warning: Option<bool>,
    /// The venue's flags of caution that are set.
    pub caution: Option<String>,
    /// When it was first seen; kept as it is where it is known. Clock: ours.
    pub first_seen: Timestamp,
    /// When any of this last changed. Clock: ours.
    pub last_changed: Timestamp,
}

/// What the writer has to know of one market of a stream to go on after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carry {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The market.
    pub market: Market,
    /// The state: only the writer knows what it means.
    pub state: Vec<u8>,
}
