//! The bodies of the venue's REST answers.

use std::borrow::Cow;

use axum::http::Uri;

use super::query::{Fail, Parameters, instant, time_of_day};
use crate::sim::book::{DEPTH, GROUPINGS};
use crate::sim::candle::{Bar, Unit, korea, open};
use crate::sim::decimal::{Decimal, Spelling};
use crate::sim::history::{History, ticks};
use crate::sim::listing::{Listing, listing, warnings};
use crate::sim::market::{DAY, Market, Trade};
use crate::sim::render::{
    self, Object, PADDED, push_date, push_instant, push_quoted, push_time, side,
};
use crate::sim::shared::{Shared, Source};
use crate::sim::ticker;

/// Rows of one page of candles, and of one of trades.
const CANDLES: usize = 200;
const TICKS: usize = 500;
/// How many days back trades can be had.
const DAYS_AGO: i64 = 7;
const RATE_PLACES: u32 = 10;

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Markets,
    Candles(Unit),
    Ticks,
    Ticker,
    TickerAll,
    Orderbook,
    Instruments,
}

impl Endpoint {
    pub(super) fn of(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("/v1/")? {
            "market/all" => Self::Markets,
            "trades/ticks" => Self::Ticks,
            "ticker" => Self::Ticker,
            "ticker/all" => Self::TickerAll,
            "orderbook" => Self::Orderbook,
            "orderbook/instruments" => Self::Instruments,
            "candles/seconds" => Self::Candles(Unit::S1),
            "candles/minutes/1" => Self::Candles(Unit::M1),
            "candles/minutes/3" => Self::Candles(Unit::M3),
            "candles/minutes/5" => Self::Candles(Unit::M5),
            "candles/minutes/10" => Self::Candles(Unit::M10),
            "candles/minutes/15" => Self::Candles(Unit::M15),
            "candles/minutes/30" => Self::Candles(Unit::M30),
            "candles/minutes/60" => Self::Candles(Unit::M60),
            "candles/minutes/240" => Self::Candles(Unit::M240),
            "candles/days" => Self::Candles(Unit::D1),
            "candles/weeks" => Self::Candles(Unit::W1),
            "candles/months" => Self::Candles(Unit::Mo1),
            "candles/years" => Self::Candles(Unit::Y1),
            _ => return None,
        })
    }

    /// The group whose limit it counts towards, by its name in the header.
    pub(super) const fn group(self) -> &'static str {
        match self {
            Self::Markets => "market",
            Self::Candles(_) => "candles",
            Self::Ticks => "trade",
            Self::Ticker | Self::TickerAll => "ticker",
            Self::Orderbook | Self::Instruments => "orderbook",
        }
    }
}

/// The answer to a request.
pub(super) fn body(
    shared: &Shared,
    endpoint: Endpoint,
    uri: &Uri,
    now: i64,
) -> Result<Vec<u8>, Fail> {
    let asked = Parameters::of(uri)?;
    match (&shared.source, endpoint) {
        (_, Endpoint::Markets) => Ok(markets(shared, &asked)),
        (Source::Floor(_, history), Endpoint::Candles(unit)) => candles(history, unit, &asked, now),
        (Source::Floor(_, history), Endpoint::Ticks) => trades(history, &asked, now),
        (Source::Floor(..), Endpoint::Ticker) => tickers(shared, &asked.codes("markets")?, now),
        (Source::Floor(..), Endpoint::TickerAll) => {
            let quotes = asked.codes("quote_currencies")?;
            let listed_in =
                |code: &str| quotes.iter().any(|quote| code.starts_with(&format!("{quote}-")));
            let codes = listed(shared).into_iter().filter(|code| listed_in(code));
            tickers(shared, &codes.map(Cow::into_owned).collect::<Vec<_>>(), now)
        }
        (Source::Floor(..), Endpoint::Orderbook) => orderbooks(shared, &asked),
        (Source::Floor(..), Endpoint::Instruments) => instruments(shared, &asked),
        (Source::Capture(capture), _) => {
            let codes = asked.codes("market").or_else(|_| asked.codes("markets"))?;
            let known = capture.codes();
            let found = codes.iter().all(|code| known.contains(code.as_str()));
            if found { Ok(b"[]".to_vec()) } else { Err(Fail::NoMarket) }
        }
    }
}

/// Writes a JSON array, one `write` for each item.
fn array<T>(items: impl IntoIterator<Item = T>, mut write: impl FnMut(T, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![b'['];
    for item in items {
        if out.len() > 1 {
            out.push(b',');
        }
        write(item, &mut out);
    }
    out.push(b']');
    out
}

fn listed(shared: &Shared) -> Vec<Cow<'static, str>> {
    match &shared.source {
        Source::Floor(..) => shared
            .source
            .floor()
            .map(|floor| {
                let codes = floor.open().map(|live| live.market.listing.code.clone());
                codes.map(Cow::Owned).collect()
            })
            .unwrap_or_default(),
        Source::Capture(capture) => {
            capture.codes().into_iter().map(|code| Cow::Owned(code.to_owned())).collect()
        }
    }
}

fn markets(shared: &Shared, asked: &Parameters) -> Vec<u8> {
    const CAUTIONS: [&str; 5] = [
        "PRICE_FLUCTUATIONS",
        "TRADING_VOLUME_SOARING",
        "DEPOSIT_AMOUNT_SOARING",
        "GLOBAL_PRICE_DIFFERENCES",
        "CONCENTRATION_OF_SMALL_ACCOUNTS",
    ];
    let details =
        ["is_details", "isDetails"].into_iter().any(|name| asked.get(name) == Some("true"));
    let word = |on: bool| if on { "true" } else { "false" };
    array(listed(shared), |code, out| {
        let Listing { korean, english, .. } = listing(&code);
        let mut row = Object::open(out, false);
        row.text("market", "", &code);
        row.text("korean_name", "", &korean);
        row.text("english_name", "", &english);
        if details {
            let (warning, cautions) = warnings(&code);
            row.key("market_event", "");
            let mut event = Object::open(row.out, false);
            event.word("warning", "", word(warning));
            event.key("caution", "");
            let mut caution = Object::open(event.out, false);
            for (name, on) in CAUTIONS.into_iter().zip(cautions) {
                caution.word(name, "", word(on));
            }
            caution.close();
            event.close();
        }
        row.close();
    })
}

fn the_market<'a>(
    history: &'a History,
    asked: &Parameters,
    now: i64,
) -> Result<(usize, &'a Market), Fail> {
    let code = asked.get("market").ok_or(Fail::Missing)?.to_ascii_uppercase();
    history.find(&code, now).ok_or(Fail::NoMarket)
}

fn candles(history: &History, unit: Unit, asked: &Parameters, now: i64) -> Result<Vec<u8>, Fail> {
    let (place, market) = the_market(history, asked, now)?;
    let count = asked.count(CANDLES)?;
    let to = asked.get("to").map_or(Ok(now), instant)?;
    let bars = history.candles((place, market), unit, to, count, now);
    // A day's row also speaks of the day before it.
    let closes: Vec<i64> = if unit == Unit::D1 {
        bars.iter()
            .map(|bar| market.last(bar.open_ts).map_or(bar.open, |last| last.price))
            .collect()
    } else {
        vec![0; bars.len()]
    };
    Ok(array(bars.iter().zip(closes), |(bar, close), out| candle(market, unit, bar, close, out)))
}

fn candle(market: &Market, unit: Unit, bar: &Bar, close: i64, out: &mut Vec<u8>) {
    let mut row = Object::open(out, false);
    row.text("market", "", &market.listing.code);
    row.key("candle_date_time_utc", "");
    push_quoted(row.out, |out| push_instant(out, bar.open_ts));
    row.key("candle_date_time_kst", "");
    push_quoted(row.out, |out| push_instant(out, korea(bar.open_ts).timestamp_millis()));
    row.fixed(("opening_price", ""), bar.open, PADDED);
    row.fixed(("high_price", ""), bar.high, PADDED);
    row.fixed(("low_price", ""), bar.low, PADDED);
    row.fixed(("trade_price", ""), bar.close, PADDED);
    row.whole("timestamp", "", bar.last_ts);
    row.number(("candle_acc_trade_price", ""), bar.turnover(), PADDED);
    row.number(("candle_acc_trade_volume", ""), bar.volume(), PADDED);
    match unit {
        Unit::S1 => {}
        Unit::M1
        | Unit::M3
        | Unit::M5
        | Unit::M10
        | Unit::M15
        | Unit::M30
        | Unit::M60
        | Unit::M240 => {
            let minutes = unit.longest().as_secs() / 60;
            row.whole("unit", "", i64::try_from(minutes).unwrap_or(0));
        }
        Unit::D1 => {
            let moved = bar.close - close;
            let rate = i128::from(moved) * 10_i128.pow(RATE_PLACES);
            let rate = rate.checked_div(i128::from(close)).unwrap_or(0);
            row.fixed(("prev_closing_price", ""), close, PADDED);
            row.fixed(("change_price", ""), moved, PADDED);
            row.number(("change_rate", ""), Decimal::new(rate, RATE_PLACES), PADDED);
        }
        Unit::W1 | Unit::Mo1 | Unit::Y1 => {
            row.key("first_day_of_period", "");
            push_quoted(row.out, |out| push_date(out, bar.open_ts, true));
        }
    }
    row.close();
}

fn trades(history: &History, asked: &Parameters, now: i64) -> Result<Vec<u8>, Fail> {
    let (_, market) = the_market(history, asked, now)?;
    let count = asked.count(TICKS)?;
    let days_ago = asked.number("days_ago")?.unwrap_or(0);
    if !(0..=DAYS_AGO).contains(&days_ago) {
        return Err(Fail::Value);
    }
    let day = open(Unit::D1, now) - days_ago * DAY;
    let to = asked.get("to").map_or(Ok(DAY), time_of_day)?;
    let cursor = asked.number("cursor")?;
    let found = ticks(market, day, (day + to).min(now), cursor, count);
    let close = market
        .last(day)
        .map_or_else(|| market.bid(market.listed) * market.listing.tick, |last| last.price);
    Ok(array(&found, |trade, out| tick(market, trade, close, out)))
}

fn tick(market: &Market, trade: &Trade, close: i64, out: &mut Vec<u8>) {
    let java = (Spelling::Java, Spelling::Java);
    let mut row = Object::open(out, false);
    row.text("market", "", &market.listing.code);
    row.key("trade_date_utc", "");
    push_quoted(row.out, |out| push_date(out, trade.ts, true));
    row.key("trade_time_utc", "");
    push_quoted(row.out, |out| push_time(out, trade.ts, true));
    row.whole("timestamp", "", trade.ts);
    row.fixed(("trade_price", ""), trade.price, java);
    row.fixed(("trade_volume", ""), trade.size, java);
    row.fixed(("prev_closing_price", ""), close, java);
    row.fixed(("change_price", ""), trade.price - close, java);
    row.text("ask_bid", "", side(trade.buy));
    row.whole("sequential_id", "", trade.id);
    row.close();
}

fn tickers(shared: &Shared, codes: &[String], now: i64) -> Result<Vec<u8>, Fail> {
    let floor = shared.source.floor().ok_or(Fail::NoMarket)?;
    let lives: Option<Vec<_>> = codes.iter().map(|code| floor.find(code)).collect();
    let lives = lives.ok_or(Fail::NoMarket)?;
    let traded = lives.into_iter().filter_map(|live| Some((live, live.last?)));
    Ok(array(traded, |(live, last), out| {
        let mut live = live.clone();
        live.day.roll(now);
        ticker::rest_row(&live, &last, out);
    }))
}

fn orderbooks(shared: &Shared, asked: &Parameters) -> Result<Vec<u8>, Fail> {
    let codes = asked.codes("markets")?;
    // A count out of range means all levels.
    let count = asked.number("count")?.and_then(|count| usize::try_from(count).ok());
    let depth = count.filter(|count| (1..=DEPTH).contains(count)).unwrap_or(DEPTH);
    let level: f64 = asked.get("level").map_or(Ok(0.0), str::parse).map_err(|_| Fail::Type)?;
    let floor = shared.source.floor().ok_or(Fail::NoMarket)?;
    let lives: Option<Vec<_>> = codes.iter().map(|code| floor.find(code)).collect();
    let grouped = lives.ok_or(Fail::NoMarket)?.into_iter().filter_map(|live| {
        // A market without that level has no row.
        let steps = crate::sim::floor::grouping(&live.market, level)?;
        let book = if steps == 1 { live.book() } else { live.market.book(live.slot(), steps) };
        Some((live, steps, book))
    });
    Ok(array(grouped, |(live, steps, book), out| {
        render::rest_book(&live.market, &book, (depth, steps), out);
    }))
}

fn instruments(shared: &Shared, asked: &Parameters) -> Result<Vec<u8>, Fail> {
    let codes = asked.codes("markets")?;
    let floor = shared.source.floor().ok_or(Fail::NoMarket)?;
    let lives: Option<Vec<_>> = codes.iter().map(|code| floor.find(code)).collect();
    Ok(array(lives.ok_or(Fail::NoMarket)?, |live, out| {
        let code = &live.market.listing.code;
        let quote = code.split('-').next().unwrap_or_default();
        let mut row = Object::open(out, false);
        row.text("market", "", code);
        row.text("quote_currency", "", quote);
        row.text("tick_size", "", &Decimal::fixed(live.market.listing.tick).to_string());
        row.key("supported_levels", "");
        let groupings = if quote == "KRW" { GROUPINGS.len() } else { 1 };
        let levels = GROUPINGS.into_iter().take(groupings);
        let written = array(levels, |steps, out| {
            let text = render::grouping(&live.market, steps).to_string();
            push_quoted(out, |out| out.extend_from_slice(text.as_bytes()));
        });
        row.out.extend_from_slice(&written);
        row.close();
    }))
}
