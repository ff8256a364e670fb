//! What is read in one pass, against the full parser: the same, bit for bit, or not read at all.

use std::fmt::Debug;

use super::captures::lines;
use super::fixtures;
use super::numbers::SPELLINGS;
use crate::venue::upbit::decode::parse;
use crate::venue::upbit::plain;
use crate::venue::upbit::wire::{Candle, Message, OneOrMany, Orderbook, Ticker, Trade};

/// Frames as the venue sends them.
const FRAMES: &[&str] = &[
    r#"{"ty":"orderbook","cd":"KRW-BTC","tms":1795262399906,"tas":0.73,"tbs":1.25,"obu":[{"ap":1.1825E8,"bp":1.18249E8,"as":0.11875,"bs":0.02},{"ap":0,"bp":118248000,"as":0,"bs":7.2508E-4}],"st":"SNAPSHOT","lv":0}"#,
    r#"{"type":"orderbook","code":"KRW-BTC","timestamp":1795262399906,"total_ask_size":0.73,"total_bid_size":1.25,"orderbook_units":[{"ask_price":1.1825E8,"bid_price":1.18249E8,"ask_size":0.11875000,"bid_size":0.02}],"stream_type":"REALTIME","level":0}"#,
    r#"{"ty":"trade","cd":"KRW-BTC","tms":1795291549932,"td":"2026-11-21","ttm":"20:05:49","ttms":1795291549897,"tp":1.39118E8,"tv":0.00664881,"ab":"BID","pcp":140521000.00000000,"c":"FALL","cp":-1403000,"sid":17952915498970000,"bap":null,"bas":"","st":"REALTIME","x":true,"y":"\u00e9é"}"#,
    r#"{"type":"trade","code":"KRW-BTC","trade_price":127.0,"trade_volume":0.5,"ask_bid":"ASK","trade_price":128.0}"#,
];

/// Whether `body` is plain; if so, it was read as the full parser reads it.
fn check<M: Message + Debug>(body: &str) -> bool {
    let Some(plain) = plain::read::<M>(body.as_bytes()) else { return false };
    let full = parse(body.as_bytes(), |message: OneOrMany<M>| match message {
        OneOrMany::One(message) => format!("{message:?}"),
        OneOrMany::Many(_) => "an array".to_owned(),
    });
    // The text of a double tells it from every other.
    assert_eq!(Ok(format!("{plain:?}")), full.map_err(|error| error.to_string()), "{body}");
    true
}

/// Whether it is plain as one kind of message or another.
fn check_all(body: &str) -> bool {
    check::<Trade>(body) | check::<Orderbook>(body) | check::<Ticker>(body) | check::<Candle>(body)
}

#[test]
fn what_the_venue_sends_is_plain() {
    let real = lines("ws-simple-2021-04-17.jsonl", "frame").into_iter().map(|(_, body)| body);
    let ours = FRAMES.iter().map(|frame| frame.replace(r"\u00e9", ""));
    for body in real.chain(ours) {
        let book = body.contains("orderbook");
        assert!(if book { check::<Orderbook>(&body) } else { check::<Trade>(&body) }, "{body}");
    }
}

#[test]
fn every_fixture_and_every_change_of_a_byte() {
    for case in fixtures::all().into_iter().flat_map(|(_, cases)| cases) {
        check_all(&case.body);
    }
    for frame in FRAMES {
        let places = frame.char_indices().filter(|(_, letter)| letter.is_ascii());
        for (at, _) in places {
            let (before, after) = (&frame[..at], &frame[at + 1..]);
            check_all(before);
            check_all(&format!("{before}{after}"));
            for letter in "\"\\,:{}[]09-+.eE nt\n\u{1}\u{7f}é".chars() {
                check_all(&format!("{before}{letter}{after}"));
                check_all(&format!("{}{letter}{after}", &frame[..=at]));
            }
        }
    }
}

/// Reads a number as a price, and as the number of a trade.
fn check_number(number: &str) -> bool {
    check::<Trade>(&format!(r#"{{"tp":{number},"sid":{number}}}"#))
}

#[test]
fn every_spelling_of_a_number() {
    let plain = SPELLINGS.iter().filter(|spelling| check_number(spelling)).count();
    assert!(plain > SPELLINGS.len() / 2, "{plain} of them are plain");
    for no_number in
        ["00", "01.5", ".5", "5.", "-", "-.5", "+1", "1e", "1e+", "1E5.0", "0x1", "1_0"]
    {
        assert!(!check_number(no_number), "{no_number}");
    }
}

proptest::proptest! {
    #[test]
    fn any_number(
        whole in "-?[0-9]{1,25}",
        fraction in "(\\.[0-9]{1,30})?",
        exponent in "([eE][+-]?[0-9]{1,4})?",
        any in proptest::num::f64::ANY,
    ) {
        check_number(&format!("{whole}{fraction}{exponent}"));
        check_number(&format!("{}{fraction}", whole.len()));
        for point in 1..whole.len() {
            check_number(&format!("{}.{}", &whole[..point], &whole[point..]));
        }
        check_number(&format!("{any}"));
        check_number(&format!("{any:e}"));
    }
}
