//! Trades against candles, unit by unit.

use std::time::Duration;

use super::{Bar, Fill, Found, TOLD, inside};
use crate::model::span::{Span, Spans};
use crate::model::subscription::CandleUnit;
use crate::model::time::Timestamp;

/// The last digit that the venue writes of a sum is of this size; half of it is rounded away.
const HALF_LAST_DIGIT: f64 = 5e-9;

/// How far a sum of `count` doubles may be from the sum that the venue tells, both about `sum`.
///
/// Each double is within 2⁻⁵³ of its decimal, relative; a product of two within 2⁻⁵², ours is summed
/// with compensation (2⁻⁵³ once more), and the venue may have added up doubles itself: `count` ×
/// 2⁻⁵³. `(count + 4)` × 2⁻⁵² is above all of these together. The venue writes 8 digits after the
/// point, so half of the last one comes on top, for each of the `roundings` that it may have made.
#[must_use]
pub fn tolerance(count: usize, roundings: usize, sum: f64) -> f64 {
    let float = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    (float(count) + 4.0) * f64::EPSILON * sum.abs() + float(roundings) * HALF_LAST_DIGIT
}

/// Compares every whole unit inside `within`. A stretch that holds at least one is taken as
/// compared whole: less than a unit is left at each of its ends.
pub(super) fn compare(unit: CandleUnit, within: &Spans, fills: &[Fill], bars: &[Bar]) -> Found {
    let mut found = Found::default();
    for span in within.iter() {
        let Some(whole) = whole_units(span, unit) else { continue };
        found.compared.insert(span);
        let units = whole.length().as_micros() / unit.longest().as_micros().max(1);
        found.units += u64::try_from(units).unwrap_or(u64::MAX);
        let (fills, bars) =
            (inside(fills, whole, |fill| fill.at), inside(bars, whole, |bar| bar.ts_open));
        settle(&odd(unit, fills, bars), unit.longest(), &mut found);
    }
    found
}

/// A unit that disagrees.
struct Odd<'a> {
    start: Timestamp,
    fills: &'a [Fill],
    bars: &'a [Bar],
}

fn odd<'a>(unit: CandleUnit, mut fills: &'a [Fill], mut bars: &'a [Bar]) -> Vec<Odd<'a>> {
    let mut odd = Vec::new();
    loop {
        let next = [fills.first().map(|fill| fill.at), bars.first().map(|bar| bar.ts_open)];
        let Some(next) = next.into_iter().flatten().min() else { return odd };
        let start = start_of(next, unit);
        let end = start.after(unit.longest());
        let (these_fills, rest) = fills.split_at(fills.partition_point(|fill| fill.at < end));
        fills = rest;
        let (these_bars, rest) = bars.split_at(bars.partition_point(|bar| bar.ts_open < end));
        bars = rest;
        if difference(these_fills, these_bars).is_some() {
            odd.push(Odd { start, fills: these_fills, bars: these_bars });
        }
    }
}

/// Takes neighbours that agree together as agreed, and tells the rest.
fn settle(odd: &[Odd<'_>], length: Duration, found: &mut Found) {
    for run in odd.chunk_by(|one, next| one.start.after(length) == next.start) {
        if run.len() > 1 && agree_in_sum(run) {
            found.shifted += u64::try_from(run.len()).unwrap_or(u64::MAX);
            continue;
        }
        for one in run {
            let told = found.odd.len() < TOLD;
            let words = if told { difference(one.fills, one.bars) } else { None };
            found.odd.push((one.start, words.unwrap_or_default()));
        }
    }
}

/// In what way the trades of a unit differ from its candle.
fn difference(fills: &[Fill], bars: &[Bar]) -> Option<String> {
    let (Some(first), Some(last)) = (fills.first(), fills.last()) else {
        let bar = bars.first()?;
        return Some(format!("a candle with volume {}, and no trade", bar.volume));
    };
    let bar = match bars {
        [bar] => bar,
        [] => {
            let size = Sums::of(fills).volume;
            return Some(format!("{} trades of size {size} together, and no candle", fills.len()));
        }
        several => return Some(format!("{} candles of the same unit", several.len())),
    };
    let sums = Sums::of(fills);
    let mut parts = sums.differences(bar.volume, bar.turnover, bar.high, bar.low);
    let mut end = |name: &str, at: Timestamp, told: f64| {
        let mut there = fills.iter().filter(|fill| fill.at == at).map(|fill| fill.price);
        if !there.any(|price| same(price, told)) {
            parts.push(format!("no trade at {at} has the price {told} of {name}"));
        }
    };
    end("open", first.at, bar.open);
    end("close", last.at, bar.close);
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn agree_in_sum(run: &[Odd<'_>]) -> bool {
    let fills: Vec<Fill> = run.iter().flat_map(|one| one.fills).copied().collect();
    let bars = || run.iter().flat_map(|one| one.bars);
    let (high, low) = bars()
        .fold((f64::MIN, f64::MAX), |(high, low), bar| (high.max(bar.high), low.min(bar.low)));
    let volume = add(bars().map(|bar| bar.volume));
    let turnover = add(bars().map(|bar| bar.turnover));
    !fills.is_empty() && Sums::of(&fills).differences(volume, turnover, high, low).is_empty()
}

struct Sums {
    count: usize,
    volume: f64,
    turnover: f64,
    high: f64,
    low: f64,
}

impl Sums {
    fn of(fills: &[Fill]) -> Self {
        Self {
            count: fills.len(),
            volume: add(fills.iter().map(|fill| fill.size)),
            turnover: add(fills.iter().map(|fill| fill.price * fill.size)),
            high: fills.iter().map(|fill| fill.price).fold(f64::MIN, f64::max),
            low: fills.iter().map(|fill| fill.price).fold(f64::MAX, f64::min),
        }
    }

    fn differences(&self, volume: f64, turnover: f64, high: f64, low: f64) -> Vec<String> {
        let mut parts = Vec::new();
        let count = self.count;
        for (name, told, ours, roundings) in
            [("volume", volume, self.volume, 1), ("turnover", turnover, self.turnover, count + 1)]
        {
            // A sum that is no number differs from every other.
            let within = (told - ours).abs() <= tolerance(count, roundings, told.max(ours));
            if !within {
                parts.push(format!("{name} {told} told, {ours} in {count} trades"));
            }
        }
        for (name, told, ours) in [("high", high, self.high), ("low", low, self.low)] {
            if !same(told, ours) {
                parts.push(format!("{name} {told} told, {ours} in {count} trades"));
            }
        }
        parts
    }
}

/// A sum that loses no digit on the way (Neumaier).
pub(super) fn add(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    sum + lost
}

fn same(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
}

fn start_of(at: Timestamp, unit: CandleUnit) -> Timestamp {
    let length = i64::try_from(unit.longest().as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros() - at.micros().rem_euclid(length))
}

/// The whole units inside `span`.
fn whole_units(span: Span, unit: CandleUnit) -> Option<Span> {
    let start = start_of(span.from(), unit);
    let first = if start == span.from() { start } else { start.after(unit.longest()) };
    Span::new(first, start_of(span.to(), unit))
}
