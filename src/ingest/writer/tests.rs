//! The writer on a real folder: what a run leaves, and what the next one makes of it.

use std::path::Path;

use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use rustix::io::Errno;
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
use crate::store::fs::faulty::{Fault, FaultyFs, PowerLoss};
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
    let mut writer =
        Writer::start(data, Arc::clone(fs), Arc::new(SystemClock::new()), options())?;
    // The script's time goes before the machine's, so that both can be told apart.
    writer.now = Timestamp::MIN;
    Ok(writer)
}

fn frame(second: i64, session: i64, body: &serde_json::Value) -> Event {
    let origin = Origin {
        venue: VENUE.into(),
        session,
        source: Source::Ws,
        stream: None,
        market: None,
    };
    let body = Bytes::from(body.to_string());
    Event::Frame(Frame::arrived(at(second), Arc::new(origin), body))
}

fn trade(second: i64, session: i64, id: i64) -> Event {
    let ms = at(second).micros() / 1_000;
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
        let part = Part::open(fs, &paths.part(&segment.name)).expect("a part");
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

#[test]
fn what_comes_twice_is_one_row_in_and_over_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let fs = real();
    let first = [opened(0, 1), served(1, 1), trade(1, 1, 7), trade(2, 1, 8), trade(2, 1, 7)];
    play(start(folder.path(), &fs).expect("starts"), first).expect("plays");
    let second = [opened(10, 2), served(11, 2), trade(11, 2, 8), trade(12, 2, 9)];
    play(start(folder.path(), &fs).expect("starts"), second).expect("plays");
    assert_eq!(column(folder.path(), &fs, Stream::Trade, "id"), ["7", "8", "9"]);
    assert_eq!(column(folder.path(), &fs, Stream::Trade, "frame"), ["1", "2", "5"]);
}

#[test]
fn a_candle_that_changes_after_it_was_written_replaces_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let fs = real();
    let events = [
        candle(10, 10, 1.0, 10),
        candle(11, 11, 5.0, 11),
        Event::Tick(at(18)),
        Event::Tick(at(100)),
        candle(101, 10, 2.0, 12),
        Event::Tick(at(170)),
    ];
    play(start(folder.path(), &fs).expect("starts"), events).expect("plays");
    let closes = column(folder.path(), &fs, Stream::Candle(CandleUnit::S1), "close");
    assert_eq!(closes, ["2.0", "5.0"]);
}

#[test]
fn bytes_that_nobody_understands_are_a_row_and_a_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let fs = real();
    let events =
        [opened(0, 1), served(1, 1), frame(2, 1, &json!(["garbage"])), closed(9, 1, None)];
    play(start(folder.path(), &fs).expect("starts"), events).expect("plays");
    assert_eq!(column(folder.path(), &fs, Stream::Unread, "frame"), ["1"]);
    let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
    let gaps = catalog.gaps(&Filter::default()).expect("gaps");
    let causes: Vec<_> = gaps.iter().map(|(_, gap)| (gap.stream, gap.cause)).collect();
    assert_eq!(
        causes,
        [(Stream::Trade, GapCause::Unread), (Stream::Candle(CandleUnit::S1), GapCause::Unread)]
    );
}

/// A run of ten trades with two seals in between, and how many of them a sync had promised when
/// it failed.
fn run_until_failure(data: &Path, fs: &Arc<dyn Fs>) -> (Result<(), WriterError>, i64) {
    let mut promised = 0;
    let mut writer = match start(data, fs) {
        Ok(writer) => writer,
        Err(error) => return (Err(error), 0),
    };
    for id in 1..=10 {
        let second = id * 20;
        for event in [trade(second, 1, id), Event::Tick(at(second + 1))] {
            let done = writer.take(event).and_then(|()| writer.catch_up());
            if let Err(error) = done {
                return (Err(error), promised);
            }
        }
        promised = id;
    }
    (writer.end().map(drop), promised)
}

#[test]
fn whichever_disk_operation_fails_and_whatever_power_loss_leaves_no_promised_row_is_lost_or_doubled() {
    let whole = FaultyFs::default();
    let folder = tempfile::tempdir().expect("a folder");
    let (done, _) = run_until_failure(folder.path(), &(Arc::new(whole.clone()) as Arc<dyn Fs>));
    done.expect("the untroubled run ends well");
    let operations = whole.operations();
    assert!(operations > 40, "{operations} operations");
    for nth in 0..operations {
        for loss in [
            PowerLoss::Keeps { bytes: 0, names: false, zeros: false },
            PowerLoss::Keeps { bytes: usize::MAX, names: true, zeros: false },
            PowerLoss::Anything(nth),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let disk = FaultyFs::default();
            disk.fail(Fault { after: nth, error: Errno::IO, lasting: true, done: false });
            let (_, promised) =
                run_until_failure(folder.path(), &(Arc::new(disk.clone()) as Arc<dyn Fs>));
            disk.heal();
            let after: Arc<dyn Fs> = Arc::new(disk.crash(loss));
            for again in 0..2 {
                let writer = start(folder.path(), &after).expect("starts again");
                writer.end().expect("ends");
                let mut ids: Vec<i64> = column(folder.path(), &after, Stream::Trade, "id")
                    .iter()
                    .map(|id| id.parse().expect("an id"))
                    .collect();
                ids.sort_unstable();
                let kept = i64::try_from(ids.len()).expect("few");
                assert_eq!(ids, (1..=kept).collect::<Vec<_>>(), "operation {nth}, start {again}");
                assert!(kept >= promised, "operation {nth}: {kept} of {promised} promised rows");
            }
        }
    }
}
