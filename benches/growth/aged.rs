//! What a folder costs when it is a week, a month, three months and a year old.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use veritape::ingest::writer::{Writer, WriterOptions};
use veritape::model::time::{DAY, Timestamp};
use veritape::net::clock::{Clock as _, SystemClock};
use veritape::store::catalog::{Carry, Change, HourRows};
use veritape::store::fs::RealFs;
use veritape::store::segment::Ends;

use super::program::{Ran, Recorder, Venue, command};
use super::table::{Table, mib, ms, say};
use super::year::rows::segment;
use super::year::{STREAMS, VENUE, Year, carried};

/// Ages, in days.
pub(crate) const AGES: [i64; 4] = [7, 30, 91, 365];
/// How many minutes are published to know what one costs.
const MINUTES: usize = 11;

/// Measures a folder of `markets` at every age.
pub(crate) fn measure(ages: &[i64], markets: usize) -> Result<Table, Box<dyn Error>> {
    let mut table = Table::new("days");
    let venue = Venue::start(markets, 200)?;
    for days in ages {
        let home = tempfile::tempdir()?;
        table.begin(&days.to_string());
        age(&mut table, home.path(), &venue, *days)?;
    }
    Ok(table)
}

fn age(table: &mut Table, data: &Path, venue: &Venue, days: i64) -> Result<(), Box<dyn Error>> {
    let clock = SystemClock::new();
    let now = clock.now();
    let begin = now.day().before(DAY * u32::try_from(days)?);
    let mut year = Year::new(data, begin, venue.markets.clone())?;
    year.grow_to(days)?;
    say(&format!("{days} days of {} markets made in {:?}", venue.markets.len(), clock.monotonic()));
    let (took, written) = publish(&mut year, now)?;
    let size = fs::metadata(year.paths.catalog())?.len();
    drop(year);
    table.put("catalog, MiB", mib(size));
    table.put("publish a minute, ms", ms(took));
    table.put("- written by it, MiB", mib(written));
    table.put("`Writer::start`, ms", ms(start(data)?));
    let week = now.before(DAY * 7).to_string();
    let market = venue.markets.first().ok_or("no markets")?.as_str();
    for (name, arguments) in [
        ("`status`", &["status"][..]),
        ("`gaps`", &["gaps"]),
        ("`jobs`", &["jobs"]),
        ("`coverage` of a week", &["coverage", "--from", &week]),
        ("`coverage` of all, a market", &["coverage", "--market", market]),
        ("`coverage --by day` of all", &["coverage", "--by", "day"]),
    ] {
        let Ran { took, peak, .. } = command(data, arguments)?;
        table.put(&format!("{name}, ms"), ms(took));
        table.put("- its memory, MiB", mib(peak));
    }
    let recorder = Recorder::start(data, venue, "orderbook")?;
    table.put("`record` until the first frame, ms", ms(recorder.first_frame));
    for path in ["/status.json", "/metrics", "/api/coverage?stream=trade&days=14", "/api/markets"] {
        table.put(&format!("`{path}`, ms"), ms(recorder.ask(path)?.0));
    }
    table.put("its memory, MiB", mib(recorder.resident()));
    recorder.end()?;
    Ok(())
}

/// Publishes some minutes of the hour that lasts: what one takes, and what it writes.
fn publish(year: &mut Year, now: Timestamp) -> Result<(Duration, u64), Box<dyn Error>> {
    let (clock, hour) = (SystemClock::new(), now.hour());
    let (mut took, mut written) = (Vec::new(), Vec::new());
    for minute in 0..u32::try_from(MINUTES)? {
        let from = hour.after(Duration::from_secs(1) * minute);
        let ends = Ends { min: from, max: from.after(Duration::from_millis(999)) };
        let change = minute_of(year, ends);
        let (begun, before) = (clock.monotonic(), bytes_written()?);
        year.catalog.publish(&change)?;
        took.push(clock.monotonic().saturating_sub(begun));
        written.push(bytes_written()?.saturating_sub(before));
    }
    took.sort_unstable();
    let mean = written.iter().sum::<u64>() / u64::try_from(MINUTES)?;
    Ok((took.get(MINUTES / 2).copied().unwrap_or_default(), mean))
}

fn minute_of(year: &mut Year, ends: Ends<Timestamp>) -> Change {
    let mut change = Change { at: ends.max, ..Change::default() };
    for stream in STREAMS {
        change.segments.push(segment(stream, year.next_segment, ends, 10_000));
        year.next_segment += 1;
        change.hours.extend(year.markets.iter().map(|market| HourRows {
            venue: VENUE.into(),
            stream,
            market: Some(market.clone()),
            hour: ends.min.hour(),
            rows: 10,
            first: ends.min,
            last: ends.max,
        }));
        change.carries.extend(year.markets.iter().map(|market| Carry {
            venue: VENUE.into(),
            stream,
            market: market.clone(),
            state: carried(64),
        }));
    }
    change
}

/// What this process handed to the kernel to write so far.
fn bytes_written() -> Result<u64, Box<dyn Error>> {
    let told = fs::read_to_string("/proc/self/io")?;
    let line = told.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.ok_or("no wchar")?.trim().parse()?)
}

/// The best of three starts.
fn start(data: &Path) -> Result<Duration, Box<dyn Error>> {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let clock = Arc::new(SystemClock::new());
        let fs = Arc::new(RealFs);
        let writer = Writer::start(data, fs, clock.clone(), WriterOptions::default())?;
        best = best.min(clock.monotonic());
        drop(writer);
    }
    Ok(best)
}
