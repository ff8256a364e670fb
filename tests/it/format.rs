//! What older versions wrote is read: by the program, which also merges it, and by pandas, polars
//! and DuckDB.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::tempdir;

use crate::harness::{Process, Python, SOON, root, veritape};

const STREAMS: [&str; 7] =
    ["trade", "orderbook", "ticker", "candle.1s", "candle.1d", "instrument", "unread"];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let to = to.join(name);
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

fn run(data: &Path, arguments: &[&str]) -> String {
    let mut command = veritape();
    command.args(arguments).arg("--data").arg(data);
    Process::start(command).wait(SOON).success()
}

/// What the program tells of each stream is what it told when the files were made.
fn check(folder: &Path, data: &Path, when: &str) {
    for stream in STREAMS {
        let told = run(data, &["export", "--streams", stream, "--format", "jsonl"]);
        let expected = fs::read_to_string(folder.join(format!("rows/{stream}.jsonl"))).unwrap();
        assert!(!expected.is_empty());
        let read = |text: &str| -> Vec<Value> {
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        for (told, expected) in read(&told).iter().zip(&read(&expected)) {
            // A later version may have more columns.
            for (column, value) in expected.as_object().unwrap() {
                assert_eq!(told.get(column), Some(value), "{stream}.{column} {when}");
            }
        }
        assert_eq!(told.lines().count(), expected.lines().count(), "{stream} {when}");
    }
}

#[test]
fn every_version_is_read() {
    let fixtures = fs::read_dir(root().join("tests/fixtures")).unwrap();
    let mut folders: Vec<PathBuf> = fixtures.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("format-"));
    assert!(!folders.is_empty());
    for folder in folders {
        let home = tempdir().unwrap();
        let data = home.path().join("data");
        copy(&folder.join("data"), &data);
        check(&folder, &data, "as it was");
        let quick: Value =
            serde_json::from_str(&run(&data, &["verify", "--quick", "--json"])).unwrap();
        assert_eq!(quick["faults"], serde_json::json!([]), "{quick:#}");
        let python = Python::find();
        let readers = || {
            if let Some(python) = &python {
                let told = python.run("tests/it/format.py", &[&folder, &data]);
                assert_eq!(told.lines().count(), 3 * STREAMS.len(), "{told}");
            }
        };
        readers();
        let merged: Value =
            serde_json::from_str(&run(&data, &["compact", "--all", "--json"])).unwrap();
        assert!(merged["replaced"].as_u64() > merged["written"].as_u64(), "{merged}");
        check(&folder, &data, "merged");
        readers();
    }
}
