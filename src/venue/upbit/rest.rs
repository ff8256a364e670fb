//! REST requests. A page comes newest first; `to` and a cursor are exclusive.

use std::time::Duration;

use chrono::SecondsFormat;

use crate::model::market::Market;
use crate::model::subscription::CandleUnit;
use crate::model::time::{SECOND_US, Timestamp};
use crate::venue::Request;

/// The most candles that one page holds; the venue takes more for this many.
pub const CANDLES_PER_PAGE: u16 = 200;
/// The most trades that one page holds.
pub const TRADES_PER_PAGE: u16 = 500;
/// How many UTC days before the current one trades can be had of.
pub const TRADE_DAYS: u8 = 7;

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
    // The venue reads whole seconds. Candles open at whole seconds, so the next one asks for the
    // same candles.
    let whole = to.after(Duration::from_micros(SECOND_US.unsigned_abs() - 1)).datetime();
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
pub fn trades(base: &str, market: &Market, days_ago: u8, before: TradesBefore) -> Request {
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

    #[test]
    fn nothing_in_a_value_ends_it() {
        let mut url = String::new();
        encode("2023-01-01T00:00:00+09:00&a=b/é?#", &mut url);
        assert_eq!(url, "2023-01-01T00%3A00%3A00%2B09%3A00%26a%3Db%2F%C3%A9%3F%23");
    }
}
