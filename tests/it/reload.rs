//! Settings that are read again while a recorder runs: markets and streams come and go without a gap
//! for the others, a bad file changes nothing, and only whoever shows the token may ask for it.

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Process, Python, SOON, wait_until};
use crate::http::{address, get, post};
use crate::recording::Recording;

const TOKEN: &str = "a-token-of-this-test";
const ANY: [&str; 2] = ["--http", "127.0.0.1:0"];

fn settings(markets: &str, streams: &str, more: &str) -> String {
    format!("http_token = '{TOKEN}'\nmarkets = [{markets}]\nstreams = [{streams}]\n{more}")
}

fn shown(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

fn reload(address: SocketAddr) -> (u16, Value) {
    let (status, body) = post(address, "/reload", &shown(TOKEN));
    let told = serde_json::from_str(&body);
    (status, told.unwrap_or_else(|error| panic!("{status} {body}: {error}")))
}

/// Waits until every subscription of so many markets of each stream is served.
fn served(address: SocketAddr, expected: &[(&str, u64)]) {
    let what = format!("served: {expected:?}");
    wait_until(&what, SOON, || {
        let (_, body) = get(address, "/readyz", &shown(TOKEN));
        let told: Value = serde_json::from_str(&body).unwrap();
        let streams = told["streams"].as_array().unwrap().iter();
        let streams: Vec<_> = streams
            .filter(|one| one["asked"] != 0)
            .map(|one| {
                (one["stream"].as_str().unwrap(), one["asked"].as_u64(), one["served"].as_u64())
            })
            .collect();
        let wanted: Vec<_> =
            expected.iter().map(|(stream, count)| (*stream, Some(*count), Some(*count))).collect();
        (streams == wanted).then_some(())
    });
}

fn stop(recorder: Process) -> String {
    recorder.signal(Signal::TERM);
    let ended = recorder.wait(SOON);
    assert!(ended.status.success(), "{}", ended.stderr);
    ended.stderr
}

#[test]
fn markets_and_streams_come_and_go_without_a_gap() {
    let Some(python) = Python::find() else { return };
    let mut recording = Recording::of(&["--markets", "6", "--rate", "600", "--seed", "71"], "");
    let before = "'KRW-BTC', 'KRW-ETH', 'KRW-XRP', 'KRW-SOL'";
    let recorder =
        recording.start_with(&settings(before, "'trade', 'candle.1s'", "rotate = '2s'"), &ANY);
    let address = address(&recorder);
    served(address, &[("trade", 4), ("candle.1s", 4)]);
    recording.more_trades(600);

    let after = "'KRW-BTC', 'KRW-ETH', 'KRW-XRP', 'KRW-DOGE'";
    recording.set(&settings(after, "'trade', 'ticker', 'candle.1s'", "rotate = '2s'"));
    let (status, told) = reload(address);
    let applied = json!({"applied": ["markets", "streams"], "refused": [], "error": null});
    assert_eq!((status, &told), (200, &applied));
    served(address, &[("trade", 4), ("ticker", 4), ("candle.1s", 4)]);
    recording.more_trades(600);
    // The same by a signal, and once more without any change.
    recording.set(&settings(after, "'trade', 'candle.1s'", "rotate = '2s'\nwarn_days = 3"));
    recorder.signal(Signal::HUP);
    recorder.wait_for_talk("what holds now: streams, warn_days", SOON);
    served(address, &[("trade", 4), ("candle.1s", 4)]);
    recorder.signal(Signal::HUP);
    recorder.wait_for_talk("nothing else holds now", SOON);
    recording.more_trades(600);
    stop(recorder);

    assert_eq!(recording.gaps(), <[Value; 0]>::default());
    let figures = recording.compare(&python, &["--strict", "--dropped", "KRW-SOL"]);
    assert_eq!(figures["sessions"], 3, "each change is a connection that takes over");
    for (market, stream) in [("KRW-SOL", "trade"), ("KRW-DOGE", "trade"), ("KRW-DOGE", "ticker")] {
        let rows = python.rows(recording.data(), stream);
        assert!(rows.iter().any(|row| row["market"] == market), "nothing of {market} {stream}");
    }
}

#[test]
fn what_cannot_be_is_said_and_changes_nothing() {
    let recording = Recording::of(&["--markets", "3", "--rate", "100", "--seed", "72"], "");
    let trade = |more: &str| settings("'KRW-BTC'", "'trade'", more);
    let recorder = recording.start_with(&trade("lines = 1"), &ANY);
    let address = address(&recorder);
    served(address, &[("trade", 1)]);
    for (text, line, why) in [
        (trade("lines = 'x"), 4, ""),
        (trade("lines = 1\nretane = 1"), 5, "retain"),
        (trade("[retain]\ntrade = '5 parsecs'"), 5, "is no limit"),
        (settings("'KRW-BTC'", "'trades'", ""), 3, "did you mean \\\"trade\\\""),
        (settings("'KRW-BTC', 'KRW-BTG'", "'trade'", "warn_days = 1"), 2, "lists no market"),
        (settings("'USDT-*'", "'trade'", ""), 2, "matches none of the 3 markets"),
    ] {
        let path = recording.set(&text);
        let (status, told) = reload(address);
        assert_eq!((status, &told["applied"]), (422, &json!([])), "{text}: {told}");
        let error = told["error"].to_string();
        for words in [path.to_str().unwrap(), &format!("line {line}"), why] {
            assert!(error.contains(words), "{text}: {words:?} is not in {error}");
        }
    }
    // What waits for a restart is named, and the rest holds; the command line goes before the file.
    recording.set(&settings(
        "'KRW-BTC', 'KRW-ETH'",
        "'trade'",
        "lines = 2\nvenue = 'upbit-sg'\nhttp = 'off'\nwarn_days = 1\n[retain]\ntrade = '9d'",
    ));
    let (status, told) = reload(address);
    assert_eq!(status, 409, "{told}");
    assert_eq!(told["applied"], json!(["markets", "retain.trade", "warn_days"]));
    assert_eq!(told["refused"], json!([{"key": "lines", "reason": "needs a restart"}]));
    served(address, &[("trade", 2)]);
    stop(recorder);
    assert_eq!(recording.gaps(), <[Value; 0]>::default());
}

#[test]
fn only_the_token_reloads() {
    let recording = Recording::of(&["--markets", "2", "--rate", "50", "--seed", "73"], "");
    let recorder = recording.start_with(&settings("'all'", "'trade'", ""), &ANY);
    let guarded = address(&recorder);
    for (headers, expected) in [(String::new(), 401), (shown("a-token-of-this-tesT"), 401)] {
        assert_eq!(post(guarded, "/reload", &headers).0, expected, "{headers}");
    }
    assert_eq!(get(guarded, "/reload", &shown(TOKEN)).0, 405);
    assert_eq!(post(guarded, "/status.json", &shown(TOKEN)).0, 405);
    assert_eq!(reload(guarded).0, 200);
    let talk = stop(recorder);
    assert!(!talk.contains(TOKEN), "{talk}");

    // Nobody may where no token is set, and there is nothing to read where no file was given.
    let recorder =
        recording.start(&[&["--markets", "all", "--streams", "trade"], &ANY[..]].concat());
    let open = address(&recorder);
    let (status, body) = post(open, "/reload", &shown(TOKEN));
    assert!(status == 403 && body.contains("http_token"), "{status} {body}");
    recorder.signal(Signal::HUP);
    recorder.wait_for_talk("without --config", SOON);
    recording.more_trades(20);
    stop(recorder);
}
