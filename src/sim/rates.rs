//! How often each market trades, and how often its book is told, for a wanted rate of frames.
//!
//! Trades make 30 % of the rate, or more where books, at ten a second and market at most, and
//! tickers could not fill the rest. They do not depend on who listens: the ledger is the same
//! whatever is subscribed. Order books fill what trades, tickers and candles of the subscribed
//! markets leave of the rate.

use super::market::MILLION;

/// Part of all frames that are trades.
const TRADE_SHARE: f64 = 0.3;
/// The most books, and the most tickers, of one market in a second.
const GRID_RATE: f64 = 10.0;
/// Frames of books and tickers that a market can be expected to fill at most, each second.
const FILL_RATE: f64 = 18.0;

/// How many markets listen to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Heard {
    /// Whether somebody listens to its trades.
    pub(super) trades: bool,
    /// To its ticker.
    pub(super) ticker: bool,
    /// To its book.
    pub(super) book: bool,
    /// To so many of its candle units.
    pub(super) candles: u8,
}

/// Trades in a second of each market.
pub(super) fn trades(rate: f64, weights: &[f64]) -> Vec<f64> {
    let markets = u32::try_from(weights.len()).map_or(0.0, f64::from);
    let all = (rate * TRADE_SHARE).max(rate - FILL_RATE * markets).max(0.0);
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| all * weight / sum.max(f64::MIN_POSITIVE)).collect()
}

/// How many of a million slots of the 100 ms grid shall change each market's book. Where nobody
/// listens to any book, as if all were listened to.
pub(super) fn books(rate: f64, trades: &[f64], weights: &[f64], heard: &[Heard]) -> Vec<u64> {
    let anybody = heard.iter().any(|one| one.book);
    let others: f64 = heard
        .iter()
        .zip(trades)
        .map(|(heard, trades)| {
            let ticker = trades * GRID_RATE / (GRID_RATE + trades);
            let candle = trades / (1.0 + trades);
            let part = |on: bool, rate: f64| if on { rate } else { 0.0 };
            part(heard.trades, *trades)
                + part(heard.ticker, ticker)
                + f64::from(heard.candles) * candle
        })
        .sum();
    let mut left = (rate - others).max(rate / 10.0);
    let mut wanted: Vec<Option<f64>> = vec![None; weights.len()];
    let listens = |place: usize| !anybody || heard.get(place).is_some_and(|one| one.book);
    // Whoever would get more than the grid allows gets just that; the others share what is left.
    // Each round settles at least one market or ends.
    loop {
        let open = |place: &usize| listens(*place) && wanted.get(*place) == Some(&None);
        let places: Vec<usize> = (0..weights.len()).filter(open).collect();
        let share = |place: &usize| weights.get(*place).map_or(0.0, |weight| weight.sqrt());
        let sum: f64 = places.iter().map(share).sum();
        let fair = |place: &usize| left * share(place) / sum.max(f64::MIN_POSITIVE);
        let capped: Vec<usize> =
            places.iter().copied().filter(|place| fair(place) >= GRID_RATE).collect();
        let settled: Vec<(usize, f64)> = if capped.is_empty() {
            places.iter().map(|place| (*place, fair(place))).collect()
        } else {
            capped.iter().map(|place| (*place, GRID_RATE)).collect()
        };
        for (place, rate) in &settled {
            if let Some(slot) = wanted.get_mut(*place) {
                *slot = Some(*rate);
                left -= rate;
            }
        }
        if capped.is_empty() {
            break;
        }
    }
    wanted.into_iter().map(|rate| millionths(rate.unwrap_or(1.0) / GRID_RATE)).collect()
}

/// A rate as a whole number of millionths, for the generator, which has no floating point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the rate is held between 0 and 10^6 first, so that the product fits"
)]
pub(super) fn millionths(rate: f64) -> u64 {
    (rate.clamp(0.0, 1_000_000.0) * MILLION as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::listing::weights;

    /// Frames a second for a wanted rate, of all four streams or of books alone.
    #[test]
    fn the_sum_is_about_the_rate() {
        for (count, rate, all, least) in [
            (10, 200.0, true, 0.85),
            (50, 2_000.0, true, 0.85),
            (855, 1_000.0, true, 0.95),
            (855, 1_000.0, false, 0.95),
            (50, 100_000.0, true, 0.95),
            (3, 1.0, true, 0.5),
        ] {
            let weights = weights(count);
            let trades = trades(rate, &weights);
            let one = Heard { trades: all, ticker: all, book: true, candles: u8::from(all) };
            let heard = vec![one; count];
            let books = books(rate, &trades, &weights, &heard);
            assert!(books.iter().all(|one| *one <= MILLION));
            let book: u64 = books.iter().sum();
            let mut sum = f64::from(u32::try_from(book / 1_000).unwrap()) / 100.0;
            for rate in trades.iter().filter(|_| all) {
                sum += rate + rate * 10.0 / (10.0 + rate) + rate / (1.0 + rate);
            }
            assert!((least..1.15).contains(&(sum / rate)), "{sum} of {rate}, {count} markets");
        }
    }
}
