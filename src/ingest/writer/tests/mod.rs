//! The writer: what a run leaves, and what the next one makes of it.

mod desk;
mod faults;
mod model;
mod past;
mod runs;

use std::path::Path;

use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::model::event::{SessionClosed, SessionOpened};
use crate::model::frame::Origin;
use crate::model::gap::GapCause;
use crate::model::market::{Market, Source};
use crate::model::subscription::{CandleUnit, Stream, Subscription};
use crate::net::clock::SystemClock;
use crate::store::catalog::Filter;
use crate::store::fs::RealFs;
use crate::store::segment::read::Part;

const VENUE: &str = "upbit";

/// An instant of the day on which every script plays.
fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + second * 1_000)
}

fn options() -> WriterOptions {
    WriterOptions {
        disk_full_grace: Duration::ZERO,
        retry_every: Duration::from_millis(1),
        ..WriterOptions::default()
    }
}

fn start(data: &Path, fs: &Arc<dyn Fs>) -> Result<Writer, WriterError> {
    let mut writer = Writer::start(data, Arc::clone(fs), Arc::new(SystemClock::new()), options())?;
    // The script's time goes before the machine's, so that both can be told apart.
    writer.now = Timestamp::MIN;
    Ok(writer)
}

fn frame(second: i64, session: i64, body: &serde_json::Value) -> Event {
    let origin =
        Origin { venue: VENUE.into(), session, source: Source::Ws, stream: None, market: None };
    let body = Bytes::from(body.to_string());
    Event::Frame(Frame::arrived(at(second), Arc::new(origin), body))
}

fn trade(second: i64, session: i64, id: i64) -> Event {
    told_again(second, session, (second, id))
}

/// A trade of an earlier second.
fn told_again(second: i64, session: i64, (event, id): (i64, i64)) -> Event {
    let ms = at(event).micros() / 1_000;
    frame(
        second,
        session,
        &json!({"ty": "trade", "cd": "KRW-BTC", "tms": ms + 5, "ttms": ms, "tp": 5.0, "tv": 0.5,
            "ab": "BID", "pcp": 4.0, "c": "RISE", "cp": 1.0, "sid": id, "st": "REALTIME"}),
    )
}

fn candle(second: i64, open: i64, close: f64, last: i64) -> Event {
    let ts_open = at(open).datetime().format("%Y-%m-%dT%H:%M:%S").to_string();
    frame(
        second,
        1,
        &json!({"ty": "candle.1s", "cd": "KRW-BTC", "cdttmu": ts_open, "op": 1.0, "hp": 9.0,
            "lp": 1.0, "tp": close, "catv": 1.0, "catp": 1.0,
            "tms": at(last).micros() / 1_000, "st": "REALTIME"}),
    )
}

fn opened(second: i64, session: i64) -> Event {
    let one = |stream| Subscription { stream, market: Market::new("KRW-BTC"), depth: None };
    Event::SessionOpened(SessionOpened {
        session,
        venue: VENUE.into(),
        endpoint: "ws://v".into(),
        subscriptions: Arc::from([one(Stream::Trade), one(Stream::Candle(CandleUnit::S1))]),
        line: 1,
        at: at(second),
    })
}

fn served(second: i64, session: i64) -> Event {
    let market = Market::new("KRW-BTC");
    Event::Served { session, stream: Stream::Trade, market, at: at(second) }
}

fn closed(second: i64, session: i64, cause: Option<GapCause>) -> Event {
    Event::SessionClosed(SessionClosed {
        session,
        at: at(second),
        proven_until: at(second),
        cause,
        why: "because".into(),
        frames: 0,
        bytes: 0,
    })
}

/// Feeds events, doing what is due after each; then ends as the writer does.
fn play(mut writer: Writer, events: impl IntoIterator<Item = Event>) -> Result<(), WriterError> {
    for event in events {
        writer.take(event)?;
        writer.catch_up()?;
    }
    writer.end()?;
    Ok(())
}

/// Rows of a stream as text, by the column asked for, over all published files.
fn column(data: &Path, fs: &Arc<dyn Fs>, stream: Stream, name: &str) -> Vec<String> {
    let catalog = Catalog::of_folder(data).expect("a catalog");
    let filter = Filter { stream: Some(stream), ..Filter::default() };
    let paths = crate::store::paths::Paths::new(data);
    let mut values = Vec::new();
    for segment in catalog.segments(&filter).expect("segments") {
        let part = Part::open(fs, &paths, &segment).expect("a part");
        for batch in part.batches(stream, 1_024).expect("batches") {
            let batch = batch.expect("a batch");
            let cells = batch.column_by_name(name).expect("a column");
            let cell = |row| array_value_to_string(cells, row).expect("a cell");
            values.extend((0..batch.num_rows()).map(cell));
        }
    }
    values.sort();
    values
}

fn real() -> Arc<dyn Fs> {
    Arc::new(RealFs)
}
