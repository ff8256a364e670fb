//! The venue lists a new market, or ends one: it is recorded, or dropped, and the others go on without
//! a hole.

use rustix::process::Signal;

use crate::harness::{Python, SOON, wait_until};
use crate::http::{address, get};
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

#[test]
fn a_delisted_market_is_dropped_and_leaves_no_gap() {
    let Some(python) = Python::find() else { return };
    let faults = "[[fault]]\nafter = '4s'\nwhat = 'delist'\nmarkets = ['KRW-XRP']\n";
    let mut recording = Recording::of(&["--markets", "6", "--rate", "600", "--seed", "12"], faults);
    let arguments = ["--markets", "all", "--streams", "trade,candle.1s", "--http", "127.0.0.1:0"];
    let recorder = recording.start_with("markets_poll = '1s'\nrotate = '2s'", &arguments);
    let address = address(&recorder);
    recorder.wait_for_talk("markets have changed", SOON);
    wait_until("five markets that are served", SOON, || {
        let told: serde_json::Value =
            serde_json::from_str(&get(address, "/status.json", "").1).unwrap();
        let trade = &told["live"]["streams"][0];
        (trade["asked"] == 5 && trade["served"] == 5 && told["live"]["healthy"] == true)
            .then_some(())
    });
    recording.more_trades(600);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    assert_eq!(recording.gaps().len(), 0, "{:#?}", recording.gaps());
    recording.compare(&python, &["--strict", "--dropped", "KRW-XRP"]);
    // Each change is a row: six that came, and one that went.
    let rows = python.rows(recording.data(), "instrument");
    let gone: Vec<_> = rows.iter().filter(|row| row["listed"] == false).collect();
    assert_eq!(
        (rows.len(), gone.len(), &gone[0]["market"]),
        (7, 1, &"KRW-XRP".into()),
        "{rows:#?}"
    );
}
