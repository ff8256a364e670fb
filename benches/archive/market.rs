//! One market: prices on a tick grid that walk at random, and a book of 30 levels on each side of
//! which each frame changes a few.
//!
//! How much a frame changes is taken from 140 frames of a real venue (Upbit, 2021): 1.85 price
//! levels on average, never more than 4, and in 6 of 100 the best price moves. Here one frame in
//! five changes 4 to 12 levels more, since today's books are twice as deep. Sizes have 8 decimals
//! in 8 of 10 cases, else 4 or none, as there.

use veritape::model::market::{Change, Market as Code, Side};
use veritape::model::record::{Orderbook, Ticker, Trade};
use veritape::model::time::Timestamp;

use super::dice::{Dice, float, whole};

const DEPTH: usize = 30;
/// Sizes are counted in these.
const UNITS: f64 = 1e8;
/// Whole numbers up to this one are doubles.
const EXACT: f64 = 9e15;
/// With fewer steps below it the best bid does not go down.
const LOWEST: i64 = 200;

#[derive(Debug, Clone, Copy)]
struct Level {
    step: i64,
    units: i64,
}

/// A market in motion.
#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) code: Code,
    dice: Dice,
    /// A price is a number of steps of 10 to this.
    exponent: i32,
    asks: Vec<Level>,
    bids: Vec<Level>,
    day: Statistics,
    last: Option<(Timestamp, Level, Side)>,
}

/// What the tickers tell of the day.
#[derive(Debug)]
struct Statistics {
    before: i64,
    open: i64,
    high: i64,
    low: i64,
    bought: i64,
    sold: i64,
    turnover: f64,
    /// Of the day before: volume and turnover of 24 hours begin with it.
    volume_before: i64,
    turnover_before: f64,
}

impl Market {
    pub(crate) fn new(code: Code, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        // 10,000 to 100,000 steps of 10^-6 to 10^3: from the smallest coin to the dearest.
        let exponent = i32::try_from(dice.below(10)).unwrap_or_default() - 6;
        let bid = 10_000 + i64::try_from(dice.below(90_000)).unwrap_or_default();
        let day = Statistics {
            before: bid + 37,
            open: bid,
            high: bid,
            low: bid,
            bought: 0,
            sold: 0,
            turnover: 0.0,
            volume_before: whole(1e6 * UNITS * dice.unit()).min(whole(EXACT)),
            turnover_before: 1e10 * dice.unit(),
        };
        let (asks, bids) = (Vec::new(), Vec::new());
        let mut market = Self { code, dice, exponent, asks, bids, day, last: None };
        let (mut ask, mut below) = (bid + 1, bid);
        for _ in 0..DEPTH {
            let level = Level { step: ask, units: market.units() };
            market.asks.push(level);
            let level = Level { step: below, units: market.units() };
            market.bids.push(level);
            ask += market.distance();
            below -= market.distance();
        }
        market
    }

    /// Something happens, and the book is told.
    pub(crate) fn book(&mut self, ts_event: Timestamp) -> Orderbook {
        let changes = 1 + usize::from(self.dice.percent(65)) + usize::from(self.dice.percent(15));
        let more = if self.dice.percent(20) { 4 + self.dice.place(9) } else { 0 };
        for _ in 0..changes + more {
            self.change_level();
        }
        if self.dice.percent(6) {
            self.move_best();
        }
        let total = |side: &[Level]| float(side.iter().map(|one| one.units).sum()) / UNITS;
        let prices = |side: &[Level]| side.iter().map(|one| self.price(one.step)).collect();
        let sizes = |side: &[Level]| side.iter().map(|one| float(one.units) / UNITS).collect();
        Orderbook {
            ts_event,
            total_ask_size: Some(total(&self.asks)),
            total_bid_size: Some(total(&self.bids)),
            grouping: Some(0.0),
            best_ask_price: self.best(&self.asks).map(|(price, _)| price),
            best_ask_size: self.best(&self.asks).map(|(_, size)| size),
            best_bid_price: self.best(&self.bids).map(|(price, _)| price),
            best_bid_size: self.best(&self.bids).map(|(_, size)| size),
            ask_price: prices(&self.asks),
            ask_size: sizes(&self.asks),
            bid_price: prices(&self.bids),
            bid_size: sizes(&self.bids),
        }
    }

    /// Somebody trades at the best price.
    pub(crate) fn trade(&mut self, ts_event: Timestamp, id: i64) -> Trade {
        let side = if self.dice.percent(50) { Side::Buy } else { Side::Sell };
        let book = if side == Side::Buy { &self.asks } else { &self.bids };
        let step = book.first().map_or(self.day.open, |level| level.step);
        let units = self.units();
        self.count(step, units, side);
        self.last = Some((ts_event, Level { step, units }, side));
        let sent = i64::try_from(self.dice.below(30)).unwrap_or_default();
        let (asks, bids) = (self.best(&self.asks), self.best(&self.bids));
        let trade = Trade {
            ts_event,
            ts_sent: Some(Timestamp::from_millis(ts_event.micros() / 1_000 + sent)),
            id,
            price: self.price(step),
            size: float(units) / UNITS,
            side,
            prev_close: Some(self.price(self.day.before)),
            change: Some(self.direction(step)),
            change_price: Some(self.price((step - self.day.before).abs())),
            best_ask_price: asks.map(|(price, _)| price),
            best_ask_size: asks.map(|(_, size)| size),
            best_bid_price: bids.map(|(price, _)| price),
            best_bid_size: bids.map(|(_, size)| size),
        };
        if self.dice.percent(20) {
            self.move_best();
        }
        trade
    }

    /// The statistics of the day.
    pub(crate) fn ticker(&self, ts_event: Timestamp) -> Ticker {
        let (day, last) = (&self.day, self.last.as_ref());
        let step = last.map_or(day.open, |(_, level, _)| level.step);
        let (moved, close) = (step - day.before, self.price(day.before));
        let distance = self.price(moved.abs());
        let rate = float(moved.abs()) / float(day.before.max(1));
        let rate = float(whole(rate * 1e10)) / 1e10;
        let sign = float(moved.signum());
        let volume = day.bought + day.sold;
        Ticker {
            ts_event,
            ts_trade: last.map(|(at, ..)| *at),
            open: Some(self.price(day.open)),
            high: Some(self.price(day.high)),
            low: Some(self.price(day.low)),
            price: Some(self.price(step)),
            size: last.map(|(_, level, _)| float(level.units) / UNITS),
            side: last.map(|(.., side)| *side),
            prev_close: Some(close),
            change: Some(self.direction(step)),
            change_price: Some(distance),
            signed_change_price: Some(distance * sign),
            change_rate: Some(rate),
            signed_change_rate: Some(rate * sign),
            acc_volume: Some(float(volume) / UNITS),
            acc_volume_24h: Some(float(day.volume_before + volume) / UNITS),
            acc_turnover: Some(day.turnover),
            acc_turnover_24h: Some(day.turnover_before + day.turnover),
            acc_ask_volume: Some(float(day.sold) / UNITS),
            acc_bid_volume: Some(float(day.bought) / UNITS),
            high_52w: Some(self.price(day.before * 2)),
            high_52w_date: Some("2026-01-14".into()),
            low_52w: Some(self.price(day.before / 3)),
            low_52w_date: Some("2026-08-02".into()),
            market_state: Some("ACTIVE".into()),
            is_trading_suspended: Some(false),
            market_warning: Some("NONE".into()),
            delisting_date: None,
        }
    }

    /// The double nearest to the decimal of a number of steps.
    fn price(&self, steps: i64) -> f64 {
        let scale = 10_f64.powi(self.exponent.abs());
        if self.exponent < 0 { float(steps) / scale } else { float(steps) * scale }
    }

    fn best(&self, side: &[Level]) -> Option<(f64, f64)> {
        let level = side.first()?;
        Some((self.price(level.step), float(level.units) / UNITS))
    }

    fn direction(&self, step: i64) -> Change {
        match step.cmp(&self.day.before) {
            std::cmp::Ordering::Less => Change::Fall,
            std::cmp::Ordering::Equal => Change::Even,
            std::cmp::Ordering::Greater => Change::Rise,
        }
    }

    fn count(&mut self, step: i64, units: i64, side: Side) {
        let turnover = self.price(step) * float(units) / UNITS;
        let day = &mut self.day;
        (day.high, day.low) = (day.high.max(step), day.low.min(step));
        day.turnover += turnover;
        match side {
            Side::Buy => day.bought += units,
            Side::Sell => day.sold += units,
        }
    }

    /// A size worth 5,000 to 50,000,000 of the quote currency.
    fn units(&mut self) -> i64 {
        let worth = 5e3 * 10_f64.powf(4.0 * self.dice.unit());
        let price = self.price(self.day.open);
        let units = whole((worth / price * UNITS).clamp(1.0, EXACT / 64.0));
        let grain = match self.dice.below(10) {
            0 => 100_000_000,
            1 => 10_000,
            _ => 1,
        };
        if units > grain { units / grain * grain } else { units }
    }

    /// How far the next level is: most prices have one.
    fn distance(&mut self) -> i64 {
        1 + i64::from(self.dice.percent(25)) + i64::from(self.dice.percent(10))
    }

    /// Changes the size of a level, or takes it away; rather one near the best price.
    fn change_level(&mut self) {
        let place = self.dice.place(DEPTH).min(self.dice.place(DEPTH));
        let (units, distance) = (self.units(), self.distance());
        let (goes, of_asks) = (self.dice.percent(10), self.dice.percent(50));
        let (side, away) = if of_asks { (&mut self.asks, 1) } else { (&mut self.bids, -1) };
        if !goes || place == 0 {
            if let Some(level) = side.get_mut(place) {
                level.units = units;
            }
        } else if place < side.len() {
            side.remove(place);
            if let Some(last) = side.last().map(|last| last.step) {
                side.push(Level { step: last + away * distance, units });
            }
        }
    }

    /// Moves the best price of one side by what is free between the two, else of the other.
    fn move_best(&mut self) {
        let up = self.dice.percent(50);
        let (Some(ask), Some(bid)) = (self.asks.first().copied(), self.bids.first().copied())
        else {
            return;
        };
        if !up && bid.step < LOWEST {
            return;
        }
        let (units, distance) = (self.units(), self.distance());
        let (goes, comes, away) = if up {
            (&mut self.asks, &mut self.bids, 1)
        } else {
            (&mut self.bids, &mut self.asks, -1)
        };
        if ask.step - bid.step > 1 {
            let step = if up { bid.step + 1 } else { ask.step - 1 };
            comes.pop();
            comes.insert(0, Level { step, units });
        } else {
            goes.remove(0);
            if let Some(last) = goes.last().map(|last| last.step) {
                goes.push(Level { step: last + away * distance, units });
            }
        }
    }
}
