//! Notices: a webhook hears of a gap and of health, once it is well itself; one that is not well
//! does nothing to the recording.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Process, Python, SOON};
use crate::recording::Recording;

const SECRET: &str = "a-secret-of-this-test";
/// In the address, where many webhooks have theirs.
const KEY: &str = "a-key-of-this-test";

/// What one request to the webhook held.
#[derive(Debug, Clone)]
struct Post {
    head: String,
    body: Value,
}

#[derive(Default)]
struct Heard {
    posts: Mutex<Vec<Post>>,
    changed: Condvar,
}

/// A webhook on loopback. It answers with `answers`, one after the other, then with 204.
struct Webhook {
    url: String,
    heard: Arc<Heard>,
}

impl Webhook {
    fn answering(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?key={KEY}", listener.local_addr().unwrap());
        let heard = Arc::new(Heard::default());
        let mut answers: VecDeque<&str> = answers.iter().copied().collect();
        let told = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(post) = Self::read(&stream) else { continue };
                let answer = answers.pop_front().unwrap_or("204 No Content");
                told.posts.lock().unwrap().push(post);
                told.changed.notify_all();
                let end = "connection: close\r\ncontent-length: 0\r\n\r\n";
                drop(stream.write_all(format!("HTTP/1.1 {answer}\r\n{end}").as_bytes()));
            }
        });
        Self { url, heard }
    }

    fn read(stream: &TcpStream) -> Option<Post> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let length = head.to_lowercase();
        let length = length.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(Post { head, body: serde_json::from_slice(&body).ok()? })
    }

    /// Waits until what `wanted` looks for is among the posts, and gives them.
    fn wait(&self, what: &str, wanted: impl Fn(&[Post]) -> bool) -> Vec<Post> {
        let posts = self.heard.posts.lock().unwrap();
        let within = Duration::from_mins(1);
        let changed = &self.heard.changed;
        let (posts, late) =
            changed.wait_timeout_while(posts, within, |posts| !wanted(posts)).unwrap();
        assert!(!late.timed_out(), "{what}: {posts:#?}");
        posts.clone()
    }

    fn settings(&self, rest: &str) -> String {
        format!("[notify]\nurl = '{}'\nsecret = '{SECRET}'\n{rest}", self.url)
    }
}

/// The events of these posts, in order.
fn events(posts: &[Post]) -> Vec<&Value> {
    posts.iter().flat_map(|post| post.body["events"].as_array().unwrap()).collect()
}

fn has(posts: &[Post], names: &[&str]) -> bool {
    let told = events(posts);
    names.iter().all(|name| told.iter().any(|event| event["event"] == *name))
}

fn end(recorder: Process) -> String {
    recorder.signal(Signal::TERM);
    let ended = recorder.wait(SOON);
    assert!(ended.status.success(), "{}", ended.stderr);
    for hidden in [SECRET, KEY] {
        assert!(!ended.stderr.contains(hidden), "{hidden} is in the log: {}", ended.stderr);
    }
    ended.stderr
}

#[test]
fn a_webhook_hears_of_gaps_and_of_health() {
    // Heartbeats go on; no new connection is let in while it lasts.
    let faults = "[[fault]]\nafter = '6s'\nwhat = 'stall'\nfor = '14s'\n
        [[fault]]\nafter = '6s'\nwhat = 'handshake_429'\nfor = '14s'\n";
    let venue = ["--markets", "8", "--rate", "400", "--seed", "5"];
    let recording = Recording::of(&venue, faults);
    let webhook = Webhook::answering(&["500 No", "503 No"]);
    let settings = webhook.settings("min_interval = '1s'");
    let streams = ["--markets", "all", "--streams", "trade,orderbook", "-vv"];
    let recorder = recording.start_with(&settings, &streams);
    let all = ["gap_opened", "health_lost", "gap_closed", "health_regained"];
    let posts = webhook.wait("all four events", |posts| has(posts, &all));
    end(recorder);

    for post in &posts {
        let head = post.head.to_lowercase();
        assert!(head.starts_with(&format!("post /hook?key={KEY} http/1.1\r\n")), "{head}");
        assert!(head.contains(&format!("\r\nx-veritape-secret: {SECRET}\r\n")), "{head}");
        assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
        assert_eq!(post.body["left_out"], 0, "{post:#?}");
    }
    // What was answered with 500 and 503 came again, whole.
    let ids = |post: &Post| events(std::slice::from_ref(post))[0]["id"].clone();
    assert_eq!((ids(&posts[0]), ids(&posts[1])), (ids(&posts[1]), ids(&posts[2])));
    let taken = &posts[2..];
    let told = events(taken);
    let named = |name: &str| told.iter().filter(|event| event["event"] == name).count();
    assert_eq!((named("health_lost"), named("health_regained")), (1, 1), "{told:#?}");
    let order: Vec<_> = told.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let at = |name: &str| order.iter().position(|one| *one == name).unwrap();
    assert!(at("health_lost") < at("health_regained"), "{order:?}");
    // The same gaps as those of the ledger, each once.
    let gaps = recording.gaps();
    for gap in &gaps {
        let of_gap = |name: &'static str| {
            let key = |key: &str| gap[key].clone();
            told.iter().filter(move |event| {
                event["event"] == name
                    && event["detail"]["stream"] == key("stream")
                    && event["detail"]["from"] == key("from")
                    && event["detail"]["market"] == key("market")
                    && event["detail"]["cause"] == key("cause")
            })
        };
        assert_eq!(of_gap("gap_opened").count(), 1, "{gap:#} of {told:#?}");
        let closed: Vec<_> = of_gap("gap_closed").collect();
        assert_eq!(closed.len(), 1, "{gap:#} of {told:#?}");
        assert_eq!(closed[0]["detail"]["to"], gap["to"], "{gap:#}");
        assert_eq!(closed[0]["venue"], "upbit");
        assert!(closed[0]["data"].as_str().unwrap().ends_with("/data"), "{closed:#?}");
    }
    assert!(gaps.iter().any(|gap| gap["cause"] == "silence"), "{gaps:#?}");
}

#[test]
fn a_webhook_that_is_not_well_does_nothing_to_the_recording() {
    let Some(python) = Python::find() else { return };
    let faults = "[[fault]]\nafter = '3s'\nwhat = 'drop'\n";
    let venue = ["--markets", "10", "--rate", "800", "--seed", "8"];
    let mut recording = Recording::of(&venue, faults);
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/{KEY}", silent.local_addr().unwrap());
    let settings = format!("[notify]\nurl = '{url}'\nsecret = '{SECRET}'\n");
    let streams = ["--markets", "all", "--streams", "trade,candle.1s"];
    let recorder = recording.start_with(&settings, &streams);
    // It was told of the gap, and holds that post.
    let (asked, _) = silent.accept().unwrap();
    recording.more_trades(500);
    let said = end(recorder);
    assert!(said.contains("events reached nobody"), "{said}");
    drop(asked);
    let gaps = recording.gaps();
    assert!(gaps.iter().all(|gap| gap["cause"] == "disconnect"), "{gaps:#?}");
    recording.compare(&python, &[]);
}

#[test]
fn a_webhook_that_refuses_is_told_the_rest() {
    let faults = "[[fault]]\nevery = '3s'\nwhat = 'drop'\n";
    let venue = ["--markets", "4", "--rate", "100", "--seed", "9"];
    let recording = Recording::of(&venue, faults);
    // An answer that no second try would change: what it held is counted, and not sent again.
    let webhook = Webhook::answering(&["400 Bad Request"]);
    let settings = webhook.settings("min_interval = '100ms'\nevents = ['gap_closed']");
    let recorder = recording.start_with(&settings, &["--markets", "all", "--streams", "trade"]);
    let posts = webhook.wait("a second post", |posts| posts.len() >= 2);
    let said = end(recorder);
    assert!(said.contains("the webhook refused them"), "{said}");
    let lost = posts[0].body["events"].as_array().unwrap().len();
    assert_eq!(posts[1].body["left_out"], lost, "{posts:#?}");
    let told = events(&posts);
    assert!(told.iter().all(|event| event["event"] == "gap_closed"), "{told:#?}");
    assert_ne!(told[0]["id"], told[lost]["id"], "{told:#?}");
}
