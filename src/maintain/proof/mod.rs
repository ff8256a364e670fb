//! The proof of completeness: what was recorded of an hour against what the venue told of it
//! otherwise. Pure; who reads the rows is `reading`, what was to be recorded says `ledger`.
//!
//! What is compared, and why that is sound:
//!
//! * **Trades against candles** of the same unit of time (seconds where they are recorded, else the
//!   next longer unit): the sum of sizes is the volume, the sum of price × size the turnover, the
//!   highest and the lowest price are `high` and `low`. The ids of trades are no order, and many
//!   trades share a millisecond; so `open` has to be the price of *one of* the trades of the
//!   earliest instant of the unit, `close` of one of the latest. A unit with trades and no candle,
//!   or a candle and no trade, disagrees.
//! * Whether a trade on the border belongs to the unit before is the venue's own business: units
//!   that follow each other, disagree alone and agree in sum count as agreed (`shifted`).
//! * **Trades against tickers**, where no candle tells: what `acc_volume` grew by from the first
//!   ticker to the last is the sum of the trades after the first one's trade up to the last one's.
//!   Trades of these two instants may or may not be in, so the sum has a lower and an upper bound.
//! * Prices are equal bit for bit: both are the double nearest to the same decimal. Sums are not:
//!   see [`tolerance`].
//!
//! A second is judged only where each side was proven live from [`EDGE_BEFORE`] before it to
//! [`edge_after`] after it: clocks differ, messages are under way, and a candle may still change.
//! Between two such stretches there is no edge where the gap was repaired.
//!
//! The outcome is the hour's [`Condition`], which speaks of the time that was to be recorded.

pub mod ledger;
pub mod reading;
#[cfg(test)]
mod tests;
mod tickers;
mod units;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::units::tolerance;
use crate::model::condition::Condition;
use crate::model::span::{Span, Spans};
use crate::model::subscription::{CandleUnit, Stream};
use crate::model::time::Timestamp;

/// How long before a second its stream has to be live.
pub const EDGE_BEFORE: Duration = Duration::from_secs(2);
/// How many disagreements are told in words.
const TOLD: usize = 20;

/// How long after a second its stream has to be live: candles change for `settle`.
#[must_use]
pub fn edge_after(settle: Duration) -> Duration {
    settle.max(Duration::from_secs(5)) + EDGE_BEFORE
}

/// One execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// When. Clock: the venue's.
    pub at: Timestamp,
    /// Unit: quote currency.
    pub price: f64,
    /// Unit: base currency.
    pub size: f64,
}

/// One candle.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the fields of `Candle` of the same names")]
pub struct Bar {
    pub ts_open: Timestamp,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
    pub turnover: f64,
}

/// One ticker, as far as it counts what was traded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// When the last trade was that it counts. Clock: the venue's.
    pub traded: Timestamp,
    /// Volume of the UTC day up to it. Unit: base currency.
    pub volume: f64,
}

/// What is held of one stream in an hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Held<'a, T> {
    /// Its rows, in the order of their time.
    pub rows: &'a [T],
    /// How many the catalog counts.
    pub counted: u64,
    /// Where everything has to be here: the edges are left out.
    pub judged: Spans,
    /// Whether some of the hour is missing by the gap ledger, and was not had again.
    pub lost: bool,
    /// Whether some of it was had again.
    pub repaired: bool,
}

/// One hour of one market.
#[derive(Debug, Clone, PartialEq)]
pub struct Hour<'a> {
    /// The trades.
    pub trades: Held<'a, Fill>,
    /// The candles of each unit that is recorded, shortest first.
    pub bars: Vec<(CandleUnit, Held<'a, Bar>)>,
    /// The tickers, in the order of their time.
    pub readings: &'a [Reading],
}

/// What was found of one stream in an hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The outcome.
    pub condition: Condition,
    /// What it was compared with.
    pub evidence: Vec<Stream>,
    /// The numbers that decided it.
    pub numbers: Numbers,
}

/// The numbers that decide a condition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// Rows that the catalog counts.
    pub rows: u64,
    /// Rows that the files have.
    pub read: u64,
    /// Seconds of the hour in which everything has to be here.
    pub judged_s: f64,
    /// Seconds of them that something was compared with.
    pub compared_s: f64,
    /// Units of time that were compared, whether or not anything happened in them.
    pub units: u64,
    /// Units that agree with their neighbours only: trades on the border.
    pub shifted: u64,
    /// How many disagree.
    pub disagreeing: u64,
    /// The first of them, in words.
    pub disagreements: Vec<Disagreement>,
    /// Whether the gap ledger says that something is missing.
    pub lost: bool,
}

/// Where two records of the same thing differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// The start of the unit of time.
    #[serde(serialize_with = "text", deserialize_with = "parsed")]
    pub at: Timestamp,
    /// What it was compared with.
    #[serde(serialize_with = "text", deserialize_with = "parsed")]
    pub with: Stream,
    /// In what way.
    pub what: String,
}

fn text<S: serde::Serializer>(
    value: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn parsed<'de, D: serde::Deserializer<'de>, T: std::str::FromStr>(
    deserializer: D,
) -> Result<T, D::Error>
where
    T::Err: std::fmt::Display,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Default)]
struct Found {
    /// What was compared.
    compared: Spans,
    units: u64,
    shifted: u64,
    /// Those beyond [`TOLD`] have no words.
    odd: Vec<(Timestamp, String)>,
}

/// Judges the trades of an hour, and the candles of each unit.
#[must_use]
pub fn prove(hour: &Hour<'_>) -> (Verdict, Vec<(CandleUnit, Verdict)>) {
    let trades = &hour.trades;
    let mut open = trades.judged.clone();
    let mut of_trades = Tally::default();
    let mut of_bars = Vec::new();
    for (unit, bars) in &hour.bars {
        // Who lacks rows that were counted is no witness.
        let both = if bars.is_whole() { bars.judged.and(&trades.judged) } else { Spans::new() };
        let found = units::compare(*unit, &both, trades.rows, bars.rows);
        let mut tally = Tally::default();
        if trades.is_whole() {
            tally.add(Stream::Trade, &found, None);
        }
        of_bars.push((*unit, tally.verdict(bars)));
        of_trades.add(Stream::Candle(*unit), &found, Some(&open));
        open = open.without(&found.compared);
    }
    let found = tickers::compare(&open, trades.rows, hour.readings);
    of_trades.add(Stream::Ticker, &found, Some(&open));
    (of_trades.verdict(trades), of_bars)
}

impl<T> Held<'_, T> {
    /// Whether there are as many rows as the catalog counts.
    fn is_whole(&self) -> bool {
        u64::try_from(self.rows.len()).is_ok_and(|rows| rows == self.counted)
    }
}

/// What speaks for and against a stream's hour.
#[derive(Default)]
struct Tally {
    evidence: Vec<Stream>,
    compared: Spans,
    numbers: Numbers,
}

impl Tally {
    /// Takes in what was found, as far as it lies in `open`.
    fn add(&mut self, with: Stream, found: &Found, open: Option<&Spans>) {
        let counts = |at: Timestamp| open.is_none_or(|open| open.contains(at));
        let compared = open.map_or_else(|| found.compared.clone(), |open| found.compared.and(open));
        if compared.is_empty() {
            return;
        }
        self.evidence.push(with);
        compared.iter().for_each(|span| self.compared.insert(span));
        self.numbers.units += found.units;
        self.numbers.shifted += found.shifted;
        for (at, what) in found.odd.iter().filter(|(at, _)| counts(*at)) {
            self.numbers.disagreeing += 1;
            if self.numbers.disagreements.len() < TOLD {
                let (at, what) = (*at, what.clone());
                self.numbers.disagreements.push(Disagreement { at, with, what });
            }
        }
    }

    fn verdict<T>(self, held: &Held<'_, T>) -> Verdict {
        let read = u64::try_from(held.rows.len()).unwrap_or(u64::MAX);
        // The streams of one connection do not begin in the same instant.
        let open = held.judged.clone().without(&self.compared);
        let open = open.iter().any(|span| span.length() > EDGE_BEFORE);
        let numbers = Numbers {
            rows: held.counted,
            read,
            judged_s: held.judged.length().as_secs_f64(),
            compared_s: self.compared.length().as_secs_f64(),
            lost: held.lost,
            ..self.numbers
        };
        let there_was = held.counted > 0 || numbers.disagreeing > 0;
        let condition = if read == 0 && (there_was || (held.lost && held.judged.is_empty())) {
            Condition::Missing
        } else if numbers.disagreeing > 0 || held.lost || read != held.counted {
            Condition::Degraded
        } else if held.judged.is_empty() || open {
            Condition::Unproven
        } else if held.repaired {
            Condition::Repaired
        } else {
            Condition::Complete
        };
        Verdict { condition, evidence: self.evidence, numbers }
    }
}

/// Of things in the order of their time, those inside `span`.
fn inside<T>(rows: &[T], span: Span, at: impl Fn(&T) -> Timestamp) -> &[T] {
    let first = rows.partition_point(|row| at(row) < span.from());
    let end = rows.partition_point(|row| at(row) < span.to());
    rows.get(first..end).unwrap_or_default()
}
