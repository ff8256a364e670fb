//! The one form in which everything enters: bytes, when they arrived, and where from.

use std::sync::Arc;

use bytes::Bytes;
use smol_str::SmolStr;

use super::market::{Market, Source};
use super::subscription::Stream;
use super::time::Timestamp;

/// Where a frame came from. One value is shared by all frames of a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The venue's name, as `--venue` takes it.
    pub venue: SmolStr,
    /// The session's number in the catalog.
    pub session: i64,
    /// Websocket or REST.
    pub source: Source,
    /// For a REST page: the stream it was asked for.
    pub stream: Option<Stream>,
    /// For a REST page of one market: that market.
    pub market: Option<Market>,
}

/// What arrived: a websocket message, a REST page, a journal entry or a fixture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// When the bytes were read. Unit: microseconds UTC. Clock: ours.
    pub ts_recv: Timestamp,
    /// Where they came from.
    pub origin: Arc<Origin>,
    /// The place in the order of arrival, over the whole life of a data folder, from 1 on. Given
    /// by the writer when it takes the frame; 0 before.
    pub sequence: u64,
    /// The bytes, exactly as they came.
    pub body: Bytes,
}

impl Frame {
    /// A frame that just arrived and has no place in the order yet.
    #[must_use]
    pub const fn arrived(ts_recv: Timestamp, origin: Arc<Origin>, body: Bytes) -> Self {
        Self { ts_recv, origin, sequence: 0, body }
    }
}
