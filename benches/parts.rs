//! What each step costs: `cargo bench --bench parts`.
//!
//! Decoding by stream and format, beside copying the bytes and reading the numbers alone; the
//! journal by compression and batch; merging by key; publishing in the catalog. Criterion keeps
//! what it measured in `target/criterion` and says what changed since.

#[path = "frames/arrived.rs"]
mod arrived;
mod frames;
#[path = "frames/numbers.rs"]
mod numbers;

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use veritape::ingest::merge::{LaneKey, Lanes};
use veritape::model::frame::Frame;
use veritape::model::market::{Market, Source};
use veritape::model::record::{Head, Record, Row};
use veritape::model::subscription::{CandleUnit, Stream};
use veritape::model::time::Timestamp;
use veritape::net::clock::{Clock as _, SystemClock};
use veritape::store::catalog::{Catalog, Change, HourRows};
use veritape::store::fs::RealFs;
use veritape::store::journal::{Compression, Journal, Keep, Options};
use veritape::store::paths::PartName;
use veritape::store::segment::{Ends, FORMAT_VERSION, Segment};
use veritape::venue::{self, Venue};

use self::arrived::arrived;
use self::frames::Pool;
use self::numbers::numbers_of;

/// Different messages of each kind.
const MESSAGES: usize = 2_048;
/// Frames between two syncs of the journal.
const BATCHES: [usize; 3] = [16, 256, 4_096];
/// Markets of a publication.
const MARKETS: usize = 855;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    let venue = venue::by_name("upbit").ok_or("the venue is gone")?;
    let now = SystemClock::new().now();
    for stream in ["trade", "orderbook", "ticker", "candle.1s"] {
        for format in ["SIMPLE", "DEFAULT"] {
            let pool = runtime.block_on(Pool::simulated(&[stream], format, MESSAGES))?;
            decode(&mut criterion, venue, stream, format, &arrived(&pool, MESSAGES, now));
        }
    }
    let books = runtime.block_on(Pool::simulated(&["orderbook"], "SIMPLE", MESSAGES))?;
    journal(&mut criterion, &arrived(&books, 4_096, now))?;
    let trades = runtime.block_on(Pool::simulated(&["trade"], "SIMPLE", MESSAGES))?;
    for (name, pool) in [("trade", &trades), ("orderbook", &books)] {
        merge(&mut criterion, name, &rows_of(venue, &arrived(pool, 4 * MESSAGES, now))?);
    }
    publish(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn decode(
    criterion: &mut Criterion,
    venue: &dyn Venue,
    stream: &str,
    format: &str,
    frames: &[Frame],
) {
    let mut group = criterion.benchmark_group(format!("decode {stream} {format}"));
    let bytes: usize = frames.iter().map(|frame| frame.body.len()).sum();
    group.throughput(Throughput::Bytes((bytes / frames.len()) as u64));
    let mut records: Vec<Record> = Vec::new();
    each(&mut group, "decode", frames, |frame| {
        records.clear();
        venue.decode(frame, &mut records).is_ok()
    });
    let mut copy = Vec::new();
    each(&mut group, "floor: copy", frames, |frame| {
        copy.clear();
        copy.extend_from_slice(&frame.body);
        copy.len() > 1
    });
    let texts: Vec<_> = frames.iter().map(|frame| numbers_of(&frame.body)).collect();
    each(&mut group, "floor: numbers", &texts, |texts| numbers::read(texts) > 0);
    group.finish();
}

/// Does `work` with one message after another.
fn each<T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    messages: &[T],
    mut work: impl FnMut(&T) -> bool,
) {
    let mut turn = messages.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter(|| turn.next().map(|message| black_box(work(message))));
    });
}

fn journal(criterion: &mut Criterion, frames: &[Frame]) -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    for compression in [Compression::Zstd, Compression::Lz4, Compression::None] {
        let mut group = criterion.benchmark_group(format!("journal {compression:?}"));
        for batch in BATCHES {
            let folder = home.path().join(format!("{compression:?}-{batch}"));
            let options = Options { compression, ..Options::default() };
            let quarantine = home.path().join("quarantine");
            let fs = Arc::new(RealFs);
            let (mut journal, _) = Journal::open(fs, &folder, &quarantine, 1, options)?;
            let mut sequence = 0;
            let bytes: usize = frames.iter().take(batch).map(|frame| frame.body.len()).sum();
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(format!("append and sync {batch}"), |bencher| {
                bencher.iter(|| append(&mut journal, &mut sequence, frames, batch));
            });
        }
        group.finish();
    }
    Ok(())
}

/// Makes `batch` books durable; what is full is let go of.
fn append(journal: &mut Journal, sequence: &mut u64, frames: &[Frame], batch: usize) -> bool {
    for frame in frames.iter().take(batch) {
        *sequence += 1;
        let frame = Frame { sequence: *sequence, ..frame.clone() };
        if journal.append(&frame).is_err() {
            return false;
        }
    }
    let synced = journal.sync();
    synced.is_ok_and(|below| journal.release(below, &Keep::Nothing).is_ok())
}

/// The rows that frames give, with the lane of each.
fn rows_of(venue: &dyn Venue, frames: &[Frame]) -> Result<Vec<(LaneKey, Row)>, Box<dyn Error>> {
    let (mut records, mut rows) = (Vec::new(), Vec::new());
    for frame in frames {
        venue.decode(frame, &mut records)?;
        for Record { stream, market, snapshot, body } in records.drain(..) {
            let head = Head {
                market: Some(market.clone()),
                ts_recv: frame.ts_recv,
                source: Source::Ws,
                snapshot,
                session: 1,
                frame: i64::try_from(frame.sequence)?,
            };
            rows.push((LaneKey { venue: "upbit".into(), stream, market }, Row { head, body }));
        }
    }
    Ok(rows)
}

fn merge(criterion: &mut Criterion, name: &str, rows: &[(LaneKey, Row)]) {
    let mut group = criterion.benchmark_group(format!("merge {name}"));
    group.throughput(Throughput::Elements(rows.len() as u64));
    for (name, lines) in [("one line", 1), ("two lines", 2)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (Lanes::default(), vec![rows.to_vec(); lines]),
                |(mut lanes, copies)| {
                    for (key, row) in copies.into_iter().flatten() {
                        black_box(lanes.offer(&key, row));
                    }
                    lanes
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// One publication of a busy minute: a file of each stream, and the rows of each market in them.
fn publish(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let mut catalog = Catalog::open(&home.path().join("catalog.sqlite"))?;
    let now = SystemClock::new().now();
    let mut number = 0;
    let mut group = criterion.benchmark_group("catalog");
    group.throughput(Throughput::Elements(1));
    group.bench_function("publish 4 files of 855 markets", |bencher| {
        bencher.iter_batched(
            || change(now, &mut number),
            |change| catalog.publish(&change).is_ok(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    check(home.path(), number)
}

fn change(now: Timestamp, number: &mut u64) -> Change {
    let streams =
        [Stream::Trade, Stream::Orderbook, Stream::Ticker, Stream::Candle(CandleUnit::S1)];
    let mut change = Change { at: now, ..Change::default() };
    for stream in streams {
        *number += 1;
        let name = PartName { stream, venue: "upbit".into(), date: now.date(), number: *number };
        change.segments.push(Segment {
            name,
            rows: 60_000,
            bytes: 3_000_000,
            blake3: "0".repeat(64),
            format_version: FORMAT_VERSION,
            ts_event: Ends { min: now, max: now },
            ts_recv: Ends { min: now, max: now },
            frames: Ends { min: 1, max: 2 },
        });
        change.hours.extend((0..MARKETS).map(|market| HourRows {
            venue: "upbit".into(),
            stream,
            market: Some(Market::new(format!("KRW-M{market}"))),
            hour: now.hour(),
            rows: 70,
            first: now,
            last: now,
        }));
    }
    change.next_frame = Some(*number * 60_000);
    change
}

/// A bench of something that fails at once would look fast.
fn check(home: &Path, number: u64) -> Result<(), Box<dyn Error>> {
    let held = Catalog::open(&home.join("catalog.sqlite"))?.start()?.next_segment;
    if held == number + 1 { Ok(()) } else { Err("not everything was published".into()) }
}
