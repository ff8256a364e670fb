//! What a ticker says of a day: sums since midnight UTC and over the last 24 hours.
//!
//! The sums since midnight are exact. Those of 24 hours roll in steps of ten minutes: a stretch of
//! ten minutes leaves them when all of it is older.

use std::collections::VecDeque;

use super::candle::{Unit, open};
use super::market::{DAY, MINUTE, Market, Trade};

/// How the sums of 24 hours are kept.
const STRETCH: i64 = 10 * MINUTE;

/// The figures of one market's ticker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Day {
    /// Midnight UTC.
    start: i64,
    pub(super) prev_close: i64,
    pub(super) open: i64,
    pub(super) high: i64,
    pub(super) low: i64,
    /// The price of the last trade.
    pub(super) last: i64,
    traded: bool,
    /// Since midnight, by the taker's side: sold, bought. Unit: 10^-8.
    pub(super) sold: i128,
    pub(super) bought: i128,
    /// Since midnight. Unit: 10^-16.
    pub(super) turnover: i128,
    /// Over 24 hours.
    pub(super) volume_24h: i128,
    pub(super) turnover_24h: i128,
    stretches: VecDeque<(i64, i128, i128)>,
}

impl Day {
    /// The figures as of `ts`, from the market's trades.
    pub(super) fn at(market: &Market, ts: i64) -> Self {
        let start = open(Unit::D1, ts);
        let from = (ts - DAY) - (ts - DAY).rem_euclid(STRETCH);
        let mut trades = Vec::new();
        market.trades(from, ts, &mut trades);
        let close = market
            .last(start)
            .map_or_else(|| market.bid(market.listed) * market.listing.tick, |trade| trade.price);
        let mut day = Self {
            start: open(Unit::D1, from),
            prev_close: close,
            open: close,
            high: close,
            low: close,
            last: close,
            traded: false,
            sold: 0,
            bought: 0,
            turnover: 0,
            volume_24h: 0,
            turnover_24h: 0,
            stretches: VecDeque::new(),
        };
        for trade in &trades {
            day.add(trade);
        }
        day.roll(ts);
        day
    }

    /// Adds the next trade.
    pub(super) fn add(&mut self, trade: &Trade) {
        self.roll(trade.ts);
        if !self.traded {
            (self.open, self.high, self.low) = (trade.price, trade.price, trade.price);
        }
        self.traded = true;
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.last = trade.price;
        let (size, turnover) = (i128::from(trade.size), trade.turnover());
        *(if trade.buy { &mut self.bought } else { &mut self.sold }) += size;
        self.turnover += turnover;
        self.volume_24h += size;
        self.turnover_24h += turnover;
        let stretch = trade.ts - trade.ts.rem_euclid(STRETCH);
        match self.stretches.back_mut() {
            Some(last) if last.0 == stretch => {
                last.1 += size;
                last.2 += turnover;
            }
            Some(_) | None => self.stretches.push_back((stretch, size, turnover)),
        }
    }

    /// Lets midnight pass, and what is older than 24 hours go.
    pub(super) fn roll(&mut self, ts: i64) {
        if ts - self.start >= DAY {
            self.start = open(Unit::D1, ts);
            self.prev_close = self.last;
            (self.open, self.high, self.low) = (self.last, self.last, self.last);
            self.traded = false;
            (self.sold, self.bought, self.turnover) = (0, 0, 0);
        }
        while let Some(&(stretch, size, turnover)) = self.stretches.front() {
            if stretch + STRETCH > ts - DAY {
                break;
            }
            self.volume_24h -= size;
            self.turnover_24h -= turnover;
            self.stretches.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::market::tests::{START, market};

    #[test]
    fn figures_are_those_of_the_trades() {
        let market = market("KRW-BTC");
        let midnight = open(Unit::D1, START) + DAY;
        let mut day = Day::at(&market, START);
        let mut live = Vec::new();
        market.trades(START, START + 200_000, &mut live);
        for trade in &live {
            day.add(trade);
        }
        let now = START + 200_000;
        day.roll(now);
        assert_eq!(day, Day::at(&market, now), "step by step, and all at once");

        let mut today = Vec::new();
        market.trades(midnight - DAY, now, &mut today);
        assert_eq!(day.open, today[0].price);
        assert_eq!(Some(day.high), today.iter().map(|one| one.price).max());
        assert_eq!(Some(day.prev_close), market.last(midnight - DAY).map(|one| one.price));
        let sold = today.iter().filter(|one| !one.buy).map(|one| i128::from(one.size)).sum();
        assert_eq!(day.sold, sold);
        assert_eq!(day.turnover, today.iter().map(Trade::turnover).sum());
        assert!(day.volume_24h > day.sold + day.bought);

        let last = day.last;
        day.roll(midnight);
        assert_eq!((day.prev_close, day.open, day.sold, day.turnover), (last, last, 0, 0));
    }
}
