//! What recording costs by the number of markets, at the same rate of all together.

use std::error::Error;
use std::path::Path;
use std::thread;
use std::time::Duration;

use veritape::model::market::Market;
use veritape::model::subscription::{Stream, Subscription};
use veritape::store::catalog::Catalog;
use veritape::venue;

use super::program::{Ran, Recorder, Venue, command};
use super::real;
use super::table::{Table, mib, ms};

/// Numbers of markets.
pub(crate) const COUNTS: [usize; 5] = [1, 10, 100, 855, 5_000];
const RATE: u32 = 1_000;
const STREAMS: [Stream; 3] = [Stream::Trade, Stream::Orderbook, Stream::Ticker];
/// Until what came at the start is done with.
const SETTLE: Duration = Duration::from_secs(3);
/// How long it is watched.
const WATCH: Duration = Duration::from_secs(5);

pub(crate) fn measure(counts: &[usize]) -> Result<Table, Box<dyn Error>> {
    let mut table = Table::new("markets");
    for count in counts {
        let home = tempfile::tempdir()?;
        table.begin(&count.to_string());
        one(&mut table, home.path(), *count)?;
    }
    Ok(table)
}

fn one(table: &mut Table, data: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    let venue = Venue::start(count, RATE)?;
    table.put("request, KiB", format!("{:.1}", real(request(&venue.markets)?) / 1_024.0));
    let streams = STREAMS.map(Stream::name).join(",");
    let recorder = Recorder::start(data, &venue, &streams)?;
    table.put("`record` until the first frame, ms", ms(recorder.first_frame));
    table.put("- until ready, ms", ms(recorder.ready));
    thread::sleep(SETTLE);
    let (spent, frames) = (recorder.spent()?, recorder.metric("veritape_frames_total")?);
    thread::sleep(WATCH);
    let spent = recorder.spent()?.saturating_sub(spent).as_secs_f64();
    let frames = recorder.metric("veritape_frames_total")?.saturating_sub(frames);
    table.put("frames a second", format!("{:.0}", real(frames) / WATCH.as_secs_f64()));
    table.put("CPU of a frame, µs", format!("{:.0}", spent * 1e6 / real(frames.max(1))));
    table.put("of one core, %", format!("{:.1}", spent / WATCH.as_secs_f64() * 100.0));
    table.put("memory, MiB", mib(recorder.resident()));
    let (status, bytes) = recorder.ask("/status.json")?;
    table.put("`/status.json`, ms", ms(status));
    table.put("- its size, KiB", format!("{:.1}", real(u64::try_from(bytes)?) / 1_024.0));
    let (metrics, bytes) = recorder.ask("/metrics")?;
    table.put("`/metrics`, ms", ms(metrics));
    table.put("- its size, KiB", format!("{:.1}", real(u64::try_from(bytes)?) / 1_024.0));
    table.put("its end, all published, ms", ms(recorder.end()?));
    let again = Recorder::start(data, &venue, &streams)?;
    table.put("`record` again until the first frame, ms", ms(again.first_frame));
    again.end()?;
    for name in ["status", "coverage"] {
        let Ran { took, .. } = command(data, &[name])?;
        table.put(&format!("`{name}`, ms"), ms(took));
    }
    let files = Catalog::of_folder(data)?.summary()?;
    if files.iter().map(|one| one.rows).sum::<u64>() == 0 {
        return Err("nothing was recorded".into());
    }
    Ok(())
}

/// Bytes of the messages that ask for all of it.
fn request(markets: &[Market]) -> Result<u64, Box<dyn Error>> {
    let venue = venue::by_name("upbit").ok_or("the venue is gone")?;
    let each = |stream| {
        let all = markets.iter().cloned();
        all.map(move |market| Subscription { stream, market, depth: None })
    };
    let asked: Vec<Subscription> = STREAMS.into_iter().flat_map(each).collect();
    let opening = venue.open("", "00000000-0000-0000-0000-000000000000", &asked);
    Ok(u64::try_from(opening.messages.iter().map(String::len).sum::<usize>())?)
}
