//! The examples in `scripts/` read a folder that was just recorded, and agree on it exactly.

use std::ffi::OsStr;

use serde_json::Value;
use tempfile::tempdir;

use crate::harness::{Python, SOON, Sim, json_lines};

const SCRIPTS: [&str; 3] =
    ["scripts/load_pandas.py", "scripts/load_polars.py", "scripts/load_duckdb.py"];
const STREAMS: [&str; 4] = ["candle.1s", "orderbook", "ticker", "trade"];

#[test]
fn pandas_polars_and_duckdb_agree() {
    let Some(python) = Python::find() else { return };
    let sim = Sim::start(&["--markets", "5", "--rate", "300", "--seed", "7"]);
    let data = tempdir().unwrap();
    let streams = STREAMS.join(",");
    sim.record(data.path(), &["--markets", "all", "--streams", &streams, "--for", "10s"])
        .wait(SOON + SOON)
        .success();

    let told = SCRIPTS.map(|script| {
        let json = [data.path().as_os_str(), OsStr::new("--json")];
        (script, json_lines(&python.run(script, &json)))
    });
    let (_, first) = &told[0];
    for (script, summaries) in &told {
        assert_eq!(summaries, first, "{script} and {} disagree", SCRIPTS[0]);
    }
    // They agree on something: each stream has rows, and as many as the files have.
    for stream in STREAMS {
        let summary = first.iter().find(|summary| summary["stream"] == stream);
        let rows = summary.and_then(|summary| summary["rows"].as_u64());
        let sums = summary.and_then(|summary| summary["sums"].as_object());
        assert_eq!(rows, Some(python.rows(data.path(), stream).len() as u64), "{stream}");
        assert!(rows > Some(0), "nothing was recorded of {stream}: {first:?}");
        assert!(sums.is_some_and(|sums| sums.values().all(Value::is_string) && !sums.is_empty()));
    }
    // Without --json they print tables; those are for people, but they must come.
    for script in SCRIPTS {
        let tables = python.run(script, &[data.path()]);
        assert!(tables.contains("trade"), "{script} printed {tables:?}");
    }
}
