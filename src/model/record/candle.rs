//! Open, high, low and close of one unit of time.

use super::cell::record;
use crate::model::time::Timestamp;

record! {
    /// One candle, as the venue last told it. Identity: market and `ts_open`. A unit of time
    /// without a trade has none.
    Candle {
        /// Start of the unit. Unit: microseconds UTC. Clock: the venue's. Upbit:
        /// `candle_date_time_utc` (`cdttmu`).
        ts_open: Timestamp,
        /// First price. Unit: quote currency. Upbit: `opening_price` (`op`).
        open: f64,
        /// Highest price. Unit: quote currency. Upbit: `high_price` (`hp`).
        high: f64,
        /// Lowest price. Unit: quote currency. Upbit: `low_price` (`lp`).
        low: f64,
        /// Last price. Unit: quote currency. Upbit: `trade_price` (`tp`).
        close: f64,
        /// Volume. Unit: base currency. Upbit: `candle_acc_trade_volume` (`catv`).
        volume: f64,
        /// Turnover. Unit: quote currency. Upbit: `candle_acc_trade_price` (`catp`).
        turnover: f64,
        /// When the last trade in it was stored. Unit: microseconds UTC. Clock: the venue's.
        /// Upbit: `timestamp` (`tms`), milliseconds.
        ts_last: Option<Timestamp>,
        /// Close of the day before; days only. Unit: quote currency. Upbit: `prev_closing_price`.
        prev_close: Option<f64>,
        /// Distance from `prev_close` with its sign; days only. Unit: quote currency. Upbit:
        /// `change_price`.
        change_price: Option<f64>,
        /// `change_price` over `prev_close`; days only. Unit: 1. Upbit: `change_rate`.
        change_rate: Option<f64>,
        /// First day of the unit; weeks, months and years only. Unit: microseconds UTC at
        /// midnight. Upbit: `first_day_of_period`.
        first_day: Option<Timestamp>,
    }
}
