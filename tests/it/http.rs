//! The HTTP side: health follows the venue, hostile clients disturb nothing, and addresses and
//! tokens are taken at their word.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::tempdir;
use veritape::model::time::Timestamp;

use crate::harness::{Process, Python, SOON, Sim, veritape, wait_until};
use crate::recording::Recording;

/// Any free port.
const ANY: [&str; 2] = ["--http", "127.0.0.1:0"];
const TOKEN: &str = "a-token-of-this-test";

/// Where a recorder says that its page is.
pub(crate) fn address(recorder: &Process) -> SocketAddr {
    recorder.wait_for_talk("status page at http://", SOON);
    let talk = recorder.talk();
    let after = talk.split("status page at http://").nth(1).unwrap();
    after.split_whitespace().next().unwrap().parse().unwrap()
}

/// What is answered to these bytes: status and body; none where the connection ends without.
fn raw(address: SocketAddr, request: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(SOON)).unwrap();
    // It may have said no, and left, before it heard all of it.
    drop(stream.write_all(request));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned()))
}

/// What is answered to a question.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    raw(address, request.as_bytes()).unwrap_or_else(|| panic!("no answer to {request}"))
}

/// What is answered to an order.
pub(crate) fn post(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    raw(address, request.as_bytes()).unwrap_or_else(|| panic!("no answer to {request}"))
}

fn json(address: SocketAddr, path: &str) -> Value {
    let (status, body) = get(address, path, "");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {status} {body}: {error}"))
}

#[test]
fn health_follows_a_venue_that_stalls() {
    // Heartbeats go on; no new connection is let in while it lasts.
    let faults = "[[fault]]\nafter = '8s'\nwhat = 'stall'\nfor = '12s'\n
        [[fault]]\nafter = '8s'\nwhat = 'handshake_429'\nfor = '12s'\n";
    let recording = Recording::of(&["--markets", "8", "--rate", "400", "--seed", "5"], faults);
    let streams = ["--markets", "all", "--streams", "trade,orderbook"];
    let recorder = recording.start(&[&streams[..], &ANY].concat());
    let address = address(&recorder);
    let answers = |path: &str, wanted: u16| {
        wait_until(&format!("{path} answers {wanted}"), Duration::from_mins(1), || {
            let (status, body) = get(address, path, "");
            (status == wanted).then_some(body)
        })
    };
    answers("/readyz", 200);
    answers("/healthz", 200);
    let wrong: Value = serde_json::from_str(&answers("/healthz", 503)).unwrap();
    let named = |stream: &str| {
        let problems = wrong["problems"].as_array().unwrap();
        problems.iter().any(|one| one["what"] == "stream" && one["stream"] == stream)
    };
    assert!(named("trade") && named("orderbook"), "{wrong:#}");
    // By its own clock: from the last that came to the picture that says so.
    let at = |text: &Value| text.as_str().unwrap().parse::<Timestamp>().unwrap();
    let live = &json(address, "/status.json")["live"];
    let streams = live["streams"].as_array().unwrap().iter();
    let last = streams.map(|one| at(&one["last_receive"])).max().unwrap();
    let late = at(&wrong["at"]).since(last);
    assert!(late < Duration::from_secs(15), "{late:?} after the last: {wrong:#}");
    let (_, metrics) = get(address, "/metrics", "");
    assert!(metrics.contains("\nveritape_healthy 0\n"), "{metrics}");
    answers("/healthz", 200);
    assert_eq!(get(address, "/readyz", "").0, 200, "it was served once");

    // The gap is on the page's list, and `status` finds the recorder by its folder.
    let gaps = json(address, "/api/gaps?limit=10");
    assert!(gaps["gaps"].as_array().unwrap().iter().any(|gap| gap["cause"] == "silence"), "{gaps}");
    let told = recording.json("status");
    assert_eq!(told["live"]["healthy"], true, "{told:#}");
    assert_eq!(told["live"]["streams"][0]["served"], 8, "{told:#}");
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    assert_eq!(recording.json("status").get("live"), None);
}

#[test]
fn hostile_clients_do_not_disturb_the_recording() {
    let Some(python) = Python::find() else { return };
    let venue = ["--markets", "20", "--rate", "1000", "--seed", "66"];
    let mut recording = Recording::of(&venue, "");
    let streams = ["--markets", "all", "--streams", "trade,orderbook,candle.1s", "--for", "14s"];
    let recorder = recording.start(&[&streams[..], &ANY].concat());
    let address = address(&recorder);
    recorder.wait_for_talk("connected", SOON);

    crowd(address);
    nonsense(address);
    recorder.wait(SOON).success();
    assert_eq!(recording.gaps().len(), 0, "{:#?}", recording.gaps());
    recording.compare(&python, &["--strict"]);
}

/// Many at a time, and slow.
fn crowd(address: SocketAddr) {
    // A thousand connections, each with half a request: some are held, the rest is turned away.
    let mut held = VecDeque::new();
    for _ in 0..1_000 {
        let mut stream = TcpStream::connect(address).unwrap();
        drop(stream.write_all(b"GET / HTTP/1.1\r\nx-slow: "));
        held.push_back(stream);
        // As many as a process may have open, and the first of them stay.
        if held.len() > 500 {
            held.truncate(500);
        }
    }
    // It hears a little more of each request now and then, and lets go of them all the same.
    wait_until("room for one that asks properly", SOON, || {
        for stream in &mut held {
            drop(stream.write_all(b"a"));
        }
        let proper =
            format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        raw(address, proper.as_bytes())
            .filter(|(status, body)| *status == 200 || body.contains("problems"))
    });
    let (_, metrics) = get(address, "/metrics", "");
    // On a slow machine those that were held are let go while others still come.
    let away =
        metrics.lines().find_map(|line| line.strip_prefix("veritape_http_turned_away_total "));
    assert!(away.unwrap().parse::<u64>().unwrap() >= 500, "{away:?} of 1000 were turned away");
    drop(held);
}

/// Requests that nobody sends who means well.
fn nonsense(address: SocketAddr) {
    let long = "x".repeat(64 * 1024);
    let many = "a: b\r\n".repeat(500);
    for request in [
        format!("GET / HTTP/1.1\r\nhost: {address}\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: {address}\r\n{many}\r\n"),
        format!("GET /{long} HTTP/1.1\r\nhost: {address}\r\n\r\n"),
        format!(
            "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 99999999999\r\n\r\n{long}"
        ),
        "\0\u{1}\u{2}nonsense\r\n\r\n".to_owned(),
        "GET /status.json HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n".to_owned(),
    ] {
        let answer = raw(address, request.as_bytes());
        let refused = answer.as_ref().is_none_or(|(status, _)| (400..500).contains(status));
        let start: String = request.chars().take(60).collect();
        assert!(refused, "{start:?} is answered with {answer:?}");
    }
    for path in [
        "/../Cargo.toml",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/catalog.sqlite",
        "/veritape.lock",
        "/api/day?stream=../..&date=2026-11-21",
        "/api/day?stream=trade&date=../..",
        "/api/prices?venue=..%2f..&market=",
        "/api/coverage",
        "/api/coverage?stream=trade&days=99999",
        "/api/prices?venue=upbit&market=%00",
        "/index.html",
    ] {
        let (status, body) = get(address, path, "");
        let inside = body.starts_with('{') || body.starts_with("Failed to deserialize");
        let empty = status != 200 || path.contains("%00") && body.contains("\"bars\":[]");
        assert!(inside && empty, "{path} is answered with {status} {body}");
    }
}

#[test]
fn only_the_token_opens() {
    let sim = Sim::start(&["--markets", "2", "--rate", "50", "--seed", "3"]);
    let data = tempdir().unwrap();
    let busy = ["--markets", "all", "--streams", "trade", "--http", "0.0.0.0:0", "-vv"];
    let recorder = sim.record(data.path(), &[&busy[..], &["--http-token", TOKEN]].concat());
    let address = SocketAddr::from(([127, 0, 0, 1], address(&recorder).port()));
    let page = get(address, "/", "");
    assert!(page.0 == 200 && page.1.contains("data-token=\"asked\""), "{page:?}");
    for path in ["/metrics", "/healthz", "/readyz", "/status.json", "/api/gaps", "/api/markets"] {
        assert_eq!(get(address, path, "").0, 401, "{path}");
        let shown = format!("authorization: Bearer {TOKEN}\r\n");
        assert_ne!(get(address, path, &shown).0, 401, "{path}");
        for wrong in ["x", "a-token-of-this-tesT", "a-token-of-this-test0", ""] {
            let shown = format!("authorization: Bearer {wrong}\r\n");
            let (status, body) = get(address, path, &shown);
            assert!(status == 401 && !body.contains("stream"), "{path} {wrong}: {body}");
        }
    }
    // `status` shows it too; without it, it reads the folder and says why.
    let status = |token: Option<&str>| {
        let mut command = veritape();
        command.args(["status", "--json", "--data"]).arg(data.path());
        command.envs(token.map(|token| ("VERITAPE_HTTP_TOKEN", token)));
        let ended = Process::start(command).wait(SOON);
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        (told, ended.stderr)
    };
    assert!(status(Some(TOKEN)).0.get("live").is_some());
    let (told, said) = status(None);
    assert!(told.get("live").is_none() && told["recording"] == true, "{told}");
    assert!(said.contains("--http-token"), "{said}");
    recorder.signal(Signal::TERM);
    let ended = recorder.wait(SOON);
    assert!(ended.stderr.contains("wrong token"), "{}", ended.stderr);
    assert!(!ended.stderr.contains(TOKEN), "the token is in the log: {}", ended.stderr);
}

/// What a recorder that cannot have its address says, and how it ends.
fn refused(arguments: &[&str], code: i32, said: &str) {
    let data = tempdir().unwrap();
    let mut command = veritape();
    command.args(["record", "--markets", "KRW-BTC", "--for", "1s", "--rest-url"]);
    command.args(["http://127.0.0.1:1", "--ws-url", "ws://127.0.0.1:1", "--data"]);
    let ended = Process::start({
        command.arg(data.path()).args(arguments);
        command
    })
    .wait(SOON);
    assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {}", ended.stderr);
    assert!(ended.stderr.contains(said), "{arguments:?} does not say {said:?}: {}", ended.stderr);
    assert!(!Path::new(data.path()).join("catalog.sqlite").exists(), "nothing was begun");
}

#[test]
fn an_address_that_was_asked_for_must_be_had() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(&["--http", &address], 1, &address);
    refused(&["--http", "0.0.0.0:0"], 2, "--http-token");
    refused(&["--http", "0.0.0.0:0", "--http-token", "short"], 2, "16 characters");
    refused(&["--http", "here"], 2, "127.0.0.1:9187");
}

#[test]
fn the_usual_address_is_left_to_whoever_is_there() {
    // Whether this test has the port or somebody else: it is taken.
    let _taken = TcpListener::bind("127.0.0.1:9187");
    let sim = Sim::start(&["--markets", "1", "--rate", "20"]);
    let data = tempdir().unwrap();
    let recorder = sim.record_as_usual(data.path(), &["--markets", "all", "--streams", "trade"]);
    recorder.wait_for_talk("no status page at 127.0.0.1:9187", SOON);
    recorder.wait_for_talk("connected", SOON);
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
}
