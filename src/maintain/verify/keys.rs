//! Whether every key is there once, over all files of a stream.
//!
//! It is enough to look at the files of one stream, venue and day together: a key belongs to one
//! instant of the venue's (a trade has one time, a candle's key is its time, the content of a book
//! or a ticker holds its time), the instant fixes the day, and that every row lies in the day of
//! its path is looked at for each file. Within a file equal keys stand together and were found
//! there; so of candles, books and tickers only rows at times that two files share are left. Of
//! trades all ids of the day are compared, whatever their times.
//!
//! Memory: 16 bytes a key, [`KEYS_AT_ONCE`] of them. Where there are more, the keys are split by
//! their value and the files are read once for each part.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use smol_str::SmolStr;

use super::files::identity;
use super::work::parallel;
use super::{Fault, FaultKind, Site, VerifyError};
use crate::model::span::{Span, Spans};
use crate::model::subscription::Stream;
use crate::store::catalog::Catalog;
use crate::store::segment::{self, Cells, Columns, Extent, Segment, SegmentError};

/// Keys in memory for each thread.
pub(super) const KEYS_AT_ONCE: usize = 4_000_000;

/// Looks at every stream, venue and day. Files in `bad` cannot be read.
pub(super) fn check(
    site: Site<'_>,
    catalog: &Catalog,
    segments: &[Segment],
    bad: &BTreeSet<u64>,
) -> Result<Vec<Fault>, VerifyError> {
    let mut parts: BTreeMap<(Stream, &SmolStr, NaiveDate), Vec<&Segment>> = BTreeMap::new();
    for segment in segments.iter().filter(|one| !bad.contains(&one.name.number)) {
        let name = &segment.name;
        parts.entry((name.stream, &name.venue, name.date)).or_default().push(segment);
    }
    let parts: Vec<(Stream, Vec<&Segment>)> =
        parts.into_iter().map(|((stream, ..), files)| (stream, files)).collect();
    let bytes = |files: &[&Segment]| files.iter().map(|one| one.bytes).sum::<u64>();
    (site.progress.begin)("keys", parts.iter().map(|(_, files)| bytes(files)).sum());
    let found = parallel(&parts, site.request.threads, |(stream, files)| {
        let twice = twice(site, *stream, files, KEYS_AT_ONCE);
        (site.progress.done)(bytes(files));
        (files, twice)
    });
    let mut faults = Vec::new();
    for (files, twice) in found {
        for (file, detail) in twice {
            let Some(segment) = files.get(file) else { continue };
            if catalog.knows(&segment.name)? {
                faults.push(Fault {
                    path: segment.name.to_string(),
                    fault: FaultKind::Key,
                    detail,
                    remedy: Vec::new(),
                });
            }
        }
    }
    Ok(faults)
}

/// A key of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    value: i64,
    market: u32,
    file: u32,
}

/// Keys that are in a file and in one before it too: the file's place, and words.
pub(super) fn twice(
    site: Site<'_>,
    stream: Stream,
    files: &[&Segment],
    at_once: usize,
) -> Vec<(usize, String)> {
    let mut parts = 1;
    let mut part = 0;
    let mut twice: BTreeMap<usize, (u64, String)> = BTreeMap::new();
    while part < parts {
        let mut keys = Keys { part, parts, limit: at_once, ..Keys::default() };
        match keys.read(site, stream, files) {
            // More keys than memory is for: begin again with smaller parts.
            Ok(()) if keys.found.len() > at_once => {
                parts *= 2;
                part = 0;
                twice.clear();
            }
            Ok(()) => {
                keys.judge(files, &mut twice);
                part += 1;
            }
            Err((place, error)) => {
                let words = format!("its keys cannot be read: {error}");
                return vec![(place, words)];
            }
        }
    }
    let words = |(file, (count, first))| {
        (file, format!("{count} rows are recorded already; the first: {first}"))
    };
    twice.into_iter().map(words).collect()
}

#[derive(Default)]
struct Keys {
    part: i64,
    parts: i64,
    limit: usize,
    found: Vec<Key>,
    markets: HashMap<String, u32>,
}

impl Keys {
    fn read(
        &mut self,
        site: Site<'_>,
        stream: Stream,
        files: &[&Segment],
    ) -> Result<(), (usize, SegmentError)> {
        for (place, segment) in files.iter().enumerate() {
            let file = u32::try_from(place).unwrap_or(u32::MAX);
            let fault = |error| (place, error);
            if stream == Stream::Trade {
                let each = |values: &Columns<'_>| self.ids(values, file);
                segment::columns(site.fs, site.paths, segment, &["id"], None, each)
                    .map_err(fault)?;
                continue;
            }
            let shared = shared(place, files);
            if shared.is_empty() || matches!(stream, Stream::Instrument | Stream::Unread) {
                continue;
            }
            let extent =
                if matches!(stream, Stream::Candle(_)) { Extent::Keys } else { Extent::Whole };
            let each = |cells: &Cells<'_>| self.contents(stream, cells, &shared, file);
            segment::scan(site.fs, site.paths, segment, extent, each).map_err(fault)?;
        }
        Ok(())
    }

    fn ids(&mut self, values: &Columns<'_>, file: u32) {
        for row in values.rows() {
            if let Some(id) = values.int("id", row) {
                self.push(id, values.market(row).unwrap_or_default(), file);
            }
        }
    }

    fn contents(&mut self, stream: Stream, cells: &Cells<'_>, shared: &Spans, file: u32) {
        for row in cells.rows().filter(|row| shared.contains(cells.time(*row))) {
            let value = match stream {
                Stream::Candle(_) => Some(cells.time(row).micros()),
                Stream::Trade
                | Stream::Orderbook
                | Stream::Ticker
                | Stream::Instrument
                | Stream::Unread => identity(stream, cells, row).map(u64::cast_signed),
            };
            if let Some(value) = value {
                self.push(value, cells.market(row).unwrap_or_default(), file);
            }
        }
    }

    fn push(&mut self, value: i64, market: &str, file: u32) {
        // One more than the limit tells that there are too many.
        if value.rem_euclid(self.parts) != self.part || self.found.len() > self.limit {
            return;
        }
        let next = u32::try_from(self.markets.len()).unwrap_or(u32::MAX);
        let market = match self.markets.get(market) {
            Some(known) => *known,
            None => *self.markets.entry(market.to_owned()).or_insert(next),
        };
        self.found.push(Key { value, market, file });
    }

    fn judge(&mut self, files: &[&Segment], twice: &mut BTreeMap<usize, (u64, String)>) {
        self.found.sort_unstable();
        for pair in self.found.windows(2) {
            let [one, next] = pair else { continue };
            if (one.value, one.market) != (next.value, next.market) {
                continue;
            }
            let place = |file: u32| usize::try_from(file).unwrap_or(usize::MAX);
            let known = twice.entry(place(next.file)).or_insert_with(|| {
                let market = self.markets.iter().find(|(_, number)| **number == one.market);
                let market = market.map(|(market, _)| market.as_str()).unwrap_or_default();
                let other = files.get(place(one.file)).map(|one| one.name.to_string());
                (0, format!("{market} {}, also in {}", one.value, other.unwrap_or_default()))
            });
            known.0 += 1;
        }
    }
}

/// The times at which a file and another one may both have rows.
fn shared(place: usize, files: &[&Segment]) -> Spans {
    let span = |segment: &Segment| {
        let micro = std::time::Duration::from_micros(1);
        Span::new(segment.ts_event.min, segment.ts_event.max.after(micro))
    };
    let Some(own) = files.get(place).and_then(|segment| span(segment)) else {
        return Spans::new();
    };
    let others = files.iter().enumerate().filter(|(other, _)| *other != place);
    others.filter_map(|(_, other)| span(other)?.intersect(own)).collect()
}
