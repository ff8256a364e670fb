//! Questions to the catalog and to published files, off the recording's path: two at a time, and
//! the same one again within a moment gets the same answer.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::NaiveDate;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::prices::{PriceError, Prices};
use crate::maintain::coverage::{HeldHour, RETIRED, hours};
use crate::model::condition::Condition;
use crate::model::gap::Gap;
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::{HOUR_US, Timestamp};
use crate::net::clock::Clock;
use crate::store::catalog::{Catalog, CatalogError, Filter};

/// Questions at a time.
pub(super) const QUESTIONS: usize = 2;
/// How long a question waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// Answers that are kept.
const ANSWERS: usize = 64;
/// Markets that are told of at most.
const MARKETS: usize = 2_000;
const HOUR: Duration = Duration::from_micros(HOUR_US.unsigned_abs());

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Prices(#[from] PriceError),
    #[error("too many questions at a time; ask again in a moment")]
    Busy,
    #[error("the answer could not be made")]
    Lost,
}

/// Answers about what lies on the disk.
pub(super) struct Archive {
    data: PathBuf,
    clock: Arc<dyn Clock>,
    turns: Semaphore,
    answers: Mutex<HashMap<String, (Duration, Arc<Value>)>>,
    prices: Arc<Prices>,
}

impl Archive {
    pub(super) fn new(data: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            data: data.to_owned(),
            clock,
            turns: Semaphore::new(QUESTIONS),
            answers: Mutex::default(),
            prices: Arc::new(Prices::new(data)),
        }
    }

    /// The answer to a question whose `name` says all of it, not older than `fresh`.
    pub(super) async fn ask(
        &self,
        name: String,
        fresh: Duration,
        question: impl FnOnce(&Catalog, &Path, &Prices) -> Result<Value, ArchiveError> + Send + 'static,
    ) -> Result<Arc<Value>, ArchiveError> {
        if let Some(answer) = self.known(&name, fresh) {
            return Ok(answer);
        }
        let turn = tokio::time::timeout(TURN_WITHIN, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| ArchiveError::Busy)?.map_err(|_| ArchiveError::Lost)?;
        // Whoever was before us may have asked the same.
        if let Some(answer) = self.known(&name, fresh) {
            return Ok(answer);
        }
        let (data, prices) = (self.data.clone(), Arc::clone(&self.prices));
        let answer = tokio::task::spawn_blocking(move || {
            let catalog = Catalog::of_folder(&data)?;
            question(&catalog, &data, &prices)
        });
        let answer = Arc::new(answer.await.map_err(|_| ArchiveError::Lost)??);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS {
            answers.clear();
        }
        answers.insert(name, (self.clock.monotonic(), Arc::clone(&answer)));
        Ok(answer)
    }

    fn known(&self, name: &str, fresh: Duration) -> Option<Arc<Value>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, answer) = answers.get(name)?;
        (self.clock.monotonic().saturating_sub(*at) < fresh).then(|| Arc::clone(answer))
    }
}

/// The newest gaps.
pub(super) fn gaps(catalog: &Catalog, limit: u32) -> Result<Value, ArchiveError> {
    let gaps = catalog.newest_gaps(limit)?;
    Ok(json!({ "gaps": gaps.iter().map(|(id, gap)| gap_document(*id, gap)).collect::<Vec<_>>() }))
}

fn gap_document(id: i64, gap: &Gap) -> Value {
    json!({
        "id": id,
        "venue": gap.venue,
        "stream": gap.stream.name(),
        "market": gap.market,
        "from": gap.from.to_string(),
        "to": gap.to.map(|to| to.to_string()),
        "cause": gap.cause.as_str(),
        "state": gap.state.as_str(),
        "rows_repaired": gap.rows_repaired,
        "detail": gap.detail,
    })
}

/// What an hour of all markets together adds up to.
#[derive(Default)]
struct Cell {
    markets: u32,
    rows: u64,
    covered: Duration,
    /// Of all that no policy removed.
    condition: Option<Condition>,
}

impl Cell {
    fn add(&mut self, hour: &HeldHour) {
        self.markets += 1;
        self.rows += hour.held.rows;
        self.covered += hour.held.covered;
        if !hour.retired {
            let known = self.condition;
            self.condition = Some(known.map_or(hour.condition, |one| one.and(hour.condition)));
        }
    }

    fn word(&self) -> &'static str {
        self.condition.map_or(RETIRED, Condition::as_str)
    }
}

/// The calendar: each hour of `days` days up to `now`, as `veritape coverage --by hour` tells it. It
/// is read day by day, so that memory does not grow with the days.
pub(super) fn calendar(
    catalog: &Catalog,
    stream: Stream,
    days: u16,
    now: Timestamp,
) -> Result<Value, ArchiveError> {
    let today = midnight(now.date());
    let from = today.before(HOUR * 24 * (u32::from(days.max(1)) - 1));
    let mut told = Vec::new();
    for day in 0..u32::from(days.max(1)) {
        let midnight = from.after(HOUR * 24 * day);
        let within = Span::new(midnight, midnight.after(HOUR * 24));
        let filter = Filter { stream: Some(stream), within, ..Filter::default() };
        let mut cells: BTreeMap<Timestamp, Cell> = BTreeMap::new();
        for hour in hours(catalog, &filter)?.iter().filter(|hour| !hour.is_stray()) {
            cells.entry(hour.held.hour).or_default().add(hour);
        }
        let of_day = (0..24).map(|hour| midnight.after(HOUR * hour));
        let of_day = of_day.map(|hour| cell_document(hour, cells.get(&hour), now));
        told.push(json!({
            "date": midnight.date().to_string(),
            "hours": of_day.collect::<Vec<Value>>(),
        }));
    }
    Ok(json!({ "stream": stream.name(), "days": told }))
}

/// One hour; null where there was nothing and nothing was asked for.
fn cell_document(hour: Timestamp, cell: Option<&Cell>, now: Timestamp) -> Value {
    let Some(cell) = cell else { return Value::Null };
    let length = HOUR.min(now.since(hour)) * cell.markets.max(1);
    let share =
        if length.is_zero() { 0.0 } else { cell.covered.as_secs_f64() / length.as_secs_f64() };
    json!({
        "hour": hour.to_string(),
        "markets": cell.markets,
        "rows": cell.rows,
        "covered": (share.min(1.0) * 10_000.0).round() / 10_000.0,
        "condition": cell.word(),
    })
}

/// One day of a stream: its markets, its gaps and its files.
pub(super) fn day(
    catalog: &Catalog,
    stream: Stream,
    date: NaiveDate,
) -> Result<Value, ArchiveError> {
    let from = midnight(date);
    let within = Span::new(from, from.after(HOUR * 24));
    let filter = Filter { stream: Some(stream), within, ..Filter::default() };
    let mut markets: BTreeMap<String, (Cell, Vec<Value>)> = BTreeMap::new();
    for hour in hours(catalog, &filter)? {
        let name = hour.held.market.as_ref().map_or_else(String::new, Market::to_string);
        let (cell, of_market) = markets.entry(name).or_default();
        cell.add(&hour);
        of_market.push(hour_document(&hour));
    }
    let segments = catalog.segments(&filter)?;
    let gaps = catalog.gaps(&filter)?;
    let newest = gaps.iter().rev().take(200);
    let truncated = markets.len() > MARKETS;
    let markets = markets.into_iter().take(MARKETS).map(|(market, (cell, hours))| {
        json!({
            "market": market,
            "rows": cell.rows,
            "covered_s": cell.covered.as_secs_f64(),
            "condition": cell.word(),
            "hours": hours,
        })
    });
    Ok(json!({
        "date": date.to_string(),
        "stream": stream.name(),
        "files": segments.len(),
        "rows": segments.iter().map(|segment| segment.rows).sum::<u64>(),
        "bytes": segments.iter().map(|segment| segment.bytes).sum::<u64>(),
        "gaps": newest.map(|(id, gap)| gap_document(*id, gap)).collect::<Vec<Value>>(),
        "markets": markets.collect::<Vec<Value>>(),
        "truncated": truncated,
    }))
}

fn hour_document(hour: &HeldHour) -> Value {
    json!({
        "hour": hour.held.hour.to_string(),
        "rows": hour.held.rows,
        "covered_s": hour.held.covered.as_secs_f64(),
        "condition": hour.word(),
    })
}

/// The markets that there are prices of, by venue.
pub(super) fn markets(catalog: &Catalog) -> Result<Value, ArchiveError> {
    let mut found: BTreeMap<(String, Market), Vec<&'static str>> = BTreeMap::new();
    let limit = u32::try_from(MARKETS).unwrap_or(u32::MAX);
    for held in catalog.summary()? {
        if matches!(held.stream, Stream::Instrument | Stream::Unread | Stream::Ticker) {
            continue;
        }
        for market in catalog.markets_of(&held.venue, held.stream, limit)? {
            let streams = found.entry((held.venue.to_string(), market)).or_default();
            streams.push(held.stream.name());
        }
    }
    let markets = found.into_iter().take(MARKETS).map(|((venue, market), streams)| {
        json!({ "venue": venue, "market": market, "streams": streams })
    });
    Ok(json!({ "markets": markets.collect::<Vec<Value>>() }))
}

/// The first instant of a day.
fn midnight(date: NaiveDate) -> Timestamp {
    date.and_time(chrono::NaiveTime::MIN).and_utc().into()
}
