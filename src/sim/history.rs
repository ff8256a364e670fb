//! Pages of the past, as REST has them: candles of any unit and trades of one day.
//!
//! Both come from the markets' trades (`market`), so they agree with everything that was sent
//! live. Only whole days are remembered, as bars, for the long units; all else is made anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::candle::{Bar, Unit, before, end, from_days, open};
use super::market::{DAY, Market, Trade};

/// How far back one-second candles go.
const SECONDS_KEPT: i64 = 90 * DAY;
/// Bars of days that are remembered.
const DAYS_KEPT: usize = 400_000;

/// The past of all markets.
#[derive(Debug)]
pub(super) struct History {
    markets: Arc<Vec<Market>>,
    days: Mutex<HashMap<(usize, i64), Option<Bar>>>,
}

impl History {
    pub(super) fn new(markets: Arc<Vec<Market>>) -> Self {
        Self { markets, days: Mutex::default() }
    }

    /// The market with this code and its place, if it is listed at `now`.
    pub(super) fn find(&self, code: &str, now: i64) -> Option<(usize, &Market)> {
        let mut all = self.markets.iter().enumerate();
        all.find(|(_, market)| market.listing.code == code && market.is_open(now))
    }

    /// Up to `count` candles that open before `to`, the newest first, as of `now`.
    pub(super) fn candles(
        &self,
        (place, market): (usize, &Market),
        unit: Unit,
        to: i64,
        count: usize,
        now: i64,
    ) -> Vec<Bar> {
        let kept = if unit == Unit::S1 { now - SECONDS_KEPT } else { i64::MIN };
        let floor = open(unit, market.listed.max(kept));
        // The unit that `to` lies in opens before `to`, unless it opens at it.
        let mut upper = before(unit, to.min(now) - 1, 0);
        if upper < floor {
            return Vec::new();
        }
        let mut last_end = now.min(end(unit, upper));
        let mut found: Vec<Bar> = Vec::new();
        let mut part = self.bars((place, market), unit, upper, last_end);
        let mut reach = u32::try_from(count).unwrap_or(u32::MAX).clamp(4, 1_000);
        loop {
            found.extend(part.iter().rev().take(count - found.len()));
            if found.len() >= count || upper <= floor {
                return found;
            }
            last_end = upper;
            upper = before(unit, upper, reach).max(floor);
            reach = reach.saturating_mul(2).min(20_000);
            part = self.bars((place, market), unit, upper, last_end);
        }
    }

    /// The bars of the units in `[from, to)`, earliest first; `from` opens a unit.
    fn bars(&self, of: (usize, &Market), unit: Unit, from: i64, to: i64) -> Vec<Bar> {
        if !from_days(unit) {
            return of.1.bars(unit, from, to);
        }
        let mut bars: Vec<Bar> = Vec::new();
        let mut day = open(Unit::D1, from.max(of.1.listed));
        while day < to {
            if let Some(bar) = self.day(of, day, to) {
                let start = open(unit, day);
                match bars.last_mut() {
                    Some(last) if last.open_ts == start => *last = last.join(&bar),
                    Some(_) | None => bars.push(Bar { open_ts: start, ..bar }),
                }
            }
            day += DAY;
        }
        bars
    }

    fn day(&self, (place, market): (usize, &Market), day: i64, to: i64) -> Option<Bar> {
        let whole = day + DAY <= to;
        let lock = || self.days.lock().unwrap_or_else(PoisonError::into_inner);
        if whole && let Some(held) = lock().get(&(place, day)) {
            return *held;
        }
        let bar = market.bars(Unit::D1, day, to.min(day + DAY)).first().copied();
        if whole {
            let mut days = lock();
            if days.len() >= DAYS_KEPT {
                days.clear();
            }
            days.insert((place, day), bar);
        }
        bar
    }
}

/// Up to `count` trades of the UTC day that starts at `day`, the newest first: those before `to`,
/// and of those the ones whose id is below `cursor`. A cursor does not leave its day.
pub(super) fn ticks(
    market: &Market,
    day: i64,
    to: i64,
    cursor: Option<i64>,
    count: usize,
) -> Vec<Trade> {
    let mut found = Vec::new();
    let mut to = to.min(day + DAY);
    if let Some(cursor) = cursor {
        let ts = cursor.div_euclid(10_000);
        if ts < to && ts >= day {
            let mut same = Vec::new();
            market.trades(ts, ts + 1, &mut same);
            found.extend(same.into_iter().rev().filter(|trade| trade.id < cursor).take(count));
        }
        to = to.min(ts);
    }
    if to > day {
        found.extend(market.newest(day, to, count - found.len()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::market::tests::{START, market};
    use crate::sim::market::{HOUR, MINUTE};

    #[test]
    fn pages_of_candles_are_the_bars_of_the_trades() {
        let market = market("KRW-BTC");
        let now = START + 3 * MINUTE;
        let history = History::new(Arc::new(vec![market.clone()]));
        for unit in Unit::ALL {
            let from = open(unit, market.listed.max(now - 20 * HOUR));
            let mut all = market.bars(unit, from, now);
            all.reverse();
            for page in [1, 7, 200] {
                let mut paged: Vec<Bar> = Vec::new();
                let mut to = now;
                while paged.len() < all.len() {
                    let bars = history.candles((0, &market), unit, to, page, now);
                    assert!(bars.len() <= page);
                    let Some(last) = bars.last() else { break };
                    to = last.open_ts;
                    paged.extend(bars);
                }
                paged.truncate(all.len());
                assert_eq!(paged, all, "{} in pages of {page}", unit.as_str());
            }
            let first = history.candles((0, &market), unit, market.listed, 5, now);
            let opens = open(unit, market.listed) < market.listed;
            assert_eq!(first.len(), usize::from(opens), "nothing before the listing");
        }
    }

    #[test]
    fn pages_of_ticks_are_the_trades_of_the_day() {
        let market = market("KRW-ETH");
        let day = open(Unit::D1, START) - DAY;
        let mut all = Vec::new();
        market.trades(day, day + DAY, &mut all);
        all.reverse();
        for page in [1_000, 333] {
            let mut paged = ticks(&market, day, i64::MAX, None, page);
            while let Some(cursor) = paged.last().map(|trade| trade.id) {
                let next = ticks(&market, day, i64::MAX, Some(cursor), page);
                if next.is_empty() {
                    break;
                }
                paged.extend(next);
                assert!(paged.len() <= all.len(), "no trade comes twice");
            }
            assert_eq!(paged, all);
        }
        let noon = ticks(&market, day, day + 12 * HOUR, None, 1);
        assert_eq!(noon.first(), all.iter().find(|trade| trade.ts < day + 12 * HOUR));
        // One of several trades of a millisecond as the cursor.
        let pair = all.windows(2).find(|pair| pair[0].ts == pair[1].ts).unwrap();
        assert_eq!(ticks(&market, day, i64::MAX, Some(pair[0].id), 1), [pair[1]]);
    }
}
