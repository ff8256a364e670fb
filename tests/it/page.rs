//! The status page in a real browser: it shows the numbers of `/status.json` and the planted gap,
//! goes on by itself, and says so when the recorder is gone. The pictures stay in the build folder.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Python, SOON, root, skip, wait_until};
use crate::http::{address, get};
use crate::recording::Recording;

/// What the browser is driven by. Both are packages of Debian: chromium and chromium-driver.
const BROWSER: [&str; 2] = ["chromium", "chromedriver"];

#[test]
fn a_browser_shows_what_is_so() {
    let Some(python) = Python::find() else { return };
    for program in BROWSER {
        let found = Command::new(program).arg("--version").output();
        if !found.is_ok_and(|found| found.status.success()) {
            return skip(&format!("there is no {program}; .ci/run installs it"));
        }
    }
    // All connections end, and no other is let in for a while: a gap.
    let faults = "[[fault]]\nafter = '3s'\nwhat = 'drop'\n
        [[fault]]\nafter = '3s'\nwhat = 'handshake_429'\nfor = '2s'\n";
    let recording = Recording::of(&["--markets", "12", "--rate", "300", "--seed", "9"], faults);
    let streams = "trade,orderbook,ticker,candle.1s";
    let recorder = recording.start_with(
        "rotate = '2s'",
        &["--markets", "all", "--streams", streams, "--lines", "2", "--http", "127.0.0.1:0"],
    );
    let address = address(&recorder);
    wait_until("the gap and a file of every stream", SOON, || {
        let told = |path: &str| serde_json::from_str::<Value>(&get(address, path, "").1).ok();
        let gaps = told("/api/gaps")?["gaps"].as_array()?.len();
        let (status, live) = (told("/status.json")?, told("/healthz")?);
        let files = status["streams"].as_array()?.len();
        (gaps > 0 && files >= 5 && live["healthy"] == true).then_some(())
    });
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("status-page");
    let told = python.run(
        "tests/it/page.py",
        &[
            format!("http://{address}"),
            pictures.display().to_string(),
            recorder.pid().as_raw_nonzero().to_string(),
        ],
    );
    recorder.wait(SOON).success();
    let seen: Value = serde_json::from_str(&told).unwrap();
    assert!(seen["hours"].as_u64() >= Some(1) && seen["bars"].as_u64() >= Some(1), "{seen}");
    assert_eq!(seen["day_markets"], 12, "{seen}");
    for name in ["light", "dark", "phone", "phone-dark", "gone"] {
        let picture = pictures.join(format!("{name}.png"));
        let size = std::fs::metadata(&picture).map(|file| file.len());
        assert!(size.is_ok_and(|size| size > 20_000), "{} is no picture", picture.display());
        println!("{}", picture.strip_prefix(root()).unwrap_or(&picture).display());
    }
}
