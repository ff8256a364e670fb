//! One market going on in time: what it tells, and when.
//!
//! Pure: time is given to [`Live::step`], and any sequence of steps up to the same instant tells
//! the same events with the same state.

use std::collections::VecDeque;

use super::book::Book;
use super::candle::{Bar, LIVE_UNITS, next_second, open};
use super::day::Day;
use super::dice::{below, mix};
use super::market::{MILLION, Market, Trade};

/// How long after the full second candles are pushed. Unit: milliseconds.
pub(super) const PUSH_LAG: i64 = 8;
const TOUCHED: u64 = 21;
const NEVER: i64 = i64::MAX;
/// How many slots back the book of a market that was just listed or started may lie.
const BOOK_AGE: i64 = 1_000;

/// What a market tells; the state that goes with it is the market's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// This trade.
    Trade(Trade),
    /// Its book.
    Book,
    /// Its ticker.
    Ticker,
    /// Its candle of the unit at this place of [`LIVE_UNITS`].
    Candle(usize),
}

/// One market, up to some instant.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) market: Market,
    /// How many of a million slots of the grid change the book.
    pub(super) books: u64,
    /// Whether anybody sees the book; else it is not computed.
    pub(super) watched: bool,
    /// The last trade that was published.
    pub(super) last: Option<Trade>,
    pub(super) day: Day,
    /// The last candle of each unit that has any, as of the last full second.
    pub(super) bars: [Option<Bar>; LIVE_UNITS.len()],
    /// The slot of the last book.
    slot: i64,
    book: Option<Book>,
    /// Trades of the second that is going on, and those of it and the last one not yet published.
    second: Vec<Trade>,
    unpublished: VecDeque<Trade>,
    traded: bool,
    upto: i64,
    second_at: i64,
    slot_at: i64,
    push_at: i64,
}

impl Live {
    /// The market as of `ts`, `books` as above.
    pub(super) fn new(market: Market, ts: i64, books: u64) -> Self {
        let day = Day::at(&market, ts);
        let last = market.last(ts);
        let slot = market.slot(ts);
        let mut live = Self {
            books,
            watched: false,
            last,
            day,
            bars: [None; LIVE_UNITS.len()],
            slot,
            book: None,
            second: Vec::new(),
            unpublished: VecDeque::new(),
            traded: false,
            upto: ts,
            second_at: ts,
            slot_at: market.slot_ts(slot + 1),
            push_at: NEVER,
            market,
        };
        live.slot = (slot - BOOK_AGE..=slot)
            .rev()
            .find(|slot| live.touched(*slot))
            .unwrap_or(slot - BOOK_AGE);
        if let Some(last) = last {
            let from = LIVE_UNITS.iter().map(|unit| open(*unit, last.ts)).min().unwrap_or(last.ts);
            let mut trades = Vec::new();
            live.market.trades(from, ts, &mut trades);
            live.fold(&trades);
        }
        live
    }

    /// Goes on to `now`, and hands each event to `tell` in the order of time.
    pub(super) fn step(&mut self, now: i64, tell: &mut impl FnMut(&Self, Event)) {
        while self.due() <= now {
            let due = self.due();
            self.upto = due;
            if self.second_at == due {
                self.open_second();
            } else if self.push_at == due {
                self.push_at = NEVER;
                for place in 0..LIVE_UNITS.len() {
                    tell(self, Event::Candle(place));
                }
            } else if self.slot_at == due {
                self.turn_slot(tell);
            } else if let Some(trade) = self.unpublished.pop_front() {
                self.last = Some(trade);
                self.day.add(&trade);
                self.traded = true;
                tell(self, Event::Trade(trade));
            }
        }
        self.upto = now;
    }

    /// When the next thing happens.
    pub(super) fn due(&self) -> i64 {
        let publish = self.unpublished.front().map_or(NEVER, |trade| trade.ts + self.lag());
        publish.min(self.second_at).min(self.slot_at).min(self.push_at)
    }

    /// How long after a trade it is published. Unit: milliseconds.
    pub(super) fn lag(&self) -> i64 {
        35 + below(self.market.seed >> 8, 18).cast_signed()
    }

    /// Up to when it went on.
    pub(super) const fn upto(&self) -> i64 {
        self.upto
    }

    /// The book as it was last told.
    pub(super) fn book(&self) -> Book {
        self.book.clone().unwrap_or_else(|| self.market.book(self.slot, 1))
    }

    /// The slot of the last book.
    pub(super) const fn slot(&self) -> i64 {
        self.slot
    }

    fn touched(&self, slot: i64) -> bool {
        let hash = mix(&[self.market.seed, TOUCHED, slot.cast_unsigned()]);
        below(hash, MILLION) < self.books
    }

    fn open_second(&mut self) {
        if !self.second.is_empty() {
            let trades = std::mem::take(&mut self.second);
            self.fold(&trades);
            self.push_at = self.second_at + PUSH_LAG;
        }
        let end = next_second(self.second_at);
        self.market.trades(self.second_at, end, &mut self.second);
        self.unpublished.extend(&self.second);
        self.second_at = end;
    }

    fn turn_slot(&mut self, tell: &mut impl FnMut(&Self, Event)) {
        let slot = self.market.slot(self.slot_at);
        self.slot_at = self.market.slot_ts(slot + 1);
        if self.touched(slot) {
            if self.watched {
                let book = self.market.book(slot, 1);
                let before = self.book();
                // A book that is as it was is not told again.
                if (&book.asks, &book.bids) != (&before.asks, &before.bids) {
                    self.slot = slot;
                    self.book = Some(book);
                    tell(self, Event::Book);
                }
            } else {
                self.slot = slot;
                self.book = None;
            }
        }
        if self.traded {
            self.traded = false;
            tell(self, Event::Ticker);
        }
    }

    fn fold(&mut self, trades: &[Trade]) {
        for (unit, bar) in LIVE_UNITS.into_iter().zip(&mut self.bars) {
            for trade in trades {
                let one = Bar::of(unit, trade);
                *bar = Some(match *bar {
                    Some(last) if last.open_ts == one.open_ts => last.join(&one),
                    Some(_) | None => one,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sim::market::SECOND;
    use crate::sim::market::tests::{START, market};

    fn told(step: i64, code: &str, seconds: i64) -> Vec<String> {
        let mut live = Live::new(market(code), START, 400_000);
        live.watched = true;
        let mut told = Vec::new();
        let mut now = START;
        while now < START + seconds * SECOND {
            now = (now + step).min(START + seconds * SECOND);
            live.step(now, &mut |live, event| {
                let state = match event {
                    Event::Trade(_) => String::new(),
                    Event::Book => format!("{:?}", live.book()),
                    Event::Ticker => format!("{:?}", live.day),
                    Event::Candle(place) => format!("{:?}", live.bars[place]),
                };
                told.push(format!("{} {event:?} {state}", live.upto()));
            });
        }
        told
    }

    #[test]
    fn any_steps_tell_the_same() {
        let fine = told(1, "KRW-BTC", 20);
        assert!(fine.len() > 200, "{}", fine.len());
        for step in [7, 250, 20 * SECOND] {
            assert_eq!(told(step, "KRW-BTC", 20), fine, "in steps of {step} ms");
        }
        assert_ne!(told(250, "KRW-ETH", 20), fine);
    }

    #[test]
    fn what_is_told_is_what_the_market_has() {
        let market = market("KRW-XRP");
        let mut live = Live::new(market.clone(), START, 400_000);
        let before: Vec<_> = live.bars.into_iter().flatten().collect();
        let end = START + 400 * SECOND;
        let mut trades = Vec::new();
        let mut bars: [BTreeMap<i64, Bar>; LIVE_UNITS.len()] = Default::default();
        for bar in &before {
            assert!(bar.last_ts < START, "the last candle, even if its unit is over");
        }
        live.step(end, &mut |live, event| match event {
            Event::Trade(trade) => trades.push(trade),
            Event::Candle(place) => {
                let bar = live.bars[place].unwrap();
                bars[place].insert(bar.open_ts, bar);
            }
            Event::Book => panic!("nobody watches the book"),
            Event::Ticker if trades.len() % 40 == 0 => {
                assert_eq!(live.day, Day::at(&live.market, live.last.unwrap().ts + 1));
            }
            Event::Ticker => {}
        });
        let mut wanted = Vec::new();
        market.trades(START, end - live.lag() + 1, &mut wanted);
        assert_eq!(trades, wanted);
        let second = end - end.rem_euclid(SECOND);
        for (unit, bars) in LIVE_UNITS.into_iter().zip(bars) {
            let from = open(unit, START);
            let mut wanted = market.bars(unit, from, second);
            // A unit that was over before the start is not pushed again.
            wanted.retain(|bar| bar.last_ts >= START);
            assert_eq!(bars.into_values().collect::<Vec<_>>(), wanted, "{}", unit.as_str());
        }
    }
}
