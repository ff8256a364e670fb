//! The rows for the proof: one venue and day at a time, some markets at once.
//!
//! Memory: a few words for each row of [`Site::rows_at_once`] (or of the busiest market, where that
//! has more). A compacted file is read for its row groups of these markets only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime};
use smol_str::SmolStr;

use super::ledger::{Due, Lane, Ledger, fingerprint};
use super::{Bar, Fill, Held, Hour, Reading, Verdict, inside, prove};
use crate::model::market::Market;
use crate::model::span::{Span, Spans};
use crate::model::subscription::{CandleUnit, Stream};
use crate::model::time::{HOUR_US, Timestamp};
use crate::store::catalog::{Catalog, CatalogError, ConditionRow, Filter};
use crate::store::fs::Fs;
use crate::store::paths::Paths;
use crate::store::segment::{self, Columns, Segment, SegmentError};

/// Rows in memory together where nothing else is to be done: the files are read the fewer times.
pub const MANY_ROWS: u64 = 1_000_000;
/// The same beside a recorder.
pub const FEW_ROWS: u64 = 200_000;
const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_micros(HOUR_US.unsigned_abs());

/// What a day is proven from.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The disk.
    pub fs: &'a Arc<dyn Fs>,
    /// The data folder.
    pub paths: &'a Paths,
    /// Its catalog.
    pub catalog: &'a Catalog,
    /// What was to be recorded.
    pub ledger: &'a Ledger,
    /// Numbers of files that cannot be read: their rows are not here.
    pub bad: &'a BTreeSet<u64>,
    /// When this is found. Clock: ours.
    pub now: Timestamp,
    /// Rows of the catalog's count that are in memory together.
    pub rows_at_once: u64,
}

/// Why a day could not be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file failed.
    #[error(transparent)]
    Segment(SegmentFault),
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct SegmentFault {
    /// The file.
    pub segment: Box<Segment>,
    /// Why.
    pub source: SegmentError,
}

/// Proves the hours of one venue and UTC day: of trades, and of the candles beside them.
///
/// # Errors
///
/// When the catalog or a file fails.
pub fn prove_day(
    site: Site<'_>,
    venue: &SmolStr,
    date: NaiveDate,
) -> Result<Vec<ConditionRow>, ProofError> {
    span_of(date).map_or_else(|| Ok(Vec::new()), |day| prove_hours(site, venue, day))
}

/// The same of some hours of one UTC day.
///
/// # Errors
///
/// When the catalog or a file fails.
pub fn prove_hours(
    site: Site<'_>,
    venue: &SmolStr,
    span: Span,
) -> Result<Vec<ConditionRow>, ProofError> {
    let within = Filter { venue: Some(venue.clone()), within: Some(span), ..Filter::default() };
    let date = span.from().date();
    let recorded = site.catalog.recorded(&within)?.into_iter();
    let counts = recorded
        .filter_map(|((_, stream, market), hour, rows)| Some(((stream, market?, hour), rows)));
    let mut segments = site.catalog.segments(&within)?;
    segments.retain(|one| one.name.date == date && !site.bad.contains(&one.name.number));
    let counts: Counts = counts.collect();
    let day = Day { site, venue, span, counts, segments };
    let mut rows = Vec::new();
    for markets in day.groups() {
        let held = day.read(&markets)?;
        for market in &markets {
            day.judge(market, held.get(market), &mut rows);
        }
    }
    Ok(rows)
}

/// The UTC day `date`.
#[must_use]
pub fn span_of(date: NaiveDate) -> Option<Span> {
    let from = Timestamp::from(date.and_time(NaiveTime::MIN).and_utc());
    Span::new(from, from.after(DAY))
}

/// The units of candles that lie inside one hour.
fn units() -> impl Iterator<Item = CandleUnit> {
    CandleUnit::ALL.into_iter().filter(|unit| unit.longest() <= HOUR)
}

type Counts = BTreeMap<(Stream, Market, Timestamp), u64>;

/// One venue, and a day or some hours of it.
struct Day<'a> {
    site: Site<'a>,
    venue: &'a SmolStr,
    span: Span,
    counts: Counts,
    segments: Vec<Segment>,
}

/// The rows of one market.
#[derive(Default)]
struct Rows {
    fills: Vec<Fill>,
    bars: BTreeMap<CandleUnit, Vec<Bar>>,
    readings: Vec<Reading>,
}

impl Day<'_> {
    fn lane(&self, stream: Stream, market: &Market) -> Lane {
        (self.venue.clone(), stream, market.clone())
    }

    /// The markets of which anything is due, in their order, as many together as memory takes.
    fn groups(&self) -> Vec<Vec<Market>> {
        let ledger = self.site.ledger;
        let due = |lane: &&Lane| !ledger.hours(lane, Some(self.span)).is_empty();
        let lanes = ledger.lanes(self.venue, Stream::Trade).filter(due);
        let mut rows: BTreeMap<&Market, u64> = BTreeMap::new();
        for ((_, market, _), count) in &self.counts {
            *rows.entry(market).or_default() += count;
        }
        let (mut groups, mut together) = (Vec::<Vec<Market>>::new(), u64::MAX);
        for (_, _, market) in lanes {
            let count = rows.get(market).copied().unwrap_or_default();
            together = together.saturating_add(count);
            match groups.last_mut() {
                Some(group) if together <= self.site.rows_at_once => group.push(market.clone()),
                Some(_) | None => {
                    together = count;
                    groups.push(vec![market.clone()]);
                }
            }
        }
        groups
    }

    fn read(&self, markets: &[Market]) -> Result<BTreeMap<Market, Rows>, ProofError> {
        let mut held: BTreeMap<Market, Rows> =
            markets.iter().map(|market| (market.clone(), Rows::default())).collect();
        let Some(ends) = markets.first().zip(markets.last()) else { return Ok(held) };
        let tickers = markets.iter().any(|market| self.needs_tickers(market));
        for segment in &self.segments {
            let stream = segment.name.stream;
            let names: &[&str] = match stream {
                Stream::Trade => &["price", "size"],
                Stream::Candle(unit) if unit.longest() <= HOUR => {
                    &["open", "high", "low", "close", "volume", "turnover"]
                }
                Stream::Ticker if tickers => &["ts_trade", "acc_volume"],
                Stream::Ticker
                | Stream::Candle(_)
                | Stream::Orderbook
                | Stream::Instrument
                | Stream::Unread => continue,
            };
            let Site { fs, paths, .. } = self.site;
            let each = |values: &Columns<'_>| take(stream, values, &mut held);
            segment::columns(fs, paths, segment, names, Some(ends), each).map_err(|source| {
                ProofError::Segment(SegmentFault { segment: Box::new(segment.clone()), source })
            })?;
        }
        for rows in held.values_mut() {
            rows.fills.sort_by_key(|fill| fill.at);
            rows.bars.values_mut().for_each(|bars| bars.sort_by_key(|bar| bar.ts_open));
            rows.readings.sort_by(|one, next| {
                (one.traded.cmp(&next.traded)).then(one.volume.total_cmp(&next.volume))
            });
        }
        Ok(held)
    }

    /// Whether trades are due of times of which no candle tells.
    fn needs_tickers(&self, market: &Market) -> bool {
        let ledger = self.site.ledger;
        let trade = self.lane(Stream::Trade, market);
        ledger.hours(&trade, Some(self.span)).into_iter().any(|hour| {
            let candles = units().map(|unit| self.lane(Stream::Candle(unit), market));
            let told: Spans = candles
                .flat_map(|lane| ledger.due(&lane, hour).judged.iter().collect::<Vec<_>>())
                .collect();
            !ledger.due(&trade, hour).judged.without(&told).is_empty()
        })
    }

    /// Proves every hour of a market.
    fn judge(&self, market: &Market, rows: Option<&Rows>, out: &mut Vec<ConditionRow>) {
        let (nothing, ledger) = (Rows::default(), self.site.ledger);
        let rows = rows.unwrap_or(&nothing);
        let trade = self.lane(Stream::Trade, market);
        for hour in ledger.hours(&trade, Some(self.span)) {
            let Some(span) = Span::new(hour, hour.after(HOUR)) else { continue };
            let due = ledger.due(&trade, hour);
            let bars: Vec<(CandleUnit, Due<'_>)> = units()
                .map(|unit| (unit, ledger.due(&self.lane(Stream::Candle(unit), market), hour)))
                .filter(|(_, due)| due.is_any())
                .collect();
            let fills = inside(&rows.fills, span, |fill| fill.at);
            let evidence = bars.iter().map(|(unit, due)| {
                let bars = rows.bars.get(unit).map(Vec::as_slice).unwrap_or_default();
                let bars = inside(bars, span, |bar| bar.ts_open);
                (*unit, self.held(Stream::Candle(*unit), market, hour, due, bars))
            });
            let (verdict, of_bars) = prove(&Hour {
                trades: self.held(Stream::Trade, market, hour, &due, fills),
                bars: evidence.collect(),
                readings: inside(&rows.readings, span, |reading| reading.traded),
            });
            out.push(self.row(Stream::Trade, market, hour, verdict));
            for (unit, verdict) in of_bars {
                out.push(self.row(Stream::Candle(unit), market, hour, verdict));
            }
        }
    }

    fn held<'r, T>(
        &self,
        stream: Stream,
        market: &Market,
        hour: Timestamp,
        due: &Due<'_>,
        rows: &'r [T],
    ) -> Held<'r, T> {
        Held {
            rows,
            counted: self.count(stream, market, hour),
            judged: due.judged.clone(),
            lost: due.lost(),
            repaired: due.repaired(),
        }
    }

    fn count(&self, stream: Stream, market: &Market, hour: Timestamp) -> u64 {
        self.counts.get(&(stream, market.clone(), hour)).copied().unwrap_or_default()
    }

    fn row(
        &self,
        stream: Stream,
        market: &Market,
        hour: Timestamp,
        verdict: Verdict,
    ) -> ConditionRow {
        let Verdict { condition, evidence, numbers } = verdict;
        let ledger = self.site.ledger;
        let streams = || std::iter::once(stream).chain(evidence.iter().copied());
        let dues: Vec<Due<'_>> =
            streams().map(|stream| ledger.due(&self.lane(stream, market), hour)).collect();
        let covered = dues.first().map(|due| due.covered).unwrap_or_default();
        ConditionRow {
            venue: self.venue.clone(),
            stream,
            market: market.clone(),
            hour,
            condition,
            rows: self.count(stream, market, hour),
            covered_us: u64::try_from(covered.as_micros()).unwrap_or(u64::MAX),
            evidence_rows: evidence.iter().map(|one| self.count(*one, market, hour)).sum(),
            ledger: fingerprint(&dues),
            numbers: serde_json::to_string(&numbers).unwrap_or_default(),
            evidence,
            checked_at: self.site.now,
        }
    }
}

/// Takes the rows of the markets in `held`.
fn take(stream: Stream, values: &Columns<'_>, held: &mut BTreeMap<Market, Rows>) {
    let mut last: Option<(&str, Market)> = None;
    for row in values.rows() {
        let Some(name) = values.market(row) else { continue };
        // Rows are sorted by market, so most are of the one before.
        let market = match &last {
            Some((same, market)) if *same == name => market.clone(),
            Some(_) | None => Market::new(name),
        };
        if let Some(rows) = held.get_mut(&market) {
            put(stream, values, row, rows);
        }
        last = Some((name, market));
    }
}

fn put(stream: Stream, values: &Columns<'_>, row: usize, rows: &mut Rows) {
    let float = |name: &str| values.float(name, row).unwrap_or(f64::NAN);
    let at = values.time(row);
    match stream {
        Stream::Trade => {
            rows.fills.push(Fill { at, price: float("price"), size: float("size") });
        }
        Stream::Candle(unit) => rows.bars.entry(unit).or_default().push(Bar {
            ts_open: at,
            open: float("open"),
            high: float("high"),
            low: float("low"),
            close: float("close"),
            volume: float("volume"),
            turnover: float("turnover"),
        }),
        Stream::Ticker => {
            let told = values.instant("ts_trade", row).zip(values.float("acc_volume", row));
            // One of a trade of the day before counts for that day.
            if let Some((traded, volume)) = told.filter(|(traded, _)| traded.date() == at.date()) {
                rows.readings.push(Reading { traded, volume });
            }
        }
        Stream::Orderbook | Stream::Instrument | Stream::Unread => {}
    }
}
