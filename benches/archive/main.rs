//! A day of 855 markets as a recorder leaves it: `cargo bench --bench archive`.
//!
//! Writes a data folder through the store's own segment writer and catalog: a file each minute for
//! every stream. `scripts/bench-query` measures what it costs to keep and to ask.
//!
//! Of the 1,000 frames a second that a venue of that size sends, the day has one in 40: the venue
//! is slowed down, not thinned out, so that two books that follow each other differ as little as
//! they do there. Files are as many as on a real day and have a 40th of the rows.
//!
//! | variable | what |
//! |---|---|
//! | `VERITAPE_BENCH_DATA` | the folder; without it, a temporary one that goes |
//! | `VERITAPE_BENCH_MARKETS` | how many markets: 855 |
//! | `VERITAPE_BENCH_RATE` | frames a second of all markets together: 25 |
//! | `VERITAPE_BENCH_MINUTES` | minutes from midnight on: 1440 with a folder, else 10 |
//! | `VERITAPE_BENCH_SEED` | another day: 1 |
//! | `VERITAPE_BENCH_CAPTURE` | a file of frames of the venue, instead of a day: `capture.rs` |

mod capture;
mod day;
mod dice;
mod market;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use veritape::model::market::Market;
use veritape::model::record::Row;
use veritape::model::subscription::Stream;
use veritape::model::time::Timestamp;
use veritape::store::catalog::{Catalog, Change, HourRows, LiveSpan, SessionRow, SessionTally};
use veritape::store::fs::{Fs, RealFs};
use veritape::store::paths::{PartName, Paths};
use veritape::store::segment::{Contents, write};

use self::day::{Day, STREAMS};

const VENUE: &str = "upbit";
const MINUTE: Duration = Duration::from_mins(1);
/// How long after its second a candle arrives, and no more.
const LATE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let data: Option<PathBuf> = std::env::var_os("VERITAPE_BENCH_DATA").map(Into::into);
    let minutes = setting("MINUTES", if data.is_some() { 1_440 } else { 10 })?;
    let temporary = tempfile::tempdir()?;
    let data = data.unwrap_or_else(|| temporary.path().to_owned());
    if let Some(path) = std::env::var_os("VERITAPE_BENCH_CAPTURE") {
        return captured(data, path.as_ref());
    }
    let of_day = NaiveDate::from_ymd_opt(2026, 11, 20).ok_or("no such day")?;
    let start = Timestamp::from(of_day.and_time(chrono::NaiveTime::MIN).and_utc());
    let markets = usize::try_from(setting("MARKETS", 855)?)?;
    let mut day = Day::new(start, markets, rate()?, setting("SEED", 1)?);
    let mut folder = Folder::new(data, of_day)?;
    folder.begin(&day, start)?;
    for minute in 1..=u32::try_from(minutes)? {
        let mut rows = day.go_on(start.after(MINUTE * minute));
        if u64::from(minute) == minutes {
            let [.., candles] = &mut rows;
            candles.extend(day.end());
        }
        folder.publish(&rows, start.after(MINUTE * minute))?;
    }
    folder.end(&day, start, start.after(MINUTE * u32::try_from(minutes)?))?;
    folder.tell()
}

/// Writes what a venue sent.
fn captured(data: PathBuf, path: &Path) -> Result<(), Box<dyn Error>> {
    let pieces = capture::pieces(path)?;
    let (_, first) = pieces.first().ok_or("no frame")?;
    let mut folder = Folder::new(data, first.date())?;
    for (rows, at) in &pieces {
        folder.publish(rows, *at)?;
    }
    folder.tell()
}

fn setting(name: &str, default: u64) -> Result<u64, Box<dyn Error>> {
    Ok(std::env::var(format!("VERITAPE_BENCH_{name}")).map_or(Ok(default), |text| text.parse())?)
}

/// Frames a second.
fn rate() -> Result<f64, Box<dyn Error>> {
    let rate: f64 = std::env::var("VERITAPE_BENCH_RATE").map_or(Ok(25.0), |text| text.parse())?;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err("a rate is more than 0".into()) }
}

/// The data folder in the making.
struct Folder {
    fs: Arc<dyn Fs>,
    paths: Paths,
    catalog: Catalog,
    date: NaiveDate,
    next: u64,
    /// Files, rows and bytes.
    written: BTreeMap<Stream, (u64, u64, u64)>,
}

impl Folder {
    fn new(data: PathBuf, of_day: NaiveDate) -> Result<Self, Box<dyn Error>> {
        if data.join("catalog.sqlite").exists() {
            return Err(format!("{} holds a recording already", data.display()).into());
        }
        std::fs::create_dir_all(&data)?;
        let paths = Paths::new(data);
        let catalog = Catalog::open(&paths.catalog())?;
        let next = catalog.start()?.next_segment;
        let written = BTreeMap::new();
        Ok(Self { fs: Arc::new(RealFs), paths, catalog, date: of_day, next, written })
    }

    /// The one session that brings everything.
    fn begin(&mut self, day: &Day, from: Timestamp) -> Result<(), Box<dyn Error>> {
        let spans = STREAMS
            .into_iter()
            .flat_map(|stream| day.codes().map(move |market| (stream, market.clone())));
        let live = spans.map(|(stream, market)| LiveSpan {
            session: 1,
            venue: VENUE.into(),
            stream,
            market,
            from,
            to: None,
        });
        let live = live.collect();
        let sessions = vec![session(day, from, None)];
        self.catalog.publish(&Change { at: from, sessions, live, ..Change::default() })?;
        Ok(())
    }

    fn end(&mut self, day: &Day, from: Timestamp, to: Timestamp) -> Result<(), Box<dyn Error>> {
        let sessions = vec![session(day, from, Some(to.after(LATE)))];
        let next_frame = Some(u64::try_from(day.frames())? + 1);
        self.catalog.publish(&Change { at: to, sessions, next_frame, ..Change::default() })?;
        Ok(())
    }

    /// Says what there is.
    fn tell(&self) -> Result<(), Box<dyn Error>> {
        let mut out = io::stdout().lock();
        for (stream, (files, rows, bytes)) in &self.written {
            writeln!(out, "{stream}: {rows} rows, {bytes} bytes in {files} files")?;
        }
        Ok(())
    }

    /// Writes a file of each stream that has rows, and publishes them together.
    fn publish(&mut self, rows: &[Vec<Row>; 4], at: Timestamp) -> Result<(), Box<dyn Error>> {
        let mut change = Change { at, ..Change::default() };
        for (stream, rows) in STREAMS.into_iter().zip(rows).filter(|(_, rows)| !rows.is_empty()) {
            let number = self.next;
            self.next += 1;
            let name = PartName { stream, venue: VENUE.into(), date: self.date, number };
            let contents = Contents { name: &name, rows, bases: &[] };
            let segment = write(&self.fs, &self.paths, contents)?.publish(self.fs.as_ref())?;
            let (files, all, bytes) = self.written.entry(stream).or_default();
            *files += 1;
            *all += segment.rows;
            *bytes += segment.bytes;
            change.segments.push(segment);
            change.hours.extend(hours(stream, rows));
        }
        self.catalog.publish(&change)?;
        Ok(())
    }
}

fn session(day: &Day, from: Timestamp, closed: Option<Timestamp>) -> SessionRow {
    SessionRow {
        id: 1,
        venue: VENUE.into(),
        endpoint: "generated".to_owned(),
        subscriptions: "[]".to_owned(),
        opened: from,
        first_data: Some(from),
        closed,
        why: closed.map(|_| "the day is over".to_owned()),
        frames: u64::try_from(day.frames()).unwrap_or_default(),
        bytes: 0,
        proven_until: Some(closed.unwrap_or(from)),
        tally: SessionTally::default(),
    }
}

/// The rows of each market and hour.
fn hours(stream: Stream, rows: &[Row]) -> impl Iterator<Item = HourRows> {
    let mut counted: BTreeMap<(Option<Market>, Timestamp), HourRows> = BTreeMap::new();
    for row in rows {
        let (market, time) = (row.head.market.clone(), row.time());
        let known = counted.entry((market.clone(), time.hour())).or_insert_with(|| HourRows {
            venue: VENUE.into(),
            stream,
            market,
            hour: time.hour(),
            rows: 0,
            first: time,
            last: time,
        });
        known.rows += 1;
        (known.first, known.last) = (known.first.min(time), known.last.max(time));
    }
    counted.into_values()
}
