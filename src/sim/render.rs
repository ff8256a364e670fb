//! What the venue says, as bytes: websocket frames in their four formats, and rows of REST answers.
//!
//! Field names and their order, and the spelling of each number, are those seen on the wire
//! (`venue-facts` 2.5 to 2.9): `DEFAULT` pads what SIMPLE trims, order books of `DEFAULT` spell
//! prices as Java does.

use bytes::Bytes;

use super::book::{Book, DEPTH, Level};
use super::candle::{Bar, LIVE_UNITS, datetime, korea};
use super::decimal::{Decimal, Spelling, push_digits, push_number};
use super::live::Live;
use super::market::{HOUR, MINUTE, Market, SECOND, Trade};
use super::ticker;

/// How one subscriber wants its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// Short field names and trimmed numbers.
    pub(super) simple: bool,
    /// Each frame in an array.
    pub(super) list: bool,
    /// Levels of an order book.
    pub(super) depth: usize,
    /// Price steps in one level.
    pub(super) grouping: i64,
    /// The state at subscription, or what happens now.
    pub(super) snapshot: bool,
}

/// A JSON object that is being written.
pub(super) struct Object<'a> {
    pub(super) out: &'a mut Vec<u8>,
    simple: bool,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Opens an object whose fields are named by their long or their short names.
    pub(super) fn open(out: &'a mut Vec<u8>, simple: bool) -> Self {
        out.push(b'{');
        Self { out, simple, empty: true }
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }

    /// The name of the next field.
    pub(super) fn key(&mut self, long: &str, short: &str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(if self.simple { short } else { long }.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A text that needs no escapes.
    pub(super) fn text(&mut self, long: &str, short: &str, text: &str) {
        self.key(long, short);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    /// A number, spelled in one way in `DEFAULT` and in another one in SIMPLE.
    pub(super) fn number(
        &mut self,
        name: (&str, &str),
        number: Decimal,
        as_: (Spelling, Spelling),
    ) {
        self.key(name.0, name.1);
        number.write(if self.simple { as_.1 } else { as_.0 }, self.out);
    }

    /// A price or size in 10^-8.
    pub(super) fn fixed(&mut self, name: (&str, &str), number: i64, as_: (Spelling, Spelling)) {
        self.number(name, Decimal::fixed(number), as_);
    }

    /// A whole number.
    pub(super) fn whole(&mut self, long: &str, short: &str, number: i64) {
        self.key(long, short);
        push_number(u128::from(number.unsigned_abs()), self.out);
    }

    /// `true`, `null` and the like.
    pub(super) fn word(&mut self, long: &str, short: &str, word: &str) {
        self.key(long, short);
        self.out.extend_from_slice(word.as_bytes());
    }
}

/// Padded in both formats.
pub(super) const PADDED: (Spelling, Spelling) = (Spelling::Padded, Spelling::Padded);
/// Padded in `DEFAULT`, as Java prints it in SIMPLE.
pub(super) const TRIMMED: (Spelling, Spelling) = (Spelling::Padded, Spelling::Java);
/// Trimmed in both formats.
pub(super) const PLAIN: (Spelling, Spelling) = (Spelling::Plain, Spelling::Plain);

const SNAPSHOT: &str = "SNAPSHOT";
const REALTIME: &str = "REALTIME";

fn frame(view: View, write: impl FnOnce(&mut Object)) -> Bytes {
    let mut out = Vec::with_capacity(512);
    if view.list {
        out.push(b'[');
    }
    let mut object = Object::open(&mut out, view.simple);
    write(&mut object);
    object.close();
    if view.list {
        out.push(b']');
    }
    Bytes::from(out)
}

fn stream_type(object: &mut Object, view: View) {
    object.text("stream_type", "st", if view.snapshot { SNAPSHOT } else { REALTIME });
}

/// A trade frame.
pub(super) fn trade(live: &Live, trade: &Trade, view: View) -> Bytes {
    let market = &live.market;
    let close = live.day.prev_close;
    let (ask, bid) = market.best(trade.ts);
    frame(view, |object| {
        object.text("type", "ty", "trade");
        object.text("code", "cd", &market.listing.code);
        object.whole("timestamp", "tms", trade.ts + live.lag());
        object.key("trade_date", "td");
        push_quoted(object.out, |out| push_date(out, trade.ts, true));
        object.key("trade_time", "ttm");
        push_quoted(object.out, |out| push_time(out, trade.ts, true));
        object.whole("trade_timestamp", "ttms", trade.ts);
        object.fixed(("trade_price", "tp"), trade.price, TRIMMED);
        object.fixed(("trade_volume", "tv"), trade.size, TRIMMED);
        object.text("ask_bid", "ab", side(trade.buy));
        object.fixed(("prev_closing_price", "pcp"), close, PADDED);
        object.text("change", "c", change(trade.price, close));
        object.fixed(("change_price", "cp"), (trade.price - close).abs(), PADDED);
        object.whole("sequential_id", "sid", trade.id);
        object.fixed(("best_ask_price", "bap"), ask.price, PLAIN);
        object.fixed(("best_ask_size", "bas"), ask.size, PLAIN);
        object.fixed(("best_bid_price", "bbp"), bid.price, PLAIN);
        object.fixed(("best_bid_size", "bbs"), bid.size, PLAIN);
        stream_type(object, view);
    })
}

/// An order book frame.
pub(super) fn book(market: &Market, book: &Book, view: View) -> Bytes {
    // Java spells order book prices of `DEFAULT`, and order book sizes of SIMPLE.
    let price = (Spelling::Java, Spelling::Plain);
    frame(view, |object| {
        object.out.reserve(96 * view.depth);
        object.text("type", "ty", "orderbook");
        object.text("code", "cd", &market.listing.code);
        object.whole("timestamp", "tms", book.ts);
        object.number(("total_ask_size", "tas"), Book::total(&book.asks, view.depth), TRIMMED);
        object.number(("total_bid_size", "tbs"), Book::total(&book.bids, view.depth), TRIMMED);
        object.key("orderbook_units", "obu");
        object.out.push(b'[');
        for (place, (ask, bid)) in book.asks.iter().zip(&book.bids).take(view.depth).enumerate() {
            if place > 0 {
                object.out.push(b',');
            }
            let mut unit = Object::open(object.out, view.simple);
            unit.fixed(("ask_price", "ap"), ask.price, price);
            unit.fixed(("bid_price", "bp"), bid.price, price);
            unit.fixed(("ask_size", "as"), ask.size, TRIMMED);
            unit.fixed(("bid_size", "bs"), bid.size, TRIMMED);
            unit.close();
        }
        object.out.push(b']');
        stream_type(object, view);
        object.number(("level", "lv"), grouping(market, view.grouping), PLAIN);
    })
}

/// A ticker frame.
pub(super) fn ticker(live: &Live, view: View) -> Option<Bytes> {
    let last = live.last?;
    Some(frame(view, |object| {
        object.text("type", "ty", "ticker");
        object.text("code", "cd", &live.market.listing.code);
        ticker::live_fields(object, live, &last);
        stream_type(object, view);
    }))
}

/// A candle frame; `place` is that of its unit in [`LIVE_UNITS`].
pub(super) fn candle(market: &Market, place: usize, bar: &Bar, view: View) -> Bytes {
    let unit = LIVE_UNITS.get(place).map_or("", |unit| unit.as_str());
    frame(view, |object| {
        object.key("type", "ty");
        push_quoted(object.out, |out| {
            out.extend_from_slice(b"candle.");
            out.extend_from_slice(unit.as_bytes());
        });
        object.text("code", "cd", &market.listing.code);
        object.key("candle_date_time_utc", "cdttmu");
        push_quoted(object.out, |out| push_instant(out, bar.open_ts));
        object.key("candle_date_time_kst", "cdttmk");
        push_quoted(object.out, |out| push_instant(out, korea(bar.open_ts).timestamp_millis()));
        object.fixed(("opening_price", "op"), bar.open, TRIMMED);
        object.fixed(("high_price", "hp"), bar.high, TRIMMED);
        object.fixed(("low_price", "lp"), bar.low, TRIMMED);
        object.fixed(("trade_price", "tp"), bar.close, TRIMMED);
        object.number(("candle_acc_trade_volume", "catv"), bar.volume(), TRIMMED);
        object.number(("candle_acc_trade_price", "catp"), bar.turnover(), TRIMMED);
        object.whole("timestamp", "tms", bar.last_ts);
        stream_type(object, view);
    })
}

/// A row of `/v1/orderbook`.
pub(super) fn rest_book(
    market: &Market,
    book: &Book,
    (depth, steps): (usize, i64),
    out: &mut Vec<u8>,
) {
    let mut object = Object::open(out, false);
    object.text("market", "", &market.listing.code);
    object.whole("timestamp", "", book.ts);
    let java = (Spelling::Java, Spelling::Java);
    object.number(("total_ask_size", ""), Book::total(&book.asks, depth), java);
    object.number(("total_bid_size", ""), Book::total(&book.bids, depth), java);
    object.key("orderbook_units", "");
    object.out.push(b'[');
    let levels = book.asks.iter().zip(&book.bids).take(depth.min(DEPTH));
    for (place, (ask, bid)) in levels.enumerate() {
        if place > 0 {
            object.out.push(b',');
        }
        let mut unit = Object::open(object.out, false);
        let mut pair = |price: &str, size: &str, level: &Level| {
            unit.fixed((price, ""), level.price, java);
            unit.fixed((size, ""), level.size, java);
        };
        pair("bid_price", "bid_size", bid);
        pair("ask_price", "ask_size", ask);
        unit.close();
    }
    object.out.push(b']');
    object.number(("level", ""), grouping(market, steps), PLAIN);
    object.close();
}

/// The grouping of a book as the venue says it: 0 for none, else the width of a level.
pub(super) fn grouping(market: &Market, grouping: i64) -> Decimal {
    Decimal::fixed(if grouping == 1 { 0 } else { grouping * market.listing.tick })
}

/// The venue's word for the taker's side.
pub(super) const fn side(buy: bool) -> &'static str {
    if buy { "BID" } else { "ASK" }
}

/// The venue's word for the direction against the previous close.
pub(super) fn change(price: i64, close: i64) -> &'static str {
    match price.cmp(&close) {
        std::cmp::Ordering::Less => "FALL",
        std::cmp::Ordering::Equal => "EVEN",
        std::cmp::Ordering::Greater => "RISE",
    }
}

/// Puts quotes around what `write` writes.
pub(super) fn push_quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// Appends `2026-11-21T12:34:56`.
pub(super) fn push_instant(out: &mut Vec<u8>, ts: i64) {
    push_date(out, ts, true);
    out.push(b'T');
    push_time(out, ts, true);
}

/// Appends `2026-11-21` or `20261121`.
pub(super) fn push_date(out: &mut Vec<u8>, ts: i64, separated: bool) {
    use chrono::Datelike;

    let day = datetime(ts).date_naive();
    push_digits(u128::from(day.year().unsigned_abs()), 4, out);
    for part in [day.month(), day.day()] {
        if separated {
            out.push(b'-');
        }
        push_digits(u128::from(part), 2, out);
    }
}

/// Appends `12:34:56` or `123456`.
pub(super) fn push_time(out: &mut Vec<u8>, ts: i64, separated: bool) {
    let parts = [ts.div_euclid(HOUR) % 24, ts.div_euclid(MINUTE) % 60, ts.div_euclid(SECOND) % 60];
    for (place, part) in parts.into_iter().enumerate() {
        if separated && place > 0 {
            out.push(b':');
        }
        push_digits(u128::from(part.unsigned_abs()), 2, out);
    }
}
