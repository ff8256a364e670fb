//! What files cost: `cargo bench --bench files`.
//!
//! Writing a file of each stream (rows a second, bytes a row, memory beyond that of the rows),
//! reading a journal again (alone, and as a start does it, to published files), and merging small
//! files. Prints a line for each.

#[path = "frames/arrived.rs"]
mod arrived;
mod frames;
mod meter;

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use veritape::ingest::buffers::SealRule;
use veritape::ingest::queue::{QueueLimits, queue};
use veritape::ingest::writer::{Writer, WriterOptions};
use veritape::maintain::compact::compact;
use veritape::maintain::compact::plan::Rule;
use veritape::model::frame::Frame;
use veritape::model::market::Source;
use veritape::model::record::{Head, Row};
use veritape::model::subscription::{CandleUnit, Stream};
use veritape::net::clock::{Clock, SystemClock};
use veritape::store::fs::{Fs, RealFs};
use veritape::store::journal::{Journal, Options, replay};
use veritape::store::paths::{PartName, Paths};
use veritape::store::segment::{Contents, write};
use veritape::venue;

use self::arrived::arrived;
use self::frames::Pool;
use self::meter::{memory, real};

/// Different messages of each kind; later ones are these with other numbers and times.
const MESSAGES: usize = 16_384;
/// The same of candles, which come once a second only.
const CANDLES: usize = 2_048;
/// Rows of a file: a busy minute.
const ROWS: usize = 60_000;
/// Frames of the journal that is read again.
const JOURNAL_FRAMES: usize = 100_000;
/// Memory of rows at which small files are made.
const SMALL: usize = 8 << 20;
const MIB: f64 = 1_048_576.0;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut out = io::stdout().lock();
    let mut books = None;
    // All of one day, whenever this runs.
    let day = SystemClock::new().now().before(Duration::from_hours(24)).day();
    let candles = Stream::Candle(CandleUnit::M1);
    for stream in [Stream::Trade, Stream::Orderbook, Stream::Ticker, candles] {
        let messages = if stream == candles { CANDLES } else { MESSAGES };
        let pool = runtime.block_on(Pool::simulated(&[stream.name()], "SIMPLE", messages))?;
        writeln!(out, "write {stream}: {}", segment(stream, &arrived(&pool, ROWS, day))?)?;
        books = (stream == Stream::Orderbook).then_some(pool).or(books);
    }
    let books = arrived(&books.ok_or("no books")?, JOURNAL_FRAMES, day);
    let bytes: usize = books.iter().map(|frame| frame.body.len()).sum();
    let mib = real(bytes as u64) / MIB;
    let home = tempfile::tempdir()?;
    fill(home.path(), &books)?;
    let alone = reading(home.path(), books.len())?.as_secs_f64();
    writeln!(out, "recovery, reading alone: {:.0} MiB of frames/s", mib / alone)?;
    let started = start(home.path(), WriterOptions::default())?.as_secs_f64();
    writeln!(
        out,
        "recovery, to published files: {:.0} MiB of frames/s, {:.0} books/s",
        mib / started,
        real(books.len() as u64) / started
    )?;
    writeln!(out, "compaction: {}", compaction(&books)?)?;
    Ok(())
}

fn segment(stream: Stream, frames: &[Frame]) -> Result<String, Box<dyn Error>> {
    let venue = venue::by_name("upbit").ok_or("the venue is gone")?;
    let (mut records, mut rows) = (Vec::new(), Vec::new());
    for frame in frames {
        venue.decode(frame, &mut records)?;
        rows.extend(records.drain(..).map(|record| Row {
            head: Head {
                market: Some(record.market),
                ts_recv: frame.ts_recv,
                source: Source::Ws,
                snapshot: record.snapshot,
                session: 1,
                frame: i64::try_from(frame.sequence).unwrap_or(i64::MAX),
            },
            body: record.body,
        }));
    }
    // Candles have the day of the simulated venue, which may end meanwhile.
    let date = rows.first().ok_or("no rows")?.time().date();
    rows.retain(|row| row.time().date() == date);
    let home = tempfile::tempdir()?;
    let (paths, disk): (_, Arc<dyn Fs>) = (Paths::new(home.path()), Arc::new(RealFs));
    let name = PartName { stream, venue: "upbit".into(), date, number: 1 };
    let contents = Contents { name: &name, rows: &rows, bases: &[] };
    forget_peak()?;
    let before = memory("VmRSS:");
    let clock = SystemClock::new();
    let segment = write(&disk, &paths, contents)?.publish(disk.as_ref())?;
    let took = clock.monotonic().as_secs_f64();
    let more = memory("VmHWM:").saturating_sub(before);
    Ok(format!(
        "{:.0} rows/s, {:.1} bytes a row, {:.1} MiB more at its peak",
        real(segment.rows) / took,
        real(segment.bytes) / real(segment.rows),
        real(more) / MIB
    ))
}

/// From now on the most memory that was resident is what is resident.
fn forget_peak() -> io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}

/// Writes a journal as a recorder leaves it that was killed.
fn fill(data: &Path, frames: &[Frame]) -> Result<(), Box<dyn Error>> {
    let paths = Paths::new(data);
    let (folder, quarantine) = (paths.journal(), paths.quarantine());
    let disk = Arc::new(RealFs);
    let (mut journal, _) = Journal::open(disk, &folder, &quarantine, 1, Options::default())?;
    for frame in frames {
        journal.append(frame)?;
        if journal.sync_due() {
            journal.sync()?;
        }
    }
    journal.sync()?;
    Ok(())
}

fn reading(data: &Path, count: usize) -> Result<Duration, Box<dyn Error>> {
    let clock = SystemClock::new();
    let found = replay(Arc::new(RealFs), &[Paths::new(data).journal()], 1)?.count();
    let took = clock.monotonic();
    if found == count { Ok(took) } else { Err(format!("{found} of {count} frames").into()) }
}

/// Starts a writer on the folder, and ends it.
fn start(data: &Path, options: WriterOptions) -> Result<Duration, Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let writer = Writer::start(data, Arc::new(RealFs), Arc::clone(&clock), options)?;
    let (sender, receiver) = queue(QueueLimits::default());
    drop(sender);
    writer.run(receiver)?;
    Ok(clock.monotonic())
}

fn compaction(frames: &[Frame]) -> Result<String, Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    fill(home.path(), frames)?;
    let seal = SealRule { rotate: Duration::from_mins(1), buffer_bytes: SMALL };
    start(home.path(), WriterOptions { seal, ..WriterOptions::default() })?;
    let (clock, disk): (_, Arc<dyn Fs>) = (SystemClock::new(), Arc::new(RealFs));
    forget_peak()?;
    let (begun, before) = (clock.monotonic(), memory("VmRSS:"));
    let report = compact(home.path(), &disk, clock.now(), &Rule { all: true, ..Rule::default() })?;
    let took = clock.monotonic().saturating_sub(begun).as_secs_f64();
    let more = |name| real(memory(name).saturating_sub(before)) / MIB;
    let (peak, stays) = (more("VmHWM:"), more("VmRSS:"));
    let done = report.summary;
    if done.replaced < 2 || !report.failed.is_empty() {
        return Err(format!("{report:?}").into());
    }
    Ok(format!(
        "{:.0} rows/s, {} files to {}, {:.2} of the bytes, {peak:.1} MiB more at its peak, \
         {stays:.1} MiB of them stay",
        real(done.rows) / took,
        done.replaced,
        done.written,
        real(done.bytes_after) / real(done.bytes_before)
    ))
}
