//! Files that the disk spoiled or somebody removed: `verify` names them, and the commands that it
//! offers are run as they stand. After them nothing is wrong any more, or the ledger says what is
//! lost.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Ended, Process, Python, SOON, veritape, wait_until};
use crate::rebuild::{rows, same};
use crate::recording::Recording;
use crate::verify::{document, files, flip, verify};

/// A recording in many files.
fn recorded(settings: &str, streams: &str) -> Recording {
    let recording = Recording::of(&["--markets", "6", "--rate", "400", "--seed", "77"], "");
    let settings = format!("rotate = '1s'\nsettle = '1s'\n{settings}");
    let recorder = recording.start_with(&settings, &["--markets", "all", "--streams", streams]);
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(1_000);
    let many = |stream: &str| {
        let folder = recording.data().join(format!("stream={stream}"));
        folder.exists() && files(&recording, stream).len() > 4
    };
    wait_until("files", SOON, || streams.split(',').all(many).then_some(()));
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    assert_eq!(verify(&recording, &[]).status.code(), Some(0));
    recording
}

/// The files of a stream in the order in which they were written.
fn in_order(recording: &Recording, stream: &str) -> Vec<PathBuf> {
    let mut found = files(recording, stream);
    found.sort();
    assert!(found.len() > 3, "{stream}: {found:?}");
    found
}

fn name(recording: &Recording, path: &Path) -> String {
    path.strip_prefix(recording.data()).unwrap().display().to_string()
}

/// Verifies, and sees that these files are at fault and no other.
fn found(recording: &Recording, at_fault: &[(&Path, &str)]) -> Value {
    let ended = verify(recording, &[]);
    let told = document(&ended);
    assert_eq!(ended.status.code(), Some(3), "{told:#}");
    let text = |fault: &Value| {
        let [path, kind] = ["path", "fault"].map(|key| fault[key].as_str().unwrap().to_owned());
        (path, kind)
    };
    let mut faults: Vec<_> = told["faults"].as_array().unwrap().iter().map(text).collect();
    let mut expected: Vec<_> =
        at_fault.iter().map(|(path, kind)| (name(recording, path), (*kind).to_owned())).collect();
    faults.sort();
    expected.sort();
    assert_eq!(faults, expected, "{told:#}");
    told
}

/// Gives an offered command to a shell, as it stands; the simulated venue is at another address
/// than the real one.
fn give(recording: &Recording, command: &str) -> Ended {
    let address = if command.contains("gaps repair") || command.contains("backfill") {
        format!(" --rest-url {}", recording.sim().rest())
    } else {
        String::new()
    };
    let program = veritape();
    let folder = Path::new(program.get_program()).parent().unwrap();
    let mut shell = Command::new("sh");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(&path)));
    shell.env("PATH", path.unwrap()).args(["-c", &[command, &address].concat()]);
    Process::start(shell).wait(SOON)
}

/// Gives all of them; tells how each ended.
fn mend(recording: &Recording, told: &Value) -> Vec<(String, Ended)> {
    let commands = told["remedies"].as_array().unwrap().iter();
    let commands = commands.map(|command| command.as_str().unwrap().to_owned());
    commands.map(|command| (command.clone(), give(recording, &command))).collect()
}

#[test]
fn what_the_venue_still_tells_is_had_again() {
    let Some(python) = Python::find() else { return };
    let mut recording = recorded("", "trade,candle.1s");
    let (trades, candles) = (in_order(&recording, "trade"), in_order(&recording, "candle.1s"));
    // The last one as well: what was told last is remembered beside the files.
    let (flipped, gone) = (&trades[1], &trades[trades.len() - 1]);
    let (candle, last) = (&candles[1], &candles[candles.len() - 1]);
    flip(flipped);
    flip(candle);
    flip(last);
    std::fs::remove_file(gone).unwrap();
    let at_fault: [(&Path, &str); 4] =
        [(flipped, "checksum"), (gone, "missing"), (candle, "checksum"), (last, "checksum")];
    let told = found(&recording, &at_fault);
    let data = recording.data().display().to_string();
    let offered = [
        format!("veritape verify --data {data} --quarantine"),
        format!("veritape gaps repair --data {data} --venue upbit"),
    ];
    assert_eq!(told["remedies"], json!(offered), "{told:#}");
    assert_eq!(told["faults"][0]["remedy"], offered.join("; "), "{told:#}");

    let rows = recording.json("status")["streams"].clone();
    for (command, ended) in mend(&recording, &told) {
        let expected = if command.ends_with("--quarantine") { 3 } else { 0 };
        assert_eq!(
            ended.status.code(),
            Some(expected),
            "{command}\n{}\n{}",
            ended.stdout,
            ended.stderr
        );
    }
    for path in [flipped, candle, last] {
        let path = recording.data().join("quarantine").join(name(&recording, path) + ".1");
        assert!(path.exists(), "{} is kept", path.display());
    }
    let gaps = recording.gaps();
    assert!(gaps.len() > 4, "{gaps:#?}");
    for gap in &gaps {
        assert_eq!(
            (&gap["cause"], &gap["state"]),
            (&json!("damaged"), &json!("repaired")),
            "{gap:#}"
        );
    }
    let count = |streams: &Value| -> Vec<u64> {
        streams.as_array().unwrap().iter().map(|one| one["rows"].as_u64().unwrap()).collect()
    };
    let after = recording.json("status")["streams"].clone();
    assert!(count(&rows).iter().sum::<u64>() <= count(&after).iter().sum(), "{rows:#} {after:#}");
    let ended = verify(&recording, &[]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stdout);
    let figures = recording.compare(&python, &["--strict", "--repaired"]);
    assert!(figures["rest"].as_u64() > Some(10), "{figures}");
}

#[test]
fn what_the_venue_kept_to_itself_is_found_and_had() {
    // Shorter than what is silence to a connection: nobody notices, and there is no gap.
    let faults = "[[fault]]\nafter = '6s'\nwhat = 'stall'\nfor = '3s'\n";
    let recording = Recording::of(&["--markets", "6", "--rate", "400", "--seed", "78"], faults);
    recording.run(16, &["--markets", "all", "--streams", "trade,candle.1s"]);
    assert_eq!(recording.gaps(), Vec::<Value>::new());
    let told = document(&verify(&recording, &[]));
    assert_eq!(told["faults"], json!([]), "{told:#}");
    assert!(told["hours"]["degraded"].as_u64() > Some(0), "{told:#}");
    let trades = || -> u64 {
        let status = recording.json("status");
        let of = |one: &&Value| one["stream"] == "trade";
        status["streams"].as_array().unwrap().iter().find(of).unwrap()["rows"].as_u64().unwrap()
    };
    let before = trades();
    let mended = mend(&recording, &told);
    let [(command, ended)] = mended.as_slice() else { panic!("{told:#}") };
    assert!(command.starts_with("veritape backfill --data "), "{command}");
    assert_eq!(ended.status.code(), Some(0), "{command}\n{}\n{}", ended.stdout, ended.stderr);
    let ended = verify(&recording, &[]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stdout);
    assert!(trades() > before + 10, "{before} trades, and then {}", trades());
}

#[test]
fn what_nobody_tells_again_is_named() {
    let recording = recorded("", "trade,orderbook");
    let books = in_order(&recording, "orderbook");
    flip(&books[1]);
    let told = found(&recording, &[(&books[1], "checksum")]);
    let data = recording.data().display();
    assert_eq!(told["remedies"], json!([format!("veritape verify --data {data} --quarantine")]));
    let holder = recording.start(&["--markets", "all", "--streams", "trade"]);
    holder.wait_for_talk("connected", SOON);
    let refused = give(&recording, told["remedies"][0].as_str().unwrap());
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("stop it first"), "{}", refused.stderr);
    holder.signal(Signal::TERM);
    holder.wait(SOON).success();

    let done = mend(&recording, &told).swap_remove(0).1;
    assert!(done.stdout.contains("1 files with"), "{}", done.stdout);
    let gaps = recording.gaps();
    let lost: Vec<_> = gaps.iter().filter(|gap| gap["cause"] == "damaged").collect();
    assert!(!lost.is_empty(), "{gaps:#?}");
    for gap in lost {
        assert_eq!((&gap["stream"], &gap["state"]), (&json!("orderbook"), &json!("beyond_repair")));
        assert!(gap["detail"].as_str().unwrap().contains(&name(&recording, &books[1])), "{gap:#}");
    }
    let after = document(&verify(&recording, &[]));
    assert_eq!(after["faults"], json!([]), "{after:#}");
}

#[test]
fn what_is_kept_raw_is_made_again() {
    let Some(python) = Python::find() else { return };
    let streams = "trade,orderbook,candle.1s";
    let recording = recorded("[raw]\nkeep = 'forever'\n", streams);
    let first = rows(&python, &recording);
    let trades = in_order(&recording, "trade");
    let (books, candles) = (in_order(&recording, "orderbook"), in_order(&recording, "candle.1s"));
    let flipped = [&trades[1], &books[2], &candles[1], &candles[2]];
    for path in flipped {
        flip(path);
    }
    std::fs::remove_file(&trades[2]).unwrap();
    let at_fault: Vec<(&Path, &str)> = flipped
        .iter()
        .map(|path| (path.as_path(), "checksum"))
        .chain([(trades[2].as_path(), "missing")])
        .collect();
    let told = found(&recording, &at_fault);
    let commands = told["remedies"].as_array().unwrap();
    assert_eq!(commands.len(), 5, "{commands:#?}");
    let one = commands[0].as_str().unwrap();
    assert!(one.starts_with("veritape rebuild --data ") && one.contains(" --streams "), "{one}");
    for (command, ended) in mend(&recording, &told) {
        assert_eq!(ended.status.code(), Some(0), "{command}\n{}", ended.stderr);
    }
    same(&first, &rows(&python, &recording));
    assert_eq!(verify(&recording, &[]).status.code(), Some(0));
    assert_eq!(recording.gaps(), Vec::<Value>::new(), "nothing was lost");
}
