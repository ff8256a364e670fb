//! Small files merged by the real program, killed at random moments, and what readers see of it:
//! the same rows as before, in pandas, polars and DuckDB, and in an export.
//!
//! `VERITAPE_TEST_SEED` picks other moments; they are printed.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::harness::{Ended, Process, Python, SOON, json_lines, veritape};
use crate::recording::{Recording, STREAMS};

const READERS: [&str; 3] =
    ["scripts/load_pandas.py", "scripts/load_polars.py", "scripts/load_duckdb.py"];
/// How often it is killed.
const KILLS: u64 = 8;

fn start(data: &Path, arguments: &[&str]) -> Process {
    let mut command = veritape();
    command.args(arguments).arg("--data").arg(data);
    Process::start(command)
}

fn run(data: &Path, arguments: &[&str]) -> Ended {
    start(data, arguments).wait(SOON)
}

fn json(data: &Path, arguments: &[&str]) -> Value {
    let told = run(data, &[arguments, &["--json"]].concat()).success();
    serde_json::from_str(&told).unwrap()
}

/// A recording of many small files.
fn recorded() -> Recording {
    let recording = Recording::of(&["--markets", "6", "--rate", "400", "--seed", "11"], "");
    let wanted = ["--markets", "all", "--streams", STREAMS];
    let recorder = recording.start_with("rotate = '1s'\ncompact = false\n", &wanted);
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(1_500);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    recording
}

/// What every reader sees; all agree, with no warning.
fn seen(python: &Python, data: &Path) -> Vec<Value> {
    let told = READERS
        .map(|script| json_lines(&python.run(script, &[data.as_os_str(), OsStr::new("--json")])));
    for (script, summaries) in READERS.iter().zip(&told) {
        assert_eq!(summaries, &told[0], "{script} and {} disagree", READERS[0]);
    }
    let [first, ..] = told;
    assert!(first.len() >= 5, "{first:?}");
    first
}

/// Every row of every stream, as the files have it.
fn rows(python: &Python, data: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for stream in STREAMS.split(',').chain(["instrument"]) {
        for mut row in python.rows(data, stream) {
            // Which file a row is in is the only thing that may change.
            row.as_object_mut().expect("a row is an object").remove("file");
            all.push(format!("{stream} {row}"));
        }
    }
    all.sort();
    all
}

fn files(data: &Path) -> usize {
    let status = json(data, &["status"]);
    let streams = status["streams"].as_array().unwrap();
    streams.iter().map(|one| usize::try_from(one["files"].as_u64().unwrap()).unwrap()).sum()
}

#[test]
fn readers_see_the_same_rows_before_and_after() {
    let Some(python) = Python::find() else { return };
    let recording = recorded();
    let data = recording.data();
    let (first, summary, small) = (rows(&python, data), seen(&python, data), files(data));
    let exported = |name: &str| {
        let path = data.with_file_name(name);
        run(data, &["export", "--streams", "trade", "--output", path.to_str().unwrap()]).success();
        std::fs::read_to_string(&path).unwrap()
    };
    let csv = exported("before.csv");
    let views = |data: &Path| {
        python.run(
            "tests/it/views.py",
            &[data.as_os_str(), OsStr::new(&run(data, &["views"]).success())],
        )
    };
    let shown = views(data);
    python.run("tests/it/plain_readers.py", &[data]);

    let plan = json(data, &["compact", "--all", "--dry-run"]);
    assert_eq!(rows(&python, data), first, "a dry run changes nothing");
    let done = json(data, &["compact", "--all"]);
    for key in ["replaced", "rows", "bytes_before"] {
        assert_eq!(done[key], plan[key], "{key}: {done} was {plan}");
    }
    assert!(done["replaced"].as_u64() > done["written"].as_u64(), "{done}");
    assert!(files(data) < small);
    assert_eq!(rows(&python, data), first);
    assert_eq!(seen(&python, data), summary);
    assert_eq!(exported("after.csv"), csv);
    assert_eq!(views(data), shown);
    python.run("tests/it/plain_readers.py", &[data]);
    assert_eq!(json(data, &["compact", "--all"])["replaced"], 0);

    let apart = json(data, &["compact", "--all", "--by-market", "--streams", "trade,candle"]);
    assert!(apart["written"].as_u64() > apart["replaced"].as_u64(), "{apart}");
    assert_eq!(rows(&python, data), first);
    assert_eq!(seen(&python, data), summary);
    assert_eq!(views(data), shown);
    python.run("tests/it/plain_readers.py", &[data]);
}

#[test]
fn a_kill_leaves_the_old_or_the_new() {
    let Some(python) = Python::find() else { return };
    let seed = env::var("VERITAPE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(3);
    let recording = recorded();
    let data = recording.data();
    let first = rows(&python, data);
    let mut moments = Vec::new();
    for nth in 0..KILLS {
        let moment = xxh3_64_with_seed(&nth.to_le_bytes(), seed) % 400;
        // From one to many and back, so that there always is something to do.
        let arguments: &[&str] = match nth % 2 {
            0 => &["compact", "--all", "--by-market"],
            _ => &["compact", "--all"],
        };
        let compacting = start(data, arguments);
        // The moment is what is tried here; nothing waits for it.
        std::thread::sleep(Duration::from_millis(moment));
        compacting.signal(Signal::KILL);
        let killed = compacting.wait(SOON).status.code().is_none();
        // Readers of folders may see both for the moment; the next start clears it away.
        run(data, &["compact", "--streams", "unread"]).success();
        assert_eq!(rows(&python, data), first, "killed ({killed}) after {moment} ms");
        moments.push((moment, killed));
    }
    println!("seed {seed}, killed after {moments:?} ms");
    run(data, &["compact", "--all"]).success();
    assert_eq!(rows(&python, data), first);
    assert!(!data.join("quarantine").exists());
}

#[test]
fn exports_are_exact_and_polite() {
    let Some(python) = Python::find() else { return };
    let recording = recorded();
    let data = recording.data();
    let trades = python.rows(data, "trade");
    for format in ["parquet", "jsonl", "csv"] {
        let path = data.with_file_name(format!("all.{format}"));
        let output = path.to_str().unwrap();
        let arguments = ["export", "--streams", "trade", "--output", output];
        run(data, &arguments).success();
        let refused = run(data, &arguments);
        assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
        run(data, &[arguments.as_slice(), &["--force"]].concat()).success();
        let read = json_lines(&python.run("tests/it/read_export.py", &[&path]));
        let key = |row: &Value| {
            let cell = |name: &str| row[name].to_string();
            [cell("market"), cell("id"), cell("ts_event"), cell("price"), cell("size")]
        };
        let (mut found, mut expected): (Vec<_>, Vec<_>) =
            (read.iter().map(key).collect(), trades.iter().map(key).collect());
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{format}");
    }
    let market = trades[0]["market"].as_str().unwrap();
    let of = trades.iter().filter(|row| row["market"] == market).count();
    let lines = run(data, &["export", "--streams", "trade", "--markets", market]).success();
    assert_eq!(lines.lines().count(), of + 1);
    // Who has seen enough goes; that is no failure.
    let mut command = std::process::Command::new("sh");
    let program = env!("CARGO_BIN_EXE_veritape");
    let pipe = "\"$0\" export --format jsonl --data \"$1\" | head -n 1; exit ${PIPESTATUS:-0}";
    command.args(["-c", pipe, program]).arg(data);
    let ended = Process::start(command).wait(SOON);
    assert!(
        !ended.stderr.contains("panicked") && !ended.stderr.contains("cannot"),
        "{}",
        ended.stderr
    );
    let wrong = run(data, &["export", "--streams", "trades"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn what_a_policy_removes_is_not_missing() {
    let recording = recorded();
    let data = recording.data();
    let wrong = run(data, &["retain"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", wrong.stderr);
    let gaps = recording.gaps();
    let before = files(data);
    // The day that is not over stays; last trades of quiet markets may be of days before.
    let plan = json(data, &["retain", "--dry-run", "--keep", "total=0B"]);
    assert_eq!(files(data), before);
    let done = json(data, &["retain", "--keep", "total=0B"]);
    assert_eq!(done["files"], plan["files"]);
    assert_eq!(recording.gaps(), gaps);
    for day in done["retired"].as_array().unwrap() {
        let (stream, of) = (day["stream"].as_str().unwrap(), day["date"].as_str().unwrap());
        let coverage = recording.json("coverage");
        let hours = coverage["coverage"].as_array().unwrap().iter();
        let of_day = hours.filter(|hour| {
            hour["stream"] == stream && hour["hour"].as_str().unwrap().starts_with(of)
        });
        assert!(of_day.clone().count() > 0, "{day}");
        assert!(of_day.clone().all(|hour| hour["condition"] == "retired"), "{day}");
    }
    assert!(json(data, &["retain", "--keep", "total=0B"])["files"] == 0);
}
