//! The fields of a ticker: by websocket and by REST.

use super::candle::korea;
use super::decimal::{Decimal, PLACES, Spelling};
use super::live::Live;
use super::market::{DAY, Market, Trade, WALK_REACH, turnover};
use super::render::{Object, PADDED, PLAIN, change, push_date, push_quoted, push_time, side};

/// Digits after the point of a rate.
const RATE_PLACES: u32 = 10;

/// The fields of a ticker frame between `code` and `stream_type`, in their order on the wire.
pub(super) fn live_fields(object: &mut Object, live: &Live, last: &Trade) {
    let day = &live.day;
    prices(object, live, (PLAIN, PADDED));
    object.number(("acc_trade_price", "atp"), turnover(day.turnover), PADDED);
    moves(object, live);
    object.text("ask_bid", "ab", side(last.buy));
    object.fixed(("trade_volume", "tv"), last.size, PLAIN);
    object.number(("acc_trade_volume", "atv"), volume(day.sold + day.bought), PLAIN);
    object.key("trade_date", "tdt");
    push_quoted(object.out, |out| push_date(out, last.ts, false));
    object.key("trade_time", "ttm");
    push_quoted(object.out, |out| push_time(out, last.ts, false));
    object.whole("trade_timestamp", "ttms", last.ts);
    object.number(("acc_ask_volume", "aav"), volume(day.sold), PLAIN);
    object.number(("acc_bid_volume", "abv"), volume(day.bought), PLAIN);
    year(object, &live.market, PADDED);
    object.text("market_state", "ms", "ACTIVE");
    object.word("is_trading_suspended", "its", "false");
    delisting(object, &live.market);
    object.text("market_warning", "mw", "NONE");
    object.whole("timestamp", "tms", last.ts + live.lag());
    object.number(("acc_trade_price_24h", "atp24h"), turnover(day.turnover_24h), PADDED);
    object.number(("acc_trade_volume_24h", "atv24h"), volume(day.volume_24h), PADDED);
}

/// A row of `/v1/ticker`.
pub(super) fn rest_row(live: &Live, last: &Trade, out: &mut Vec<u8>) {
    let java = (Spelling::Java, Spelling::Java);
    let day = &live.day;
    let mut object = Object::open(out, false);
    object.text("market", "", &live.market.listing.code);
    let seoul = korea(last.ts).timestamp_millis();
    for (date, time, ts) in
        [("trade_date", "trade_time", last.ts), ("trade_date_kst", "trade_time_kst", seoul)]
    {
        object.key(date, "");
        push_quoted(object.out, |out| push_date(out, ts, false));
        object.key(time, "");
        push_quoted(object.out, |out| push_time(out, ts, false));
    }
    object.whole("trade_timestamp", "", last.ts);
    prices(&mut object, live, (java, java));
    moves(&mut object, live);
    object.fixed(("trade_volume", ""), last.size, java);
    object.number(("acc_trade_price", ""), turnover(day.turnover), java);
    object.number(("acc_trade_price_24h", ""), turnover(day.turnover_24h), java);
    object.number(("acc_trade_volume", ""), volume(day.sold + day.bought), java);
    object.number(("acc_trade_volume_24h", ""), volume(day.volume_24h), java);
    year(&mut object, &live.market, java);
    object.whole("timestamp", "", last.ts + live.lag());
    object.close();
}

type Spellings = (Spelling, Spelling);

fn prices(object: &mut Object, live: &Live, (today, close): (Spellings, Spellings)) {
    let day = &live.day;
    object.fixed(("opening_price", "op"), day.open, today);
    object.fixed(("high_price", "hp"), day.high, today);
    object.fixed(("low_price", "lp"), day.low, today);
    object.fixed(("trade_price", "tp"), day.last, today);
    object.fixed(("prev_closing_price", "pcp"), day.prev_close, close);
}

fn moves(object: &mut Object, live: &Live) {
    let (last, close) = (live.day.last, live.day.prev_close);
    let moved = last - close;
    let unit = 10_i128.pow(RATE_PLACES);
    let rate = (i128::from(moved) * unit).checked_div(i128::from(close)).unwrap_or(0);
    object.text("change", "c", change(last, close));
    object.fixed(("change_price", "cp"), moved.abs(), PADDED);
    object.fixed(("signed_change_price", "scp"), moved, PADDED);
    object.number(("change_rate", "cr"), Decimal::new(rate.abs(), RATE_PLACES), PADDED);
    object.number(("signed_change_rate", "scr"), Decimal::new(rate, RATE_PLACES), PADDED);
}

/// The year's extremes: not looked up, but what the walk can reach at most, so that no day's
/// price lies beyond them.
fn year(object: &mut Object, market: &Market, spelling: Spellings) {
    let listing = &market.listing;
    let reach = listing.base * WALK_REACH / 1_000_000 + 2 + market.spread();
    let high = (listing.base + reach) * listing.tick;
    let low = (listing.base - reach).max(1) * listing.tick;
    object.fixed(("highest_52_week_price", "h52wp"), high, spelling);
    object.key("highest_52_week_date", "h52wdt");
    push_quoted(object.out, |out| push_date(out, market.start - 40 * DAY, true));
    object.fixed(("lowest_52_week_price", "l52wp"), low, spelling);
    object.key("lowest_52_week_date", "l52wdt");
    push_quoted(object.out, |out| push_date(out, market.start - 200 * DAY, true));
}

/// `null`, or the object that the official library knows.
fn delisting(object: &mut Object, market: &Market) {
    use chrono::Datelike;

    let Some(ts) = market.delisted else {
        object.word("delisting_date", "dd", "null");
        return;
    };
    let day = super::candle::date(ts);
    object.key("delisting_date", "dd");
    let mut inner = Object::open(object.out, false);
    inner.whole("year", "", i64::from(day.year()));
    inner.whole("month", "", i64::from(day.month()));
    inner.whole("day", "", i64::from(day.day()));
    inner.close();
}

const fn volume(sum: i128) -> Decimal {
    Decimal::new(sum, PLACES)
}
