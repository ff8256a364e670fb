//! One market's price, trades and candles as a pure function of seed and time.
//!
//! Invariants:
//! - Nothing here has state. The same seed and the same time always give the same trades, whoever
//!   asks and in which order; so the websocket, every REST page and the ledger cannot disagree.
//! - Time is cut into cells: minutes before the start of the simulation, seconds after it. Each
//!   cell's trades follow from its number alone, so any moment of the past costs the same.
//! - Before the start trades are sparse (`past_rate`), after it they come at the simulator's rate;
//!   prices and ids run on across the start.
//! - Every market has a trade in the millisecond in which it was listed, none before it, and none
//!   from its delisting on.

use super::candle::{Bar, Unit};
use super::decimal::{Decimal, ONE, PLACES};
use super::dice::{Dice, mix};
use super::listing::Listing;

/// Milliseconds.
pub(super) const SECOND: i64 = 1_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// What a rate is counted in: one trade in a million cells.
pub(super) const MILLION: u64 = 1_000_000;

/// One execution. Prices and sizes in 10^-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trade {
    /// Unique within the market: milliseconds × 10,000 and a number within the millisecond.
    pub(super) id: i64,
    /// When. Unit: milliseconds since the epoch.
    pub(super) ts: i64,
    /// At what price.
    pub(super) price: i64,
    /// How much.
    pub(super) size: i64,
    /// Whether the taker bought.
    pub(super) buy: bool,
}

impl Trade {
    /// Price × size, exact.
    pub(super) fn turnover(&self) -> i128 {
        i128::from(self.price) * i128::from(self.size)
    }
}

/// A turnover as a decimal.
pub(super) const fn turnover(sum: i128) -> Decimal {
    Decimal::new(sum, 2 * PLACES)
}

/// One market.
#[derive(Debug, Clone)]
pub(super) struct Market {
    /// What is fixed about it.
    pub(super) listing: Listing,
    /// Its own seed, from the simulator's and its code.
    pub(super) seed: u64,
    /// Trades in a second from `start` on. Unit: millionths.
    pub(super) live_rate: u64,
    /// Trades in a minute before `start`. Unit: millionths.
    pub(super) past_rate: u64,
    /// When the simulation starts. Unit: milliseconds since the epoch.
    pub(super) start: i64,
    /// When the market was listed.
    pub(super) listed: i64,
    /// When it will be delisted, where that is known.
    pub(super) delisted: Option<i64>,
}

/// The walk: how far each stretch of time moves the price. Milliseconds, and millionths.
const WALK: [(i64, i64); 9] = [
    (SECOND, 15),
    (10 * SECOND, 60),
    (MINUTE, 250),
    (10 * MINUTE, 800),
    (HOUR, 2_500),
    (4 * HOUR, 5_000),
    (DAY, 18_000),
    (5 * DAY, 45_000),
    (30 * DAY, 110_000),
];
/// The most that the walk can move the price away from its base. Unit: millionths.
pub(super) const WALK_REACH: i64 = 181_625;

const TURN: u64 = 1 << 20;
const PAST_CELL: u64 = 1;
const LIVE_CELL: u64 = 2;
const WALK_NODE: u64 = 3;
/// The most trades of one cell; it keeps the numbers within a millisecond under 10,000.
const CELL_LIMIT: u64 = 200_000;

impl Market {
    /// The bid that the walk stands at. Unit: price steps, at least 1.
    pub(super) fn bid(&self, ts: i64) -> i64 {
        let mut moved = 0_i64;
        for (nth, (length, reach)) in (0_u64..).zip(WALK) {
            let node = ts.div_euclid(length);
            let inside = ts.rem_euclid(length);
            let from = self.node(nth, node);
            let to = self.node(nth, node + 1);
            moved += (from * (length - inside) + to * inside) / length * reach;
        }
        let turn = i64::try_from(TURN).unwrap_or(1);
        let millionths = i128::from(moved / turn);
        let away = i128::from(self.listing.base) * millionths / 1_000_000;
        (self.listing.base + i64::try_from(away).unwrap_or(0)).max(1)
    }

    /// Where the walk's stretch `nth` stands at a node: within ±`TURN`.
    fn node(&self, nth: u64, node: i64) -> i64 {
        let mut dice = Dice::of(&[self.seed, WALK_NODE ^ (nth << 8), node.cast_unsigned()]);
        dice.below(2 * TURN).cast_signed() - TURN.cast_signed()
    }

    /// How many price steps lie between the best bid and the best ask: quiet markets are wide.
    pub(super) fn spread(&self) -> i64 {
        if self.live_rate < MILLION / 20 { 3 } else { 1 }
    }

    /// Whether the market is listed at `ts`.
    pub(super) fn is_open(&self, ts: i64) -> bool {
        self.listed <= ts && self.delisted.is_none_or(|delisted| ts < delisted)
    }

    /// The trades of `[from, to)`, earliest first, appended to `out`.
    pub(super) fn trades(&self, from: i64, to: i64, out: &mut Vec<Trade>) {
        let from = from.max(self.listed);
        let to = to.min(self.delisted.unwrap_or(to));
        if from >= to {
            return;
        }
        if from == self.listed {
            out.push(self.first_trade());
        }
        let past_to = to.min(self.start);
        if from < past_to {
            for cell in from.div_euclid(MINUTE)..=(past_to - 1).div_euclid(MINUTE) {
                self.cell(PAST_CELL, cell, from, past_to, out);
            }
        }
        let live_from = from.max(self.start);
        if live_from < to {
            for cell in live_from.div_euclid(SECOND)..=(to - 1).div_euclid(SECOND) {
                self.cell(LIVE_CELL, cell, live_from, to, out);
            }
        }
    }

    fn first_trade(&self) -> Trade {
        let price = self.bid(self.listed) * self.listing.tick;
        Trade { id: self.listed * 10_000, ts: self.listed, price, size: ONE, buy: false }
    }

    /// The trades of one cell that lie in `[from, to)` and after the listing.
    fn cell(&self, kind: u64, cell: i64, from: i64, to: i64, out: &mut Vec<Trade>) {
        let (length, rate) = match kind {
            PAST_CELL => (MINUTE, self.past_rate),
            _ => (SECOND, self.live_rate),
        };
        let mut dice = Dice::of(&[self.seed, kind, cell.cast_unsigned()]);
        // The mean is the rate; the product of two draws makes calm and hectic cells.
        let wave = 4 * dice.below(1_000) * dice.below(1_000);
        let scaled = u128::from(rate) * u128::from(wave) / u128::from(MILLION);
        let count = (u64::try_from(scaled).unwrap_or(u64::MAX).saturating_add(dice.below(MILLION)))
            / MILLION;
        if count == 0 {
            return;
        }
        let mut times: Vec<i64> = (0..count.min(CELL_LIMIT))
            .map(|_| cell * length + dice.below(length.cast_unsigned()).cast_signed())
            .collect();
        times.sort_unstable();
        let mut last: Option<Trade> = None;
        let mut within = 0_i64;
        for drawn in times {
            // One in eight shares the millisecond of the trade before it, as one taker order that
            // meets several makers does.
            let together = last.filter(|_| dice.chance(1, 8));
            let ts = together.map_or(drawn, |before| before.ts);
            within = if last.is_some_and(|before| before.ts == ts) { within + 1 } else { 0 };
            let trade = self.trade(ts, within, together, &mut dice);
            last = Some(trade);
            if within < 10_000 && from <= ts && ts < to && ts > self.listed {
                out.push(trade);
            }
        }
    }

    fn trade(&self, ts: i64, within: i64, together: Option<Trade>, dice: &mut Dice) -> Trade {
        let id = ts * 10_000 + within;
        if let Some(before) = together {
            // A twin differs in nothing but the id.
            if dice.chance(1, 3) {
                return Trade { id, ..before };
            }
            let step = if before.buy { self.listing.tick } else { -self.listing.tick };
            let price = (before.price + step * dice.share(2)).max(self.listing.tick);
            return Trade { id, price, size: self.size(dice), ..before };
        }
        let buy = dice.chance(1, 2);
        let level = self.bid(ts) + if buy { self.spread() } else { 0 };
        Trade { id, ts, price: level * self.listing.tick, size: self.size(dice), buy }
    }

    fn size(&self, dice: &mut Dice) -> i64 {
        // Small trades are much more frequent than large ones.
        let most = dice.share(self.listing.lot);
        dice.share(most) + 1
    }

    /// Up to `count` trades before `to`, the newest first, none before `floor`.
    pub(super) fn newest(&self, floor: i64, to: i64, count: usize) -> Vec<Trade> {
        let floor = floor.max(self.listed);
        let mut found = Vec::new();
        let mut upper = to;
        let mut stretch = 4 * SECOND;
        let mut part = Vec::new();
        while upper > floor && found.len() < count {
            let lower = (upper - stretch).max(floor);
            part.clear();
            self.trades(lower, upper, &mut part);
            found.extend(part.iter().rev().take(count - found.len()));
            upper = lower;
            stretch = (stretch * 2).min(DAY);
        }
        found
    }

    /// The last trade before `to`.
    pub(super) fn last(&self, to: i64) -> Option<Trade> {
        self.newest(self.listed, to, 1).first().copied()
    }

    /// The bars of `[from, to)`, earliest first; the last one holds the trades before `to` only.
    /// The first is whole if `from` starts a unit.
    pub(super) fn bars(&self, unit: Unit, from: i64, to: i64) -> Vec<Bar> {
        let mut trades = Vec::new();
        self.trades(from, to, &mut trades);
        let mut bars: Vec<Bar> = Vec::new();
        for trade in &trades {
            Bar::add(&mut bars, unit, trade);
        }
        bars
    }
}

/// The seed of one market.
pub(super) fn seed_of(seed: u64, code: &str) -> u64 {
    mix(&[seed, super::dice::mix_text(code)])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::sim::listing::listing;

    pub(in crate::sim) const START: i64 = 1_790_000_000_123;

    /// A market of three trades a second, and of two a minute before `START`.
    pub(in crate::sim) fn market(code: &str) -> Market {
        Market {
            listing: listing(code),
            seed: seed_of(7, code),
            live_rate: 3 * MILLION,
            past_rate: 2 * MILLION,
            start: START,
            listed: START - 3 * DAY,
            delisted: None,
        }
    }

    fn trades(market: &Market, from: i64, to: i64) -> Vec<Trade> {
        let mut out = Vec::new();
        market.trades(from, to, &mut out);
        out
    }

    #[test]
    fn any_cut_of_time_gives_the_same_trades() {
        let market = market("KRW-BTC");
        let (from, to) = (START - 20 * MINUTE, START + 90 * SECOND);
        let whole = trades(&market, from, to);
        for step in [1_i64, 37, 999, 1_000, 61_111] {
            let mut parts = Vec::new();
            let mut at = from.max(to - 20_000 * step);
            let wanted: Vec<Trade> = whole.iter().copied().filter(|one| one.ts >= at).collect();
            while at < to {
                market.trades(at, (at + step).min(to), &mut parts);
                at += step;
            }
            assert_eq!(parts, wanted, "in steps of {step} ms");
        }
        let newest: Vec<Trade> = market.newest(from, to, usize::MAX);
        assert!(newest.iter().rev().eq(whole.iter()));
        assert_eq!(market.newest(from, to, 7), newest[..7]);
    }

    #[test]
    fn trades_have_what_real_ones_have() {
        let market = market("KRW-ETH");
        let live = trades(&market, START, START + 600 * SECOND);
        assert!((1_400..2_200).contains(&live.len()), "{} at 3 a second", live.len());
        assert!(live.windows(2).all(|pair| pair[0].id < pair[1].id && pair[0].ts <= pair[1].ts));
        assert!(live.iter().all(|one| one.id > 1 << 53 && one.id / 10_000 == one.ts));
        assert!(live.iter().all(|one| one.price % market.listing.tick == 0 && one.size > 0));
        let twins = live.windows(2).filter(|pair| Trade { id: pair[1].id, ..pair[0] } == pair[1]);
        assert!(twins.count() > 5, "some differ in nothing but the id");
        let past = trades(&market, START - 600 * MINUTE, START);
        assert!((900..1_500).contains(&past.len()), "{} at 2 a minute", past.len());
        let minutes: std::collections::BTreeSet<_> = past.iter().map(|t| t.ts / MINUTE).collect();
        assert!((300..560).contains(&minutes.len()), "{} minutes of 600", minutes.len());
    }

    #[test]
    fn the_first_trade_is_that_of_the_listing() {
        let market = market("BTC-ETH");
        let first = trades(&market, 0, market.listed + 1);
        assert_eq!(first.iter().map(|one| one.ts).collect::<Vec<_>>(), [market.listed]);
        assert_eq!(market.last(market.listed), None);
        assert_eq!(market.last(market.listed + 1), first.first().copied());
    }

    #[test]
    fn the_walk_stays_within_its_reach() {
        let market = market("KRW-BTC");
        assert_eq!(WALK.iter().map(|stretch| stretch.1).sum::<i64>(), WALK_REACH);
        let reach = market.listing.base * WALK_REACH / 1_000_000 + 1;
        for step in 0..5_000 {
            let away = market.bid(START + step * 7 * HOUR + step) - market.listing.base;
            assert!(away.abs() <= reach);
        }
    }
}
