//! Damaged and lost files, taken out of the catalog so that what they held can be had again.
//!
//! What holds:
//!
//! * In one transaction the catalog forgets the files, counts the rows that are left, names what is
//!   lost as gaps in the ledger, and no longer takes for known what lanes saw of it. From then on
//!   repairs ask for the gaps, as for any other.
//! * Only then the files go, to `quarantine/`: nothing is deleted. Killed in between, the next start
//!   moves them, since the catalog does not know them.
//! * What is lost is told by what is left: by market and hour, the rows that were counted and are in
//!   no other file. So nothing of the damaged file has to be read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::counts::Counts;
use super::publisher::{Owner, OwnerError};
use crate::ingest::buffers::PartKey;
use crate::ingest::merge;
use crate::model::gap::{Gap, GapCause, GapState};
use crate::model::market::Market;
use crate::model::span::{Span, Spans};
use crate::model::subscription::Stream;
use crate::model::time::{HOUR_US, Timestamp};
use crate::store::catalog::{Carry, Catalog, CatalogError, Change, Filter};
use crate::store::fs::Fs;
use crate::store::paths::{PartName, Paths};
use crate::store::segment::{self, Ends, Extent, Segment, SegmentError};
use crate::store::sweep;
use crate::venue::{Venue, by_name};

const HOUR: Duration = Duration::from_micros(HOUR_US.unsigned_abs());
const INSTANT: Duration = Duration::from_micros(1);

/// What was taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quarantined {
    /// The files, from the data folder on.
    pub files: Vec<String>,
    /// Rows that they were published with.
    pub rows: u64,
    /// What is lost with them.
    pub gaps: Vec<Gap>,
}

/// Why nothing was taken out. The folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The data folder cannot be had.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file that is to stay cannot be read.
    #[error("{0}; the same may be tried again once `verify` looked at all files of that day")]
    Segment(#[from] SegmentError),
    /// What the writer remembers of a market cannot be read.
    #[error(
        "the catalog's merge state of {lane} cannot be read: {error}; it was made by another version"
    )]
    State {
        /// Of which market and stream.
        lane: String,
        /// Why.
        error: serde_json::Error,
    },
}

/// Takes `files` out of a folder that nobody records into. Those that were replaced meanwhile are
/// passed over. `now` is the time.
///
/// # Errors
///
/// When the folder is in use or holds no recording, or the disk or the catalog fails.
pub fn quarantine(
    data: &Path,
    fs: &Arc<dyn Fs>,
    now: Timestamp,
    files: &[PartName],
) -> Result<Quarantined, QuarantineError> {
    let mut owner = Owner::of(data, fs, now)?;
    let mut segments = owner.catalog().segments(&Filter::default())?;
    segments.retain(|segment| files.contains(&segment.name));
    if segments.is_empty() {
        return Ok(Quarantined::default());
    }
    let paths = owner.paths().clone();
    let site = Site { fs, paths: &paths, catalog: owner.catalog(), now };
    let change = site.change(&segments)?;
    let done = Quarantined {
        files: segments.iter().map(|segment| segment.name.to_string()).collect(),
        rows: segments.iter().map(|segment| segment.rows).sum(),
        gaps: change.gaps.iter().map(|(_, gap)| gap.clone()).collect(),
    };
    owner.catalog.publish(&change)?;
    for Segment { name, .. } in &segments {
        // One that is not there was lost before; one that stays is moved by the next start.
        if let Err(error) = sweep::quarantine(fs.as_ref(), &paths, name)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(
                "{name} does not count any more, and stays until the next start: {error}"
            );
        }
    }
    Ok(done)
}

#[derive(Clone, Copy)]
struct Site<'a> {
    fs: &'a Arc<dyn Fs>,
    paths: &'a Paths,
    catalog: &'a Catalog,
    now: Timestamp,
}

/// What is lost of one stream and day.
type Lost = BTreeMap<Option<Market>, Spans>;

impl Site<'_> {
    /// What the catalog has to learn.
    fn change(self, segments: &[Segment]) -> Result<Change, QuarantineError> {
        let mut days: BTreeMap<PartKey, Vec<&Segment>> = BTreeMap::new();
        for segment in segments {
            let PartName { stream, venue, date, .. } = segment.name.clone();
            days.entry(PartKey { stream, venue, date }).or_default().push(segment);
        }
        let start = self.catalog.start()?;
        let mut change = Change { at: self.now, ..Change::default() };
        let mut lanes = BTreeSet::new();
        for (part, files) in &days {
            let counts = self.count(part, files)?;
            let lost = self.lost(part, files, &counts)?;
            change.recounts.push(counts.recount(part));
            change.lost.extend(files.iter().map(|file| file.name.number));
            lanes.extend(
                lost.keys().map(|market| (part.venue.clone(), part.stream, market.clone())),
            );
            for gap in gaps(part, files, &lost) {
                let id = start
                    .next_gap
                    .saturating_add_unsigned(u64::try_from(change.gaps.len()).unwrap_or(u64::MAX));
                change.gaps.push((id, gap));
            }
        }
        for carry in start.carries {
            let lane = |market| (carry.venue.clone(), carry.stream, market);
            let hit = [Some(carry.market.clone()), None].map(lane);
            if hit.iter().any(|lane| lanes.contains(lane)) {
                change.carries.extend(self.forgotten(carry)?);
            }
        }
        Ok(change)
    }

    /// The rows that are left in every hour that `files` touch.
    fn count(self, part: &PartKey, files: &[&Segment]) -> Result<Counts, QuarantineError> {
        let all = || files.iter().map(|file| file.ts_event);
        let min = all().map(|ends| ends.min.hour()).min().unwrap_or(self.now);
        let max = all().map(|ends| ends.max.hour()).max().unwrap_or(self.now);
        let mut counts = Counts::of(Ends { min, max });
        let last = max.after(HOUR).before(INSTANT);
        for segment in self.catalog.covering(&part.venue, part.stream, min, last)? {
            if files.iter().all(|file| file.name != segment.name) {
                segment::scan(self.fs, self.paths, &segment, Extent::Keys, |cells| {
                    counts.add(cells);
                })?;
            }
        }
        Ok(counts)
    }

    /// By market, the times of `files` in hours that have fewer rows now.
    fn lost(
        self,
        part: &PartKey,
        files: &[&Segment],
        counts: &Counts,
    ) -> Result<Lost, QuarantineError> {
        let mut lost = Lost::new();
        let filter = Filter {
            venue: Some(part.venue.clone()),
            stream: Some(part.stream),
            market: None,
            within: counts.span(),
        };
        for ((_, _, market), hour, rows) in self.catalog.recorded(&filter)? {
            let left = market.as_ref().map_or(0, |market| counts.rows(market, hour));
            if left < rows {
                let spans = lost.entry(market).or_default();
                files
                    .iter()
                    .filter_map(|file| span_of(file, hour))
                    .for_each(|one| spans.insert(one));
            }
        }
        lost.retain(|_, spans| !spans.is_empty());
        // Rows that nobody counted, such as those of `unread`.
        if lost.is_empty() {
            let spans = files.iter().filter_map(|file| whole(file, file.ts_event));
            lost.insert(None, spans.collect());
        }
        Ok(lost)
    }

    /// A lane that does not rely on what it saw; none where it keeps it.
    fn forgotten(self, carry: Carry) -> Result<Option<Carry>, QuarantineError> {
        match carry.stream {
            Stream::Trade | Stream::Candle(_) => {}
            // What cannot be had again need not be let in again.
            Stream::Orderbook | Stream::Ticker | Stream::Instrument | Stream::Unread => {
                return Ok(None);
            }
        }
        let state = merge::forget(&carry.state, self.now).map_err(|error| {
            let lane = format!("{} {} {}", carry.venue, carry.stream, carry.market);
            QuarantineError::State { lane, error }
        })?;
        Ok(Some(Carry { state, ..carry }))
    }
}

/// The ledger's rows for what is lost.
fn gaps(part: &PartKey, files: &[&Segment], lost: &Lost) -> Vec<Gap> {
    let offers = by_name(&part.venue).map(Venue::offers).unwrap_or_default();
    let repairable =
        offers.iter().any(|offer| offer.stream == part.stream && offer.history.is_some());
    let state = if repairable { GapState::Open } else { GapState::BeyondRepair };
    let gap = |market: &Option<Market>, span: &Span| {
        let held = |file: &&&Segment| {
            whole(file, file.ts_event).is_some_and(|one| one.intersect(*span).is_some())
        };
        let names: Vec<String> =
            files.iter().filter(held).map(|file| file.name.to_string()).collect();
        let (first, more) = (names.first().cloned().unwrap_or_default(), names.len());
        let more = more.checked_sub(1).filter(|more| *more > 0);
        let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
        Gap {
            venue: part.venue.clone(),
            stream: part.stream,
            market: market.clone(),
            from: span.from(),
            to: Some(span.to()),
            cause: GapCause::Damaged,
            state,
            rows_repaired: 0,
            source: None,
            detail: format!("{first}{more} went to quarantine"),
        }
    };
    let of_market = |(market, spans): (&Option<Market>, &Spans)| {
        spans.iter().map(|span| gap(market, &span)).collect::<Vec<_>>()
    };
    lost.iter().flat_map(of_market).collect()
}

/// The times of rows that `file` may hold of an hour.
fn span_of(file: &Segment, hour: Timestamp) -> Option<Span> {
    let Ends { min, max } = file.ts_event;
    let times = Ends { min: min.max(hour), max: max.min(hour.after(HOUR).before(INSTANT)) };
    (times.min <= times.max).then(|| whole(file, times)).flatten()
}

/// The time of rows from one to the other: of candles all of their units.
fn whole(file: &Segment, times: Ends<Timestamp>) -> Option<Span> {
    match file.name.stream {
        Stream::Candle(unit) => Span::new(times.min, unit.end(unit.opening(times.max))),
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => Span::new(times.min, times.max.after(INSTANT)),
    }
}
