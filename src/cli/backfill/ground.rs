//! What there is to do: the plan, beside what earlier calls left.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::trusted;
use crate::backfill::held::Held;
use crate::backfill::plan::{Plan, Wish, plan};
use crate::cli::Failure;
use crate::cli::config::Config;
use crate::ingest::plan::Selection;
use crate::model::job::{Job, JobKind};
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::spelling::nearest;
use crate::model::subscription::Stream;
use crate::model::time::{DAY, Timestamp};
use crate::store::catalog::{Catalog, Filter};
use crate::venue::Venue;

/// Rows that a file of a stream must have told before their size is believed.
const ROWS_TO_JUDGE: u64 = 1_000;
/// For how long trades must have been recorded before their rate is believed.
const COVERED_TO_JUDGE: f64 = 600.0;
/// Bytes that a row takes in a file, where nobody knows.
const BYTES_PER_ROW: f64 = 45.0;

/// What the arguments ask for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) selection: Selection,
    pub(super) span: Span,
    pub(super) force: bool,
    pub(super) restart: bool,
}

/// What there is to do.
#[derive(Debug, Default)]
pub(super) struct Ground {
    /// What is new.
    pub(super) plan: Plan,
    /// What earlier calls left.
    pub(super) resumed: Vec<Job>,
    /// What they left and is not to be done any more.
    pub(super) dropped: Vec<Job>,
    /// Markets that the venue does not list, with the nearest that it does.
    pub(super) unlisted: Vec<(Market, Option<String>)>,
    /// Bytes that a row takes in a file.
    pub(super) bytes_per_row: BTreeMap<Stream, f64>,
    /// How many jobs there are in all.
    pub(super) jobs: usize,
}

/// Finds out what there is to do.
pub(super) fn ground(
    config: &Config,
    venue: &'static dyn Venue,
    wanted: Option<&Wanted>,
    listed: Option<&[Market]>,
    catalog: Option<&Catalog>,
    now: Timestamp,
) -> Result<Ground, Failure> {
    let name = venue.name();
    let of_venue = Filter { venue: Some(name.into()), ..Filter::default() };
    let mut left = match catalog {
        Some(catalog) => catalog.jobs(&of_venue)?,
        None => Vec::new(),
    };
    left.retain(|job| job.kind == JobKind::Backfill && !job.state.is_over());
    let Some(Wanted { selection, span, force, restart }) = wanted else {
        return Ok(Ground { resumed: left, ..Ground::default() });
    };
    let resolved = selection.resolve(venue, trusted(listed));
    let resolved = resolved.map_err(|error| Failure::Usage(error.into()))?;
    let subjects: Vec<_> = resolved.into_iter().map(|one| (one.stream, one.market)).collect();
    let asked: HashSet<_> = subjects.iter().map(|(stream, market)| (*stream, market)).collect();
    left.retain(|job| {
        asked.contains(&(job.stream, &job.market)) && job.span.intersect(*span).is_some()
    });
    let mut held = match catalog {
        Some(catalog) if !*force => Held::read(catalog, name, *span)?,
        Some(_) | None => Held::default(),
    };
    let (resumed, dropped) = if *restart { (Vec::new(), left) } else { (left, Vec::new()) };
    for job in &resumed {
        held.insert(job.stream, &job.market, job.span);
    }
    let trades_per_day = trades_per_day(catalog, name)?;
    let planned = plan(&Wish {
        venue,
        subjects: &subjects,
        span: *span,
        held: &held,
        trades_per_day: &trades_per_day,
        now,
        settle: config.settle.0,
    });
    let plan = planned.map_err(|error| Failure::Usage(error.into()))?;
    let unlisted = unlisted(&subjects, listed);
    let bytes_per_row = bytes_per_row(catalog, name)?;
    Ok(Ground { plan, resumed, dropped, unlisted, bytes_per_row, jobs: 0 })
}

impl Ground {
    /// Bytes that `rows` of a stream take in files, about.
    pub(super) fn bytes(&self, stream: Stream, rows: u64) -> f64 {
        let rows = u32::try_from(rows).map_or(f64::from(u32::MAX), f64::from);
        rows * self.bytes_per_row.get(&stream).copied().unwrap_or(BYTES_PER_ROW)
    }
}

/// Those of the markets that the venue does not list.
fn unlisted(
    subjects: &[(Stream, Market)],
    listed: Option<&[Market]>,
) -> Vec<(Market, Option<String>)> {
    let Some(listed) = listed else { return Vec::new() };
    let listed: BTreeSet<&str> = listed.iter().map(Market::as_str).collect();
    let asked: BTreeSet<&Market> = subjects.iter().map(|(_, market)| market).collect();
    let missing = asked.into_iter().filter(|market| !listed.contains(market.as_str()));
    let near = |market: &Market| nearest(market.as_str(), listed.iter().copied());
    missing.map(|market| (market.clone(), near(market).map(str::to_owned))).collect()
}

/// How often each market traded while it was recorded.
fn trades_per_day(
    catalog: Option<&Catalog>,
    venue: &str,
) -> Result<BTreeMap<Market, f64>, Failure> {
    let Some(catalog) = catalog else { return Ok(BTreeMap::new()) };
    let filter =
        Filter { venue: Some(venue.into()), stream: Some(Stream::Trade), ..Filter::default() };
    let mut seen: BTreeMap<Market, (f64, f64)> = BTreeMap::new();
    for hour in catalog.coverage(&filter)? {
        let Some(market) = hour.market.filter(|_| !hour.covered.is_zero()) else { continue };
        let (rows, seconds) = seen.entry(market).or_default();
        *rows += u32::try_from(hour.rows).map_or(f64::from(u32::MAX), f64::from);
        *seconds += hour.covered.as_secs_f64();
    }
    seen.retain(|_, (_, seconds)| *seconds >= COVERED_TO_JUDGE);
    let day = DAY.as_secs_f64();
    Ok(seen.into_iter().map(|(market, (rows, seconds))| (market, rows / seconds * day)).collect())
}

/// How large a row of each stream is in the files there are.
fn bytes_per_row(catalog: Option<&Catalog>, venue: &str) -> Result<BTreeMap<Stream, f64>, Failure> {
    let Some(catalog) = catalog else { return Ok(BTreeMap::new()) };
    let number = |n: u64| u32::try_from(n).map_or(f64::from(u32::MAX), f64::from);
    let streams = catalog.summary()?.into_iter();
    let told = streams.filter(|told| told.venue == venue && told.rows >= ROWS_TO_JUDGE);
    Ok(told.map(|told| (told.stream, number(told.bytes) / number(told.rows))).collect())
}
