//! The ledger: which trades happened since the start, and to how many sockets each was sent.
//!
//! Invariants:
//! - Every trade since the start is in it once, whether or not anybody was connected. A trade from
//!   before the start enters it when it is told as a SNAPSHOT.
//! - `sockets` counts the sockets that a frame with the trade was wholly written to. Bytes that an
//!   abrupt end of the connection (`reset`, a slow reader, the end of a client) threw away in the
//!   kernel are beyond what a server can know.
//! - In the file a trade has its line as soon as all sockets that it was meant for have it or are
//!   gone. Where it is told again later, as a SNAPSHOT, another line with the new count follows:
//!   the last line of a market and id is the true one.
//! - In memory the oldest trades make room once there are `limit`; the file keeps all.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::candle::{Bar, open};
use super::decimal::{Decimal, Spelling, push_number};
use super::live::PUSH_LAG;
use super::market::{Market, SECOND, Trade};
use crate::model::market::Side;
use crate::model::subscription::CandleUnit;

/// One trade of the simulated venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerTrade {
    /// The market's code.
    pub market: String,
    /// The trade's number, unique within the market.
    pub id: i64,
    /// When it happened. Unit: milliseconds since the epoch.
    pub ts_ms: i64,
    /// At what price, exact.
    pub price: Decimal,
    /// How much, exact.
    pub size: Decimal,
    /// The taker's side.
    pub side: Side,
    /// To how many sockets it was sent.
    pub sockets: u32,
}

/// One candle of the simulated venue: the sum of its trades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerCandle {
    /// The market's code.
    pub market: String,
    /// Start of the unit. Unit: milliseconds since the epoch.
    pub ts_open_ms: i64,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Sum of sizes.
    pub volume: Decimal,
    /// Sum of price × size.
    pub turnover: Decimal,
    /// The last trade's time. Unit: milliseconds since the epoch.
    pub ts_last_ms: i64,
}

/// All trades of a simulator, and where they went. Cheap to clone; all clones are one ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    markets: Arc<Vec<Market>>,
    book: Arc<Mutex<Entries>>,
}

#[derive(Debug)]
pub(super) struct Entries {
    held: VecDeque<Entry>,
    /// The number of the oldest entry.
    first: u64,
    limit: usize,
    /// Entries that have no line in the file yet.
    unwritten: Vec<u64>,
    file: Option<BufWriter<File>>,
    failure: Option<io::Error>,
    codes: Vec<String>,
    now: i64,
    line: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    market: usize,
    trade: Trade,
    sockets: u32,
    pending: u32,
    written: Option<u32>,
}

impl Ledger {
    pub(super) fn new(
        markets: Arc<Vec<Market>>,
        start: i64,
        limit: usize,
        file: Option<File>,
    ) -> Self {
        let codes = markets.iter().map(|market| market.listing.code.clone()).collect();
        let entries = Entries {
            held: VecDeque::new(),
            first: 0,
            limit: limit.max(1),
            unwritten: Vec::new(),
            file: file.map(BufWriter::new),
            failure: None,
            codes,
            now: start,
            line: Vec::new(),
        };
        Self { markets, book: Arc::new(Mutex::new(entries)) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every trade since the start, and those from before it that were told as SNAPSHOT.
    #[must_use]
    pub fn trades(&self) -> Vec<LedgerTrade> {
        let entries = self.lock();
        entries
            .held
            .iter()
            .map(|entry| self.shown(entry.market, &entry.trade, entry.sockets))
            .collect()
    }

    /// The candles of every unit of time that the simulator has been in, as of the last full
    /// second that was pushed. The first one of each market also holds the trades of its unit from
    /// before the start, as the venue's own candles do.
    #[must_use]
    pub fn candles(&self, unit: CandleUnit) -> Vec<LedgerCandle> {
        let now = self.lock().now - PUSH_LAG;
        let end = now - now.rem_euclid(SECOND);
        self.markets
            .iter()
            .flat_map(|market| {
                let bars = market.bars(unit, open(unit, market.start), end);
                bars.into_iter()
                    .filter(|bar| bar.last_ts >= market.start)
                    .map(|bar| candle(market, &bar))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// The trades of a market in `[from_ms, to_ms)`, earliest first, also from before the start;
    /// none for a market that does not exist. `sockets` is 0 in all of them.
    #[must_use]
    pub fn history(&self, market: &str, from_ms: i64, to_ms: i64) -> Vec<LedgerTrade> {
        let Some(place) = self.place(market) else { return Vec::new() };
        let mut trades = Vec::new();
        if let Some(market) = self.markets.get(place) {
            market.trades(from_ms, to_ms, &mut trades);
        }
        trades.iter().map(|trade| self.shown(place, trade, 0)).collect()
    }

    /// The candles of a market whose units lie in `[from_ms, to_ms)`, earliest first, also from
    /// before the start.
    #[must_use]
    pub fn history_candles(
        &self,
        market: &str,
        unit: CandleUnit,
        from_ms: i64,
        to_ms: i64,
    ) -> Vec<LedgerCandle> {
        let Some(market) = self.place(market).and_then(|place| self.markets.get(place)) else {
            return Vec::new();
        };
        let bars = market.bars(unit, open(unit, from_ms), to_ms);
        bars.iter().filter(|bar| bar.open_ts >= from_ms).map(|bar| candle(market, bar)).collect()
    }

    fn place(&self, code: &str) -> Option<usize> {
        self.markets.iter().position(|market| market.listing.code == code)
    }

    fn shown(&self, market: usize, trade: &Trade, sockets: u32) -> LedgerTrade {
        LedgerTrade {
            market: self.markets.get(market).map_or_else(String::new, |m| m.listing.code.clone()),
            id: trade.id,
            ts_ms: trade.ts,
            price: Decimal::fixed(trade.price),
            size: Decimal::fixed(trade.size),
            side: if trade.buy { Side::Buy } else { Side::Sell },
            sockets,
        }
    }
}

fn candle(market: &Market, bar: &Bar) -> LedgerCandle {
    LedgerCandle {
        market: market.listing.code.clone(),
        ts_open_ms: bar.open_ts,
        open: Decimal::fixed(bar.open),
        high: Decimal::fixed(bar.high),
        low: Decimal::fixed(bar.low),
        close: Decimal::fixed(bar.close),
        volume: bar.volume(),
        turnover: bar.turnover(),
        ts_last_ms: bar.last_ts,
    }
}

impl Entries {
    /// A trade that happened, or one from before the start that is told. Gives its number.
    pub(super) fn add(&mut self, market: usize, trade: Trade) -> u64 {
        if self.held.len() >= self.limit {
            let oldest = self.first;
            if self.unwritten.contains(&oldest) {
                self.write(oldest);
                self.unwritten.retain(|number| *number != oldest);
            }
            self.held.pop_front();
            self.first += 1;
        }
        let number = self.first + u64::try_from(self.held.len()).unwrap_or(0);
        self.held.push_back(Entry { market, trade, sockets: 0, pending: 0, written: None });
        self.unwritten.push(number);
        number
    }

    /// The trade is on its way to one more socket.
    pub(super) fn queue(&mut self, number: u64) {
        let Some(entry) = self.entry(number) else { return };
        entry.pending += 1;
        // A line that was written is replaced by one that counts this socket too.
        if entry.written.take().is_some() {
            self.unwritten.push(number);
        }
    }

    /// The trade was written to a socket, or never will be.
    pub(super) fn settle(&mut self, number: u64, sent: bool) {
        if let Some(entry) = self.entry(number) {
            entry.pending = entry.pending.saturating_sub(1);
            entry.sockets += u32::from(sent);
        }
    }

    /// Writes the lines that are due.
    pub(super) fn advance(&mut self, now: i64) {
        self.now = now;
        let waiting = std::mem::take(&mut self.unwritten);
        for number in waiting {
            if self.entry(number).is_some_and(|entry| entry.pending > 0) {
                self.unwritten.push(number);
            } else {
                self.write(number);
            }
        }
        let flushed = self.file.as_mut().map_or(Ok(()), BufWriter::flush);
        self.note(flushed);
    }

    /// Writes every line that is left, and says what went wrong with the file, if anything.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        for number in std::mem::take(&mut self.unwritten) {
            self.write(number);
        }
        let flushed = self.file.as_mut().map_or(Ok(()), BufWriter::flush);
        self.note(flushed);
        self.failure.take().map_or(Ok(()), Err)
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.held.get_mut(place)
    }

    fn write(&mut self, number: u64) {
        let Some(place) =
            number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok())
        else {
            return;
        };
        let Some(entry) = self.held.get_mut(place) else { return };
        entry.written = Some(entry.sockets);
        let Some(file) = self.file.as_mut() else { return };
        let code = self.codes.get(entry.market).map_or("", String::as_str);
        self.line.clear();
        line(&mut self.line, code, &entry.trade, entry.sockets);
        let written = file.write_all(&self.line);
        self.note(written);
    }

    /// Keeps the first failure, and stops writing after it.
    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            tracing::error!(%error, "the ledger file cannot be written; it ends here");
            self.file = None;
            self.failure.get_or_insert(error);
        }
    }
}

fn line(out: &mut Vec<u8>, code: &str, trade: &Trade, sockets: u32) {
    let number = |out: &mut Vec<u8>, key: &str, number: i64| {
        out.extend_from_slice(key.as_bytes());
        push_number(u128::from(number.unsigned_abs()), out);
    };
    let text = |out: &mut Vec<u8>, key: &str, mantissa: i64| {
        out.extend_from_slice(key.as_bytes());
        Decimal::fixed(mantissa).write(Spelling::Plain, out);
    };
    out.extend_from_slice(b"{\"market\":\"");
    out.extend_from_slice(code.as_bytes());
    number(out, "\",\"id\":", trade.id);
    number(out, ",\"ts_ms\":", trade.ts);
    text(out, ",\"price\":\"", trade.price);
    text(out, "\",\"size\":\"", trade.size);
    out.extend_from_slice(b"\",\"side\":\"");
    let side = if trade.buy { Side::Buy } else { Side::Sell };
    out.extend_from_slice(side.as_str().as_bytes());
    number(out, "\",\"sockets\":", i64::from(sockets));
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::market::tests::{START, market};

    #[test]
    fn lines_follow_what_was_sent() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let market = market("KRW-BTC");
        let mut trades = Vec::new();
        market.trades(START, START + 20 * SECOND, &mut trades);
        let ledger = Ledger::new(Arc::new(vec![market]), START, 4, Some(path.reopen().unwrap()));
        let mut held = ledger.lock();
        let numbers: Vec<u64> = trades[..3].iter().map(|trade| held.add(0, *trade)).collect();
        held.queue(numbers[0]);
        held.queue(numbers[0]);
        held.queue(numbers[1]);
        held.settle(numbers[0], true);
        held.settle(numbers[1], false);
        held.advance(START);
        held.settle(numbers[0], true);
        // The third one was sent to nobody; later it is told as a SNAPSHOT.
        held.queue(numbers[2]);
        held.settle(numbers[2], true);
        held.advance(START + 1);
        // More than the limit: the oldest leave the memory, not the file.
        for trade in &trades[3..10] {
            held.add(0, *trade);
        }
        held.finish().unwrap();
        drop(held);
        let text = std::fs::read_to_string(path.path()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = lines
            .iter()
            .map(|line| (line["id"].as_i64().unwrap(), line["sockets"].as_i64().unwrap()))
            .collect();
        let id = |place: usize| trades[place].id;
        assert_eq!(told[..4], [(id(1), 0), (id(2), 0), (id(0), 2), (id(2), 1)]);
        assert_eq!(told.len(), 11, "and one line for each of the others");
        assert_eq!(lines[0]["price"], Decimal::fixed(trades[1].price).to_string());
        assert_eq!(lines[0]["size"], Decimal::fixed(trades[1].size).to_string());
        assert_eq!(ledger.trades().len(), 4);
    }
}
