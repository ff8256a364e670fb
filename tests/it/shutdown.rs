//! How the program ends: on a signal everything is sealed, and nothing is left running.

use rustix::process::{Signal, test_kill_process};
use tempfile::tempdir;

use crate::harness::{Python, SOON, Sim};

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
fn a_dropped_process_is_gone() {
    let sim = Sim::start(&["--markets", "1"]);
    let pid = sim.process().pid();
    assert!(test_kill_process(pid).is_ok());
    drop(sim);
    assert!(test_kill_process(pid).is_err(), "{pid:?} is still there");
}
