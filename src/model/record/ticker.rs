//! Last price and statistics of the day.

use smol_str::SmolStr;

use super::cell::record;
use crate::model::market::{Change, Side};
use crate::model::time::Timestamp;

record! {
    /// One ticker message. Identity: market, `ts_event` and content. Days are UTC days.
    Ticker {
        /// When the venue made it. Unit: microseconds UTC. Clock: the venue's. Upbit: `timestamp`
        /// (`tms`), milliseconds.
        ts_event: Timestamp,
        /// When the last trade was executed. Unit: microseconds UTC. Clock: the venue's. Upbit:
        /// `trade_timestamp` (`ttms`); its strings `trade_date` and `trade_time` say the same to
        /// the second and are left out.
        ts_trade: Option<Timestamp>,
        /// First price of the day. Unit: quote currency. Upbit: `opening_price` (`op`).
        open: Option<f64>,
        /// Highest price of the day. Unit: quote currency. Upbit: `high_price` (`hp`).
        high: Option<f64>,
        /// Lowest price of the day. Unit: quote currency. Upbit: `low_price` (`lp`).
        low: Option<f64>,
        /// Price of the last trade. Unit: quote currency. Upbit: `trade_price` (`tp`).
        price: Option<f64>,
        /// Size of the last trade. Unit: base currency. Upbit: `trade_volume` (`tv`).
        size: Option<f64>,
        /// Side of the taker of the last trade, `buy` or `sell`. Upbit: `ask_bid` (`ab`).
        side: Option<Side>,
        /// Close of the day before. Unit: quote currency. Upbit: `prev_closing_price` (`pcp`).
        prev_close: Option<f64>,
        /// Direction against `prev_close`: `rise`, `even` or `fall`. Upbit: `change` (`c`).
        change: Option<Change>,
        /// Distance from `prev_close`, without a sign. Unit: quote currency. Upbit: `change_price`
        /// (`cp`).
        change_price: Option<f64>,
        /// `change_price` with its sign. Upbit: `signed_change_price` (`scp`).
        signed_change_price: Option<f64>,
        /// `change_price` over `prev_close`, without a sign. Unit: 1 (0.01 is one per cent).
        /// Upbit: `change_rate` (`cr`).
        change_rate: Option<f64>,
        /// `change_rate` with its sign. Upbit: `signed_change_rate` (`scr`).
        signed_change_rate: Option<f64>,
        /// Volume of the day. Unit: base currency. Upbit: `acc_trade_volume` (`atv`).
        acc_volume: Option<f64>,
        /// Volume of the last 24 hours. Unit: base currency. Upbit: `acc_trade_volume_24h`
        /// (`atv24h`).
        acc_volume_24h: Option<f64>,
        /// Turnover of the day. Unit: quote currency. Upbit: `acc_trade_price` (`atp`).
        acc_turnover: Option<f64>,
        /// Turnover of the last 24 hours. Unit: quote currency. Upbit: `acc_trade_price_24h`
        /// (`atp24h`).
        acc_turnover_24h: Option<f64>,
        /// Volume of the day in which takers sold. Unit: base currency. Upbit: `acc_ask_volume`
        /// (`aav`).
        acc_ask_volume: Option<f64>,
        /// Volume of the day in which takers bought. Unit: base currency. Upbit: `acc_bid_volume`
        /// (`abv`).
        acc_bid_volume: Option<f64>,
        /// Highest price of 52 weeks. Unit: quote currency. Upbit: `highest_52_week_price`
        /// (`h52wp`).
        high_52w: Option<f64>,
        /// Day of `high_52w`, as the venue writes it. Upbit: `highest_52_week_date` (`h52wdt`).
        high_52w_date: Option<SmolStr>,
        /// Lowest price of 52 weeks. Unit: quote currency. Upbit: `lowest_52_week_price`
        /// (`l52wp`).
        low_52w: Option<f64>,
        /// Day of `low_52w`, as the venue writes it. Upbit: `lowest_52_week_date` (`l52wdt`).
        low_52w_date: Option<SmolStr>,
        /// `PREVIEW`, `ACTIVE` or `DELISTED`. Upbit: `market_state` (`ms`).
        market_state: Option<SmolStr>,
        /// Whether trading is halted. Upbit: `is_trading_suspended` (`its`), deprecated since
        /// 2025-10-31.
        is_trading_suspended: Option<bool>,
        /// `NONE` or `CAUTION`. Upbit: `market_warning` (`mw`), deprecated since 2025-10-31.
        market_warning: Option<SmolStr>,
        /// Day of delisting, as the JSON that the venue sent: a string or an object. Upbit:
        /// `delisting_date` (`dd`).
        delisting_date: Option<SmolStr>,
    }
}
