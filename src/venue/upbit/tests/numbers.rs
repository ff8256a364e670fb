//! Numbers against two other readers: `serde_json` with `float_roundtrip`, and Rust's own.
//!
//! The parser finds the ends of numbers in blocks of 64 bytes and reuses its buffers; versions
//! before 0.18 silently misread long decimals that cross a block. So every number is tried at
//! every offset of such a block.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::captures::{capture, lines};
use super::fixtures;
use crate::venue::upbit::decode::parse;
use crate::venue::upbit::value::Value;

/// Every number of a document, in its order, as the decoder's own `Value<f64>` reads it.
#[derive(Debug, PartialEq)]
struct Numbers(Vec<f64>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumbersVisitor)
    }
}

struct NumbersVisitor;

impl NumbersVisitor {
    fn one<E: serde::de::Error>(
        number: impl serde::de::IntoDeserializer<'static, E>,
    ) -> Result<Numbers, E> {
        match Value::<f64>::deserialize(number.into_deserializer())? {
            Value::Is(number) => Ok(Numbers(vec![number])),
            Value::Absent | Value::Odd => Err(E::custom("a number that is none")),
        }
    }
}

impl<'de> Visitor<'de> for NumbersVisitor {
    type Value = Numbers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Numbers, E> {
        Ok(Numbers(Vec::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Numbers, E> {
        Ok(Numbers(Vec::new()))
    }

    fn visit_str<E>(self, _: &str) -> Result<Numbers, E> {
        Ok(Numbers(Vec::new()))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Numbers, E> {
        Self::one(number)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Numbers, E> {
        Self::one(number)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Numbers, E> {
        Self::one(number)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Numbers, A::Error> {
        let mut all = Vec::new();
        while let Some(Numbers(numbers)) = seq.next_element()? {
            all.extend(numbers);
        }
        Ok(Numbers(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Numbers, A::Error> {
        let mut all = Vec::new();
        while let Some((_, Numbers(numbers))) = map.next_entry::<String, Numbers>()? {
            all.extend(numbers);
        }
        Ok(Numbers(all))
    }
}

/// The numbers of a document as Rust reads their text.
fn by_rust(document: &str) -> Vec<f64> {
    let mut numbers = Vec::new();
    let mut in_string = false;
    let mut rest = document;
    while let Some(letter) = rest.chars().next() {
        let width = match letter {
            '\\' => 2,
            '-' | '0'..='9' if !in_string => {
                let inside = |letter: char| letter.is_ascii_digit() || "+-.eE".contains(letter);
                let end = rest.find(|letter| !inside(letter)).unwrap_or(rest.len());
                numbers.push(rest[..end].parse().unwrap());
                end
            }
            _ => letter.len_utf8(),
        };
        in_string ^= letter == '"';
        rest = &rest[width..];
    }
    numbers
}

/// Three readings of every number of `document` that must be the same double.
fn check(document: &str) {
    let ours = parse(document.as_bytes(), |numbers: Numbers| numbers);
    let ours = ours.unwrap_or_else(|error| panic!("{error}: {document}"));
    let theirs: Numbers = serde_json::from_str(document).unwrap();
    assert_eq!(ours, theirs, "{document}");
    assert_eq!(ours.0, by_rust(document), "{document}");
}

/// Every spelling that was seen, and those hard to round.
pub(super) const SPELLINGS: &[&str] = &[
    "0",
    "-0",
    "0.0",
    "0E0",
    "127.0",
    "127",
    "-56000.0",
    "1.16539E8",
    "116606000",
    "7.9276E-4",
    "5.0E-4",
    "5.485e-05",
    "1E+2",
    "91154000.00000000",
    "0.00077720",
    "148737000.00000000",
    "78039261076.51241000",
    "860743.5307100000000000",
    "412757.1827100000000000",
    "27800806282.39862",
    "0.0024501225",
    "17853950411240001",
    "9007199254740993",
    "9007199254740993.0",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "0.1234567890123456789012345678901234567890123456789012345678901234567890",
    "123456789012345678.901234567890123456789",
    "1.7976931348623157E308",
    "2.2250738585072014e-308",
    "5e-324",
    "1e-400",
    "8.988465674311582e307",
    "7.2057594037927945e16",
    "1090544144181609348671888949248",
    "0.500000000000000166533453693773481063544750213623046875",
    "3.5028999999999996e0",
];

#[test]
fn every_spelling_at_every_offset_of_a_block() {
    for spelling in SPELLINGS {
        for offset in 0..128 {
            let pad = " ".repeat(offset);
            check(&format!("{pad}[{spelling}]"));
            check(&format!(
                "{{\"{}\":{spelling},\"b\":[{spelling},{spelling}]}}",
                "a".repeat(offset)
            ));
        }
    }
}

#[test]
fn every_number_of_every_fixture_and_capture() {
    for case in fixtures::all().into_iter().flat_map(|(_, cases)| cases) {
        if serde_json::from_str::<Numbers>(&case.body).is_ok() {
            check(&case.body);
        }
    }
    for (_, body) in lines("ws-simple-2021-04-17.jsonl", "frame") {
        check(&body);
    }
    for (_, body) in lines("live-2026-07-30.jsonl", "body") {
        check(&body);
    }
    capture("ws-probe-2026-09-23.jsonl").unwrap_or_default().lines().for_each(check);
    for name in ["rest-candles-1m-2020-02-20a.json", "rest-candles-1m-2020-02-20b.json"] {
        if let Some(page) = capture(name) {
            check(&page);
        }
    }
}

proptest::proptest! {
    /// Numbers as the venue writes them, long ones, and any double, at any offset.
    #[test]
    fn any_number_is_the_nearest_double(
        whole in 0_u64..2_000_000_000,
        fraction in "[0-9]{0,30}",
        exponent in proptest::option::of(-30_i32..30),
        any in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
        offset in 0_usize..128,
    ) {
        let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
        let exponent = exponent.map_or(String::new(), |exponent| format!("E{exponent}"));
        let pad = "x".repeat(offset);
        check(&format!("[\"{pad}\",{whole}{fraction}{exponent},{any},{any:e}]"));
    }
}
