//! Two lines: each dies in turn, and nothing is missing.

use std::fmt::Write as _;

use crate::harness::{Python, seconds};
use crate::recording::Recording;

/// Between two deaths, in seconds.
const EVERY: u64 = 3;

#[test]
fn two_lines_outlive_each_other() {
    let Some(python) = Python::find() else { return };
    let length = seconds(20);
    // Connections are numbered as they come; the one that died has a new number when it is back.
    let deaths = (length - 1) / EVERY;
    let mut faults = String::new();
    for nth in 1..=deaths {
        let after = nth * EVERY;
        write!(faults, "[[fault]]\nafter = '{after}s'\nwhat = 'drop'\nonly = {nth}\n").unwrap();
    }
    let venue = ["--markets", "20", "--rate", "1000", "--seed", "5"];
    let mut recording = Recording::of(&venue, &faults);
    let streams = "trade,orderbook,ticker,candle.1s";
    recording.run(length, &["--markets", "all", "--streams", streams, "--lines", "2"]);
    assert_eq!(recording.gaps().len(), 0, "{:#?}", recording.gaps());
    let figures = recording.compare(&python, &["--strict"]);
    assert_eq!(
        figures["sessions"].as_u64(),
        Some(2 + deaths),
        "every death is followed by a new one"
    );
    assert!(figures["candle.1s"].as_u64() > Some(50), "{figures}");
}
