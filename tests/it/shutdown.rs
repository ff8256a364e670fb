//! How the program ends: on a signal everything is sealed, and nothing is left running.

use rustix::process::{Signal, test_kill_process};
use tempfile::tempdir;

use crate::harness::{Python, SOON, Sim};
use crate::recording::{Recording, STREAMS};

/// Streams and markets that every simulated venue has.
const BUSY: [&str; 4] = ["--markets", "all", "--streams", "trade"];

#[test]
fn a_signal_seals_everything() {
    for signal in [Signal::TERM, Signal::INT] {
        let sim = Sim::start(&["--markets", "3", "--rate", "100", "--seed", "1"]);
        let data = tempdir().unwrap();
        let recorder = sim.record(data.path(), &BUSY);
        recorder.wait_for_talk("recording", SOON);
        recorder.signal(signal);
        let ended = recorder.wait(SOON);
        assert_eq!(ended.status.code(), Some(0), "after {signal:?}: {}", ended.stderr);
        if let Some(python) = Python::find() {
            // Every file that is there can be read.
            python.rows(data.path(), "trade");
        }
    }
}

#[test]
fn a_signal_at_full_rate_seals_everything() {
    let Some(python) = Python::find() else { return };
    let venue = ["--markets", "50", "--rate", "2000", "--seed", "41"];
    let mut recording = Recording::of(&venue, "");
    let recorder = recording.start(&["--markets", "all", "--streams", STREAMS]);
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(4_000);
    recorder.signal(Signal::TERM);
    let ended = recorder.wait(SOON);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(recording.journal().is_empty(), "{:?}", recording.journal());
    assert_eq!(recording.gaps().len(), 0, "{:#?}", recording.gaps());
    let figures = recording.compare(&python, &["--strict"]);
    assert!(figures["recorded"].as_u64() > Some(3_000), "{figures}");
}

#[test]
fn a_dropped_process_is_gone() {
    let sim = Sim::start(&["--markets", "1"]);
    let pid = sim.process().pid();
    assert!(test_kill_process(pid).is_ok());
    drop(sim);
    assert!(test_kill_process(pid).is_err(), "{pid:?} is still there");
}
