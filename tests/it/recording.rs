//! A simulated venue with a ledger, a data folder, and the comparison of both.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::{TempDir, tempdir};
use veritape::model::time::Timestamp;
use veritape::net::clock::{Clock as _, SystemClock};

use crate::harness::{Ended, Process, Python, SOON, Sim, veritape, wait_until};

/// Every stream that the venue has at its full rate.
pub(crate) const STREAMS: &str = "trade,orderbook,ticker,candle.1s,candle.1m";

/// A venue and what is recorded from it.
pub(crate) struct Recording {
    folder: TempDir,
    data: PathBuf,
    sim: Option<Sim>,
    /// When the venue was up: its ledger has every trade since then.
    began: Timestamp,
}

impl Recording {
    /// A venue that misbehaves as `faults` says (see `src/sim/faults.rs`).
    pub(crate) fn of(venue: &[&str], faults: &str) -> Self {
        let folder = tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).into_os_string();
        fs::write(path("faults.toml"), faults).unwrap();
        let mut arguments: Vec<OsString> = venue.iter().map(OsString::from).collect();
        arguments.extend([
            "--ledger".into(),
            path("ledger"),
            "--faults".into(),
            path("faults.toml"),
        ]);
        let sim = Some(Sim::start(&arguments));
        let began = SystemClock::new().now();
        Self { data: folder.path().join("data"), folder, sim, began }
    }

    /// Records into `data` instead of a folder of its own.
    pub(crate) fn into(self, data: PathBuf) -> Self {
        Self { data, ..self }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn sim(&self) -> &Sim {
        self.sim.as_ref().expect("the venue is up until the comparison")
    }

    /// Starts a recorder.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        self.sim().record(&self.data, arguments)
    }

    /// Writes another configuration file for the recorder that runs.
    pub(crate) fn set(&self, settings: &str) -> PathBuf {
        let path = self.folder.path().join("veritape.toml");
        fs::write(&path, settings).unwrap();
        path
    }

    /// Starts a recorder whose configuration file says `settings`.
    pub(crate) fn start_with(&self, settings: &str, arguments: &[&str]) -> Process {
        let path = self.set(settings);
        self.start(&[&["--config", path.to_str().unwrap()], arguments].concat())
    }

    /// Records for so many seconds.
    pub(crate) fn run(&self, seconds: u64, arguments: &[&str]) {
        let length = format!("{seconds}s");
        let recorder = self.start(&[&["--for", &length], arguments].concat());
        recorder.wait(Duration::from_secs(seconds) + SOON).success();
    }

    /// Waits until the venue has told so many trades more.
    pub(crate) fn more_trades(&self, trades: usize) {
        let ledger = self.folder.path().join("ledger");
        let lines = || fs::read_to_string(&ledger).unwrap().lines().count();
        let before = lines();
        wait_until("trades of the venue", SOON, || (lines() >= before + trades).then_some(()));
    }

    /// What a command says of the data folder.
    pub(crate) fn ask(&self, command: &str) -> Ended {
        let mut ask = veritape();
        ask.args([command, "--json", "--data"]).arg(&self.data);
        Process::start(ask).wait(SOON)
    }

    /// What a command says of the data folder, as JSON.
    pub(crate) fn json(&self, command: &str) -> Value {
        let told = self.ask(command).stdout;
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{command} says {told}: {error}"))
    }

    /// The gaps; the exit code of the command says whether one is open.
    pub(crate) fn gaps(&self) -> Vec<Value> {
        let ended = self.ask("gaps");
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        let gaps = told["gaps"].as_array().unwrap().clone();
        let open = gaps.iter().any(|gap| gap["state"] == "open");
        assert_eq!(ended.status.code(), Some(if open { 3 } else { 0 }), "{gaps:#?}");
        gaps
    }

    /// Ends the venue, and compares what it told with what is recorded, by `ledger.py`. Gives the
    /// figures that the script prints.
    pub(crate) fn compare(&mut self, python: &Python, options: &[&str]) -> Value {
        if let Some(sim) = self.sim.take() {
            sim.stop();
        }
        let gaps = self.folder.path().join("gaps.json");
        fs::write(&gaps, self.ask("gaps").stdout).unwrap();
        let ledger = self.folder.path().join("ledger");
        let mut arguments: Vec<OsString> = [&ledger, &self.data, &gaps].map(OsString::from).into();
        arguments.extend(["--began".into(), self.began.micros().to_string().into()]);
        arguments.extend(options.iter().map(OsString::from));
        let told = python.run("tests/it/ledger.py", &arguments);
        println!("{}", told.trim());
        serde_json::from_str(&told).unwrap()
    }

    /// How many files are being written.
    pub(crate) fn unpublished(&self) -> usize {
        fs::read_dir(self.data.join("tmp")).map_or(0, Iterator::count)
    }

    /// The files of the journal.
    pub(crate) fn journal(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.data.join("journal")).unwrap();
        files.map(|entry| entry.unwrap().path()).collect()
    }
}

/// How often each cause stands in the gaps of a stream; rows that began together are one, and so
/// are all of what could not be read.
pub(crate) fn causes<'a>(gaps: &'a [Value], stream: &str) -> Vec<(&'a str, usize)> {
    let of_stream = gaps.iter().filter(|gap| gap["stream"] == stream);
    let mut found: Vec<_> = of_stream
        .map(|gap| (gap["cause"].as_str().unwrap(), gap["from"].as_str().unwrap()))
        .map(|(cause, from)| (cause, if cause == "unread" { "" } else { from }))
        .collect();
    found.sort_unstable();
    found.dedup();
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for (cause, _) in found {
        match counts.last_mut().filter(|(last, _)| *last == cause) {
            Some((_, count)) => *count += 1,
            None => counts.push((cause, 1)),
        }
    }
    counts
}
