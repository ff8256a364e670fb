//! The columns that every stream has, before its own.

use super::cell::record;
use crate::model::market::{Market, Source};
use crate::model::time::Timestamp;

record! {
    /// What every row says of how it came here.
    Head {
        /// The venue's code of the market. Null only in stream `unread`, where it is not known.
        market: Option<Market>,
        /// When the bytes arrived. Unit: microseconds UTC. Clock: ours.
        ts_recv: Timestamp,
        /// By which way the record came: `ws` or `rest`.
        source: Source,
        /// Whether the venue sent it as the state at subscription and not as an event; false for
        /// REST.
        snapshot: bool,
        /// The session it came over: `sessions.id` in the catalog.
        session: i64,
        /// The order of arrival of its frame, over the whole life of the data folder. It orders
        /// what shares a microsecond.
        frame: i64,
    }
}
