//! Holes that close themselves: sockets that drop, a REST server in all kinds of trouble, restarts
//! and kills; after it the trades are the venue's whole ledger.
//!
//! `VERITAPE_TEST_SECONDS=60` makes the runs as long as the promise is worded.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use veritape::net::clock::{Clock as _, SystemClock};

use crate::harness::{Process, Python, SOON, seconds, veritape, wait_until};
use crate::recording::Recording;

/// Files are made often, so that a repair can soon be read.
const SETTINGS: &str = "rotate = '1s'\nsettle = '1s'\n";
const STREAMS: &str = "trade,orderbook,candle.1s";
const VENUE: [&str; 6] = ["--markets", "10", "--rate", "500", "--seed", "41"];
/// How long repairs may take once the faults are over.
const REPAIRED_WITHIN: Duration = Duration::from_secs(100);

/// Every five seconds the sockets drop, for so long.
fn drops(seconds: u64) -> String {
    format!("[[fault]]\nevery = '5s'\nwhat = 'drop'\ntimes = {}\n", seconds.div_euclid(5).max(1))
}

/// Waits until there are so many gaps of trades, and every gap that can be closed is.
fn wait_for_repairs(recording: &Recording, gaps: usize) -> Vec<Value> {
    let clock = SystemClock::new();
    loop {
        let found = recording.gaps();
        let trades = found.iter().filter(|gap| gap["stream"] == "trade").count();
        let open = found.iter().any(|gap| gap["state"] == "open");
        if trades >= gaps && !open {
            return found;
        }
        let jobs = recording.json("jobs");
        let late = clock.monotonic() >= REPAIRED_WITHIN;
        assert!(
            !late,
            "{gaps} gaps, repaired: not within {REPAIRED_WITHIN:?}: {found:#?}\n{jobs:#}"
        );
    }
}

/// Records while sockets drop and REST fails as `faults` says, and sees that there are so many gaps
/// of trades at least, all of them repaired.
fn check(faults: &str, drops_at_least: usize) {
    let Some(python) = Python::find() else { return };
    let length = seconds(15);
    let mut recording = Recording::of(&VENUE, &[&drops(length), faults].concat());
    let arguments = ["--markets", "all", "--streams", STREAMS];
    let recorder = recording.start_with(SETTINGS, &arguments);
    recorder.wait_for_talk("connected", SOON);
    let clock = SystemClock::new();
    wait_until("the last drop", Duration::from_secs(2 * length + 10), || {
        (clock.monotonic() > Duration::from_secs(length + 1)).then_some(())
    });
    let gaps = wait_for_repairs(&recording, drops_at_least);
    recording.more_trades(200);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    let beyond = gaps.iter().filter(|gap| gap["state"] == "beyond_repair");
    assert!(beyond.clone().all(|gap| gap["stream"] == "orderbook"), "{gaps:#?}");
    let rest = gaps.iter().filter(|gap| gap["source"] == "rest").count();
    assert!(rest >= drops_at_least, "{gaps:#?}");
    println!("{} gaps, {rest} of them repaired by REST", gaps.len());
    let figures = recording.compare(&python, &["--strict", "--repaired"]);
    assert_eq!(figures["untold"].as_u64(), None, "every trade is there: {figures}");
    assert!(figures["rest"].as_u64() > Some(10), "{figures}");
    let verified = recording.ask("verify");
    assert_eq!(verified.status.code(), Some(0), "{}\n{gaps:#?}", verified.stdout);
    println!("{}", verified.stdout);
}

#[test]
fn what_dropped_sockets_did_not_tell_is_had_again() {
    // The last one may come after the end.
    check("", drops_within(seconds(15)) - 1);
}

fn drops_within(seconds: u64) -> usize {
    usize::try_from(seconds.div_euclid(5).max(2)).unwrap()
}

#[test]
fn and_while_the_rest_server_fails_in_every_way() {
    // As early or late in a long run as in one of 15 s.
    let at = |after: u64| after * seconds(15).max(15) / 15;
    let fault = |after: u64, what: &str, more: &str| {
        format!("[[fault]]\nafter = '{}s'\nwhat = 'rest_{what}'\n{more}\n", at(after))
    };
    // A venue that blocks us is left alone for a minute: what drops then is one gap with it.
    let before_the_block = drops_within(at(10));
    check(
        &[
            fault(5, "429", "count = 3"),
            fault(6, "500", "count = 3"),
            fault(7, "html", "count = 2"),
            fault(8, "truncated", "count = 2"),
            fault(10, "418", "for = '2s'"),
            fault(11, "slow", "count = 2"),
            fault(14, "timeout", "count = 1"),
        ]
        .concat(),
        before_the_block,
    );
}

#[test]
fn the_time_between_two_runs_is_had_again() {
    let Some(python) = Python::find() else { return };
    let mut recording = Recording::of(&VENUE, "");
    let arguments = ["--markets", "all", "--streams", STREAMS];
    let run = |recording: &Recording, gaps: usize| {
        let recorder = recording.start_with(SETTINGS, &arguments);
        recorder.wait_for_talk("connected", SOON);
        recording.more_trades(200);
        wait_for_repairs(recording, gaps);
        recorder.signal(Signal::TERM);
        recorder.wait(SOON).success();
    };
    run(&recording, 0);
    recording.more_trades(300);
    run(&recording, 1);
    recording.compare(&python, &["--strict", "--repaired"]);
    let verified = recording.ask("verify");
    assert_eq!(verified.status.code(), Some(0), "{}", verified.stdout);
}

#[test]
fn a_kill_during_repairs_leaves_them_to_the_next_start() {
    let Some(python) = Python::find() else { return };
    let mut recording = Recording::of(&VENUE, "");
    let arguments = ["--markets", "all", "--streams", STREAMS];
    let recorder = recording.start_with(SETTINGS, &[&arguments[..], &["--no-repair"]].concat());
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(200);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    recording.more_trades(300);
    // Killed when the first of its jobs are there, again and again.
    for kill in 0..4_usize {
        let recorder = recording.start_with(SETTINGS, &arguments);
        wait_until("jobs", SOON, || {
            let jobs = recording.json("jobs");
            let jobs = jobs["jobs"].as_array().map_or(0, Vec::len);
            (jobs > kill).then_some(())
        });
        recorder.signal(Signal::KILL);
        recorder.wait(SOON);
    }
    let recorder = recording.start_with(SETTINGS, &arguments);
    recorder.wait_for_talk("connected", SOON);
    recording.more_trades(200);
    wait_for_repairs(&recording, 1);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    recording.compare(&python, &["--repaired"]);
}

#[test]
fn by_hand_on_a_folder_at_rest() {
    let Some(python) = Python::find() else { return };
    let mut recording = Recording::of(&VENUE, &drops(5));
    let arguments = ["--markets", "all", "--streams", STREAMS, "--no-repair"];
    let recorder = recording.start_with(SETTINGS, &arguments);
    recorder.wait_for_talk("connected", SOON);
    wait_until("a gap that ended", SOON, || {
        let gaps = recording.gaps();
        gaps.iter().any(|gap| gap["stream"] == "trade" && !gap["to"].is_null()).then_some(())
    });
    let held = repair(&recording).wait(SOON);
    assert_eq!(held.status.code(), Some(1), "{}", held.stderr);
    assert!(held.stderr.contains("closes gaps by itself"), "{}", held.stderr);
    recording.more_trades(200);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    assert!(recording.gaps().iter().any(|gap| gap["state"] == "open"));

    let told = repair(&recording).wait(REPAIRED_WITHIN).success();
    let told: Value = serde_json::from_str(&told).unwrap();
    let gaps = told["gaps"].as_array().unwrap();
    assert!(gaps.len() >= 2, "{gaps:#?}");
    assert!(gaps.iter().all(|gap| gap["state"] == "repaired"), "{gaps:#?}");
    recording.compare(&python, &["--strict", "--repaired"]);
}

fn repair(recording: &Recording) -> Process {
    let mut command: Command = veritape();
    command.args(["gaps", "repair", "--json", "--rest-url", recording.sim().rest(), "--data"]);
    command.arg(recording.data());
    Process::start(command)
}
