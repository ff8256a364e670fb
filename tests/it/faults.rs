//! A venue that misbehaves: what it told is recorded once, and what it did not tell is in the gap
//! ledger with its cause.

use std::fmt::Write as _;

use crate::harness::Python;
use crate::recording::{Recording, causes};

/// A fault, by the rules of `src/sim/faults.rs`.
fn fault(when: &str, what: &str, more: &str) -> String {
    format!("[[fault]]\n{when}\nwhat = '{what}'\n{more}\n")
}

/// Records for so long while `faults` happen. `expected` is how many gaps of stream `trade` there
/// are of each cause; with `strict` everything that was written to a connection is recorded, and
/// gaps are repaired.
fn check(faults: &[String], seconds: u64, strict: bool, expected: &[(&str, usize)]) {
    let Some(python) = Python::find() else { return };
    let venue = ["--markets", "20", "--rate", "1000", "--seed", "11"];
    let mut recording = Recording::of(&venue, &faults.concat());
    let streams = "trade,orderbook,candle.1s";
    // With repairs, what they brought counts as well; without, the ledger stands alone.
    let repair: &[&str] = if strict { &[] } else { &["--no-repair"] };
    recording.run(seconds, &[&["--markets", "all", "--streams", streams], repair].concat());
    let gaps = recording.gaps();
    for stream in streams.split(',') {
        assert_eq!(causes(&gaps, stream), expected, "{stream}: {gaps:#?}");
    }
    // What no history can bring back is not open.
    let open =
        |stream: &str| gaps.iter().any(|gap| gap["stream"] == stream && gap["state"] == "open");
    assert!(!open("orderbook"), "{gaps:#?}");
    recording.compare(&python, if strict { &["--strict"] } else { &[] });
    let garbage = faults.iter().filter(|fault| fault.contains("'garbage'")).count();
    let unread = python.rows(recording.data(), "unread");
    let bodies: Vec<_> = unread.iter().filter_map(|row| row["body"].as_str()).collect();
    for text in &GARBAGE[..if garbage > 0 { GARBAGE.len() } else { 0 }] {
        let mut hex = String::new();
        text.bytes().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
        assert!(bodies.iter().any(|body| **body == hex), "{text:?} is not in {unread:#?}");
    }
    assert_eq!(unread.is_empty(), garbage == 0, "{unread:#?}");
}

/// Some of what the venue sends as garbage.
const GARBAGE: [&str; 4] = [
    r#"{"ty":"rumour","cd":"KRW-BTC","st":"REALTIME"}"#,
    r#"{"ty":"trade","cd":5,"tp":"dear","tv":null,"sid":1.5,"st":"REALTIME"}"#,
    r#"{"ty":"trade","cd":"KRW-BTC","tms":1618678262712,"td":"2021-04-17","ttm":"16:5"#,
    "null",
];

#[test]
fn a_socket_that_dies_every_five_seconds() {
    check(&[fault("every = '5s'", "drop", "times = 3")], 18, true, &[("disconnect", 3)]);
}

#[test]
fn a_socket_that_goes_on_and_tells_nothing() {
    check(&[fault("after = '7s'", "stall", "for = '12s'")], 16, true, &[("silence", 1)]);
}

#[test]
fn an_error_frame_and_a_polite_end() {
    check(&[fault("every = '4s'", "error", "times = 2")], 11, true, &[("refused", 2)]);
}

#[test]
fn garbage_and_duplicates() {
    let faults = [
        fault("after = '2s'", "duplicates", "for = '5s'"),
        fault("after = '4s'", "garbage", "count = 12"),
    ];
    check(&faults, 9, true, &[("unread", 1)]);
}

#[test]
fn all_of_it_together() {
    let faults = [
        fault("after = '1s'", "duplicates", "for = '20s'"),
        fault("after = '4s'", "reset", ""),
        fault("after = '6s'", "garbage", "count = 12"),
        fault("after = '8s'", "drop_without_close", ""),
        fault("after = '12s'", "error", ""),
    ];
    // A reset throws away what was written and not yet read.
    check(&faults, 16, false, &[("disconnect", 2), ("refused", 1), ("unread", 1)]);
}
