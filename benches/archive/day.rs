//! What happens on a day, in the order of arrival.
//!
//! Frames come as independent events at a constant rate. Which market one is of: of trades the
//! n-th market has a share that goes with 1/n (the first has one in seven), of order books and
//! tickers with 1/(n + 20), because a venue tells them ten times a second at most.

use std::collections::BTreeMap;

use veritape::model::market::{Market as Code, Source};
use veritape::model::record::{Body, Candle, Head, Row, Trade};
use veritape::model::subscription::{CandleUnit, Stream};
use veritape::model::time::{SECOND_US, Timestamp};

use super::dice::{Dice, float, whole};
use super::market::Market;

pub(crate) const CANDLES: Stream = Stream::Candle(CandleUnit::S1);
/// What is recorded.
pub(crate) const STREAMS: [Stream; 4] = [Stream::Trade, Stream::Orderbook, Stream::Ticker, CANDLES];

/// Of a hundred frames so many are trades, and so many tickers; the others are order books. The
/// candles come beside them: one for each second and market with a trade.
const TRADES: u64 = 20;
const TICKERS: u64 = 20;
/// How long a frame is on its way at least. Unit: microseconds.
const LAG: i64 = 8_000;
/// How long after its end a candle is told for the last time. Unit: microseconds.
const CANDLE_LAG: i64 = 1_200_000;

/// A day in the making.
#[derive(Debug)]
pub(crate) struct Day {
    dice: Dice,
    markets: Vec<Market>,
    of_trades: Vec<f64>,
    of_books: Vec<f64>,
    /// Seconds between two frames, on average.
    mean: f64,
    /// The venue's time, in microseconds, and when the last frame arrived.
    now: f64,
    arrived: i64,
    frame: i64,
    candles: BTreeMap<(i64, usize), Candle>,
}

impl Day {
    pub(crate) fn new(from: Timestamp, markets: usize, rate: f64, seed: u64) -> Self {
        let code = |place| Code::new(format!("KRW-{place:03}"));
        let all: Vec<Market> = (0..markets)
            .map(|n| Market::new(code(n), seed ^ (0x51_7C_C1_B7 * (n as u64 + 1))))
            .collect();
        Self {
            dice: Dice::new(seed),
            of_trades: shares(markets, 0.0),
            of_books: shares(markets, 20.0),
            markets: all,
            mean: 1e6 / rate,
            now: float(from.micros()),
            arrived: from.micros() + LAG,
            frame: 0,
            candles: BTreeMap::new(),
        }
    }

    pub(crate) fn codes(&self) -> impl Iterator<Item = &Code> {
        self.markets.iter().map(|market| &market.code)
    }

    /// Frames so far.
    pub(crate) const fn frames(&self) -> i64 {
        self.frame
    }

    /// The rows of everything that happens before `until`, by stream as in [`STREAMS`].
    pub(crate) fn go_on(&mut self, until: Timestamp) -> [Vec<Row>; 4] {
        let mut rows = [const { Vec::new() }; 4];
        let [trades, books, tickers, candles] = &mut rows;
        loop {
            let next = self.now + self.dice.wait(self.mean);
            if next >= float(until.micros()) {
                break;
            }
            self.now = next;
            let event = Timestamp::from_millis(whole((next / 1e3).floor()));
            self.tell_candles(event.micros() - CANDLE_LAG, candles);
            self.arrive(event.micros());
            match self.dice.below(100) {
                kind if kind < TRADES => {
                    let place = pick(&self.of_trades, self.dice.unit());
                    let id = event.micros() * 10 + self.frame % 10_000;
                    let Some(market) = self.markets.get_mut(place) else { continue };
                    let trade = market.trade(event, id);
                    self.add_to_candle(place, &trade);
                    trades.extend(self.row(place, Body::Trade(trade)));
                }
                kind => {
                    let place = pick(&self.of_books, self.dice.unit());
                    let Some(market) = self.markets.get_mut(place) else { continue };
                    if kind < TRADES + TICKERS {
                        let body = Body::Ticker(Box::new(market.ticker(event)));
                        tickers.extend(self.row(place, body));
                    } else {
                        let body = Body::Orderbook(Box::new(market.book(event)));
                        books.extend(self.row(place, body));
                    }
                }
            }
        }
        self.now = float(until.micros());
        self.tell_candles(until.micros() - CANDLE_LAG, candles);
        rows
    }

    /// The candles that are left at the end.
    pub(crate) fn end(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.tell_candles(i64::MAX, &mut rows);
        rows
    }

    fn arrive(&mut self, event: i64) {
        let lag = LAG + i64::try_from(self.dice.below(30_000)).unwrap_or_default();
        self.arrived = self.arrived.max(event + lag);
        self.frame += 1;
    }

    fn row(&self, place: usize, body: Body) -> Option<Row> {
        let market = Some(self.markets.get(place)?.code.clone());
        let ts_recv = Timestamp::from_micros(self.arrived);
        let (session, frame) = (1, self.frame);
        let head = Head { market, ts_recv, source: Source::Ws, snapshot: false, session, frame };
        Some(Row { head, body })
    }

    fn add_to_candle(&mut self, place: usize, trade: &Trade) {
        let Trade { ts_event, price, size, .. } = *trade;
        let second = ts_event.micros().div_euclid(SECOND_US) * SECOND_US;
        let candle = self.candles.entry((second, place)).or_insert_with(|| Candle {
            ts_open: Timestamp::from_micros(second),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 0.0,
            turnover: 0.0,
            ts_last: None,
            prev_close: None,
            change_price: None,
            change_rate: None,
            first_day: None,
        });
        candle.high = candle.high.max(price);
        candle.low = candle.low.min(price);
        candle.close = price;
        candle.volume += size;
        candle.turnover += price * size;
        candle.ts_last = Some(ts_event);
    }

    /// Tells the candles of seconds that were over before `at`.
    fn tell_candles(&mut self, at: i64, into: &mut Vec<Row>) {
        while let Some(entry) = self.candles.first_entry() {
            let (second, place) = *entry.key();
            if second > at.saturating_sub(SECOND_US) {
                return;
            }
            let candle = entry.remove();
            self.arrive(second + CANDLE_LAG);
            into.extend(self.row(place, Body::Candle(candle)));
        }
    }
}

/// The shares of so many markets, added up.
fn shares(markets: usize, shift: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let weights = (1..=markets).map(|place| {
        sum += 1.0 / (shift + float(i64::try_from(place).unwrap_or(i64::MAX)));
        sum
    });
    let added: Vec<f64> = weights.collect();
    let all = added.last().copied().unwrap_or(1.0);
    added.into_iter().map(|weight| weight / all).collect()
}

fn pick(shares: &[f64], at: f64) -> usize {
    shares.partition_point(|share| *share <= at).min(shares.len().saturating_sub(1))
}
