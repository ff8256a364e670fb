//! What we KNOW of each venue: requests it understands, bytes it sends, limits it sets.
//!
//! Everything here is pure: a venue never opens a socket, sleeps, logs or asks for the time. To
//! add one: its folder, and its line in [`VENUES`]. A venue's name appears in no other layer.

pub mod upbit;

use std::time::Duration;

use smol_str::SmolStr;

use crate::model::frame::Frame;
use crate::model::market::Market;
use crate::model::record::Record;
use crate::model::span::Span;
use crate::model::subscription::{Stream, Subscription};
use crate::model::time::{DAY, Timestamp};

/// Every venue there is.
pub static VENUES: &[&dyn Venue] =
    &[&upbit::KOREA, &upbit::SINGAPORE, &upbit::INDONESIA, &upbit::THAILAND];

/// The venue called `name`.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Venue> {
    VENUES.iter().copied().find(|venue| venue.name() == name)
}

/// One venue.
pub trait Venue: Sync {
    /// Its name: on the command line, in paths and in the catalog.
    fn name(&self) -> &'static str;

    /// Its own addresses.
    fn endpoints(&self) -> Endpoints;

    /// The streams it has.
    fn offers(&self) -> &'static [Offer];

    /// The limits it sets, and the ones that experience sets.
    fn limits(&self) -> Limits;

    /// How much of `stream` usually comes, of one market and by websocket; none where nobody knows,
    /// or next to nothing does.
    fn typical(&self, stream: Stream) -> Option<Typical>;

    /// One market of one stream, from a code as a person writes it.
    ///
    /// # Errors
    ///
    /// When the venue has the stream neither live nor by REST, or the code cannot be one of its own.
    fn subscription(&self, stream: Stream, code: &str) -> Result<Subscription, BadSubscription>;

    /// How to open a connection to `url` that carries `subscriptions`. `ticket` is a text that
    /// names this connection, different for each.
    fn open(&self, url: &str, ticket: &str, subscriptions: &[Subscription]) -> Opening;

    /// The request for the list of markets, to the REST server at `base`.
    fn listing(&self, base: &str) -> Request;

    /// How to ask the REST server at `base` for one page of the past; none where the venue does not
    /// have the stream by REST, or no longer has that time.
    fn past(&self, base: &str, ask: &PastAsk<'_>) -> Option<PastPage>;

    /// Whether an answer that is no page says that there is no such market.
    fn denies_market(&self, status: u16, body: &str) -> bool;

    /// What kind of control message this is; none for data. Cheap: it is asked of every message.
    fn control(&self, body: &[u8]) -> Option<Control>;

    /// Which subscription a data message serves, where that is easily seen. Asked only until every
    /// subscription of a session has been seen.
    fn sniff(&self, body: &[u8]) -> Option<Sniff>;

    /// Reads a frame into records: pure, and without a panic on any bytes.
    ///
    /// # Errors
    ///
    /// When the bytes are not what the venue is known to send. Records already pushed to `out`
    /// stay there.
    fn decode(&self, frame: &Frame, out: &mut Vec<Record>) -> Result<(), DecodeError>;
}

/// A venue's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// Of the websocket.
    pub ws: &'static str,
    /// Of the REST server, without a path.
    pub rest: &'static str,
}

/// One stream that a venue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The stream.
    pub stream: Stream,
    /// Whether it comes over the websocket.
    pub live: bool,
    /// How far back REST has it; none where REST does not have it at all.
    pub history: Option<History>,
}

/// How far back a stream can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// To the first trade of the market.
    Whole,
    /// So many days of 24 hours before now.
    Days(u16),
    /// The current UTC day, and so many before it.
    UtcDays(u16),
}

impl History {
    /// The earliest time that can be had; none where all of it can.
    #[must_use]
    pub fn earliest(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Whole => None,
            Self::Days(days) => Some(now.before(DAY * u32::from(days))),
            Self::UtcDays(days) => Some(now.day().before(DAY * u32::from(days))),
        }
    }
}

/// Which page of the past is asked for: the newest rows before an instant.
#[derive(Debug, Clone, Copy)]
pub struct PastAsk<'a> {
    /// The stream.
    pub stream: Stream,
    /// The market.
    pub market: &'a Market,
    /// Rows before this. Clock: the venue's.
    pub before: Timestamp,
    /// Of rows at `before` itself those before this one; none where they are not wanted.
    pub id: Option<i64>,
    /// What time it is. Clock: ours.
    pub now: Timestamp,
}

/// One page of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastPage {
    /// How to ask for it. The answer has the newest rows first.
    pub request: Request,
    /// The times that its rows can have. Where it has none, there are none before its end in it.
    pub within: Span,
    /// Rows that it holds at most.
    pub rows: u16,
}

/// The limits that a venue's clients keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections that may be opened in one second, over all sockets of this machine.
    pub connects_per_second: u32,
    /// How many subscriptions one connection may carry; all of them where there is no limit.
    pub subscriptions_per_connection: Option<usize>,
    /// How long no byte may come before the connection counts as dead.
    pub bytes_silence: Duration,
    /// How long after asking the first frame of each subscription may take.
    pub first_frame: Duration,
    /// How long to wait after the venue blocked this machine without saying for how long.
    pub block: Duration,
    /// REST requests a second, for each group of requests.
    pub requests_per_second: u32,
}

/// How much usually comes of one market in a day: the mean over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typical {
    /// Frames.
    pub frames: u64,
    /// Rows that they become.
    pub rows: u64,
    /// Bytes of a frame.
    pub frame_bytes: u64,
    /// Bytes of a row in a file at rest.
    pub row_bytes: u64,
}

/// How to open one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Where to.
    pub url: String,
    /// Text messages to send, in this order, right after the handshake.
    pub messages: Vec<String>,
    /// How often to send a ping frame.
    pub ping_every: Duration,
}

/// One REST request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The whole URL.
    pub url: String,
    /// The group whose rate it counts towards.
    pub group: &'static str,
}

/// A message that is not data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// A sign that the connection is up; it says nothing of the data.
    Heartbeat,
    /// The venue says no.
    Refusal {
        /// The venue's word for it.
        name: String,
        /// The venue's explanation.
        message: String,
    },
}

/// Which subscription a message serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sniff {
    /// The stream.
    pub stream: Stream,
    /// The market.
    pub market: Market,
    /// Whether it is the state at subscription.
    pub snapshot: bool,
}

/// A subscription that the venue cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSubscription {
    /// The venue has no such stream.
    #[error("{venue} has no stream {stream:?}; it has {offered}")]
    NoStream {
        /// The venue.
        venue: &'static str,
        /// The stream asked for.
        stream: &'static str,
        /// Those it has.
        offered: String,
    },
    /// The code cannot be a market.
    #[error("{code:?} cannot be a market of {venue}: {reason}")]
    Code {
        /// The venue.
        venue: &'static str,
        /// The code.
        code: String,
        /// Why.
        reason: String,
    },
}

/// Bytes that are not what the venue is known to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DecodeError {
    /// What was wrong, and where.
    pub reason: SmolStr,
    /// The stream that the bytes speak of, where that could be read.
    pub stream: Option<Stream>,
    /// The market that the bytes speak of, where that could be read.
    pub market: Option<Market>,
}
