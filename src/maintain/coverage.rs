//! What is held of each hour, with its condition: as a list, and as a calendar.
//!
//! The condition is what `verify` found, as long as the catalog says of the hour what it said
//! then: the same rows, the same time proven live, the same gaps. Else it is what the gap ledger
//! alone tells: `degraded` or `missing` where something was lost, and `unproven`.
//!
//! The catalog is read a week at a time: what a week costs does not grow with the others.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{NaiveDate, Timelike as _};
use smol_str::SmolStr;

use super::proof::ledger::{Due, Lane, Ledger, fingerprint};
use crate::model::condition::Condition;
use crate::model::market::Market;
use crate::model::span::{Span, Spans};
use crate::model::subscription::Stream;
use crate::model::time::{DAY, HOUR_US, Timestamp};
use crate::store::catalog::{Catalog, CatalogError, ConditionRow, CoveredHour, Filter};

/// One hour of one market of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldHour {
    /// What is held.
    pub held: CoveredHour,
    /// Whether all of it is here.
    pub condition: Condition,
    /// The numbers that decided it, as JSON; none where nobody has compared it.
    pub numbers: Option<String>,
    /// Whether a policy removed its rows: nothing of it is missing.
    pub retired: bool,
    /// Whether any of it was to be recorded.
    pub due: bool,
}

impl HeldHour {
    /// Its condition in a word; or that a policy removed it, which is none of the bad ones.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        if self.retired { RETIRED } else { self.condition.as_str() }
    }

    /// Whether all that is here is the market's last trade or book, as told at subscription: it
    /// says nothing of its own hour.
    #[must_use]
    pub fn is_stray(&self) -> bool {
        let held = &self.held;
        held.covered.is_zero() && self.condition == Condition::Unproven && held.rows <= 1
    }
}

/// What is said of an hour whose rows a policy removed.
pub const RETIRED: &str = "retired";

/// One day of a stream, of one market or of all together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarDay {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The market; all that are recorded where none is named.
    pub market: Option<Market>,
    /// The UTC day.
    pub date: NaiveDate,
    /// The condition of each of its 24 hours: of several markets together; none where nothing was
    /// to be recorded and nothing is there.
    pub hours: [Option<Condition>; 24],
    /// Rows of the day.
    pub rows: u64,
}

impl CalendarDay {
    /// The condition of the whole day: that of its hours together.
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        self.hours.iter().copied().flatten().reduce(Condition::and)
    }
}

/// The hours that hold anything, or that should, as far as `filter` asks for them: by venue,
/// stream, market and time.
///
/// # Errors
///
/// When the catalog cannot be read.
pub fn hours(catalog: &Catalog, filter: &Filter) -> Result<Vec<HeldHour>, CatalogError> {
    let mut all = Vec::new();
    each_week(catalog, filter, |hours| all.extend(hours))?;
    all.sort_by(|one, next| order(&one.held).cmp(&order(&next.held)));
    Ok(all)
}

/// The same as a calendar: for each market where `by_market`, else for all together.
///
/// # Errors
///
/// When the catalog cannot be read.
pub fn calendar(
    catalog: &Catalog,
    filter: &Filter,
    by_market: bool,
) -> Result<Vec<CalendarDay>, CatalogError> {
    let mut days: BTreeMap<_, CalendarDay> = BTreeMap::new();
    let mut add = |hour: HeldHour| {
        let HeldHour { held, condition, .. } = hour;
        let market = held.market.filter(|_| by_market);
        let date = held.hour.date();
        let key = (held.venue.clone(), held.stream, market.clone(), date);
        let (venue, stream) = (held.venue, held.stream);
        let empty = CalendarDay { venue, stream, market, date, hours: [None; 24], rows: 0 };
        let day = days.entry(key).or_insert(empty);
        day.rows += held.rows;
        let hour = usize::try_from(held.hour.datetime().hour()).unwrap_or_default();
        if let Some(known) = day.hours.get_mut(hour) {
            *known = Some(known.map_or(condition, |known| known.and(condition)));
        }
    };
    each_week(catalog, filter, |hours| {
        hours.into_iter().filter(|hour| !hour.retired && !hour.is_stray()).for_each(&mut add);
    })?;
    Ok(days.into_values().collect())
}

/// The hours of trades within `within` that were to be recorded and of which nobody has found a
/// condition that still holds: by venue and UTC day, from the first of them to the end of the last.
///
/// # Errors
///
/// When the catalog cannot be read.
pub fn unproven(catalog: &Catalog, within: Span) -> Result<Vec<(SmolStr, Span)>, CatalogError> {
    let (mut found, mut from) = (Vec::new(), within.from());
    // Day by day, so that memory does not grow with the days.
    while from < within.to() {
        let next = from.day().after(DAY).min(within.to());
        let within = Span::new(from, next);
        let filter = Filter { stream: Some(Stream::Trade), within, ..Filter::default() };
        let mut ends: BTreeMap<SmolStr, (Timestamp, Timestamp)> = BTreeMap::new();
        let open = |hour: &HeldHour| hour.due && !hour.retired && hour.numbers.is_none();
        for HeldHour { held, .. } in hours(catalog, &filter)?.into_iter().filter(open) {
            let (first, last) = ends.entry(held.venue).or_insert((held.hour, held.hour));
            (*first, *last) = ((*first).min(held.hour), (*last).max(held.hour));
        }
        found.extend(ends.into_iter().filter_map(|(venue, (first, last))| {
            let end = last.after(Duration::from_micros(HOUR_US.unsigned_abs()));
            Some((venue, Span::new(first.max(from), end.min(next))?))
        }));
        from = next;
    }
    Ok(found)
}

/// What is read at once.
const WEEK: Duration = Duration::from_hours(24 * 7);

/// Days whose hours are counted.
pub const COUNTED_DAYS: u64 = 7;

/// How many hours of trades of the last [`COUNTED_DAYS`] before `last` have each condition.
///
/// # Errors
///
/// When the catalog cannot be read.
pub fn counts(catalog: &Catalog, last: Timestamp) -> Result<Vec<(Condition, usize)>, CatalogError> {
    let from = last.before(Duration::from_hours(24 * COUNTED_DAYS)).hour();
    let within = Span::new(from, last.after(Duration::from_micros(1)));
    let hours =
        hours(catalog, &Filter { stream: Some(Stream::Trade), within, ..Filter::default() })?;
    // The last trade before a subscription says nothing of its own hour.
    let due: Vec<_> = hours
        .iter()
        .filter(|hour| hour.condition.is_bad() || !hour.held.covered.is_zero())
        .collect();
    let count = |condition| due.iter().filter(|hour| hour.condition == condition).count();
    Ok(Condition::ALL.iter().map(|condition| (*condition, count(*condition))).collect())
}

/// Hands out the hours that `filter` asks for, those of each week by themselves and in the order of
/// the whole, all of one state of the catalog.
fn each_week(
    catalog: &Catalog,
    filter: &Filter,
    mut take: impl FnMut(Vec<HeldHour>),
) -> Result<(), CatalogError> {
    catalog.snapshot(|catalog| {
        let known = catalog.extent()?;
        // A span without an end goes further than there are weeks to go through.
        let all =
            known.and_then(|known| filter.within.map_or(Some(known), |one| one.intersect(known)));
        let Some(all) = all else { return Ok(()) };
        let mut from = all.from();
        while from < all.to() {
            // Whole hours, or one of them would be told twice.
            let next = from.hour().after(WEEK).min(all.to());
            let filter = Filter { within: Span::new(from, next), ..filter.clone() };
            take(read(catalog, &filter)?);
            from = next;
        }
        Ok(())
    })
}

fn read(catalog: &Catalog, filter: &Filter) -> Result<Vec<HeldHour>, CatalogError> {
    // Where everything has to be here is of no matter for what is stored already.
    let ledger = Ledger::load(catalog, filter, Duration::ZERO)?;
    let every = Filter { stream: None, ..filter.clone() };
    let counts: BTreeMap<(Lane, Timestamp), u64> = catalog
        .recorded(&every)?
        .into_iter()
        .filter_map(|((venue, stream, market), hour, rows)| {
            Some((((venue.into(), stream, market?), hour), rows))
        })
        .collect();
    let found: BTreeMap<(Lane, Timestamp), ConditionRow> = catalog
        .conditions(filter)?
        .into_iter()
        .map(|row| (((row.venue.clone(), row.stream, row.market.clone()), row.hour), row))
        .collect();
    let mut covered = catalog.coverage(filter)?;
    covered.extend(lost(&ledger, filter, &covered));
    covered.sort_by(|one, next| order(one).cmp(&order(next)));
    let mut gone: BTreeMap<(SmolStr, Stream), Spans> = BTreeMap::new();
    for one in catalog.retirements(filter)? {
        gone.entry((one.venue, one.stream)).or_default().insert(one.span);
    }
    let judged = covered.into_iter().map(|held| {
        let gone = gone.get(&(held.venue.clone(), held.stream));
        let retired = gone.is_some_and(|gone| gone.contains(held.hour));
        let Some(market) = held.market.clone() else {
            let condition = Condition::Unproven;
            return HeldHour { held, condition, numbers: None, retired, due: false };
        };
        let lane = (held.venue.clone(), held.stream, market);
        let asked = ledger.due(&lane, held.hour);
        let due = asked.is_any();
        let row = found.get(&(lane.clone(), held.hour));
        let row = row.filter(|row| holds(row, &asked, &ledger, &counts));
        let condition = row.map_or_else(|| asked.condition(held.rows), |row| row.condition);
        let numbers = row.map(|row| row.numbers.clone());
        HeldHour { held, condition, numbers, retired, due }
    });
    Ok(judged.collect())
}

fn order(hour: &CoveredHour) -> (&str, Stream, Option<&Market>, Timestamp) {
    (&hour.venue, hour.stream, hour.market.as_ref(), hour.hour)
}

/// Whether the catalog says of an hour what it said when its condition was found.
fn holds(
    row: &ConditionRow,
    due: &Due<'_>,
    ledger: &Ledger,
    counts: &BTreeMap<(Lane, Timestamp), u64>,
) -> bool {
    let lane = |stream| (row.venue.clone(), stream, row.market.clone());
    let count = |stream| counts.get(&(lane(stream), row.hour)).copied().unwrap_or_default();
    let others: Vec<Due<'_>> =
        row.evidence.iter().map(|stream| ledger.due(&lane(*stream), row.hour)).collect();
    let covered_us = u64::try_from(due.covered.as_micros()).unwrap_or(u64::MAX);
    row.rows == count(row.stream)
        && row.covered_us == covered_us
        && row.evidence_rows == row.evidence.iter().map(|stream| count(*stream)).sum::<u64>()
        && row.ledger == fingerprint(std::iter::once(due).chain(&others))
}

/// The hours of gaps of which there is neither a row nor a proof.
fn lost(ledger: &Ledger, filter: &Filter, known: &[CoveredHour]) -> Vec<CoveredHour> {
    let known: std::collections::BTreeSet<_> = known.iter().map(order).collect();
    let mut lost = Vec::new();
    for lane in ledger.all().filter(|lane| filter.stream.is_none_or(|only| only == lane.1)) {
        for hour in ledger.hours(lane, filter.within) {
            let (venue, stream, market) = lane;
            if !known.contains(&(venue.as_str(), *stream, Some(market), hour))
                && ledger.due(lane, hour).lost()
            {
                lost.push(CoveredHour {
                    venue: venue.clone(),
                    stream: *stream,
                    market: Some(market.clone()),
                    hour,
                    rows: 0,
                    covered: Duration::ZERO,
                });
            }
        }
    }
    lost
}
