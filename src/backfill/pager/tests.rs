use bytes::Bytes;

use super::*;
use crate::model::frame::{Frame, Origin};
use crate::model::job::{JobKind, JobState, Reached};
use crate::model::market::Source;
use crate::model::subscription::CandleUnit;
use crate::venue;

const NOW: &str = "2026-11-21T09:00:00Z";

fn at(text: &str) -> Timestamp {
    // A time of the day is one of the current day.
    let whole = if text.len() > 15 { text.to_owned() } else { format!("2026-11-21T{text}Z") };
    whole.parse().unwrap()
}

fn job(stream: Stream, from: &str, to: &str, reached: Option<(&str, Option<i64>)>) -> Job {
    Job {
        id: 1,
        kind: JobKind::Backfill,
        venue: "upbit".into(),
        stream,
        market: Market::new("KRW-BTC"),
        span: Span::new(at(from), at(to)).unwrap(),
        gap: None,
        state: JobState::Planned,
        rows: 0,
        known: 0,
        calls: 0,
        error: None,
        reached: reached.map(|(time, id)| Reached { at: at(time), id }),
    }
}

/// A page as the venue sends it: `time` or `time#id`, with `@market` behind it where it is another.
fn page(stream: Stream, rows: &str) -> Vec<Record> {
    let rows: Vec<_> = rows
        .split_whitespace()
        .map(|row| {
            let (row, market) = row.split_once('@').unwrap_or((row, "KRW-BTC"));
            let (time, id) = row.split_once('#').unwrap_or((row, "0"));
            let at = at(time);
            serde_json::json!({
                "market": market, "timestamp": at.micros() / 1_000, "trade_price": 1.0,
                "trade_volume": 1.0, "ask_bid": "BID", "sequential_id": id.parse::<i64>().unwrap(),
                "trade_date_utc": at.date().to_string(), "trade_time_utc": "00:00:00",
                "candle_date_time_utc": at.datetime().format("%Y-%m-%dT%H:%M:%S").to_string(),
                "opening_price": 1.0, "high_price": 1.0, "low_price": 1.0,
                "candle_acc_trade_volume": 1.0, "candle_acc_trade_price": 1.0,
            })
        })
        .collect();
    let origin = Origin {
        venue: "upbit".into(),
        session: 1,
        source: Source::Rest,
        stream: Some(stream),
        market: None,
    };
    let body = Bytes::from(serde_json::to_vec(&rows).unwrap());
    let mut records = Vec::new();
    let venue = venue::by_name("upbit").unwrap();
    venue.decode(&Frame::arrived(at(NOW), origin.into(), body), &mut records).unwrap();
    records
}

/// What is asked for after each page, up to `done`; or why the page is none.
fn check(job: &Job, pages: &[(&str, &str)]) {
    let venue = venue::by_name("upbit").unwrap();
    let mut walk = Pager::new(job);
    for (index, (rows, expected)) in pages.iter().enumerate() {
        let asked = walk.ask(venue, "", at(NOW)).unwrap();
        let outcome = walk.take(&asked, &page(job.stream, rows));
        let found = match outcome {
            Err(error) => error.to_string(),
            Ok(()) if walk.is_done() => "done".to_owned(),
            Ok(()) => walk.ask(venue, "", at(NOW)).unwrap().request.url,
        };
        let ends = found.ends_with(expected) || found.contains(expected) && expected.contains(' ');
        assert!(ends, "page {index} of {job:?}: {found}, not {expected}");
    }
}

#[test]
fn candles_are_asked_for_backwards_until_the_span_is_had() {
    let minute = Stream::Candle(CandleUnit::M1);
    let wanted = job(minute, "08:00:00", "08:59:00", None);
    check(
        &wanted,
        &[
            ("08:58:00 08:30:00", "to=2026-11-21T08%3A30%3A00Z&count=200"),
            // One row, and an hour without any: not the end.
            ("08:29:00", "to=2026-11-21T08%3A29%3A00Z&count=200"),
            ("08:00:00", "done"),
        ],
    );
    check(&wanted, &[("08:01:00", "to=2026-11-21T08%3A01%3A00Z&count=200"), ("07:58:00", "done")]);
    check(&wanted, &[("", "done")]);
    check(&wanted, &[("08:30:00@KRW-ETH", "a row of candle.1m KRW-ETH came")]);
    check(&wanted, &[("08:59:00", "a row of 2026-11-21T08:59:00Z came")]);
    check(
        &wanted,
        &[("08:30:00", "count=200"), ("08:30:00", "a row of 2026-11-21T08:30:00Z came")],
    );
    let resumed = job(minute, "08:00:00", "08:59:00", Some(("08:10:00", None)));
    assert_eq!(Pager::new(&resumed).before(), at("08:10:00"));
    assert!(Pager::new(&job(minute, "08:00:00", "08:59:00", Some(("08:00:00", None)))).is_done());
}

#[test]
fn trades_are_asked_for_by_days_and_ids() {
    let wanted = job(Stream::Trade, "2026-11-20T23:30:00Z", "00:30:00", None);
    check(
        &wanted,
        &[
            ("00:29:59.5#9 00:29:59.5#8", "&count=500&cursor=8"),
            // The rest of a millisecond, whichever way its ids go.
            ("00:29:59.5#11", "&count=500&cursor=11"),
            // The day has no more: the one before begins at its end.
            ("", "&count=500&days_ago=1"),
            ("2026-11-20T23:59:00Z#7", "&days_ago=1&cursor=7"),
            ("2026-11-20T23:30:00Z#6", "&days_ago=1&cursor=6"),
            ("2026-11-20T23:29:59.999Z#5", "done"),
        ],
    );
    check(&wanted, &[("00:10:00#9", "cursor=9"), ("00:10:00#9", "does not lead further back")]);
    check(&wanted, &[("2026-11-20T23:59:00Z#7", "a row of 2026-11-20T23:59:00Z came")]);
    check(&wanted, &[("", "&days_ago=1"), ("", "done")]);
    // The venue reads whole seconds: what is had of the last one may all lie after the span.
    let odd = job(Stream::Trade, "00:10:00", "00:30:00.25", None);
    check(&odd, &[("00:30:00.9#12 00:30:00.5#11", "&count=500&cursor=11")]);
    check(&odd, &[("00:30:00.5#11", "cursor=11"), ("", "done")]);
    check(&odd, &[("00:30:00.5#11", "cursor=11"), ("00:30:00.6#12", "does not lead further")]);
    let resumed = job(Stream::Trade, "00:00:00", "00:30:00", Some(("00:00:00", Some(4))));
    check(&resumed, &[("", "done")]);
    let over = job(Stream::Trade, "00:10:00", "00:30:00", Some(("00:09:59", Some(4))));
    assert!(Pager::new(&over).is_done());
}
