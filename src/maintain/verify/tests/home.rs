//! A small recording whose every row is known: two markets over 130 minutes, in files of an hour.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::super::{Progress, Report, Request, verify};
use crate::model::frame::{Frame, Origin};
use crate::model::market::{Market, Side, Source};
use crate::model::record::{Body, Candle, Head, Instrument, Orderbook, Row, Ticker, Trade, Unread};
use crate::model::subscription::{CandleUnit, Stream};
use crate::model::time::Timestamp;
use crate::store::catalog::{
    Catalog, Change, Filter, HourRows, LiveSpan, SessionRow, SessionTally,
};
use crate::store::fs::{Fs, RealFs};
use crate::store::journal::{self, Journal};
use crate::store::paths::{PartName, Paths};
use crate::store::segment::{self, Contents, Segment};

pub(super) const VENUE: &str = "upbit";
pub(super) const S1: Stream = Stream::Candle(CandleUnit::S1);
/// Seconds from one trade of a market to the next.
const EVERY: i64 = 30;
/// The seconds of the recording.
const LENGTH: i64 = 130 * 60;

/// An instant of the recording.
pub(super) fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-09-22T10:00:00Z".parse().unwrap();
    Timestamp::from_micros(start.micros() + second * 1_000_000)
}

pub(super) struct Home {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) paths: Paths,
    folder: TempDir,
    /// Rows written so far, so that each has a frame of its own.
    frames: AtomicI64,
}

impl Home {
    /// The recording as it should be.
    pub(super) fn recorded() -> Self {
        Self::on(Arc::new(RealFs))
    }

    /// The same on another disk; the catalog is on the real one.
    pub(super) fn on(fs: Arc<dyn Fs>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path());
        let home = Self { fs, paths, folder, frames: AtomicI64::new(0) };
        home.session();
        for from in (0..LENGTH).step_by(3_600) {
            let seconds = (from..LENGTH.min(from + 3_600)).step_by(usize::try_from(EVERY).unwrap());
            for stream in [Stream::Trade, S1, Stream::Ticker, Stream::Orderbook] {
                let rows = seconds.clone().flat_map(|second| {
                    ["KRW-A", "KRW-B"].map(|market| home.row(stream, market, second))
                });
                home.publish(stream, &rows.collect::<Vec<_>>());
            }
        }
        // The last thing that arrives: up to here everything is published.
        home.publish(Stream::Instrument, &[home.row(Stream::Instrument, "KRW-A", LENGTH)]);
        home.publish(Stream::Unread, &[home.row(Stream::Unread, "KRW-A", LENGTH + 20)]);
        home
    }

    pub(super) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn catalog(&self) -> Catalog {
        Catalog::open(&self.paths.catalog()).unwrap()
    }

    /// Says that everything was live from the first second to the last.
    fn session(&self) {
        let session = SessionRow {
            id: 1,
            venue: VENUE.into(),
            endpoint: String::new(),
            subscriptions: "{}".into(),
            opened: at(-10),
            first_data: Some(at(-10)),
            closed: Some(at(LENGTH + 20)),
            why: None,
            frames: 0,
            bytes: 0,
            proven_until: Some(at(LENGTH + 20)),
            tally: SessionTally::default(),
        };
        let live = ["KRW-A", "KRW-B"].into_iter().flat_map(|market| {
            [Stream::Trade, S1, Stream::Ticker, Stream::Orderbook].map(|stream| LiveSpan {
                session: 1,
                venue: VENUE.into(),
                stream,
                market: Market::new(market),
                from: at(0),
                to: Some(at(LENGTH + 20)),
            })
        });
        let (sessions, live) = (vec![session], live.collect());
        self.catalog().publish(&Change { sessions, live, ..Change::default() }).unwrap();
    }

    /// A row of something that happened at `second`: one trade of size 2, price 100 plus the
    /// second, and what follows from it.
    pub(super) fn row(&self, stream: Stream, market: &str, second: i64) -> Row {
        let head = Head {
            market: Some(Market::new(market)),
            ts_recv: at(second),
            source: Source::Ws,
            snapshot: false,
            session: 1,
            frame: self.frames.fetch_add(1, Ordering::Relaxed) + 1,
        };
        let ts_event = at(second);
        let number = |value: i64| f64::from(i32::try_from(value).unwrap());
        let price = 100.0 + number(second);
        let body = match stream {
            Stream::Trade => Body::Trade(trade(ts_event, 1_000_000 + second, price)),
            Stream::Candle(_) => Body::Candle(candle(ts_event, price)),
            Stream::Ticker => {
                Body::Ticker(Box::new(ticker(ts_event, 2.0 * number(second / EVERY))))
            }
            Stream::Orderbook => Body::Orderbook(Box::new(book(ts_event, price))),
            Stream::Instrument => Body::Instrument(Box::new(Instrument {
                ts_seen: ts_event,
                listed: true,
                name_local: None,
                name_english: None,
                warning: None,
                caution: None,
            })),
            Stream::Unread => Body::Unread(Unread { reason: "odd".into(), body: "x".into() }),
        };
        Row { head, body }
    }

    /// Publishes a part, and counts its rows by the hour.
    pub(super) fn publish(&self, stream: Stream, rows: &[Row]) -> Segment {
        let segment = self.write(stream, rows);
        let hours = rows.iter().map(|row| HourRows {
            venue: VENUE.into(),
            stream,
            market: row.head.market.clone(),
            hour: row.time().hour(),
            rows: 1,
            first: row.time(),
            last: row.time(),
        });
        let (segments, hours) = (vec![segment.clone()], hours.collect());
        self.catalog().publish(&Change { segments, hours, ..Change::default() }).unwrap();
        segment
    }

    /// Writes a part that the catalog does not know.
    pub(super) fn write(&self, stream: Stream, rows: &[Row]) -> Segment {
        let date = rows[0].time().date();
        let number = self.catalog().start().unwrap().next_segment;
        let name = PartName { stream, venue: VENUE.into(), date, number };
        let contents = Contents { name: &name, rows, bases: &[] };
        let written = segment::write(&self.fs, &self.paths, contents).unwrap();
        written.publish(self.fs.as_ref()).unwrap()
    }

    /// Keeps raw frames with these numbers.
    pub(super) fn keep_raw(&self, frames: RangeInclusive<u64>) {
        let folder = self.paths.raw(at(0).date());
        let options = journal::Options { segment_bytes: 1 << 20, ..journal::Options::default() };
        let (fs, aside) = (Arc::clone(&self.fs), self.paths.quarantine());
        let (mut journal, _) =
            Journal::open(fs, &folder, &aside, *frames.start(), options).unwrap();
        let origin = Arc::new(Origin {
            venue: VENUE.into(),
            session: 1,
            source: Source::Ws,
            stream: None,
            market: None,
        });
        for sequence in frames {
            let frame = Frame::arrived(at(0), Arc::clone(&origin), Bytes::from_static(b"{}"));
            journal.append(&Frame { sequence, ..frame }).unwrap();
        }
        journal.sync().unwrap();
    }

    /// Publishes other bytes as a part that is published already.
    pub(super) fn republish(&self, part: &Segment, bytes: &[u8]) {
        std::fs::write(self.paths.part(&part.name), bytes).unwrap();
        let (length, blake3) = (bytes.len(), blake3::hash(bytes).to_hex());
        self.sql(&format!(
            "UPDATE segments SET bytes = {length}, blake3 = '{blake3}' WHERE number = {}",
            part.name.number
        ));
    }

    /// The part of `stream` that was published as the `place`th.
    pub(super) fn part(&self, stream: Stream, place: usize) -> Segment {
        let filter = Filter { stream: Some(stream), ..Filter::default() };
        self.catalog().segments(&filter).unwrap().swap_remove(place)
    }

    /// Changes the catalog behind its back.
    pub(super) fn sql(&self, sql: &str) {
        let db = rusqlite::Connection::open(self.paths.catalog()).unwrap();
        assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
    }

    pub(super) fn verify(&self) -> Report {
        self.ask(&everything(), &|_, _| {})
    }

    pub(super) fn ask(
        &self,
        request: &Request,
        begin: &(dyn Fn(&'static str, u64) + Sync),
    ) -> Report {
        let progress = Progress { begin, done: &|_| {} };
        verify(self.data(), &self.fs, at(LENGTH), request, progress).unwrap()
    }
}

pub(super) fn everything() -> Request {
    let settle = Duration::from_secs(5);
    Request { streams: Vec::new(), within: None, quick: false, settle, threads: 2 }
}

fn trade(ts_event: Timestamp, id: i64, price: f64) -> Trade {
    Trade {
        ts_event,
        ts_sent: None,
        id,
        price,
        size: 2.0,
        side: Side::Buy,
        prev_close: None,
        change: None,
        change_price: None,
        best_ask_price: None,
        best_ask_size: None,
        best_bid_price: None,
        best_bid_size: None,
    }
}

fn candle(ts_open: Timestamp, price: f64) -> Candle {
    Candle {
        ts_open,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: 2.0,
        turnover: 2.0 * price,
        ts_last: Some(ts_open),
        prev_close: None,
        change_price: None,
        change_rate: None,
        first_day: None,
    }
}

fn ticker(ts_event: Timestamp, acc_volume: f64) -> Ticker {
    Ticker {
        ts_event,
        ts_trade: Some(ts_event),
        open: None,
        high: None,
        low: None,
        price: None,
        size: None,
        side: None,
        prev_close: None,
        change: None,
        change_price: None,
        signed_change_price: None,
        change_rate: None,
        signed_change_rate: None,
        acc_volume: Some(acc_volume),
        acc_volume_24h: None,
        acc_turnover: None,
        acc_turnover_24h: None,
        acc_ask_volume: None,
        acc_bid_volume: None,
        high_52w: None,
        high_52w_date: None,
        low_52w: None,
        low_52w_date: None,
        market_state: None,
        is_trading_suspended: None,
        market_warning: None,
        delisting_date: None,
    }
}

fn book(ts_event: Timestamp, price: f64) -> Orderbook {
    Orderbook {
        ts_event,
        total_ask_size: None,
        total_bid_size: None,
        grouping: None,
        best_ask_price: Some(price),
        best_ask_size: Some(1.0),
        best_bid_price: None,
        best_bid_size: None,
        ask_price: [price].into(),
        ask_size: [1.0].into(),
        bid_price: [].into(),
        bid_size: [].into(),
    }
}
