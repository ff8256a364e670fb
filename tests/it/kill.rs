//! SIGKILL at random moments, on one data folder: nothing that was safe is lost, nothing is counted
//! twice, and what is missing is in the gap ledger.
//!
//! `VERITAPE_TEST_SEED` picks other moments; they are printed.

use std::env;
use std::fmt::Write as _;
use std::time::Duration;

use rustix::process::Signal;
use veritape::net::clock::{Clock as _, SystemClock};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::harness::{Python, SOON, wait_until};
use crate::recording::{Recording, STREAMS};

/// How often the recorder is killed.
const KILLS: u64 = 25;

/// Files are made every second, so that kills meet the sealing, and recoveries have work.
const SETTINGS: &str = "rotate = '1s'\nsync_interval = '100ms'\nsettle = '1s'\n";

#[test]
fn a_kill_loses_nothing_that_was_safe() {
    let Some(python) = Python::find() else { return };
    let seed = env::var("VERITAPE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(3);
    let venue = ["--markets", "50", "--rate", "2000", "--seed", "17"];
    let mut recording = Recording::of(&venue, "");
    let streams = ["--markets", "all", "--streams", STREAMS];
    let clock = SystemClock::new();
    let (mut died, mut moments) = (String::new(), Vec::new());
    for nth in 0..KILLS {
        // One in three while it starts and recovers, the others while it records.
        let longest = if nth % 3 == 0 { 150 } else { 2_500 };
        let moment = xxh3_64_with_seed(&nth.to_le_bytes(), seed) % longest;
        let recorder = recording.start_with(SETTINGS, &streams);
        // The moment is what is tried here; nothing waits for it.
        std::thread::sleep(Duration::from_millis(moment));
        let at = clock.now().micros();
        recorder.signal(Signal::KILL);
        let ended = recorder.wait(SOON);
        assert_eq!(ended.status.code(), None, "it ended before the kill: {}", ended.stderr);
        write!(died, "{at}-{},", clock.now().micros()).unwrap();
        moments.push(moment);
    }
    println!("seed {seed}, killed after {moments:?} ms");
    let recorder = recording.start_with(SETTINGS, &streams);
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(2_000);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    assert!(recording.journal().is_empty(), "{:?}", recording.journal());
    let status = recording.json("status");
    let recovered = &status["recovered"];
    assert!(recovered["frames"].is_number(), "status does not say what was recovered: {status:#}");
    for damage in ["damaged", "quarantined", "files_quarantined"] {
        assert_eq!(recovered[damage].as_array().map(Vec::len), Some(0), "{recovered:#}");
    }
    assert_eq!(recovered["missing_frames"], 0, "{recovered:#}");
    let figures = recording.compare(&python, &["--died", &died, "--sync", "100000"]);
    assert!(figures["recorded"].as_u64() > Some(5_000), "{figures}");
}

#[test]
fn a_kill_in_a_long_seal_loses_nothing_that_was_safe() {
    let Some(python) = Python::find() else { return };
    let venue = ["--markets", "50", "--rate", "4000", "--seed", "29"];
    let mut recording = Recording::of(&venue, "");
    let streams = ["--markets", "all", "--streams", STREAMS];
    // Long enough for a seal that takes much longer than the journal needs to be synced.
    let settings = "rotate = '5s'\nsync_interval = '100ms'\nsettle = '1s'\n";
    let clock = SystemClock::new();
    let mut died = String::new();
    for moment in [0, 150, 300] {
        let recorder = recording.start_with(settings, &streams);
        recorder.wait_for_talk("connected", SOON);
        recording.more_trades(4_000);
        wait_until("a seal under way", SOON, || (recording.unpublished() > 0).then_some(()));
        std::thread::sleep(Duration::from_millis(moment));
        let at = clock.now().micros();
        recorder.signal(Signal::KILL);
        let ended = recorder.wait(SOON);
        assert_eq!(ended.status.code(), None, "it ended before the kill: {}", ended.stderr);
        write!(died, "{at}-{},", clock.now().micros()).unwrap();
    }
    let recorder = recording.start_with(settings, &streams);
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(2_000);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    assert_eq!((recording.journal().len(), recording.unpublished()), (0, 0));
    let figures = recording.compare(&python, &["--died", &died, "--sync", "100000"]);
    assert!(figures["recorded"].as_u64() > Some(10_000), "{figures}");
}

#[test]
fn a_second_signal_gives_up_and_the_next_start_has_it() {
    let Some(python) = Python::find() else { return };
    let venue = ["--markets", "50", "--rate", "2000", "--seed", "23"];
    let mut recording = Recording::of(&venue, "");
    let streams = ["--markets", "all", "--streams", STREAMS];
    let recorder = recording.start(&streams);
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(3_000);
    // A venue that does not answer keeps the polite end waiting.
    recording.sim().process().signal(Signal::STOP);
    let first = SystemClock::new().now().micros();
    recorder.signal(Signal::TERM);
    recorder.wait_for_talk("stopping", SOON);
    recorder.signal(Signal::INT);
    let ended = recorder.wait(SOON);
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
    let over = SystemClock::new().now().micros();
    recording.sim().process().signal(Signal::CONT);

    let recorder = recording.start(&streams);
    recorder.wait_for_talk("recovered", SOON);
    let trades = |recording: &Recording| {
        let status = recording.json("status");
        let streams = status["streams"].as_array().unwrap().clone();
        let trade = streams.iter().find(|one| one["stream"] == "trade")?;
        trade["rows"].as_u64().filter(|rows| *rows > 2_000)
    };
    let rows = wait_until("recovered trades in files", SOON, || trades(&recording));
    println!("{rows} trades were recovered");
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(2_000);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    recording.compare(&python, &["--died", &format!("{first}-{over}")]);
}
