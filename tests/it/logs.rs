//! The log: to a file that turns by its size and is found again where it was moved, without secrets,
//! and with one line and a count where much is the same.

use std::fs;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::harness::{Process, SOON, veritape, wait_until};
use crate::http::{address, get};
use crate::recording::Recording;

const SECRET: &str = "correct-horse-battery-staple";

#[test]
fn a_log_file_turns_and_is_followed() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("veritape.log");
    let recording = Recording::of(&["--markets", "3", "--rate", "50", "--seed", "81"], "");
    let settings = "log_file_bytes = '64 KiB'\nlog_files = 2";
    let file = path.to_str().unwrap();
    let arguments = ["--markets", "all", "--streams", "trade", "--log-file", file, "-vv"];
    let recorder = recording.start_with(settings, &arguments);
    let said = |words: &str| fs::read_to_string(&path).is_ok_and(|text| text.contains(words));
    wait_until("lines in the file", SOON, || said("recording into").then_some(()));
    // Somebody turns it: what comes goes to the old file until the signal, and to a new one then.
    let away = folder.path().join("away.log");
    fs::hard_link(&path, &away).unwrap();
    fs::remove_file(&path).unwrap();
    recorder.signal(Signal::HUP);
    wait_until("a new file", SOON, || said("were read again").then_some(()));
    recorder.signal(Signal::TERM);
    let ended = recorder.wait(SOON);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(!ended.stderr.contains("recording into"), "it is in the file: {}", ended.stderr);
    assert!(fs::read_to_string(&away).unwrap().contains("recording into"));
    assert!(said("stopping: a signal asks for it"));
}

#[test]
fn a_log_file_that_cannot_be_is_said_at_once() {
    let folder = tempdir().unwrap();
    let mut command = veritape();
    command.args(["status", "--log-file"]).arg(folder.path().join("no/such/log"));
    let ended = Process::start(command).wait(SOON);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write the log to"), "{}", ended.stderr);
}

#[test]
fn no_secret_is_in_a_log() {
    let recording = Recording::of(&["--markets", "2", "--rate", "50", "--seed", "82"], "");
    let settings = format!("http_token = '{SECRET}'\nmarkets = ['all']\nstreams = ['trade']\n");
    let recorder = recording.start_with(&settings, &["--http", "127.0.0.1:0", "-vv"]);
    let address = address(&recorder);
    for token in [SECRET, "a-wrong-one-of-somebody"] {
        get(address, "/status.json", &format!("authorization: Bearer {token}\r\n"));
    }
    // A line that cannot be read is not repeated where it may hold one.
    for line in [format!("http_token = '{SECRET}"), format!("http_token = {SECRET}")] {
        recording.set(&line);
        recorder.signal(Signal::HUP);
    }
    recorder.wait_for_talk("in line 1", SOON);
    recording.more_trades(20);
    recorder.signal(Signal::TERM);
    let ended = recorder.wait(SOON);
    assert!(ended.status.success() && ended.stderr.contains("DEBUG"), "{}", ended.stderr);
    for secret in [SECRET, "a-wrong-one"] {
        assert!(!ended.stderr.contains(secret), "{secret} is in the log: {}", ended.stderr);
    }

    // An address with a password is refused, without it.
    for option in ["--ws-url", "--rest-url"] {
        let scheme = if option == "--ws-url" { "ws" } else { "http" };
        let mut command = veritape();
        let url = format!("{scheme}://somebody:{SECRET}@127.0.0.1:1/x");
        command.args(["record", "--markets", "KRW-BTC", "-vv", option, &url, "--data"]);
        let data = tempdir().unwrap();
        command.arg(data.path().join("data"));
        let ended = Process::start(command).wait(SOON);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("names a user or a password"), "{}", ended.stderr);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
    }
}

#[test]
fn a_storm_of_reconnects_is_one_line_with_a_count() {
    // Each connection ends as soon as it has told something.
    let faults = "[[fault]]\nevery = '100ms'\nwhat = 'drop'\n";
    let recording = Recording::of(&["--markets", "3", "--rate", "300", "--seed", "83"], faults);
    let arguments = ["--markets", "all", "--streams", "trade", "--no-repair"];
    let recorder = recording.start(&arguments);
    recorder.wait_for_talk("connection lost", SOON);
    wait_until("a line that counts others", SOON, || {
        let talk = recorder.talk();
        let lost: Vec<_> = talk.lines().filter(|line| line.contains("connection lost")).collect();
        let held = |line: &&str| !line.contains("lines_held_back=0");
        lost.iter().any(held).then(|| {
            let connected = talk.lines().filter(|line| line.contains(" connected ")).count();
            assert!(lost.len() <= 4, "{} lines for {connected} connections: {talk}", lost.len());
        })
    });
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
}
