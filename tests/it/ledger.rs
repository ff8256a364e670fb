//! A seeded venue at its full rate: what is recorded is its ledger, each trade once and exact.
//!
//! `VERITAPE_TEST_SECONDS=60` makes it as long as the promise is worded.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Python, SOON, seconds};
use crate::recording::{Recording, STREAMS};

/// What each command says: a path to a value, and its type. A key of a list is looked at in every
/// one of its elements.
const CONTRACTS: [(&str, &[(&str, &str)]); 3] = [
    ("gaps", &[("gaps", "array")]),
    (
        "status",
        &[
            ("data", "string"),
            ("recording", "boolean"),
            ("streams.venue", "string"),
            ("streams.stream", "string"),
            ("streams.markets", "number"),
            ("streams.files", "number"),
            ("streams.rows", "number"),
            ("streams.bytes", "number"),
            ("streams.first_event", "time"),
            ("streams.last_event", "time"),
            ("gaps.open", "number"),
            ("gaps.repaired", "number"),
            ("gaps.partial", "number"),
            ("gaps.beyond_repair", "number"),
            ("recovered", "object"),
        ],
    ),
    (
        "coverage",
        &[
            ("coverage.venue", "string"),
            ("coverage.stream", "string"),
            ("coverage.market", "string"),
            ("coverage.hour", "time"),
            ("coverage.rows", "number"),
            ("coverage.covered_s", "number"),
            ("coverage.condition", "string"),
        ],
    ),
];

#[test]
fn what_is_recorded_is_the_ledger() {
    let Some(python) = Python::find() else { return };
    let venue = ["--markets", "50", "--rate", "2000", "--seed", "2026"];
    let mut recording = Recording::of(&venue, "");
    recording.run(seconds(12), &["--markets", "all", "--streams", STREAMS]);
    assert_eq!(recording.json("gaps"), json!({ "gaps": [] }));
    assert_eq!(recording.ask("gaps").status.code(), Some(0));
    for (command, keys) in CONTRACTS {
        let told = recording.json(command);
        for (path, kind) in keys {
            let found = values(&told, path);
            let sound = !found.is_empty() && found.iter().all(|value| is(value, kind));
            assert!(sound, "{command} --json: {path} must be {kind}: {found:?}");
        }
    }
    assert!(recording.journal().is_empty(), "the journal is not released");
    let figures = recording.compare(&python, &["--strict"]);
    assert!(figures["recorded"].as_u64() > Some(1_000), "{figures}");
    assert!(figures["candle.1s"].as_u64() > Some(50), "{figures}");
}

#[test]
fn and_so_it_is_when_it_gathers_in_the_sockets() {
    let Some(python) = Python::find() else { return };
    let mut recording = Recording::of(&["--markets", "20", "--rate", "2000", "--seed", "7"], "");
    let everything = ["--markets", "all", "--streams", STREAMS];
    let recorder = recording.start_with("read_interval = '20ms'\n", &everything);
    recorder.wait_for_talk("gathers for 20ms", SOON);
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(3_000);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    assert_eq!(recording.json("gaps"), json!({ "gaps": [] }));
    recording.compare(&python, &["--strict"]);
}

/// Every value at a path of keys.
fn values<'a>(of: &'a Value, path: &str) -> Vec<&'a Value> {
    path.split('.').fold(vec![of], |found, key| {
        let elements = found.into_iter().flat_map(|value| {
            value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
        });
        elements.map(|value| value.get(key).unwrap_or(&Value::Null)).collect()
    })
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        "time" => value.as_str().is_some_and(|text| text.starts_with("20") && text.ends_with('Z')),
        other => panic!("there is no type {other}"),
    }
}
