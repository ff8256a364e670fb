//! What cannot be had is named: markets that the venue is silent about, wrong words on the command
//! line, folders and addresses.

use std::fs;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::harness::{Process, SOON, Sim, veritape, wait_until};
use crate::recording::{Recording, causes};

#[test]
fn a_market_that_the_venue_is_silent_about() {
    let faults = "[[fault]]\nafter = '0s'\nwhat = 'unserved'\nfor = '10m'\nmarkets = ['KRW-ETH']\n";
    let recording = Recording::of(&["--markets", "3", "--rate", "200", "--seed", "4"], faults);
    let recorder =
        recording.start(&["--markets", "KRW-BTC,KRW-ETH,KRW-XRP", "--streams", "trade,orderbook"]);
    recorder.wait_for_talk("shows nothing of", SOON);
    let talk = recorder.talk();
    for named in ["trade KRW-ETH", "orderbook KRW-ETH"] {
        assert!(talk.contains(named), "{named} is not named:\n{talk}");
    }
    for served in ["KRW-BTC", "KRW-XRP"] {
        assert!(!talk.contains(served), "{served} is served:\n{talk}");
    }
    let gaps = wait_until("a gap that lasts", SOON, || {
        Some(recording.gaps()).filter(|gaps| gaps.len() == 2)
    });
    for stream in ["trade", "orderbook"] {
        assert_eq!(causes(&gaps, stream), [("refused", 1)], "{gaps:#?}");
    }
    assert!(gaps.iter().all(|gap| gap["market"] == "KRW-ETH" && gap["to"].is_null()), "{gaps:#?}");
    assert_eq!(recording.ask("gaps").status.code(), Some(3));
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    let status = recording.json("status");
    let trade = status["streams"].as_array().unwrap().iter().find(|one| one["stream"] == "trade");
    let trade = trade.expect("trades of the others");
    assert_eq!(trade["markets"], 2, "{status:#}");
}

/// Runs `record` with `arguments` after those that would be right, which the later ones replace.
fn check(sim: &Sim, arguments: &[&str], code: i32, said: &[&str]) {
    let data = tempdir().unwrap();
    let ended = sim.record(&data.path().join("data"), arguments).wait(SOON);
    assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {}", ended.stderr);
    for words in said {
        assert!(
            ended.stderr.contains(words),
            "{arguments:?} does not say {words:?}:\n{}",
            ended.stderr
        );
    }
    let said_twice = ended.stderr.matches("os error").count() > 1;
    assert!(!said_twice, "{arguments:?} says it twice:\n{}", ended.stderr);
}

#[test]
fn what_is_wrong_is_named_with_its_neighbour() {
    let sim = Sim::start(&["--markets", "3"]);
    let wrong: [(&[&str], &[&str]); 6] = [
        (&["--markets", "KRW-BTCC"], &["\"KRW-BTCC\"", "did you mean \"KRW-BTC\"?"]),
        (&["--markets", "KRW-Z*"], &["\"KRW-Z*\" matches none"]),
        (&["--markets", "all", "--streams", "trades"], &["\"trades\"", "did you mean \"trade\"?"]),
        (&["--markets", "KRW-BTC.7"], &["KRW-BTC.7"]),
        (&["--markets", "all", "--lines", "9"], &["lines = 9 cannot be", "1 to 4"]),
        (&[], &["no market was asked for"]),
    ];
    for (arguments, said) in wrong {
        check(&sim, arguments, 2, said);
    }
}

/// Compressed messages take another build, and that is said before anything is done.
#[cfg(not(feature = "deflate"))]
#[test]
fn a_build_that_cannot_unpack_says_so() {
    let said = ["this build has no deflate", "cargo build --release --features deflate"];
    let sim = Sim::start(&["--markets", "3"]);
    check(&sim, &["--markets", "all", "--deflate"], 2, &said);
    check(&sim, &["--markets", "all", "--deflate", "--check"], 2, &said);
}

#[test]
fn addresses_that_cannot_be_are_refused_at_once() {
    let data = tempdir().unwrap();
    let wrong = [
        ("--ws-url", "nonsense", "\"nonsense\" is no websocket URL"),
        ("--ws-url", "http://127.0.0.1:1/x", "the scheme must be ws or wss"),
        ("--rest-url", "nonsense", "nonsense"),
        ("--rest-url", "ws://127.0.0.1:1", "the scheme must be http or https"),
        ("--venue", "upbitt", "did you mean \"upbit\"?"),
    ];
    for (option, value, said) in wrong {
        let mut command = veritape();
        command.args(["record", "--markets", "KRW-BTC", option, value, "--data"]).arg(data.path());
        let ended = Process::start(command).wait(SOON);
        assert_eq!(ended.status.code(), Some(2), "{option} {value}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{option} {value}: {}", ended.stderr);
    }
    // Nothing is listening, and a pattern needs the list of markets.
    let mut command = veritape();
    command.args(["record", "--markets", "KRW-*", "--rest-url", "http://127.0.0.1:1"]);
    command.args(["--ws-url", "ws://127.0.0.1:1", "--data"]).arg(data.path());
    let ended = Process::start(command).wait(SOON);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for words in ["KRW-*", "http://127.0.0.1:1", "is it running"] {
        assert!(ended.stderr.contains(words), "it does not say {words:?}: {}", ended.stderr);
    }
}

#[test]
fn folders_that_cannot_be_had() {
    let sim = Sim::start(&["--markets", "1"]);
    let data = tempdir().unwrap();
    let first = sim.record(data.path(), &["--markets", "all"]);
    first.wait_for_talk("connected", SOON);
    let second = sim.record(data.path(), &["--markets", "all"]).wait(SOON);
    assert_eq!(second.status.code(), Some(1), "{}", second.stderr);
    let holder = format!("process {}", first.pid().as_raw_nonzero());
    assert!(second.stderr.contains(&holder), "{holder} is not named: {}", second.stderr);

    let file = data.path().join("file");
    fs::write(&file, "").unwrap();
    let inside = file.join("data");
    let ended = sim.record(&inside, &["--markets", "all"]).wait(SOON);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let named = ended.stderr.contains("file") && ended.stderr.contains("--data");
    assert!(named, "{}", ended.stderr);

    let mut command = veritape();
    command.args(["status", "--data"]).arg(&inside);
    let ended = Process::start(command).wait(SOON);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
}
