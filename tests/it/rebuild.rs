//! Files made again from kept raw frames, by the real program.

use serde_json::Value;

use crate::harness::{Ended, Process, Python, SOON, veritape};
use crate::recording::{Recording, STREAMS};

/// Asks for everything that is kept to be made again.
fn rebuild(recording: &Recording, more: &[&str]) -> Ended {
    let mut command = veritape();
    command.args(["rebuild", "--from", "2020-01-01", "--to", "2100-01-01", "--data"]);
    command.arg(recording.data()).args(more);
    Process::start(command).wait(SOON)
}

/// Every row of every stream, in an order that does not depend on files.
pub(crate) fn rows(python: &Python, recording: &Recording) -> Vec<(String, Vec<String>)> {
    let streams = STREAMS.split(',').chain(["instrument"]);
    let rows = streams.map(|stream| {
        let mut rows = python.rows(recording.data(), stream);
        for row in &mut rows {
            // Which file a row is in is the only thing that may change.
            row.as_object_mut().expect("a row is an object").remove("file");
        }
        let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
        rows.sort();
        (stream.to_owned(), rows)
    });
    rows.collect()
}

/// Whether both are the same; else which rows are not.
#[track_caller]
pub(crate) fn same(before: &[(String, Vec<String>)], after: &[(String, Vec<String>)]) {
    for ((stream, before), (_, after)) in before.iter().zip(after) {
        let gone: Vec<_> = before.iter().filter(|row| !after.contains(row)).take(3).collect();
        let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).take(3).collect();
        assert!(gone.is_empty() && new.is_empty(), "{stream}: gone {gone:#?}, new {new:#?}");
        assert_eq!(before.len(), after.len(), "{stream}: rows are there twice");
    }
}

#[test]
fn what_was_recorded_is_made_again_row_for_row() {
    let Some(python) = Python::find() else { return };
    let recording = Recording::of(&["--markets", "4", "--rate", "300", "--seed", "9"], "");
    let settings = "rotate = '1s'\n[raw]\nkeep = 'forever'\n";
    let wanted = ["--markets", "all", "--streams", STREAMS];
    for trades in [500, 200] {
        let recorder = recording.start_with(settings, &wanted);
        recorder.wait_for_talk("connected", SOON);
        recording.more_trades(trades);
        let refused = rebuild(&recording, &[]);
        assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
        let holder = format!("process {}", recorder.pid().as_raw_nonzero());
        assert!(refused.stderr.contains(&holder), "not {holder}: {}", refused.stderr);
        recorder.signal(rustix::process::Signal::TERM);
        recorder.wait(SOON).success();
    }
    let (first, held) = (rows(&python, &recording), recording.json("coverage"));
    // Whether a minute ended meanwhile is up to the wall clock.
    let must = first.iter().filter(|(stream, _)| stream != "candle.1m");
    let empty: Vec<_> = must.filter(|(_, rows)| rows.is_empty()).map(|(name, _)| name).collect();
    assert!(empty.is_empty(), "no row of {empty:?}");

    let told = rebuild(&recording, &["--json"]).success();
    let told: Value = serde_json::from_str(&told).unwrap();
    let number = |key: &str| told[key].as_u64().unwrap_or_else(|| panic!("no {key}: {told}"));
    assert_eq!(number("missing_frames"), 0, "{told}");
    let all: usize = first.iter().map(|(_, rows)| rows.len()).sum();
    assert_eq!(number("rows"), u64::try_from(all).unwrap(), "{told}");
    assert!(number("replaced") > number("written") && number("frames") > 700, "{told}");
    same(&first, &rows(&python, &recording));
    assert_eq!(recording.json("coverage"), held);

    let raw = recording.data().join("raw");
    std::fs::remove_dir_all(&raw).unwrap();
    let nothing = rebuild(&recording, &[]);
    assert_eq!(nothing.status.code(), Some(3), "{}", nothing.stderr);
    assert!(nothing.stderr.contains("are not in raw/"), "{}", nothing.stderr);
    same(&first, &rows(&python, &recording));

    let wrong = rebuild(&recording, &["--streams", "trades"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(wrong.stderr.contains("did you mean \"trade\"?"), "{}", wrong.stderr);
}
