//! The venue lists a new market: it is recorded, and the others go on without a hole.

use crate::harness::{Python, SOON};
use crate::recording::Recording;

#[test]
fn a_new_market_leaves_no_gap_for_the_others() {
    let Some(python) = Python::find() else { return };
    let faults = "[[fault]]\nafter = '4s'\nwhat = 'list'\nmarkets = ['KRW-NEW']\n";
    let venue = ["--markets", "10", "--rate", "1000", "--seed", "8"];
    let mut recording = Recording::of(&venue, faults);
    let recorder = recording.start_with(
        "markets_poll = '1s'",
        &["--markets", "KRW-*", "--streams", "trade,orderbook,ticker,candle.1s", "--for", "13s"],
    );
    recorder.wait_for_talk("markets have changed", SOON);
    recorder.wait(SOON).success();
    assert_eq!(recording.gaps().len(), 0, "{:#?}", recording.gaps());
    let figures = recording.compare(&python, &["--strict"]);
    assert_eq!(figures["sessions"], 2, "one connection replaced by another");
    let rows = python.rows(recording.data(), "trade");
    let new = rows.iter().filter(|row| row["market"] == "KRW-NEW").count();
    assert!(new > 0, "nothing of the new market was recorded: {figures}");
}
