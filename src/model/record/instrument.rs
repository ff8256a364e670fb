//! What the venue lists, as it changes.

use smol_str::SmolStr;

use super::cell::record;
use crate::model::time::Timestamp;

record! {
    /// One market in the venue's list, written when it is first seen and at each change.
    /// Identity: market and `ts_seen`.
    Instrument {
        /// When the list with this state arrived. Unit: microseconds UTC. Clock: ours.
        ts_seen: Timestamp,
        /// Whether the market is in the list; false in the row that records its going.
        listed: bool,
        /// Name in the language of the venue's home. Upbit: `korean_name`.
        name_local: Option<SmolStr>,
        /// Name in English. Upbit: `english_name`.
        name_english: Option<SmolStr>,
        /// Whether the venue warns of the market. Upbit: `market_event.warning`; outside Korea
        /// `market_warning` is not `NONE`.
        warning: Option<bool>,
        /// The venue's flags of caution that are set, joined by `,`; empty where none is. Upbit:
        /// `market_event.caution`.
        caution: Option<SmolStr>,
    }
}
