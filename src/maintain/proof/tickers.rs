//! Trades against what tickers count, where no candle tells.
//!
//! Tickers are samples, so they are compared over long stretches only: the first against the last.
//! What they disagree in is told; whatever is doubtful (no two tickers, a count that goes back,
//! ends without a ticker) stays open.

use std::time::Duration;

use super::units::{add, tolerance};
use super::{Fill, Found, Reading, inside};
use crate::model::span::{Span, Spans};

/// How much of a stretch may lie before the first and after the last ticker.
const END: Duration = Duration::from_mins(1);

/// Compares the stretches of `open`; they lie inside one UTC day.
pub(super) fn compare(open: &Spans, fills: &[Fill], readings: &[Reading]) -> Found {
    let mut found = Found::default();
    for span in open.iter() {
        let readings = inside(readings, span, |reading| reading.traded);
        let (Some(first), Some(last)) = (readings.first(), readings.last()) else { continue };
        let grows = readings.windows(2).all(
            |pair| matches!(pair, [one, next] if next.volume >= one.volume && one.volume >= 0.0),
        );
        let ends = first.traded.since(span.from()).max(span.to().since(last.traded));
        if !grows || first.traded >= last.traded || ends > END {
            continue;
        }
        found.compared.insert(span);
        found.units += 1;
        let told = last.volume - first.volume;
        let (low, high, count) = bounds(fills, first, last);
        // The difference of two counts has the rounding of both.
        let slack = tolerance(count, 2, last.volume);
        let odd = if told > high + slack {
            Some(format!(
                "tickers count {told}, the trades up to {} are {high} at most",
                last.traded
            ))
        } else if told < low - slack {
            Some(format!(
                "tickers count {told}, the trades up to {} are {low} at least",
                last.traded
            ))
        } else {
            None
        };
        found.odd.extend(odd.map(|words| (first.traded, words)));
    }
    found
}

/// The least and the most that can have been traded between two tickers. Each counts at least one
/// of the trades of its instant; of several there, nobody can tell how many.
fn bounds(fills: &[Fill], first: &Reading, last: &Reading) -> (f64, f64, usize) {
    let micro = Duration::from_micros(1);
    let within = |from, to| {
        let fills = Span::new(from, to).map(|span| inside(fills, span, |fill| fill.at));
        fills.unwrap_or_default()
    };
    let sum = |fills: &[Fill]| add(fills.iter().map(|fill| fill.size));
    let smallest =
        |fills: &[Fill]| fills.iter().map(|fill| fill.size).reduce(f64::min).unwrap_or(0.0);
    let between = within(first.traded.after(micro), last.traded);
    let at_first = within(first.traded, first.traded.after(micro));
    let at_last = within(last.traded, last.traded.after(micro));
    let low = sum(between) + smallest(at_last);
    let high = sum(between) + (sum(at_first) - smallest(at_first)) + sum(at_last);
    (low, high, between.len() + at_first.len() + at_last.len())
}
