//! What is asked of the websocket: one message for each connection, because a second one would
//! replace the first.

use serde_json::{Value as Json, json};

use crate::model::market::Market;
use crate::model::subscription::{Stream, Subscription};
use crate::venue::{BadSubscription, Offer};

/// How many levels of an order book can be asked for; the venue takes any other number for 30.
const DEPTHS: [u16; 4] = [1, 5, 15, 30];
/// The longest currency that is taken for one. The longest known has 8 letters.
const LONGEST_CURRENCY: usize = 20;

/// One market of one stream: `krw-btc` is `KRW-BTC`, and `KRW-BTC.5` asks for five levels.
pub(super) fn subscription(
    venue: &'static str,
    offers: &[Offer],
    stream: Stream,
    code: &str,
) -> Result<Subscription, BadSubscription> {
    if !offers.iter().any(|offer| offer.stream == stream) {
        let offered: Vec<&str> = offers.iter().map(|offer| offer.stream.name()).collect();
        return Err(BadSubscription::NoStream {
            venue,
            stream: stream.name(),
            offered: offered.join(", "),
        });
    }
    let bad = |reason| BadSubscription::Code { venue, code: code.to_owned(), reason };
    let (pair, depth) = match code.split_once('.') {
        Some((pair, depth)) => (pair, Some(depth)),
        None => (code, None),
    };
    let depth = depth.map(|depth| read_depth(stream, depth)).transpose().map_err(bad)?;
    check_pair(pair).map_err(bad)?;
    Ok(Subscription { stream, market: Market::new(pair.to_ascii_uppercase()), depth })
}

fn read_depth(stream: Stream, depth: &str) -> Result<u16, String> {
    if stream != Stream::Orderbook {
        return Err(format!("only orderbook takes a number of levels, {stream} does not"));
    }
    let known = DEPTHS.into_iter().find(|known| known.to_string() == depth);
    known.ok_or_else(|| format!("the number of levels is 1, 5, 15 or 30, not {depth:?}"))
}

fn check_pair(pair: &str) -> Result<(), String> {
    let Some((quote, base)) = pair.split_once('-') else {
        return Err("a code is QUOTE-BASE, as KRW-BTC".to_owned());
    };
    for currency in [quote, base] {
        if currency.is_empty() {
            return Err("a code is QUOTE-BASE, as KRW-BTC; one of the two is empty".to_owned());
        }
        if currency.len() > LONGEST_CURRENCY {
            return Err(format!("a currency has at most {LONGEST_CURRENCY} letters"));
        }
        if let Some(odd) = currency.chars().find(|letter| !letter.is_ascii_alphanumeric()) {
            return Err(format!("a code is QUOTE-BASE in letters and digits, without {odd:?}"));
        }
    }
    Ok(())
}

/// The message that asks for `subscriptions`.
pub(super) fn message(ticket: &str, subscriptions: &[Subscription]) -> String {
    let mut types: Vec<(Stream, Vec<String>)> = Vec::new();
    for subscription in subscriptions {
        let code = match subscription.depth {
            Some(depth) => format!("{}.{depth}", subscription.market),
            None => subscription.market.to_string(),
        };
        match types.iter_mut().find(|(stream, _)| *stream == subscription.stream) {
            Some((_, codes)) => codes.push(code),
            None => types.push((subscription.stream, vec![code])),
        }
    }
    let types =
        types.into_iter().map(|(stream, codes)| json!({ "type": stream.name(), "codes": codes }));
    let parts = std::iter::once(json!({ "ticket": ticket }))
        .chain(types)
        .chain([json!({ "format": "SIMPLE" })]);
    Json::Array(parts.collect()).to_string()
}

#[cfg(test)]
mod tests {
    use crate::model::subscription::CandleUnit;
    use crate::venue::Venue;
    use crate::venue::upbit::KOREA;

    use super::*;

    fn check(stream: Stream, code: &str, expected: &str) {
        let found = match KOREA.subscription(stream, code) {
            Ok(Subscription { market, depth, .. }) => format!("{market} {depth:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{stream} {code}");
    }

    #[test]
    fn codes_as_a_person_writes_them() {
        let book = Stream::Orderbook;
        check(Stream::Trade, "krw-btc", "KRW-BTC None");
        check(Stream::Candle(CandleUnit::M240), "Usdt-1Inch", "USDT-1INCH None");
        check(book, "KRW-BTC", "KRW-BTC None");
        for depth in DEPTHS {
            check(book, &format!("KRW-BTC.{depth}"), &format!("KRW-BTC Some({depth})"));
        }
        for depth in ["0", "3", "31", "05", "+5", "", "5.5", "x"] {
            check(
                book,
                &format!("KRW-BTC.{depth}"),
                &format!(
                    "{:?} cannot be a market of upbit: the number of levels is 1, 5, 15 or 30, \
                     not {depth:?}",
                    format!("KRW-BTC.{depth}")
                ),
            );
        }
        for (code, reason) in [
            ("KRW-BTC.5", "only orderbook takes a number of levels, trade does not"),
            ("BTCKRW", "a code is QUOTE-BASE, as KRW-BTC"),
            ("", "a code is QUOTE-BASE, as KRW-BTC"),
            ("KRW-", "a code is QUOTE-BASE, as KRW-BTC; one of the two is empty"),
            ("KRW-BTC-X", "a code is QUOTE-BASE in letters and digits, without '-'"),
            ("KRW-*", "a code is QUOTE-BASE in letters and digits, without '*'"),
            (" KRW-BTC", "a code is QUOTE-BASE in letters and digits, without ' '"),
            ("KRW-BTCBTCBTCBTCBTCBTCBTC", "a currency has at most 20 letters"),
        ] {
            let expected = format!("{code:?} cannot be a market of upbit: {reason}");
            check(Stream::Trade, code, &expected);
        }
    }

    #[test]
    fn streams_that_the_venue_does_not_have() {
        let offered = "trade, orderbook, ticker, candle.1s, candle.1m, candle.3m, candle.5m, \
                       candle.10m, candle.15m, candle.30m, candle.60m, candle.240m, candle.1d, \
                       candle.1w, candle.1mo, candle.1y";
        for stream in [Stream::Instrument, Stream::Unread] {
            let name = stream.name();
            let expected = format!("upbit has no stream {name:?}; it has {offered}");
            check(stream, "KRW-BTC", &expected);
        }
        check(Stream::Candle(CandleUnit::D1), "krw-btc", "KRW-BTC None");
    }

    #[test]
    fn one_message_with_everything_then_a_ping() {
        let subscriptions: Vec<Subscription> = [
            (Stream::Trade, "KRW-BTC"),
            (Stream::Orderbook, "KRW-BTC.5"),
            (Stream::Trade, "KRW-ETH"),
            (Stream::Orderbook, "BTC-ETH"),
            (Stream::Candle(CandleUnit::S1), "KRW-BTC"),
        ]
        .into_iter()
        .map(|(stream, code)| KOREA.subscription(stream, code).unwrap())
        .collect();
        let opening = KOREA.open("ws://127.0.0.1:1/websocket/v1", "a \"ticket\"", &subscriptions);
        assert_eq!(opening.url, "ws://127.0.0.1:1/websocket/v1");
        assert_eq!(
            opening.messages,
            [
                concat!(
                    r#"[{"ticket":"a \"ticket\""},"#,
                    r#"{"type":"trade","codes":["KRW-BTC","KRW-ETH"]},"#,
                    r#"{"type":"orderbook","codes":["KRW-BTC.5","BTC-ETH"]},"#,
                    r#"{"type":"candle.1s","codes":["KRW-BTC"]},"#,
                    r#"{"format":"SIMPLE"}]"#,
                ),
                "PING",
            ]
        );
    }
}
