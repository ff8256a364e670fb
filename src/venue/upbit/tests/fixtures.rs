//! Every message, format and variant, as data: the files in `tests/fixtures/upbit`.
//!
//! A case is a `#` line that names it, a line that says where it came from (`ws`, or `rest` and a
//! stream), the frame behind `< `, then what it decodes to: a record behind `= `, an error behind
//! `! `. `UPDATE_FIXTURES=1` writes what is decoded into the files, to be read as a diff.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use serde_json::Value as Json;

use super::{decode, folder, json};
use crate::model::market::{Change, Side};
use crate::model::subscription::Stream;
use crate::venue::Venue;
use crate::venue::upbit::KOREA;

/// One case of a fixture file.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) rest: Option<Stream>,
    pub(super) body: String,
    expected: String,
}

/// The cases of a fixture file.
fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (mark, rest) = line.split_at(line.len().min(2));
        if mark == "# " {
            let name = rest.to_owned();
            cases.push(Case { name, rest: None, body: String::new(), expected: String::new() });
            continue;
        }
        let case = cases.last_mut().expect("a case begins with its name");
        match mark {
            "< " => {
                if !case.body.is_empty() {
                    case.body.push('\n');
                }
                case.body.push_str(rest);
            }
            "= " | "! " => writeln!(case.expected, "{line}").unwrap(),
            "ws" => {}
            _ => {
                let stream = line.strip_prefix("rest ").expect("ws, or rest and a stream");
                case.rest = Some(stream.parse().unwrap());
            }
        }
    }
    cases
}

/// What a case decodes to, as the files have it.
fn found(case: &Case) -> String {
    let (records, result) = decode(case.body.as_bytes(), case.rest);
    let mut found = String::new();
    for record in &records {
        writeln!(found, "= {}", json(record)).unwrap();
    }
    if let Err(error) = result {
        let part = |part: Option<&str>| part.unwrap_or("-").to_owned();
        let stream = part(error.stream.map(Stream::name));
        let market = part(error.market.as_ref().map(crate::model::market::Market::as_str));
        writeln!(found, "! [{stream} {market}] {}", error.reason).unwrap();
    }
    found
}

/// All fixture files with their cases, in the order of their names.
pub(super) fn all() -> Vec<(std::path::PathBuf, Vec<Case>)> {
    let entries = fs::read_dir(folder("tests/fixtures/upbit")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let cases = read(&fs::read_to_string(&path).unwrap());
            (path, cases)
        })
        .collect()
}

#[test]
fn every_fixture_decodes_as_it_says() {
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut wrong = String::new();
    for (path, cases) in all() {
        let mut text = String::new();
        for case in &cases {
            let origin = case.rest.map_or("ws".to_owned(), |stream| format!("rest {stream}"));
            let body = case.body.replace('\n', "\n< ");
            let found = found(case);
            writeln!(text, "# {}\n{origin}\n< {body}\n{found}", case.name).unwrap();
            if found != case.expected {
                let (expected, name) = (&case.expected, &case.name);
                writeln!(wrong, "{}: {name}\n{expected}but found\n{found}", path.display())
                    .unwrap();
            }
        }
        if update {
            fs::write(path, text.trim_end().to_owned() + "\n").unwrap();
        }
    }
    assert!(update || wrong.is_empty(), "{wrong}");
}

/// The values that `key` has in the records of all fixtures of `stream`.
fn values(key: &str, of: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let cases = all().into_iter().flat_map(|(_, cases)| cases);
    cases
        .flat_map(|case| decode(case.body.as_bytes(), case.rest).0)
        .map(|record| json(&record))
        .filter(|record| record["stream"].as_str().is_some_and(&of))
        .filter_map(|record| match record.get(key) {
            Some(Json::String(word)) => Some(word.clone()),
            Some(other) => Some(other.to_string()),
            None => None,
        })
        .collect()
}

fn words<const N: usize>(words: [&str; N]) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_value_of_an_enum_is_in_some_fixture() {
    let sides = words([Side::Buy, Side::Sell].map(Side::as_str));
    let changes = words([Change::Rise, Change::Even, Change::Fall].map(Change::as_str));
    let flags = words(["true", "false"]);
    for stream in ["trade", "ticker"] {
        assert_eq!(values("side", |of| of == stream), sides, "{stream}");
        assert_eq!(values("change", |of| of == stream), changes, "{stream}");
    }
    for offer in KOREA.offers().iter().filter(|offer| offer.live) {
        let name = offer.stream.name();
        assert_eq!(values("snapshot", |of| of == name), flags, "{name}");
    }
    let streams: BTreeSet<String> = KOREA
        .offers()
        .iter()
        .map(|offer| offer.stream)
        .chain([Stream::Instrument])
        .map(|stream| stream.name().to_owned())
        .collect();
    assert_eq!(values("stream", |_| true), streams);
    let states = words(["ACTIVE", "DELISTED", "PREVIEW"]);
    assert_eq!(values("market_state", |_| true), states);
    assert_eq!(values("market_warning", |_| true), words(["CAUTION", "NONE"]));
    assert_eq!(values("is_trading_suspended", |_| true), flags);
    assert_eq!(values("warning", |of| of == "instrument"), flags);
    let cautions = values("caution", |of| of == "instrument");
    assert!(cautions.contains(""), "{cautions:?}");
    let cautions: BTreeSet<&str> = cautions.iter().flat_map(|all| all.split(',')).collect();
    assert_eq!(
        cautions.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>(),
        [
            "CONCENTRATION_OF_SMALL_ACCOUNTS",
            "DEPOSIT_AMOUNT_SOARING",
            "GLOBAL_PRICE_DIFFERENCES",
            "PRICE_FLUCTUATIONS",
            "TRADING_VOLUME_SOARING",
        ]
    );
}

/// Control and sniff agree with decoding, for every frame of the websocket: a frame with records
/// is no control message and serves the first of them.
#[test]
fn control_and_sniff_agree_with_decoding() {
    for case in all().into_iter().flat_map(|(_, cases)| cases) {
        if case.rest.is_some() {
            continue;
        }
        let body = case.body.as_bytes();
        let (records, _) = decode(body, None);
        let Some(first) = records.first() else { continue };
        assert_eq!(KOREA.control(body), None, "{}", case.name);
        let sniff = KOREA.sniff(body).unwrap();
        assert_eq!(sniff.stream, first.stream, "{}", case.name);
        assert_eq!(sniff.market, first.market, "{}", case.name);
        assert_eq!(sniff.snapshot, first.snapshot, "{}", case.name);
    }
}
