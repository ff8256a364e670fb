//! A recording is proven, byte by byte and second by second, by the real program; what is planted
//! is found.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Ended, Process, SOON, seconds, veritape};
use crate::recording::Recording;

/// Runs `verify` on a recording.
pub(crate) fn verify(recording: &Recording, more: &[&str]) -> Ended {
    let mut command = veritape();
    command.args(["verify", "--json", "--data"]).arg(recording.data()).args(more);
    Process::start(command).wait(SOON)
}

pub(crate) fn document(ended: &Ended) -> Value {
    let read = serde_json::from_str(&ended.stdout);
    read.unwrap_or_else(|error| panic!("verify says {}: {error}\n{}", ended.stdout, ended.stderr))
}

/// The hours that `coverage` tells of a stream, but for those of which a snapshot told a single
/// row, and those that were over before anything could be judged.
fn hours(recording: &Recording, stream: &str) -> Vec<Value> {
    let told = recording.json("coverage");
    let hours = told["coverage"].as_array().unwrap().iter();
    let hours =
        hours.filter(|hour| hour["stream"] == stream && hour["covered_s"].as_f64() > Some(12.0));
    hours.cloned().collect()
}

/// The files of a stream.
pub(crate) fn files(recording: &Recording, stream: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![recording.data().join(format!("stream={stream}"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

pub(crate) fn flip(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let (place, mut byte) = (file.metadata().unwrap().len() / 2, [0]);
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 4], place).unwrap();
}

#[test]
fn what_was_recorded_is_proven() {
    let recording = Recording::of(&["--markets", "12", "--rate", "800", "--seed", "31"], "");
    let streams = "trade,orderbook,ticker,candle.1s";
    let wanted = ["--markets", "all", "--streams", streams];
    let recorder = recording.start_with("rotate = '3s'\n", &wanted);
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(400);
    let meanwhile = verify(&recording, &[]);
    let told = document(&meanwhile);
    assert_eq!(told["faults"], json!([]), "{told:#}");
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();

    recording.run(seconds(18), &wanted);
    let ended = verify(&recording, &[]);
    let told = document(&ended);
    assert_eq!(told["faults"], json!([]), "{told:#}");
    assert_eq!(told["not_stored"], Value::Null, "{told:#}");
    let status = recording.json("status");
    let sum = |key: &str| -> u64 {
        status["streams"].as_array().unwrap().iter().map(|one| one[key].as_u64().unwrap()).sum()
    };
    assert_eq!(
        (told["files"].as_u64(), told["rows"].as_u64()),
        (Some(sum("files")), Some(sum("rows")))
    );
    check_hours(&recording, &ended, &told);

    let quick = verify(&recording, &["--quick", "--streams", "trade,ticker"]);
    assert_eq!(quick.status.code(), Some(0), "{}", quick.stdout);
    for stream in ["trade", "orderbook", "instrument"] {
        let path = files(&recording, stream).swap_remove(0);
        flip(&path);
        let ended = verify(&recording, &["--streams", stream]);
        let told = document(&ended);
        assert_eq!(ended.status.code(), Some(3), "{told:#}");
        let faults = told["faults"].as_array().unwrap();
        assert_eq!(faults.len(), 1, "{told:#}");
        assert_eq!(faults[0]["fault"], "checksum");
        assert!(path.ends_with(faults[0]["path"].as_str().unwrap()), "{told:#}");
        flip(&path);
    }
    // Not the first: soon after midnight it may hold only what was told of the day before.
    let path = files(&recording, "trade").into_iter().max().unwrap();
    std::fs::remove_file(&path).unwrap();
    let told = document(&verify(&recording, &[]));
    assert_eq!(told["faults"][0]["fault"], "missing", "{told:#}");
    let words = told["faults"][0]["remedy"].as_str().unwrap();
    assert!(words.contains("verify --data") && words.contains("gaps repair"), "{words}");
    assert!(told["incomplete"].as_array().unwrap().len() > 1, "{told:#}");
}

/// Every hour is complete, but where the ledger says otherwise; and `coverage` tells the same.
fn check_hours(recording: &Recording, ended: &Ended, told: &Value) {
    let gaps = recording.gaps();
    let trades_whole =
        gaps.iter().all(|gap| gap["stream"] != "trade" || gap["state"] == "repaired");
    for stream in ["trade", "candle.1s"] {
        let of_stream = || gaps.iter().filter(|gap| gap["stream"] == stream);
        let whole = of_stream().all(|gap| gap["state"] == "repaired");
        let hours = hours(recording, stream);
        assert!(!hours.is_empty(), "{told:#}");
        for hour in hours {
            let condition = hour["condition"].as_str().unwrap();
            if whole {
                // Candles are proven by the trades, where none of those is lost.
                let good = ["complete", "repaired"].contains(&condition)
                    || (!trades_whole && condition == "unproven");
                assert!(good, "{hour:#} {told:#}");
            } else {
                assert_eq!(condition, "degraded", "{hour:#} {gaps:#?}");
            }
        }
    }
    let bad = gaps.iter().any(|gap| {
        gap["state"] != "repaired" && ["trade", "candle.1s"].iter().any(|one| gap["stream"] == *one)
    });
    assert_eq!(ended.status.code(), Some(if bad { 3 } else { 0 }), "{told:#}");
    let numbers = |hour: &Value| {
        assert_eq!(
            hour["numbers"]["disagreeing"], 0,
            "rows and candles are of one venue: {hour:#}"
        );
        assert_eq!(hour["numbers"]["read"], hour["numbers"]["rows"], "{hour:#}");
    };
    told["incomplete"].as_array().unwrap().iter().for_each(numbers);
}

#[test]
fn a_venue_that_drops_is_recorded_as_the_ledger_says() {
    let faults =
        "[[fault]]\nafter = '6s'\nwhat = 'drop'\n[[fault]]\nafter = '9s'\nwhat = 'duplicates'\n";
    let recording = Recording::of(&["--markets", "8", "--rate", "500", "--seed", "5"], faults);
    recording.run(seconds(24), &["--markets", "all", "--streams", "trade,candle.1s"]);
    let ended = verify(&recording, &[]);
    let told = document(&ended);
    assert_eq!(told["faults"], json!([]), "{told:#}");
    check_hours(&recording, &ended, &told);
}

#[test]
fn one_run_is_complete_and_has_a_calendar() {
    let recording = Recording::of(&["--markets", "5", "--rate", "300", "--seed", "8"], "");
    recording.run(seconds(18), &["--markets", "all", "--streams", "trade,candle.1s,ticker"]);
    let ended = verify(&recording, &[]);
    let told = document(&ended);
    assert_eq!(ended.status.code(), Some(0), "{told:#}");
    assert!(told["hours"]["complete"].as_u64() > Some(0), "{told:#}");
    assert_eq!(told["hours"]["degraded"], 0);
    for hour in hours(&recording, "trade") {
        assert_eq!(hour["condition"], "complete", "{hour:#}");
    }
    let mut command = veritape();
    command
        .args(["coverage", "--by", "hour", "--streams", "trade", "--data"])
        .arg(recording.data());
    let calendar = Process::start(command).wait(SOON).success();
    assert!(calendar.contains("trade all markets") && calendar.contains('#'), "{calendar}");
    assert!(calendar.contains("# complete") && calendar.contains("x missing"), "{calendar}");
}
