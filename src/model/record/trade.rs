//! Executions.

use super::cell::record;
use crate::model::market::{Change, Side};
use crate::model::time::Timestamp;

record! {
    /// One execution. Identity: market and `id`; two real trades can differ in nothing else.
    Trade {
        /// When it was executed. Unit: microseconds UTC. Clock: the venue's. Upbit:
        /// `trade_timestamp` (`ttms`), milliseconds; whole seconds before about 2022. By REST:
        /// `timestamp`.
        ts_event: Timestamp,
        /// When the venue published it. Unit: microseconds UTC. Clock: the venue's. Upbit:
        /// `timestamp` (`tms`). Null by REST.
        ts_sent: Option<Timestamp>,
        /// The venue's number of the trade: unique, not an order. Upbit: `sequential_id` (`sid`).
        id: i64,
        /// Price. Unit: quote currency. Upbit: `trade_price` (`tp`).
        price: f64,
        /// Size. Unit: base currency. Upbit: `trade_volume` (`tv`).
        size: f64,
        /// Side of the taker, `buy` or `sell`. Upbit: `ask_bid` (`ab`), `BID` is `buy`.
        side: Side,
        /// Close of the day before (UTC). Unit: quote currency. Upbit: `prev_closing_price`
        /// (`pcp`).
        prev_close: Option<f64>,
        /// Direction against `prev_close`: `rise`, `even` or `fall`. Upbit: `change` (`c`). Null
        /// by REST.
        change: Option<Change>,
        /// Distance from `prev_close`. Unit: quote currency. Upbit: `change_price` (`cp`), without
        /// a sign by websocket and with one by REST.
        change_price: Option<f64>,
        /// Best ask at the trade. Unit: quote currency. Upbit: `best_ask_price` (`bap`). Null by
        /// REST, and before 2024-11-27.
        best_ask_price: Option<f64>,
        /// Size at the best ask. Unit: base currency. Upbit: `best_ask_size` (`bas`).
        best_ask_size: Option<f64>,
        /// Best bid at the trade. Unit: quote currency. Upbit: `best_bid_price` (`bbp`).
        best_bid_price: Option<f64>,
        /// Size at the best bid. Unit: base currency. Upbit: `best_bid_size` (`bbs`).
        best_bid_size: Option<f64>,
    }
}
