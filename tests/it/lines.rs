//! Two lines: each dies in turn, and nothing is missing.

use std::fmt::Write as _;
use std::time::Duration;

use crate::harness::{Python, SOON, seconds};
use crate::recording::Recording;

/// Between two deaths, in seconds.
const EVERY: u64 = 3;

/// Often enough that memory has no reason to grow from its first third on.
const SETTINGS: &str = "lines = 2\nrotate = '2s'\n";

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
    let rate = 1_000;
    let venue = ["--markets", "20", "--rate", &rate.to_string(), "--seed", "5"];
    let mut recording = Recording::of(&venue, &faults);
    let streams = "trade,orderbook,ticker,candle.1s";
    let (whole, wanted) = (format!("{length}s"), ["--markets", "all", "--streams", streams]);
    let recorder = recording.start_with(SETTINGS, &[&wanted[..], &["--for", &whole]].concat());
    // About half of what the venue tells are trades: three times as it goes.
    let memory = [(); 3].map(|()| {
        recording.more_trades(rate * usize::try_from(length).unwrap() / 8);
        recorder.memory()
    });
    println!("memory held: {memory:?}");
    assert!(memory[2] < memory[0] * 3 / 2, "memory grows: {memory:?}");
    recorder.wait(Duration::from_secs(length) + SOON).success();
    assert_eq!(recording.gaps().len(), 0, "{:#?}", recording.gaps());
    let figures = recording.compare(&python, &["--strict"]);
    assert_eq!(
        figures["sessions"].as_u64(),
        Some(2 + deaths),
        "every death is followed by a new one"
    );
    assert!(figures["candle.1s"].as_u64() > Some(50), "{figures}");
}
