//! A recording of two runs over midnight, and what a folder holds, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::ingest::writer::{Writer, WriterOptions};
use crate::model::event::{Event, SessionClosed, SessionOpened};
use crate::model::frame::{Frame, Origin};
use crate::model::market::{Market, Source};
use crate::model::record::CellSink;
use crate::model::subscription::{Stream, Subscription};
use crate::model::time::Timestamp;
use crate::net::clock::Clock;
use crate::store::catalog::{Catalog, Filter};
use crate::store::fs::{Fs, RealFs};
use crate::store::journal::Keep;
use crate::store::paths::Paths;
use crate::store::segment::{self, Extent};

const VENUE: &str = "upbit";
/// The second of the script at which a day begins.
pub(super) const MIDNIGHT: i64 = 600;
/// When the first run ends and the second begins.
pub(super) const RUNS: [std::ops::Range<i64>; 2] = [0..1_000, 1_100..1_800];

/// An instant of the script.
pub(super) fn at(second: i64) -> Timestamp {
    let midnight: Timestamp = "2026-09-22T00:00:00Z".parse().unwrap();
    Timestamp::from_micros(midnight.micros() + (second - MIDNIGHT) * 1_000_000)
}

pub(super) fn real() -> Arc<dyn Fs> {
    Arc::new(RealFs)
}

/// Records one run into `data`, with raw frames kept.
pub(super) fn play(data: &Path, session: i64, run: std::ops::Range<i64>) {
    let options = WriterOptions {
        keep: Keep::Raw(Paths::new(data).raw_root()),
        disk_full_grace: Duration::ZERO,
        ..WriterOptions::default()
    };
    let clock = Arc::new(Stopped(at(run.start)));
    let writer = Writer::start(data, real(), clock, options).unwrap();
    writer.play(events(session, run)).unwrap();
}

/// A clock that shows when a run began.
#[derive(Debug)]
struct Stopped(Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn events(session: i64, run: std::ops::Range<i64>) -> Vec<Event> {
    let subscription = |stream| Subscription { stream, market: Market::new("KRW-A"), depth: None };
    let mut events = vec![Event::SessionOpened(SessionOpened {
        session,
        venue: VENUE.into(),
        endpoint: "ws://v".into(),
        subscriptions: Arc::from([subscription(Stream::Trade)]),
        line: 1,
        at: at(run.start),
    })];
    let (start, end) = (run.start, run.end);
    // What a venue sends at subscription: the last of each, however old.
    for body in [trade("KRW-A", start - start % 10, "BID"), quiet_book(), quiet_ticker()] {
        events.push(frame(start, session, &body));
    }
    for second in run.step_by(5) {
        for body in at_second(start, second) {
            events.push(frame(second, session, &body));
        }
        if second % 100 == 0 {
            events.push(listing(second, session));
        }
        events.push(Event::Tick(at(second + 4)));
    }
    events.push(Event::SessionClosed(SessionClosed {
        session,
        at: at(end),
        proven_until: at(end),
        cause: None,
        why: "because".into(),
        frames: 0,
        bytes: 0,
    }));
    events
}

/// What the venue tells at a second that is a multiple of five.
fn at_second(start: i64, second: i64) -> Vec<Value> {
    let minute = second - second.rem_euclid(60);
    let mut told = vec![
        trade("KRW-A", second, "BID"),
        trade("KRW-B", second, "ASK"),
        // The second line tells it again.
        trade("KRW-A", second, "BID"),
        book("KRW-A", second),
        candle("candle.1s", second, 1.0, second),
        candle("candle.1s", second, 2.0, second + 1),
        candle("candle.1m", minute, f64::from(i32::try_from(second).unwrap()), second),
    ];
    if second % 50 == 0 {
        told.extend([quiet_book(), json!(["garbage", second]), ticker("KRW-A", second)]);
    }
    if second % 60 == 15 {
        // Revisions of candles that wait for a file, and of some that are in one.
        told.push(candle("candle.1s", second - 10, 3.0, second));
    }
    if second % 60 == 15 && minute - 120 >= start - start % 60 {
        told.push(candle("candle.1m", minute - 120, 9.0, second));
    }
    told
}

fn ms(second: i64) -> i64 {
    at(second).micros() / 1_000
}

fn frame(second: i64, session: i64, body: &Value) -> Event {
    let (source, stream, market) = (Source::Ws, None, None);
    let origin = Origin { venue: VENUE.into(), session, source, stream, market };
    Event::Frame(Frame::arrived(at(second), Arc::new(origin), Bytes::from(body.to_string())))
}

/// A list of markets, in which one goes and comes, and one is warned of.
fn listing(second: i64, session: i64) -> Event {
    let hundreds = second / 100;
    let mut listed = vec![json!({"market": "KRW-A", "korean_name": "가", "english_name": "A",
        "market_event": {"warning": hundreds % 4 == 3, "caution": {}}})];
    if hundreds % 3 != 1 {
        listed.push(json!({"market": "KRW-B", "korean_name": "나", "english_name": "B"}));
    }
    let (source, stream, market) = (Source::Rest, Some(Stream::Instrument), None);
    let origin = Origin { venue: VENUE.into(), session, source, stream, market };
    let body = Bytes::from(Value::from(listed).to_string());
    Event::Frame(Frame::arrived(at(second), Arc::new(origin), body))
}

fn trade(market: &str, second: i64, side: &str) -> Value {
    json!({"ty": "trade", "cd": market, "tms": ms(second) + 5, "ttms": ms(second), "tp": 5.5,
        "tv": 0.1, "ab": side, "pcp": 4.0, "c": "RISE",
        "cp": 1.5, "sid": 1_000_000 + second, "st": "REALTIME"})
}

fn book(market: &str, second: i64) -> Value {
    json!({"ty": "orderbook", "cd": market, "tms": ms(second), "tas": 0.7, "tbs": 0.25,
        "obu": [{"ap": 6.0, "bp": 5.0, "as": 0.7, "bs": 0.25}], "st": "REALTIME", "lv": 0})
}

fn quiet_book() -> Value {
    book("KRW-Q", 1)
}

fn ticker(market: &str, second: i64) -> Value {
    json!({"ty": "ticker", "cd": market, "tp": 5.5, "tms": ms(second), "st": "SNAPSHOT"})
}

fn quiet_ticker() -> Value {
    ticker("KRW-Q", 2)
}

fn candle(kind: &str, open: i64, close: f64, last: i64) -> Value {
    let ts_open = at(open).datetime().format("%Y-%m-%dT%H:%M:%S").to_string();
    json!({"ty": kind, "cd": "KRW-A", "cdttmu": ts_open, "op": 1.0, "hp": 9.0, "lp": 1.0,
        "tp": close, "catv": 1.0, "catp": 1.0, "tms": ms(last), "st": "REALTIME"})
}

/// Everything that is published: each row with its stream and day, in order; and the rows of each
/// hour as the catalog counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holdings {
    pub(super) rows: Vec<String>,
    pub(super) hours: BTreeMap<String, u64>,
}

impl Holdings {
    pub(super) fn of(data: &Path) -> Self {
        let (fs, paths, catalog) = (real(), Paths::new(data), Catalog::of_folder(data).unwrap());
        let mut rows = Vec::new();
        let segments = catalog.segments(&Filter::default()).unwrap();
        for one in &segments {
            let mut count = 0;
            segment::scan(&fs, &paths, one, Extent::Whole, |cells| {
                for row in cells.rows() {
                    let mut line = Line(format!("{} {}", one.name.stream, one.name.date));
                    cells.put(row, &mut line);
                    rows.push(line.0);
                    count += 1;
                }
            })
            .unwrap();
            assert_eq!(count, one.rows, "{}", one.name);
        }
        rows.sort();
        let listed: BTreeSet<_> = segments.into_iter().map(|one| one.name).collect();
        let found = paths.walk(fs.as_ref()).unwrap();
        let lying: BTreeSet<_> = found.parts.into_iter().collect();
        let strange: Vec<_> = lying.symmetric_difference(&listed).collect();
        assert!(strange.is_empty(), "listed or lying there, but not both: {strange:?}");
        assert_eq!(found.unpublished, Vec::<std::path::PathBuf>::new());
        let hours = catalog.coverage(&Filter::default()).unwrap().into_iter();
        let hours =
            hours.map(|one| (format!("{} {:?} {}", one.stream, one.market, one.hour), one.rows));
        Self { rows, hours: hours.filter(|(_, rows)| *rows > 0).collect() }
    }

    /// Rows of a stream.
    pub(super) fn of_stream(&self, stream: &str) -> Vec<&String> {
        let start = format!("{stream} ");
        self.rows.iter().filter(|row| row.starts_with(&start)).collect()
    }
}

/// Cells as text.
struct Line(String);

impl Line {
    fn put(&mut self, cell: &dyn std::fmt::Debug) {
        write!(self.0, " {cell:?}").unwrap();
    }
}

impl CellSink for Line {
    fn time(&mut self, value: Option<Timestamp>) {
        self.put(&value.map(Timestamp::micros));
    }
    fn int(&mut self, value: Option<i64>) {
        self.put(&value);
    }
    fn float(&mut self, value: Option<f64>) {
        self.put(&value.map(f64::to_bits));
    }
    fn bool(&mut self, value: Option<bool>) {
        self.put(&value);
    }
    fn text(&mut self, value: Option<&str>) {
        self.put(&value);
    }
    fn floats(&mut self, value: &[f64]) {
        self.put(&value);
    }
    fn bytes(&mut self, value: &[u8]) {
        self.put(&value);
    }
}
