//! Order books as a pure function of the market and of a slot of the 100 ms grid.
//!
//! Each price level's size follows from its price and from how often it has changed by then, which
//! is every 0.3 s to 6.4 s. So a book can be had for any slot, and between two slots a few sizes
//! differ.

use super::decimal::{Decimal, PLACES};
use super::dice::{below, mix};
use super::market::{MILLION, Market};

/// The venue's grid of order books. Unit: milliseconds.
pub(super) const SLOT: i64 = 100;
/// How many levels a book has.
pub(super) const DEPTH: usize = 30;
/// What the venue groups price steps by where it is asked to.
pub(super) const GROUPINGS: [i64; 3] = [1, 10, 100];

const LEVEL: u64 = 11;
/// How far beyond the best price levels are looked for. Unit: price steps for each level.
const SPARSE: i64 = 3;

/// Price and size of one level; both 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Level {
    pub(super) price: i64,
    pub(super) size: i64,
}

/// A whole book, always 30 levels on each side, the last ones empty in a thin market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Book {
    /// When it last changed. Unit: milliseconds since the epoch.
    pub(super) ts: i64,
    pub(super) asks: Vec<Level>,
    pub(super) bids: Vec<Level>,
}

impl Book {
    /// The sum of the first `depth` sizes.
    pub(super) fn total(levels: &[Level], depth: usize) -> Decimal {
        let sum = levels.iter().take(depth).map(|level| i128::from(level.size)).sum();
        Decimal::new(sum, PLACES)
    }
}

impl Market {
    /// The market's place within the 100 ms grid.
    pub(super) fn phase(&self) -> i64 {
        below(self.seed, SLOT.cast_unsigned()).cast_signed()
    }

    /// The slot that `ts` lies in.
    pub(super) fn slot(&self, ts: i64) -> i64 {
        (ts - self.phase()).div_euclid(SLOT)
    }

    /// When a slot begins.
    pub(super) fn slot_ts(&self, slot: i64) -> i64 {
        slot * SLOT + self.phase()
    }

    /// The book as of a slot, with `grouping` price steps in one level.
    pub(super) fn book(&self, slot: i64, grouping: i64) -> Book {
        let ts = self.slot_ts(slot);
        let bid = self.bid(ts);
        let depth = if self.is_thin() { self.thin_depth() } else { DEPTH };
        Book {
            ts,
            asks: self.side(ts, bid + self.spread(), 1, grouping, depth),
            bids: self.side(ts, bid, -1, grouping, depth),
        }
    }

    /// The best levels at an instant: ask, then bid.
    pub(super) fn best(&self, ts: i64) -> (Level, Level) {
        let bid = self.bid(ts);
        let ask = bid + self.spread();
        (
            Level { price: ask * self.listing.tick, size: self.level(ts, ask, 1, 0) },
            Level { price: bid * self.listing.tick, size: self.level(ts, bid, -1, 0) },
        )
    }

    fn is_thin(&self) -> bool {
        self.live_rate < MILLION / 100
    }

    fn thin_depth(&self) -> usize {
        5 + usize::try_from(below(mix(&[self.seed, LEVEL]), 20)).unwrap_or(0)
    }

    fn side(&self, ts: i64, best: i64, away: i64, grouping: i64, depth: usize) -> Vec<Level> {
        let mut levels = Vec::with_capacity(DEPTH);
        let reach = i64::try_from(depth).unwrap_or(0) * SPARSE * grouping;
        // The group that a level belongs to is named by its price: the lower edge for bids, the
        // upper edge for asks.
        let edge = |step: i64| -> i64 {
            let lower = step.div_euclid(grouping) * grouping;
            if away > 0 && lower < step { lower + grouping } else { lower }
        };
        let mut group = edge(best);
        let mut sum = 0_i64;
        for distance in 0..reach {
            let step = best + away * distance;
            if step < 1 {
                break;
            }
            if edge(step) != group {
                self.push_level(&mut levels, group, sum);
                group = edge(step);
                sum = 0;
                if levels.len() >= depth {
                    break;
                }
            }
            sum = sum.saturating_add(self.level(ts, step, away, distance));
        }
        if levels.len() < depth {
            self.push_level(&mut levels, group, sum);
        }
        levels.resize(DEPTH, Level::default());
        levels
    }

    fn push_level(&self, levels: &mut Vec<Level>, step: i64, size: i64) {
        if size > 0 {
            levels.push(Level { price: step * self.listing.tick, size });
        }
    }

    /// The size at one price; 0 where nobody waits there. The best level is never empty.
    fn level(&self, ts: i64, step: i64, away: i64, distance: i64) -> i64 {
        let own = mix(&[self.seed, LEVEL, step.cast_unsigned(), away.cast_unsigned()]);
        if distance > 0 && own.is_multiple_of(4) {
            return 0;
        }
        // How long a size lasts: 0.3 s at the best price, elsewhere what the price itself says, so
        // that a level stays as it is when the best price moves.
        let lasts = if distance == 0 { 300 } else { 400 + below(own, 6_000).cast_signed() };
        let shift = below(own.rotate_left(32), 10_000).cast_signed();
        let changes = (ts + shift).div_euclid(lasts);
        let drawn = mix(&[own, changes.cast_unsigned()]);
        let share = (u128::from(drawn >> 32) * u128::from(self.listing.lot.unsigned_abs())) >> 30;
        i64::try_from(share).unwrap_or(i64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::market::tests::{START, market};

    #[test]
    fn books_are_whole_ordered_and_evolve() {
        for code in ["KRW-BTC", "KRW-XRP", "KRW-SHIB", "BTC-ETH", "USDT-BTC"] {
            let market = market(code);
            let mut changed = 0;
            let first = market.slot(START);
            let mut before = market.book(first, 1);
            for slot in first + 1..first + 100 {
                let book = market.book(slot, 1);
                assert_eq!(book, market.book(slot, 1));
                assert_eq!((book.asks.len(), book.bids.len()), (DEPTH, DEPTH));
                assert_eq!(book.ts % SLOT, market.phase());
                assert!(book.asks[0].price > book.bids[0].price, "{code}");
                assert!(book.bids[0].size > 0 && book.asks[0].size > 0);
                let real = |levels: &[Level]| -> Vec<i64> {
                    levels.iter().map(|level| level.price).take_while(|price| *price > 0).collect()
                };
                assert!(
                    real(&book.asks).is_sorted() && real(&book.bids).is_sorted_by(|a, b| a > b)
                );
                let same = before.asks.iter().filter(|one| book.asks.contains(one)).count();
                assert!(same >= DEPTH / 2, "{code}: {same} asks of the slot before are left");
                changed += u32::from((&book.asks, &book.bids) != (&before.asks, &before.bids));
                before = book;
            }
            assert!(changed > 80, "{code}: {changed} of 99 slots changed something");
        }
    }

    #[test]
    fn groups_hold_what_the_levels_hold() {
        let market = market("KRW-BTC");
        let slot = market.slot(START);
        let fine = market.book(slot, 1);
        let coarse = market.book(slot, 10);
        let first = coarse.bids[0];
        let inside: i64 =
            fine.bids.iter().filter(|one| one.price >= first.price).map(|one| one.size).sum();
        assert_eq!(first.size, inside);
        assert_eq!(first.price % (10 * market.listing.tick), 0);
    }

    #[test]
    fn a_thin_market_is_padded_with_zeros() {
        let mut market = market("KRW-SIM200");
        market.live_rate = 10;
        let book = market.book(market.slot(START), 1);
        assert_eq!(book.asks.last(), Some(&Level::default()));
        assert_eq!(book.asks.len(), DEPTH);
    }
}
