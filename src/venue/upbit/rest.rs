//! REST requests. A page comes newest first; `to` and a cursor are exclusive.

use std::time::Duration;

use chrono::SecondsFormat;

use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::subscription::CandleUnit;
use crate::model::time::{DAY, DAY_US, SECOND_US, Timestamp};
use crate::venue::{PastAsk, PastPage, Request};

/// The most candles that one page holds; the venue takes more for this many.
pub const CANDLES_PER_PAGE: u16 = 200;
/// The most trades that one page holds.
pub const TRADES_PER_PAGE: u16 = 500;
/// How many UTC days before the current one trades can be had of.
pub const TRADE_DAYS: u16 = 7;

/// Where a page of trades ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TradesBefore {
    /// At the end of the day, or now.
    End,
    /// Before this second of the day, counted from midnight UTC.
    Second(u32),
    /// Before the trade with this number.
    Id(i64),
}

/// The page of candles that is asked for.
#[must_use]
pub fn candle_page(base: &str, unit: CandleUnit, ask: &PastAsk<'_>) -> Option<PastPage> {
    let to = whole_second(ask.before);
    Some(PastPage {
        request: candles(base, unit, ask.market, to),
        within: Span::new(Timestamp::MIN, to)?,
        rows: CANDLES_PER_PAGE,
    })
}

/// The page of trades that is asked for: trades are kept by UTC days, and no page leaves its day.
#[must_use]
pub fn trade_page(base: &str, ask: &PastAsk<'_>) -> Option<PastPage> {
    let today = ask.now.day();
    let latest =
        if ask.id.is_some() { ask.before } else { ask.before.before(Duration::from_micros(1)) };
    let day = latest.day().min(today);
    let days_ago = u16::try_from((today.micros() - day.micros()) / DAY_US).ok();
    let days_ago = days_ago.filter(|days| *days <= TRADE_DAYS)?;
    let within = Span::new(day, day.after(DAY))?;
    let end = whole_second(ask.before);
    let before = match ask.id {
        Some(id) => TradesBefore::Id(id),
        // The last second of a day ends with the day.
        None if end >= within.to() || ask.before >= ask.now => TradesBefore::End,
        None => {
            let second = u32::try_from(end.since(day).as_secs());
            second.map_or(TradesBefore::End, TradesBefore::Second)
        }
    };
    let request = trades(base, ask.market, days_ago, before);
    Some(PastPage { request, within, rows: TRADES_PER_PAGE })
}

/// The first whole second that is not before `at`: the venue reads whole seconds.
fn whole_second(at: Timestamp) -> Timestamp {
    let up = at.after(Duration::from_micros(SECOND_US.unsigned_abs() - 1));
    Timestamp::from_micros(up.micros() - up.micros().rem_euclid(SECOND_US))
}

/// The request for the list of markets.
#[must_use]
pub fn listing(base: &str) -> Request {
    request(base, "/v1/market/all", "market", &[("is_details", "true")])
}

/// The request for the newest candles that open before `to`: at most [`CANDLES_PER_PAGE`].
#[must_use]
pub fn candles(base: &str, unit: CandleUnit, market: &Market, to: Timestamp) -> Request {
    let path = match unit {
        CandleUnit::S1 => "/v1/candles/seconds",
        CandleUnit::M1 => "/v1/candles/minutes/1",
        CandleUnit::M3 => "/v1/candles/minutes/3",
        CandleUnit::M5 => "/v1/candles/minutes/5",
        CandleUnit::M10 => "/v1/candles/minutes/10",
        CandleUnit::M15 => "/v1/candles/minutes/15",
        CandleUnit::M30 => "/v1/candles/minutes/30",
        CandleUnit::M60 => "/v1/candles/minutes/60",
        CandleUnit::M240 => "/v1/candles/minutes/240",
        CandleUnit::D1 => "/v1/candles/days",
        CandleUnit::W1 => "/v1/candles/weeks",
        CandleUnit::Mo1 => "/v1/candles/months",
        CandleUnit::Y1 => "/v1/candles/years",
    };
    // Candles open at whole seconds, so the next one asks for the same candles.
    let whole = whole_second(to).datetime();
    let parameters = [
        ("market", market.as_str()),
        ("to", &whole.to_rfc3339_opts(SecondsFormat::Secs, true)),
        ("count", &CANDLES_PER_PAGE.to_string()),
    ];
    request(base, path, "candle", &parameters)
}

/// The request for the newest trades of one UTC day before `before`: at most [`TRADES_PER_PAGE`].
/// `days_ago` counts UTC days back from the current one; more than [`TRADE_DAYS`] is refused.
#[must_use]
pub fn trades(base: &str, market: &Market, days_ago: u16, before: TradesBefore) -> Request {
    let count = TRADES_PER_PAGE.to_string();
    let mut parameters = vec![("market", market.as_str()), ("count", &count)];
    let days = days_ago.to_string();
    if days_ago > 0 {
        // Left out, it means the current day.
        parameters.push(("days_ago", &days));
    }
    let end;
    match before {
        TradesBefore::End => {}
        TradesBefore::Second(second) => {
            end = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
            parameters.push(("to", &end));
        }
        TradesBefore::Id(id) => {
            end = id.to_string();
            parameters.push(("cursor", &end));
        }
    }
    request(base, "/v1/trades/ticks", "trade", &parameters)
}

fn request(base: &str, path: &str, group: &'static str, parameters: &[(&str, &str)]) -> Request {
    let mut url = format!("{}{path}", base.trim_end_matches('/'));
    for (index, (name, value)) in parameters.iter().enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url.push_str(name);
        url.push('=');
        encode(value, &mut url);
    }
    Request { url, group }
}

/// Appends `value` as a URL may hold it: the venue refuses a bare `:` or `+`.
fn encode(value: &str, url: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push('%');
            let digits = [byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16));
            url.extend(digits.iter().flatten().map(char::to_ascii_uppercase));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://api.upbit.com";

    #[test]
    fn the_listing_asks_for_details() {
        let url = "https://api.upbit.com/v1/market/all?is_details=true";
        for base in [BASE, "https://api.upbit.com/"] {
            assert_eq!(listing(base), Request { url: url.to_owned(), group: "market" });
        }
    }

    #[test]
    fn every_candle_page() {
        let market = Market::new("KRW-BTC");
        let to = |text: &str| text.parse().unwrap();
        for (unit, path) in CandleUnit::ALL.into_iter().zip([
            "seconds",
            "minutes/1",
            "minutes/3",
            "minutes/5",
            "minutes/10",
            "minutes/15",
            "minutes/30",
            "minutes/60",
            "minutes/240",
            "days",
            "weeks",
            "months",
            "years",
        ]) {
            let request = candles(BASE, unit, &market, to("2025-06-24T04:56:53Z"));
            assert_eq!(
                request.url,
                format!(
                    "{BASE}/v1/candles/{path}?market=KRW-BTC&to=2025-06-24T04%3A56%3A53Z&count=200"
                )
            );
            assert_eq!(request.group, "candle");
        }
        // `to` is exclusive: the candle that opens at :53 is before :53.000001.
        let request = candles(BASE, CandleUnit::S1, &market, to("2025-06-24T04:56:53.000001Z"));
        assert!(request.url.contains("to=2025-06-24T04%3A56%3A54Z"), "{}", request.url);
    }

    #[test]
    fn every_trade_page() {
        let market = Market::new("KRW-BTC");
        for (days_ago, before, rest) in [
            (0, TradesBefore::End, ""),
            (1, TradesBefore::End, "&days_ago=1"),
            (0, TradesBefore::Second(0), "&to=00%3A00%3A00"),
            (7, TradesBefore::Second(86_399), "&days_ago=7&to=23%3A59%3A59"),
            (2, TradesBefore::Id(17_853_950_411_240_001), "&days_ago=2&cursor=17853950411240001"),
        ] {
            let request = trades(BASE, &market, days_ago, before);
            let url = format!("{BASE}/v1/trades/ticks?market=KRW-BTC&count=500{rest}");
            assert_eq!(request, Request { url, group: "trade" });
        }
    }

    /// One ask for trades: how the day and the end of the page are named, and its day.
    #[test]
    fn every_time_of_trades_is_a_day_and_an_end() {
        let market = Market::new("KRW-BTC");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (before, id, expected, day) in [
            ("2026-11-21T09:00:00Z", None, "", "2026-11-21"),
            ("2026-11-22T00:00:00Z", None, "", "2026-11-21"),
            ("2026-11-21T08:00:00Z", None, "&to=08%3A00%3A00", "2026-11-21"),
            ("2026-11-21T08:00:00.000001Z", None, "&to=08%3A00%3A01", "2026-11-21"),
            ("2026-11-21T00:00:00.001Z", None, "&to=00%3A00%3A01", "2026-11-21"),
            ("2026-11-21T00:00:00Z", None, "&days_ago=1", "2026-11-20"),
            ("2026-11-21T00:00:00Z", Some(7), "&cursor=7", "2026-11-21"),
            ("2026-11-20T23:59:59.500Z", None, "&days_ago=1", "2026-11-20"),
            ("2026-11-20T23:59:59.500Z", Some(8), "&days_ago=1&cursor=8", "2026-11-20"),
            ("2026-11-14T00:00:01Z", None, "&days_ago=7&to=00%3A00%3A01", "2026-11-14"),
            ("2026-11-14T00:00:00Z", None, "none", "none"),
        ] {
            let ask = PastAsk {
                stream: crate::model::subscription::Stream::Trade,
                market: &market,
                before: at(before),
                id,
                now: at("2026-11-21T09:00:00Z"),
            };
            let page = trade_page(BASE, &ask);
            let (url, found) = page.as_ref().map_or(("none", "none".to_owned()), |page| {
                (page.request.url.as_str(), page.within.from().date().to_string())
            });
            let url = url.strip_prefix(&format!("{BASE}/v1/trades/ticks?market=KRW-BTC&count=500"));
            assert_eq!((url.unwrap_or("none"), found.as_str()), (expected, day), "{before} {id:?}");
        }
    }

    #[test]
    fn nothing_in_a_value_ends_it() {
        let mut url = String::new();
        encode("2023-01-01T00:00:00+09:00&a=b/é?#", &mut url);
        assert_eq!(url, "2023-01-01T00%3A00%3A00%2B09%3A00%26a%3Db%2F%C3%A9%3F%23");
    }
}
