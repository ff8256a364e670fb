//! `record --check`: what would be recorded, what that takes, and whether there is room.

use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, getrlimit};
use serde_json::Value;
use tempfile::tempdir;

use crate::harness::{Ended, Process, SOON, Sim};
use crate::recording::Recording;

fn checked(sim: &Sim, data: &Path, arguments: &[&str]) -> Ended {
    sim.record(data, &[&["--check"], arguments].concat()).wait(SOON)
}

fn document(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{}\n{}: {error}", ended.stdout, ended.stderr))
}

#[test]
fn a_check_tells_and_records_nothing() {
    let sim = Sim::start(&["--markets", "12", "--rate", "10"]);
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let asked = ["--markets", "all", "--streams", "trade,orderbook,candle.1m", "--lines", "2"];
    let ended = checked(&sim, &data, &[&asked[..], &["--json"]].concat());
    let told = document(&ended);
    assert_eq!(ended.status.code(), Some(0), "{told:#} {}", ended.stderr);
    assert_eq!((&told["markets"], &told["subscriptions"]), (&12.into(), &36.into()), "{told:#}");
    assert_eq!((&told["lines"], &told["connections"]), (&2.into(), &2.into()), "{told:#}");
    assert_eq!(told["problems"].as_array().unwrap().len(), 0, "{told:#}");
    let streams = told["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 3);
    for stream in streams {
        assert_eq!(stream["basis"], "typical", "{stream:#}");
        assert_eq!(stream["markets"], 12, "{stream:#}");
        assert!(stream["frames_per_s"].as_f64().unwrap() > 1.0, "{stream:#}");
        assert!(stream["bytes_per_day"].as_u64().unwrap() > 1_000_000, "{stream:#}");
    }
    let limit = getrlimit(Resource::Nofile).current;
    assert_eq!(told["open_files"]["limit"].as_u64(), limit, "{told:#}");
    assert!(!data.exists(), "a check makes no folder");

    let table = checked(&sim, &data, &asked);
    assert_eq!(table.status.code(), Some(0), "{}", table.stderr);
    for words in ["upbit orderbook", "connections: 2", "open files", "typical"] {
        assert!(table.stdout.contains(words), "{words:?} is not in {}", table.stdout);
    }
    assert!(!data.exists(), "a check makes no folder");
}

#[test]
fn what_is_too_small_or_wrong_is_told_by_the_exit_code() {
    let recording = Recording::of(&["--markets", "3", "--rate", "10"], "");
    let start = |settings: &str, arguments: &[&str]| {
        let usual = ["--check", "--json", "--markets", "all", "--streams", "trade"];
        recording.start_with(settings, &[&usual, arguments].concat())
    };
    let check = |settings: &str, arguments: &[&str], code: i32, said: &str| {
        let ended = start(settings, arguments).wait(SOON);
        assert_eq!(
            ended.status.code(),
            Some(code),
            "{settings}: {} {}",
            ended.stdout,
            ended.stderr
        );
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(all.contains(said), "{settings} does not say {said:?}: {all}");
    };
    check("", &[], 0, "\"problems\": []");
    check("min_free_bytes = '1000 PiB'", &[], 3, "less than min_free_bytes");
    check("", &["--streams", "trades"], 2, "did you mean");
    check("", &["--markets", "KRW-NOSUCH"], 2, "lists no market");
    check("lines = 9", &[], 2, "1 to 4");

    // Too few open files: a limit that the check inherits.
    if Command::new("prlimit").arg("true").status().is_ok() {
        let mut command = Command::new("prlimit");
        command.arg("--nofile=150").arg(env!("CARGO_BIN_EXE_veritape"));
        command.args(["record", "--check", "--markets", "KRW-BTC", "--http", "off", "--ws-url"]);
        command.args(["ws://127.0.0.1:1", "--rest-url", recording.sim().rest(), "--data"]);
        command.arg(recording.data()).arg("--json");
        let ended = Process::start(command).wait(SOON);
        assert!(ended.stdout.contains("open_files"), "{} {}", ended.stdout, ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{}", ended.stdout);
    }
    assert!(!recording.data().exists(), "a check makes no folder");
}
