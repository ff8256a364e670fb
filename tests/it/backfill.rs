//! The past by REST: whole, once, within the rate and close to it, whatever goes wrong.
//!
//! `VERITAPE_TEST_SEED` picks other moments for the kills; they are printed.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::{TempDir, tempdir};
use veritape::model::time::Timestamp;
use veritape::net::clock::{Clock as _, SystemClock};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::harness::{Ended, Process, Python, SOON, Sim, backfill, capture, json_lines, veritape};

pub(crate) const DAY: Duration = Duration::from_hours(24);

/// A simulated venue that notes what it is asked, and a data folder.
pub(crate) struct Past {
    folder: TempDir,
    pub(crate) sim: Sim,
    /// When it began, on a whole minute that begins no hour.
    now: Timestamp,
}

impl Past {
    pub(crate) fn of(venue: &[&str], faults: &str) -> Self {
        let folder = tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("faults"), faults).unwrap();
        let (calls, faults) = (path("calls"), path("faults"));
        let files = ["--calls", &calls, "--faults", &faults];
        // A minute ends and is settled before anything of it is asked for.
        let now = SystemClock::new().now().before(Duration::from_secs(10));
        let now = Timestamp::from_micros(now.micros() - now.micros().rem_euclid(60_000_000));
        // What ends at midnight touches a day less, and wholly.
        let now = if now == now.hour() { now.before(Duration::from_mins(1)) } else { now };
        let sim = Sim::start(&[venue, &files].concat());
        Self { folder, sim, now }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn ago(&self, time: Duration) -> String {
        self.now.before(time).to_string()
    }

    /// Asks for so much of the past up to the beginning.
    pub(crate) fn ask(&self, time: Duration, more: &[&str]) -> Process {
        let (from, to) = (self.ago(time), self.now.to_string());
        self.sim.backfill(&self.data(), &[&["--from", &from, "--to", &to], more].concat())
    }

    /// The requests for pages that were made so far: when (milliseconds), address, status.
    pub(crate) fn calls(&self) -> Vec<(i64, String, u64)> {
        let log = fs::read_to_string(self.folder.path().join("calls")).unwrap();
        // The last line may still be written.
        let log = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let calls = json_lines(log).into_iter().filter(|call| call["group"] != "market");
        let read = |call: Value| {
            let url = call["url"].as_str().unwrap().to_owned();
            (call["at"].as_i64().unwrap(), url, call["status"].as_u64().unwrap())
        };
        calls.map(read).collect()
    }

    /// Compares with what the venue says; gives the number of rows.
    fn compare(&self, python: &Python, stream: &str, market: &str, time: Duration) -> u64 {
        let (data, from, to) = (self.data(), self.ago(time), self.now.to_string());
        let data = data.to_str().unwrap();
        let told =
            python.run("tests/it/past.py", &[self.sim.rest(), data, stream, market, &from, &to]);
        serde_json::from_str::<Value>(&told).unwrap()["rows"].as_u64().unwrap()
    }

    fn jobs(&self) -> Vec<Value> {
        let mut command = veritape();
        command.args(["jobs", "--json", "--data"]).arg(self.data());
        let told = Process::start(command).wait(SOON).success();
        serde_json::from_str::<Value>(&told).unwrap()["jobs"].as_array().unwrap().clone()
    }
}

/// What a call said, and how it ended.
pub(crate) fn summary(ended: &Ended, code: i32) -> Value {
    assert_eq!(ended.status.code(), Some(code), "{}\n{}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
}

const MINUTES: [&str; 4] = ["--markets", "KRW-BTC", "--streams", "candle.1m"];

#[test]
fn two_weeks_of_minutes_are_had_at_the_rate_and_never_above_it() {
    let Some(python) = Python::find() else { return };
    let past = Past::of(&["--markets", "3", "--rate", "20", "--seed", "14"], "");
    let told = summary(&past.ask(14 * DAY, &MINUTES).wait(SOON * 2), 0);
    let calls = past.calls();
    let rows = past.compare(&python, "candle.1m", "KRW-BTC", 14 * DAY);
    println!("{rows} rows, {} calls: {told}", calls.len());
    assert_eq!(told["rows"], rows, "{told}");
    assert!((5_000..20_000).contains(&rows), "a share of the windows is absent, and not most");
    let made = calls.len() as u64;
    assert_eq!((&told["calls"], &told["retries"]), (&Value::from(made), &Value::from(0)));
    assert!(made * 200 * 100 <= rows * 105, "{made} calls for {rows} rows");

    let at: Vec<i64> = calls.iter().map(|(at, ..)| *at).collect();
    let most = at.iter().map(|from| at.iter().filter(|one| **one / 1_000 == from / 1_000).count());
    assert!(most.max() <= Some(10), "more than 10 calls in a second: {at:?}");
    assert!(calls.iter().all(|(.., status)| *status == 200), "{calls:?}");
    let took = at.iter().max().unwrap() - at.iter().min().unwrap();
    let used = (made - 1) * 100_000 / (10 * took.unsigned_abs());
    // How close it comes to the rate is measured by the bench: here other tests run beside it.
    println!("{used} % of the rate used");
    assert!(used >= 50 && told["rate_used"].as_f64() > Some(0.5), "{used} %: {told}");

    // All of it is there: nothing is asked for again, and with --force everything is.
    let before = past.calls().len();
    let told = summary(&past.ask(14 * DAY, &MINUTES).wait(SOON), 0);
    assert_eq!((&told["jobs"], past.calls().len()), (&Value::from(0), before), "{told}");
    let force = [&MINUTES[..], &["--force"]].concat();
    let told = summary(&past.ask(DAY, &force).wait(SOON), 0);
    assert!(told["rows"] == 0 && told["known"].as_u64() > Some(500), "{told}");
}

#[test]
fn a_kill_costs_no_row_and_at_most_the_pages_on_their_way() {
    let Some(python) = Python::find() else { return };
    let dice = env::var("VERITAPE_TEST_SEED").ok().and_then(|dice| dice.parse().ok()).unwrap_or(5);
    let past = Past::of(&["--markets", "3", "--rate", "20", "--seed", "15"], "");
    let (mut moments, mut last) = (Vec::new(), Vec::new());
    for nth in 0..10_u64 {
        // A call begins to ask with the next second.
        let moment = 100 + xxh3_64_with_seed(&nth.to_le_bytes(), dice) % 1_800;
        let asking = past.ask(21 * DAY, &MINUTES);
        // The moment is what is tried here; nothing waits for it.
        thread::sleep(Duration::from_millis(moment));
        asking.signal(Signal::KILL);
        let ended = asking.wait(SOON);
        assert_eq!(ended.status.code(), None, "it ended before the kill: {}", ended.stderr);
        moments.push(moment);
        last.push(past.calls().len());
    }
    println!("seed {dice}, killed after {moments:?} ms, {last:?} calls");
    summary(&past.ask(21 * DAY, &MINUTES).wait(SOON * 2), 0);
    let calls = past.calls();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, (_, url, status)) in calls.iter().enumerate() {
        assert_eq!(*status, 200, "{url}");
        let Some(first) = seen.insert(url, index) else { continue };
        // The first of both was among the last before a kill: one for each job at work.
        let killed = last.iter().find(|count| first < **count).copied().unwrap_or(0);
        assert!(
            first + 4 > killed && index >= killed,
            "{url} was asked for at {first} and {index}"
        );
    }
    past.compare(&python, "candle.1m", "KRW-BTC", 21 * DAY);
    assert!(past.jobs().iter().all(|job| job["state"] == "done"), "{:#?}", past.jobs());
}

fn fault(after: &str, what: &str, more: &str) -> String {
    format!("[[fault]]\nafter = '{after}'\nwhat = '{what}'\n{more}\n")
}

#[test]
fn whatever_rest_does_the_rows_are_those_of_the_venue() {
    let Some(python) = Python::find() else { return };
    let faults = [
        fault("500ms", "rest_500", "count = 2"),
        fault("700ms", "rest_html", "count = 2"),
        fault("900ms", "rest_truncated", "count = 2"),
        fault("1100ms", "rest_429", "count = 2"),
        fault("1500ms", "rest_418", "for = '1s'"),
        fault("3500ms", "rest_slow", ""),
        fault("4s", "rest_timeout", ""),
    ];
    let past = Past::of(&["--markets", "2", "--rate", "20", "--seed", "16"], &faults.concat());
    let config = past.folder.path().join("veritape.toml");
    fs::write(&config, "rotate = '2s'\n").unwrap();
    let config = config.to_str().unwrap();
    // Three days of trades, across two midnights.
    let wanted = ["--markets", "all", "--streams", "candle.1m,trade,candle.1d", "--config", config];
    let told = summary(&past.ask(2 * DAY, &wanted).wait(SOON * 3), 0);
    assert!(told["retries"].as_u64() >= Some(9), "{told}");
    for (stream, market) in [("candle.1m", "KRW-BTC"), ("trade", "KRW-BTC"), ("trade", "KRW-ETH")] {
        let rows = past.compare(&python, stream, market, 2 * DAY);
        assert!(rows > 500, "{stream} {market}: {rows}");
    }
    let days = python.rows(&past.data(), "candle.1d");
    assert_eq!(days.iter().filter(|row| row["market"] == "KRW-BTC").count(), 1, "{days:?}");
}

#[test]
fn recorded_pages_give_exactly_their_rows() {
    let Some(python) = Python::find() else { return };
    let pages =
        ["a", "b"].map(|part| capture(&format!("upbit/rest-candles-1m-2020-02-20{part}.json")));
    let [Some(older), Some(newer)] = pages else { return };
    let bodies = [&older, &newer].map(|path| fs::read_to_string(path).unwrap());
    let data = tempdir().unwrap();
    let rest = serve(bodies.clone());
    let range = ["--from", "2020-02-20T17:00", "--to", "2020-02-20T21:00", "--timezone", "KST"];
    let told =
        summary(&backfill(&rest, data.path(), &[&MINUTES[..], &range].concat()).wait(SOON), 0);
    assert_eq!(
        (&told["rows"], &told["known"], &told["calls"]),
        (&240.into(), &0.into(), &2.into())
    );
    let rows = python.rows(data.path(), "candle.1m");
    assert_eq!(rows.len(), 240);
    let [older, newer] = bodies.map(|body| serde_json::from_str::<Vec<Value>>(&body).unwrap());
    for told in older.iter().chain(&newer) {
        let open = format!("{}Z", told["candle_date_time_utc"].as_str().unwrap());
        let open = open.parse::<Timestamp>().unwrap().micros();
        let row = rows.iter().find(|row| row["ts_open"] == open).expect("a row for each candle");
        for (column, key) in [
            ("open", "opening_price"),
            ("high", "high_price"),
            ("low", "low_price"),
            ("close", "trade_price"),
            ("volume", "candle_acc_trade_volume"),
            ("turnover", "candle_acc_trade_price"),
        ] {
            assert_eq!(row[column].as_f64(), told[key].as_f64(), "{column} of {told}");
        }
        assert_eq!(row["source"], "rest");
    }
}

/// Serves recorded pages, the older one to whoever asks for what is before the newer one.
fn serve([older, newer]: [String; 2]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for wire in listener.incoming() {
            let mut wire = BufReader::new(wire.unwrap());
            let mut line = String::new();
            wire.read_line(&mut line).unwrap();
            let mut head = String::new();
            while head != "\r\n" {
                head.clear();
                wire.read_line(&mut head).unwrap();
            }
            let body = if line.contains("to=2020-02-20T12%3A00%3A00Z&") {
                &newer
            } else if line.contains("to=2020-02-20T11%3A20%3A00Z&") {
                &older
            } else {
                "[]"
            };
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            wire.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    url
}

#[test]
fn what_is_interrupted_goes_on_and_what_is_cancelled_does_not() {
    let past = Past::of(&["--markets", "3", "--rate", "20", "--seed", "17"], "");
    let asking = past.ask(7 * DAY, &MINUTES);
    asking.wait_for_talk("jobs", SOON);
    crate::harness::wait_until("calls", SOON, || (past.calls().len() > 3).then_some(()));
    asking.signal(Signal::INT);
    let told = summary(&asking.wait(SOON), 3);
    assert!(told["left"].as_u64() > Some(0), "{told}");
    let jobs = past.jobs();
    let unfinished = jobs.iter().find(|job| job["state"] == "running").expect("a job to cancel");
    let id = unfinished["id"].to_string();
    let jobs_of = |arguments: &[&str], code: i32, said: &str| {
        let mut command = veritape();
        command.arg("jobs").args(arguments).arg("--data").arg(past.data());
        let ended = Process::start(command).wait(SOON);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
    };
    jobs_of(&["cancel", &id], 0, "");
    jobs_of(&["cancel", &id], 2, "is cancelled already");
    jobs_of(&["cancel", "999"], 2, "there is no job 999");
    let state = |id: &str| {
        let jobs = past.jobs();
        let job = jobs.iter().find(|job| job["id"].as_i64() == id.parse().ok());
        job.expect("the job is listed")["state"].clone()
    };
    assert_eq!(state(&id), "cancelled");
    // Without arguments it goes on with all that is left.
    summary(&past.sim.backfill(&past.data(), &[]).wait(SOON), 0);
    assert_eq!(state(&id), "cancelled");
    jobs_of(&["restart", &id], 0, "");
    assert_eq!(state(&id), "planned");
    let told = summary(&past.sim.backfill(&past.data(), &[]).wait(SOON), 0);
    assert_eq!((&told["jobs"], &told["resumed"]), (&Value::from(1), &Value::from(1)), "{told}");
    jobs_of(&["restart", &id], 2, "is done");
    let Some(python) = Python::find() else { return };
    past.compare(&python, "candle.1m", "KRW-BTC", 7 * DAY);
}

#[test]
fn what_cannot_be_had_is_named_and_the_rest_goes_on() {
    let past = Past::of(&["--markets", "3", "--rate", "20", "--seed", "18"], "");
    let wanted = ["--markets", "KRW-BTC,KRW-BTCC", "--streams", "candle.1m"];
    let ended = past.ask(DAY / 24, &wanted).wait(SOON);
    for words in ["does not list KRW-BTCC", "did you mean \"KRW-BTC\"?", "no market KRW-BTCC"] {
        assert!(ended.stderr.contains(words), "not {words:?}: {}", ended.stderr);
    }
    let told = summary(&ended, 3);
    assert!(told["rows"].as_u64() > Some(10), "{told}");
    assert_eq!(told["failed"][0]["market"], "KRW-BTCC", "{told}");

    let ended = past.ask(30 * DAY, &["--markets", "KRW-BTC", "--streams", "trade", "--dry-run"]);
    let ended = ended.wait(SOON);
    let told = summary(&ended, 3);
    assert_eq!(
        (&told["streams"][0]["markets"], &told["streams"][0]["jobs"]),
        (&1.into(), &8.into())
    );
    assert!(told["lost"][0]["why"].as_str().unwrap().contains("keeps trade from"), "{told}");
    assert!(told["seconds"].as_f64() > Some(1.0) && told["streams"][0]["bytes"].as_u64() > Some(1));
    assert!(past.calls().len() < 10, "a dry run asks for nothing");

    let usage: [(&[&str], &str); 7] = [
        (&["--from", "yesterday"], "--from \"yesterday\": write a day such as"),
        (&["--from", "1d", "--to", "2d"], "must be before --to"),
        (&["--from", "1d", "--timezone", "CET"], "--timezone \"CET\" is no time zone"),
        (&["--from", "1d", "--streams", "orderbook"], "no past of stream \"orderbook\""),
        (&["--from", "1d", "--streams", "candle.2m"], "did you mean \"candle."),
        (&["--from", "1d", "--markets", "KRW-Z*"], "matches none"),
        (&["--dry-run"], "--from"),
    ];
    for (arguments, said) in usage {
        let most = ["--streams", "--markets", "--from"].map(|name| arguments.contains(&name));
        let mut all = arguments.to_vec();
        if !most[0] {
            all.extend(["--streams", "candle.1m"]);
        }
        if !most[1] {
            all.extend(["--markets", "KRW-BTC"]);
        }
        let folder = past.folder.path().join("nothing");
        let ended = past.sim.backfill(&folder, &all).wait(SOON);
        assert_eq!(ended.status.code(), Some(2), "{all:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{all:?}: {}", ended.stderr);
        assert!(!Path::new(&folder).join("stream=candle.1m").exists());
    }
}
