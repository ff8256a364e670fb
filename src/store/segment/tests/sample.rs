//! Rows of every stream: nulls, empty lists, text of many scripts, times that cross.

use bytes::Bytes;
use chrono::NaiveDate;

use crate::model::market::{Change, Market, Side, Source};
use crate::model::record::{Body, Candle, Head, Instrument, Orderbook, Row, Ticker, Trade, Unread};
use crate::model::subscription::Stream;
use crate::model::time::{SECOND_US, Timestamp};
use crate::store::paths::PartName;

/// 2026-11-21T00:00:00Z.
pub(crate) const DAY: i64 = 1_795_219_200 * SECOND_US;

pub(crate) fn name(stream: Stream, number: u64) -> PartName {
    let date = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
    PartName { stream, venue: "upbit".into(), date, number }
}

pub(crate) fn at(offset: i64) -> Timestamp {
    Timestamp::from_micros(DAY + offset)
}

/// A row of market `market` (null where empty), at `offset` µs of the day.
pub(crate) fn row(stream: Stream, market: &str, offset: i64, frame: i64, full: bool) -> Row {
    let head = Head {
        market: (!market.is_empty()).then(|| Market::new(market)),
        ts_recv: if stream == Stream::Unread { at(offset) } else { at(offset + 7_000) },
        source: if full { Source::Ws } else { Source::Rest },
        snapshot: full,
        session: 3,
        frame,
    };
    Row { head, body: body(stream, offset, frame, full) }
}

fn body(stream: Stream, offset: i64, frame: i64, full: bool) -> Body {
    let number = |value: f64| full.then_some(value);
    let id = i64::MAX - frame;
    match stream {
        Stream::Trade => Body::Trade(trade(offset, id, full)),
        Stream::Orderbook => Body::Orderbook(Box::new(Orderbook {
            ts_event: at(offset),
            total_ask_size: number(0.1),
            total_bid_size: number(1e-8),
            grouping: number(0.0),
            best_ask_price: number(91_154_000.0),
            best_ask_size: number(0.004),
            best_bid_price: None,
            best_bid_size: None,
            ask_price: if full { [91_154_000.0, 91_155_000.0].into() } else { [].into() },
            ask_size: if full { [0.004, 7.9276e-4].into() } else { [].into() },
            bid_price: [].into(),
            bid_size: [].into(),
        })),
        Stream::Ticker => Body::Ticker(Box::new(ticker(offset, full))),
        Stream::Candle(_) => Body::Candle(Candle {
            ts_open: at(offset),
            open: 1.0,
            high: 3.0,
            low: 0.5,
            close: f64::from(u8::try_from(frame % 100).unwrap()),
            volume: 0.0,
            turnover: 5e-324,
            ts_last: full.then(|| at(offset + 1)),
            prev_close: number(1.5),
            change_price: number(-0.5),
            change_rate: number(-1.0 / 3.0),
            first_day: full.then(|| at(0)),
        }),
        Stream::Instrument => Body::Instrument(Box::new(Instrument {
            ts_seen: at(offset),
            listed: full,
            name_local: full.then(|| "비트코인".into()),
            name_english: full.then(|| "Bitcoin".into()),
            warning: full.then_some(false),
            caution: full.then(|| "".into()),
        })),
        Stream::Unread => Body::Unread(Unread {
            reason: "not JSON: 値 \"\u{0}\"".into(),
            body: if full { Bytes::from_static(&[0, 255, b'{', 128]) } else { Bytes::new() },
        }),
    }
}

fn trade(offset: i64, id: i64, full: bool) -> Trade {
    let number = |value: f64| full.then_some(value);
    Trade {
        ts_event: at(offset),
        ts_sent: full.then(|| at(offset + 5)),
        id,
        price: 1.165_39e8,
        size: 7.9276e-4,
        side: if full { Side::Buy } else { Side::Sell },
        prev_close: number(-0.0),
        change: full.then_some(Change::Even),
        change_price: number(f64::MIN_POSITIVE),
        best_ask_price: number(f64::MAX),
        best_ask_size: number(0.1),
        best_bid_price: number(0.2),
        best_bid_size: number(0.3),
    }
}

fn ticker(offset: i64, full: bool) -> Ticker {
    let number = |value: f64| full.then_some(value);
    Ticker {
        ts_event: at(offset),
        ts_trade: full.then(|| at(offset - 1)),
        open: number(1.0),
        high: number(2.0),
        low: number(0.5),
        price: number(1.5),
        size: number(0.1),
        side: full.then_some(Side::Sell),
        prev_close: number(1.25),
        change: full.then_some(Change::Fall),
        change_price: number(0.25),
        signed_change_price: number(-0.25),
        change_rate: number(0.2),
        signed_change_rate: number(-0.2),
        acc_volume: number(10.0),
        acc_volume_24h: number(11.0),
        acc_turnover: number(12.0),
        acc_turnover_24h: number(13.0),
        acc_ask_volume: number(4.0),
        acc_bid_volume: number(6.0),
        high_52w: number(9.0),
        high_52w_date: full.then(|| "2026-01-01".into()),
        low_52w: number(0.1),
        low_52w_date: full.then(|| "2026-02-01".into()),
        market_state: full.then(|| "ACTIVE".into()),
        is_trading_suspended: full.then_some(false),
        market_warning: full.then(|| "NONE".into()),
        delisting_date: full.then(|| "{\"day\":3}".into()),
    }
}

/// A few rows of `stream`, in no order.
pub(crate) fn rows(stream: Stream) -> Vec<Row> {
    let unknown = if stream == Stream::Unread { "" } else { "KRW-Å" };
    [
        ("KRW-ETH", 5, 1, true),
        ("KRW-BTC", 9, 2, false),
        (unknown, 3, 3, true),
        ("KRW-BTC", 4, 6, true),
        ("KRW-BTC", 4, 5, false),
        ("KRW-BTC", 86_399_999_990, 4, true),
        ("krw-btc", 0, 7, false),
    ]
    .map(|(market, offset, frame, full)| row(stream, market, offset, frame, full))
    .into()
}
