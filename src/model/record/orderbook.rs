//! Whole order books.

use super::cell::record;
use super::doubles::Doubles;
use crate::model::time::Timestamp;

record! {
    /// One whole order book, best level first. Identity: market, `ts_event` and content.
    Orderbook {
        /// When the book last changed. Unit: microseconds UTC. Clock: the venue's. Upbit:
        /// `timestamp` (`tms`), milliseconds; not the time of sending.
        ts_event: Timestamp,
        /// All ask sizes of the book as the venue sums them. Unit: base currency. Upbit:
        /// `total_ask_size` (`tas`).
        total_ask_size: Option<f64>,
        /// All bid sizes of the book as the venue sums them. Unit: base currency. Upbit:
        /// `total_bid_size` (`tbs`).
        total_bid_size: Option<f64>,
        /// The price step by which levels are grouped; 0 is the market's own tick. Unit: quote
        /// currency. Upbit: `level` (`lv`). Null before the venue had it.
        grouping: Option<f64>,
        /// First of `ask_price`; null in a book without asks.
        best_ask_price: Option<f64>,
        /// First of `ask_size`.
        best_ask_size: Option<f64>,
        /// First of `bid_price`; null in a book without bids.
        best_bid_price: Option<f64>,
        /// First of `bid_size`.
        best_bid_size: Option<f64>,
        /// Ask prices, lowest first. Unit: quote currency. Upbit: `orderbook_units[].ask_price`
        /// (`obu[].ap`), padding (price 0) left out.
        ask_price: Doubles,
        /// Ask sizes, in the order of `ask_price`. Unit: base currency. Upbit: `ask_size` (`as`).
        ask_size: Doubles,
        /// Bid prices, highest first. Unit: quote currency. Upbit: `bid_price` (`bp`).
        bid_price: Doubles,
        /// Bid sizes, in the order of `bid_price`. Unit: base currency. Upbit: `bid_size` (`bs`).
        bid_size: Doubles,
    }
}
