//! Real frames through the whole program: what lies on disk is what the frames say, to the last
//! digit.
//!
//! Reads `../shared/captures`; where that is absent the test says so and passes.

use std::ffi::OsStr;

use serde_json::Value;
use tempfile::tempdir;

use crate::harness::{Python, SOON, Sim, capture};

/// Half a minute of five markets, one frame a line.
const CAPTURE: &str = "upbit/ws-simple-2021-04-17.jsonl";

#[test]
fn a_capture_is_recorded_to_the_last_digit() {
    let (Some(capture), Some(python)) = (capture(CAPTURE), Python::find()) else { return };
    let sim = Sim::start(&[OsStr::new("--capture"), capture.as_os_str()]);
    let data = tempdir().unwrap();
    let markets = "KRW-LAMB,KRW-WAVES,BTC-ITAM,BTC-PAX,BTC-XTZ";
    sim.record(
        data.path(),
        &["--markets", markets, "--streams", "trade,orderbook", "--for", "40s"],
    )
    .wait(SOON + SOON + SOON)
    .success();

    // The script compares every value with Python's own reading of the frames.
    let told =
        python.run("tests/it/compare_capture.py", &[capture.as_os_str(), data.path().as_os_str()]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told, serde_json::json!({ "trade": 304, "orderbook": 145 }));
}
