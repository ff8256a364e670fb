//! Bytes of any kind: never a panic, and never bytes that leave no trace.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{decode, fixtures};
use crate::model::subscription::{CandleUnit, Stream};
use crate::venue::upbit::KOREA;
use crate::venue::{Control, Venue};

/// Every origin that a frame can have.
fn origins() -> impl Strategy<Value = Option<Stream>> {
    let mut origins: Vec<Option<Stream>> = Stream::all().map(Some).collect();
    origins.push(None);
    select(origins)
}

/// The bodies of all fixtures.
fn bodies() -> Vec<Vec<u8>> {
    let cases = fixtures::all().into_iter().flat_map(|(_, cases)| cases);
    cases.map(|case| case.body.into_bytes()).collect()
}

/// Whether `body` is a message that says nothing: an empty list, or heartbeats.
fn says_nothing(body: &[u8]) -> bool {
    let up = |one: &serde_json::Value| one["status"] == "UP";
    match serde_json::from_slice(body) {
        Ok(serde_json::Value::Array(all)) => all.iter().all(up),
        Ok(one) => up(&one),
        Err(_) => false,
    }
}

/// A frame gives records or an error, the same each time, and control agrees with it.
fn check(body: &[u8], rest: Option<Stream>) {
    let (records, result) = decode(body, rest);
    let text = String::from_utf8_lossy(body);
    assert!(!records.is_empty() || result.is_err() || says_nothing(body), "{text}");
    assert_eq!(decode(body, rest), (records, result.clone()), "{text}");
    let control = KOREA.control(body);
    if rest.is_none() {
        match control {
            Some(Control::Heartbeat) => assert!(says_nothing(body), "{text}"),
            Some(Control::Refusal { .. }) => assert!(result.is_err(), "{text}"),
            None => {}
        }
    }
    // Whatever it says, it says it without a panic.
    assert_eq!(KOREA.sniff(body), KOREA.sniff(body));
}

proptest! {
    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..300), rest in origins()) {
        check(&body, rest);
    }

    #[test]
    fn bytes_that_look_like_json(
        body in r#"[\[\]{},:" a-d0-9.eE+\\-]{0,80}|\{"(type|ty)":"(trade|ticker|candle\.1s|x)".{0,40}"#,
        rest in origins(),
    ) {
        check(body.as_bytes(), rest);
    }

    #[test]
    fn real_frames_with_bytes_changed_or_cut(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<Index>()),
        rest in origins(),
    ) {
        let bodies = bodies();
        let mut body = which.get(&bodies).clone();
        for (at, byte) in changes {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len() + 1));
        }
        check(&body, rest);
    }
}

#[test]
fn every_fixture_cut_at_every_byte() {
    for body in bodies() {
        for end in 0..body.len() {
            check(&body[..end], None);
            check(&body[..end], Some(Stream::Candle(CandleUnit::M1)));
        }
    }
}

#[test]
fn nesting_and_length_have_an_end() {
    for depth in [31, 32, 33, 1_000, 100_000] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nest = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            check(nest.as_bytes(), None);
            check(nest.as_bytes(), Some(Stream::Trade));
            let odd = format!(r#"{{"type":"trade","code":"KRW-BTC","x":{nest}}}"#);
            check(odd.as_bytes(), None);
        }
    }
    // A frame longer than what is kept between frames, then one that fits again.
    let long = format!(r#"{{"type":"trade","code":"KRW-BTC","x":"{}"}}"#, "x".repeat(3 << 20));
    check(long.as_bytes(), None);
    check(br#"{"type":"trade"}"#, None);
}

#[test]
fn bytes_that_are_no_text_are_told() {
    let (records, result) = decode(b"{\"type\":\"trade\",\"code\":\"\xff\xfe\"}", None);
    assert!(records.is_empty());
    assert!(result.unwrap_err().reason.contains("InvalidUtf8"));
}
