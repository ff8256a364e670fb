//! Prices and books of one market, read from published files.
//!
//! What a file holds of a market never changes, so what was read is kept, and the next question
//! reads only files that are new. A question reads files from the newest back, and so many bytes
//! at most.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::market::Market;
use crate::model::record::CellSink;
use crate::model::span::Span;
use crate::model::subscription::{CandleUnit, Stream};
use crate::model::time::Timestamp;
use crate::store::catalog::{Catalog, CatalogError, Filter};
use crate::store::fs::{Fs, RealFs};
use crate::store::paths::Paths;
use crate::store::segment::{Extent, Segment, SegmentError, scan};

/// Bytes of files that one question reads at most.
const BYTES: u64 = 96 << 20;
/// Files of which something is kept.
const KEPT: usize = 4_096;
/// Files in which a book is looked for.
const BOOK_FILES: usize = 20;
/// The finest bar.
const BAR_US: i64 = 60_000_000;
/// Bars that are told at most.
const BARS: i64 = 240;
/// Where prices are taken from, best first.
const FROM: [Stream; 3] =
    [Stream::Candle(CandleUnit::M1), Stream::Candle(CandleUnit::S1), Stream::Trade];

/// Why there are no prices.
#[derive(Debug, thiserror::Error)]
pub(super) enum PriceError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// One bar: what happened from `at` on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bar {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
    /// The times of the first and the last row in it, and their frames.
    first: (Timestamp, i64),
    last: (Timestamp, i64),
}

/// Bars by their first instant. Unit: microseconds.
type Bars = BTreeMap<i64, Bar>;

/// One book.
#[derive(Debug, Clone, Default)]
struct Book {
    at: Timestamp,
    lists: Vec<Vec<f64>>,
}

/// Reads and remembers.
pub(super) struct Prices {
    fs: Arc<dyn Fs>,
    paths: Paths,
    bars: Mutex<HashMap<(u64, Market), Arc<Bars>>>,
    books: Mutex<HashMap<(u64, Market), Option<Book>>>,
}

impl Prices {
    pub(super) fn new(data: &Path) -> Self {
        let paths = Paths::new(data);
        Self { fs: Arc::new(RealFs), paths, bars: Mutex::default(), books: Mutex::default() }
    }

    /// The prices of a market over `length` up to its last recorded row, none after `now`.
    pub(super) fn prices(
        &self,
        catalog: &Catalog,
        venue: &str,
        market: &Market,
        length: Duration,
        now: Timestamp,
    ) -> Result<Value, PriceError> {
        let mut chosen = None;
        for stream in FROM {
            let last = catalog.last_row(venue, stream, market)?;
            let recent = last.filter(|last| now.since(*last) < length);
            if let Some(last) = recent.or(last)
                && (recent.is_some() || chosen.is_none())
            {
                chosen = Some((stream, last));
            }
            if recent.is_some() {
                break;
            }
        }
        let Some((stream, last)) = chosen else {
            return Ok(json!({ "venue": venue, "market": market, "stream": null, "bars": [] }));
        };
        let to = last.min(now).after(Duration::from_micros(1));
        let within = Span::new(to.before(length), to);
        let filter =
            Filter { venue: Some(venue.into()), stream: Some(stream), within, ..Filter::default() };
        let (bars, truncated) = self.bars(catalog.segments(&filter)?, market)?;
        let width = width(length);
        let from = to.before(length).micros();
        let bars: Bars = bars.into_iter().filter(|(at, _)| *at + BAR_US > from).collect();
        let told = coarser(&bars, width);
        let told = told.iter().map(|(at, bar)| {
            json!({
                "at": Timestamp::from_micros(*at).to_string(),
                "open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close,
                "volume": bar.volume,
            })
        });
        Ok(json!({
            "venue": venue,
            "market": market,
            "stream": stream.name(),
            "bar_s": width / 1_000_000,
            "bars": told.collect::<Vec<Value>>(),
            "truncated": truncated,
        }))
    }

    /// The last recorded book of a market.
    pub(super) fn book(
        &self,
        catalog: &Catalog,
        venue: &str,
        market: &Market,
    ) -> Result<Value, PriceError> {
        let none = json!({ "venue": venue, "market": market, "at": null, "asks": [], "bids": [] });
        let Some(last) = catalog.last_row(venue, Stream::Orderbook, market)? else {
            return Ok(none);
        };
        let segments = catalog.covering(venue, Stream::Orderbook, last, last)?;
        for segment in segments.iter().rev().take(BOOK_FILES) {
            if let Some(book) = self.book_in(segment, market)? {
                let side = |prices: usize, sizes: usize| -> Vec<[f64; 2]> {
                    let cells = |at: usize| book.lists.get(at).into_iter().flatten().copied();
                    cells(prices).zip(cells(sizes)).map(|(price, size)| [price, size]).collect()
                };
                return Ok(json!({
                    "venue": venue,
                    "market": market,
                    "at": book.at.to_string(),
                    "asks": side(0, 1),
                    "bids": side(2, 3),
                }));
            }
        }
        Ok(none)
    }

    /// The bars of a market in these files, and whether there were too many bytes of them.
    fn bars(&self, segments: Vec<Segment>, market: &Market) -> Result<(Bars, bool), PriceError> {
        let (mut all, mut read) = (Bars::new(), 0);
        for segment in segments.into_iter().rev() {
            let key = (segment.name.number, market.clone());
            let known = self.bars.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            let bars = if let Some(bars) = known {
                bars
            } else {
                read += segment.bytes;
                if read > BYTES {
                    return Ok((all, true));
                }
                let bars = match self.read_bars(&segment, market) {
                    Ok(bars) => Arc::new(bars),
                    // It was replaced after the catalog was asked.
                    Err(error) if error.is_disk() => continue,
                    Err(error) => return Err(error.into()),
                };
                remember(&self.bars, key, Arc::clone(&bars));
                bars
            };
            for (at, bar) in bars.iter() {
                all.entry(*at).and_modify(|known| known.merge(bar)).or_insert(*bar);
            }
        }
        Ok((all, false))
    }

    fn read_bars(&self, segment: &Segment, market: &Market) -> Result<Bars, SegmentError> {
        let mut bars = Bars::new();
        let mut cells = Floats::default();
        let trades = segment.name.stream == Stream::Trade;
        scan(&self.fs, &self.paths, segment, Extent::Whole, |rows| {
            for row in rows.rows().filter(|row| rows.market(*row) == Some(market.as_str())) {
                cells.clear();
                rows.put_body(row, &mut cells);
                let at = (rows.time(row), rows.frame(row));
                let Some(bar) = cells.bar(trades, at) else { continue };
                let minute = at.0.micros() - at.0.micros().rem_euclid(BAR_US);
                bars.entry(minute).and_modify(|known| known.merge(&bar)).or_insert(bar);
            }
        })?;
        Ok(bars)
    }

    fn book_in(&self, segment: &Segment, market: &Market) -> Result<Option<Book>, SegmentError> {
        let key = (segment.name.number, market.clone());
        if let Some(book) = self.books.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(book.clone());
        }
        let mut last: Option<((Timestamp, i64), Book)> = None;
        let mut cells = Floats::default();
        scan(&self.fs, &self.paths, segment, Extent::Whole, |rows| {
            for row in rows.rows().filter(|row| rows.market(*row) == Some(market.as_str())) {
                let at = (rows.time(row), rows.frame(row));
                if last.as_ref().is_none_or(|(known, _)| *known < at) {
                    cells.clear();
                    rows.put_body(row, &mut cells);
                    let lists = std::mem::take(&mut cells.lists);
                    last = Some((at, Book { at: at.0, lists }));
                }
            }
        })?;
        let book = last.map(|(_, book)| book);
        remember(&self.books, key, book.clone());
        Ok(book)
    }
}

fn remember<T>(kept: &Mutex<HashMap<(u64, Market), T>>, key: (u64, Market), value: T) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= KEPT {
        kept.clear();
    }
    kept.insert(key, value);
}

/// The width of a bar, so that there are not too many. Unit: microseconds.
fn width(length: Duration) -> i64 {
    let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    (length / BARS / BAR_US).saturating_add(1).saturating_mul(BAR_US)
}

fn coarser(bars: &Bars, width: i64) -> Bars {
    let mut coarse = Bars::new();
    for (at, bar) in bars {
        let from = at - at.rem_euclid(width);
        coarse.entry(from).and_modify(|known| known.merge(bar)).or_insert(*bar);
    }
    coarse
}

impl Bar {
    /// Adds what happened in `other`, before it or after it.
    fn merge(&mut self, other: &Self) {
        if other.first < self.first {
            (self.open, self.first) = (other.open, other.first);
        }
        if other.last >= self.last {
            (self.close, self.last) = (other.close, other.last);
        }
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.volume += other.volume;
    }
}

/// Takes the doubles of a row.
#[derive(Default)]
struct Floats {
    single: Vec<Option<f64>>,
    lists: Vec<Vec<f64>>,
}

impl Floats {
    fn clear(&mut self) {
        self.single.clear();
        self.lists.clear();
    }

    /// The bar that the row is: a trade has its price and size first, a candle open, high, low,
    /// close and volume.
    fn bar(&self, trade: bool, at: (Timestamp, i64)) -> Option<Bar> {
        let cell = |index: usize| self.single.get(index).copied().flatten();
        let [open, high, low, close, volume] = if trade {
            let price = cell(0)?;
            [price, price, price, price, cell(1)?]
        } else {
            [cell(0)?, cell(1)?, cell(2)?, cell(3)?, cell(4)?]
        };
        Some(Bar { open, high, low, close, volume, first: at, last: at })
    }
}

impl CellSink for Floats {
    fn time(&mut self, _: Option<Timestamp>) {}
    fn int(&mut self, _: Option<i64>) {}
    fn float(&mut self, value: Option<f64>) {
        self.single.push(value);
    }
    fn bool(&mut self, _: Option<bool>) {}
    fn text(&mut self, _: Option<&str>) {}
    fn floats(&mut self, value: &[f64]) {
        self.lists.push(value.to_vec());
    }
    fn bytes(&mut self, _: &[u8]) {}
}
