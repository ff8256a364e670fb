//! A recorder looks after what it finds: it merges the small files of a day before and proves its
//! hours, while it records.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Process, SOON, veritape, wait_until};
use crate::http::{address, get};
use crate::recording::Recording;
use veritape::model::market::{Market, Side, Source};
use veritape::model::record::{Body, Candle, Head, Row, Trade};
use veritape::model::subscription::{CandleUnit, Stream};
use veritape::model::time::{SECOND_US, Timestamp};
use veritape::net::clock::{Clock as _, SystemClock};
use veritape::store::catalog::{Catalog, Change, HourRows, LiveSpan, SessionRow, SessionTally};
use veritape::store::fs::{Fs, RealFs};
use veritape::store::paths::{PartName, Paths};
use veritape::store::segment::{Contents, write};

const MARKET: &str = "KRW-OLD";
const CANDLES: Stream = Stream::Candle(CandleUnit::S1);
const HOUR: Duration = Duration::from_hours(1);
/// Small files of each hour.
const FILES: i64 = 6;

fn row(at: Timestamp, frame: i64, body: Body) -> Row {
    let (market, source) = (Some(Market::new(MARKET)), Source::Ws);
    let ts_recv = at.after(Duration::from_millis(1_500));
    Row { head: Head { market, ts_recv, source, snapshot: false, session: 1, frame }, body }
}

/// A trade every ten seconds of ten minutes, and the candle of its second.
fn rows(from: Timestamp) -> [(Stream, Vec<Row>); 2] {
    let (mut trades, mut candles) = (Vec::new(), Vec::new());
    for place in 0..60_i64 {
        let at = Timestamp::from_micros(from.micros() + place * 10 * SECOND_US + 250_000);
        let (id, ts_open) = (at.micros(), Timestamp::from_micros(at.micros() - 250_000));
        let (price, size) = (100.0 + f64::from(i32::try_from(place).unwrap()), 0.5);
        let (none, frame) = (None, id / SECOND_US * 2);
        trades.push(row(
            at,
            frame,
            Body::Trade(Trade {
                ts_event: at,
                ts_sent: none,
                id,
                price,
                size,
                side: Side::Buy,
                prev_close: None,
                change: None,
                change_price: None,
                best_ask_price: None,
                best_ask_size: None,
                best_bid_price: None,
                best_bid_size: None,
            }),
        ));
        candles.push(row(
            at,
            frame + 1,
            Body::Candle(Candle {
                ts_open,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: size,
                turnover: price * size,
                ts_last: Some(at),
                prev_close: None,
                change_price: None,
                change_rate: None,
                first_day: None,
            }),
        ));
    }
    [(Stream::Trade, trades), (CANDLES, candles)]
}

/// A folder with two hours from `start` on, in small files, as a recorder leaves it that was
/// stopped then.
fn prepare(data: &Path, start: Timestamp) {
    std::fs::create_dir_all(data).unwrap();
    let (fs, paths): (Arc<dyn Fs>, _) = (Arc::new(RealFs), Paths::new(data));
    let mut catalog = Catalog::open(&paths.catalog()).unwrap();
    let mut number = catalog.start().unwrap().next_segment;
    let end = start.after(HOUR * 2);
    for part in 0..2 * FILES {
        let from = Timestamp::from_micros(start.micros() + part * 600 * SECOND_US);
        for (stream, rows) in rows(from) {
            let name = PartName { stream, venue: "upbit".into(), date: from.date(), number };
            number += 1;
            let contents = Contents { name: &name, rows: &rows, bases: &[] };
            let written = write(&fs, &paths, contents).unwrap();
            let segments = vec![written.publish(fs.as_ref()).unwrap()];
            let hours = vec![HourRows {
                venue: "upbit".into(),
                stream,
                market: Some(Market::new(MARKET)),
                hour: from.hour(),
                rows: rows.len() as u64,
                first: rows[0].time(),
                last: rows[rows.len() - 1].time(),
            }];
            catalog.publish(&Change { segments, hours, ..Change::default() }).unwrap();
        }
    }
    let session = SessionRow {
        id: 1,
        venue: "upbit".into(),
        endpoint: "before".to_owned(),
        subscriptions: "[]".to_owned(),
        opened: start,
        first_data: Some(start),
        closed: Some(end),
        why: Some("stopped".to_owned()),
        frames: 1,
        bytes: 1,
        proven_until: Some(end),
        tally: SessionTally::default(),
    };
    let live = [Stream::Trade, CANDLES].map(|stream| LiveSpan {
        session: 1,
        venue: "upbit".into(),
        stream,
        market: Market::new(MARKET),
        from: start,
        to: Some(end),
    });
    let next_frame = Some(end.micros().unsigned_abs() / 1_000_000 * 2 + 2);
    let (sessions, live) = (vec![session], live.to_vec());
    catalog.publish(&Change { sessions, live, next_frame, ..Change::default() }).unwrap();
}

fn run(data: &Path, arguments: &[&str]) -> String {
    let mut command = veritape();
    command.args(arguments).arg("--data").arg(data);
    Process::start(command).wait(SOON).success()
}

fn files(data: &Path, of_day: &str) -> usize {
    let folder = |stream: &str| data.join(format!("stream={stream}/venue=upbit/date={of_day}"));
    let count = |stream| std::fs::read_dir(folder(stream)).unwrap().count();
    count("trade") + count("candle.1s")
}

#[test]
fn it_merges_and_proves_the_past_while_it_records() {
    let recording = Recording::of(&["--markets", "3", "--rate", "100", "--seed", "17"], "");
    let data = recording.data().to_owned();
    // Two hours of one day, however late it is.
    let today = SystemClock::new().now().day();
    let start = today.before(HOUR * 20);
    let of_day = start.date().to_string();
    prepare(&data, start);
    let export = || {
        let streams = ["export", "--streams", "trade,candle.1s", "--markets", MARKET];
        run(&data, &streams)
    };
    let before = export();
    assert_eq!((files(&data, &of_day), before.lines().count()), (24, 1 + 2 * 12 * 60));

    let recorder = recording.start_with(
        "rotate = '1s'\n",
        &["--markets", "KRW-BTC", "--streams", "trade,orderbook", "--http", "127.0.0.1:0"],
    );
    let address = address(&recorder);
    recorder.wait_for_talk("merged 12 files", SOON);
    wait_until("one file of each stream, while it records", SOON, || {
        (files(&data, &of_day) == 2).then_some(())
    });
    let hours = || {
        let text =
            run(&data, &["coverage", "--json", "--market", MARKET, "--to", &today.to_string()]);
        let told: Value = serde_json::from_str(&text).unwrap();
        let hours = told["coverage"].as_array().unwrap().clone();
        let held = hours.into_iter().filter(|hour| hour["rows"].as_u64() > Some(0));
        held.map(|hour| hour["condition"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    wait_until("the hours are proven", SOON, || (hours() == ["complete"; 4]).then_some(()));
    // The page's calendar tells it, too: not with what it heard before, since nobody had asked.
    let (status, told) = get(address, "/api/coverage?stream=trade&days=2", "");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(status, 200);
    let cells = told["days"][0]["hours"].as_array().unwrap();
    assert_eq!(told["days"][0]["date"], of_day.as_str());
    let words: Vec<&Value> = cells.iter().map(|cell| &cell["condition"]).collect();
    assert_eq!(words[4..6], ["complete", "complete"], "{told:#}");
    let (_, day) = get(address, &format!("/api/day?stream=trade&date={of_day}"), "");
    let day: Value = serde_json::from_str(&day).unwrap();
    assert_eq!(day["markets"][0]["hours"][0]["condition"], "complete", "{day:#}");

    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    assert_eq!(export(), before, "rows changed");
    let gaps = recording.gaps();
    assert!(!gaps.iter().any(|gap| gap["market"] == "KRW-BTC"), "{gaps:#?}");
    let told = recording.ask("verify").stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["faults"], serde_json::json!([]), "{told:#}");
}
