//! What is told, against what is documented.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::routes::Shared;
use super::{Disk, Sources, metrics, now, status};
use crate::ingest::merge::LaneKey;
use crate::ingest::presence::{Attendance, Connection, Roll};
use crate::ingest::progress::{Progress, Tally};
use crate::ingest::pulse::Pulse;
use crate::ingest::queue::{QueueLimits, queue};
use crate::ingest::stats::Stats;
use crate::ingest::watched::Count;
use crate::model::event::ClockStep;
use crate::model::gap::{Gap, GapCause, GapState};
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::net::clock::{Clock, SystemClock};
use crate::net::testing;
use crate::store::catalog::{Catalog, Change, SessionRow, SessionTally};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A recorder with so many markets that has something to tell of everything; of them `watched` are
/// counted one by one.
fn shared(data: &Path, markets: usize, watched: &[&str]) -> Arc<Shared> {
    let mut progress = Progress::default();
    let mut roll = Roll::default();
    let session = SessionRow {
        id: 2,
        venue: "v".into(),
        endpoint: "ws://v".into(),
        subscriptions: "[]".into(),
        opened: Timestamp::from_millis(1_000),
        first_data: Some(Timestamp::from_millis(1_000)),
        closed: None,
        why: None,
        frames: 1,
        bytes: 1,
        proven_until: Some(Timestamp::from_millis(1_000)),
        tally: SessionTally::default(),
    };
    roll.connections.push(Connection { row: session.clone(), subscriptions: markets, line: 1 });
    for stream in [Stream::Trade, Stream::Ticker] {
        let key = ("v".into(), stream);
        let mut pulse = Pulse::default();
        for beat in 0..30 {
            pulse.rhythm.data(Duration::from_secs(beat), false);
        }
        pulse.lag.add(Duration::from_millis(3));
        progress.pulses.insert(key.clone(), pulse);
        let last = Some(Timestamp::from_millis(1_000));
        let tally = Tally { told: 7, last, last_recv: last, ..Tally::default() };
        progress.streams.insert(key.clone(), tally);
        let names: Vec<_> = (0..20).map(|one| Market::new(format!("M{one}"))).collect();
        let attendance = Attendance {
            asked: markets,
            served: markets,
            refused: (markets, names.clone()),
            awaited: (markets, names),
            away: None,
        };
        roll.streams.insert(key, attendance);
    }
    for market in watched {
        let market = Market::new(*market);
        let lane = LaneKey { venue: "v".into(), stream: Stream::Trade, market };
        roll.markets.insert(lane, Count { told: 3, last_recv: Timestamp::from_millis(1_000) });
    }
    progress.roll = Arc::new(roll);
    let gap = Gap {
        venue: "v".into(),
        stream: Stream::Trade,
        market: None,
        from: Timestamp::from_millis(1_000),
        to: None,
        cause: GapCause::Disconnect,
        state: GapState::Open,
        rows_repaired: 0,
        source: None,
        detail: String::new(),
    };
    let step = ClockStep { at: Timestamp::from_millis(1_000), by_us: -1_500_000 };
    let change = Change {
        gaps: vec![(1, gap)],
        sessions: vec![session],
        clock_steps: vec![step],
        ..Change::default()
    };
    Catalog::open(&data.join("catalog.sqlite")).unwrap().publish(&change).unwrap();
    board(data, progress)
}

/// What is served of this.
fn board(data: &Path, progress: Progress) -> Arc<Shared> {
    board_by(Arc::new(SystemClock::new()), data, progress)
}

fn board_by(clock: Arc<dyn Clock>, data: &Path, progress: Progress) -> Arc<Shared> {
    let (_, receiver) = queue(QueueLimits::default());
    let (_, watched) = watch::channel(progress);
    let shared = Shared::new(Sources {
        data: data.to_owned(),
        clock,
        progress: watched,
        stats: Arc::new(Stats::default()),
        gauge: receiver.gauge(),
        queue: QueueLimits::default(),
        disk: watch::channel(Disk { min_free_bytes: 1, bytes_per_day: Some(1 << 20) }).1,
        reload: None,
        token: None,
    });
    shared.board.take(&shared, Some(1 << 30));
    shared.board.take(&shared, Some(1 << 30));
    shared
}

/// Whoever waits for a recorder learns soon that it is ready.
#[tokio::test(start_paused = true)]
async fn pictures_are_taken_more_often_until_all_is_served() {
    for (awaited, expected) in [(1, 10), (0, 2)] {
        let attendance =
            Attendance { asked: 1, awaited: (awaited, Vec::new()), ..Attendance::default() };
        let roll =
            Roll { streams: [(("v".into(), Stream::Trade), attendance)].into(), ..Roll::default() };
        let progress = Progress { roll: Arc::new(roll), ..Progress::default() };
        let folder = tempfile::tempdir().unwrap();
        let shared = board_by(testing::clock(), folder.path(), progress);
        let sampling = tokio::spawn(now::sample(Arc::clone(&shared)));
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            seen.insert(shared.board.now().at);
        }
        sampling.abort();
        assert_eq!(seen.len(), expected, "{awaited} awaited");
    }
}

fn text(data: &Path, markets: usize, watched: &[&str]) -> String {
    let shared = shared(data, markets, watched);
    let gaps = Catalog::of_folder(data).unwrap().gap_counts().unwrap();
    let gaps = gaps.into_iter().map(|(state, count)| (state.to_string(), Value::from(count)));
    metrics::text(&shared, &shared.board.now(), Some(&gaps.collect::<Value>()))
}

/// The first cell of each row of the tables, without its back quotes.
fn documented() -> BTreeSet<String> {
    let readme = fs::read_to_string(root().join("src/serve/README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `veritape_"));
    rows.filter_map(|row| row.split('`').next()).map(|name| format!("veritape_{name}")).collect()
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let text = text(folder.path(), 3, &["M1"]);
    let mut told = BTreeSet::new();
    let mut valued = BTreeSet::new();
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("# TYPE ") {
            let name = line.split(' ').next().unwrap().to_owned();
            assert!(told.insert(name), "twice: {line}");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .find(|name| told.contains(*name))
                .unwrap_or(name);
            valued.insert(name.to_owned());
            let value = line.rsplit(' ').next().unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert_eq!(told, documented(), "left: /metrics; right: src/serve/README.md");
    assert_eq!(valued, told, "left: metrics with a value; right: all of them");
}

#[test]
fn many_markets_are_not_many_label_values() {
    let folder = tempfile::tempdir().unwrap();
    let (few, many) = (text(folder.path(), 2, &[]), text(folder.path(), 855, &[]));
    assert_eq!(few.lines().count(), many.lines().count());
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in many.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, labels)) = line.split_once('{') else { continue };
        for label in labels.split('}').next().unwrap().split(',') {
            let (name, value) = label.split_once('=').unwrap();
            values.entry(name.to_owned()).or_default().insert(value.to_owned());
        }
    }
    let names: Vec<_> = values.keys().map(String::as_str).collect();
    assert_eq!(names, ["class", "le", "state", "stream", "venue", "version"]);
    // Those that somebody asked for are.
    let asked = text(folder.path(), 855, &["M1", "M\"2"]);
    for line in [
        "veritape_market_records_total{venue=\"v\",stream=\"trade\",market=\"M1\"} 3",
        "veritape_market_records_total{venue=\"v\",stream=\"trade\",market=\"M\\\"2\"} 3",
        "veritape_market_last_receive_timestamp_seconds{venue=\"v\",stream=\"trade\",market=\"M1\"} 1",
    ] {
        assert!(asked.lines().any(|told| told == line), "{line}: {asked}");
    }
    assert_eq!(asked.lines().count(), few.lines().count() + 4);
}

/// What of `value` is not as `schema` says.
fn misfits(schema: &Value, value: &Value, place: &str, out: &mut Vec<String>) {
    let said = &schema["type"];
    let several = said.as_array().into_iter().flatten().filter_map(Value::as_str);
    let kinds: Vec<&str> = said.as_str().into_iter().chain(several).collect();
    assert!(!kinds.is_empty(), "{place} has no type in the schema");
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !(kinds.contains(&kind) || kind == "integer" && kinds.contains(&"number")) {
        out.push(format!("{place} is {kind}, not {kinds:?}"));
    }
    if let Some(object) = value.as_object()
        && let Some(known) = schema["properties"].as_object()
    {
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for key in object.keys().filter(|key| !known.contains_key(*key)) {
            out.push(format!("{place}.{key} is not in the schema"));
        }
        for key in required.iter().filter(|key| !object.contains_key(**key)) {
            out.push(format!("{place}.{key} is required"));
        }
        for (key, schema) in known {
            if let Some(value) = object.get(key) {
                misfits(schema, value, &format!("{place}.{key}"), out);
            }
        }
    }
    for one in value.as_array().into_iter().flatten() {
        misfits(&schema["items"], one, &format!("{place}[]"), out);
    }
}

#[test]
fn the_status_is_as_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = root().join("schemas/status.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let shared = shared(folder.path(), 3, &[]);
    let catalog = Catalog::of_folder(folder.path()).unwrap();
    let mut document = status::held(&catalog, folder.path(), true).unwrap();
    let mut out = Vec::new();
    misfits(&schema, &document, "at rest", &mut out);
    document["live"] = status::live(&shared, &shared.board.now());
    misfits(&schema, &document, "live", &mut out);
    assert!(out.is_empty(), "{}: {out:#?}", path.display());
    // The same the other way round: no key of the schema is one that is never told.
    let mut never = Vec::new();
    unused(&schema, &document, "", &mut never);
    assert!(never.is_empty(), "{}: {never:#?}", path.display());
}

/// Keys of the schema that the document lacks, where there is an object that could have them.
fn unused(schema: &Value, value: &Value, place: &str, out: &mut Vec<String>) {
    let Some(known) = schema["properties"].as_object().filter(|_| value.is_object()) else {
        return;
    };
    for (key, schema) in known {
        match value.get(key) {
            None => out.push(format!("{place}.{key}")),
            Some(Value::Array(all)) => {
                let one = all.first().unwrap_or(&Value::Null);
                unused(&schema["items"], one, &format!("{place}.{key}[]"), out);
            }
            Some(one) => unused(schema, one, &format!("{place}.{key}"), out),
        }
    }
}
