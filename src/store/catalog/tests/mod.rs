//! The catalog on a real disk: all or nothing, what a start finds, what questions answer.

mod growth;
mod questions;
mod readers;
mod swap;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use tempfile::TempDir;

use super::*;
use crate::model::gap::{Gap, GapCause, GapState};
use crate::model::job::{Job, JobKind, JobState, Reached};
use crate::model::market::{Market, Source};
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::{HOUR_US, SECOND_US, Timestamp};
use crate::store::paths::PartName;
use crate::store::segment::{Ends, Segment};

/// The user who owns nothing.
const NOBODY: u32 = 65_534;

fn home() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Paths::new(folder.path()).catalog();
    (folder, path)
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn segment(stream: Stream, number: u64, min: i64, max: i64) -> Segment {
    let name = PartName { stream, venue: "upbit".into(), date: at(min).date(), number };
    let (rows, bytes) = (number * 10, number * 1_000);
    let ends = |by: i64| Ends { min: at(min + by), max: at(max + by) };
    Segment {
        name,
        rows,
        bytes,
        blake3: format!("{number:064x}"),
        format_version: 1,
        ts_event: ends(0),
        ts_recv: ends(5),
        frames: Ends { min: 1, max: 2 },
    }
}

fn session(id: i64, proven_until: Option<i64>, closed: Option<i64>) -> SessionRow {
    SessionRow {
        id,
        venue: "upbit".into(),
        endpoint: "wss://api.upbit.com/websocket/v1".into(),
        subscriptions: "[]".into(),
        opened: at(1),
        first_data: Some(at(2)),
        closed: closed.map(at),
        why: closed.map(|_| "shutdown".into()),
        frames: 7,
        bytes: 700,
        proven_until: proven_until.map(at),
        tally: SessionTally { records: 9, duplicates: 2, led: 3, lead_us: 1_500 },
    }
}

fn live(session: i64, market: &str, from: i64, to: Option<i64>) -> LiveSpan {
    let (venue, stream, market) = ("upbit".into(), Stream::Trade, Market::new(market));
    LiveSpan { session, venue, stream, market, from: at(from), to: to.map(at) }
}

fn gap(market: Option<&str>, from: i64, to: Option<i64>, state: GapState) -> Gap {
    Gap {
        venue: "upbit".into(),
        stream: Stream::Trade,
        market: market.map(Market::new),
        from: at(from),
        to: to.map(at),
        cause: GapCause::Disconnect,
        state,
        rows_repaired: 3,
        source: Some(Source::Rest),
        detail: "접속 끊김".into(),
    }
}

fn job(id: i64, state: JobState, gap: Option<i64>) -> Job {
    Job {
        id,
        kind: if gap.is_some() { JobKind::Repair } else { JobKind::Backfill },
        venue: "upbit".into(),
        stream: Stream::Trade,
        market: Market::new("KRW-BTC"),
        span: Span::new(at(1), at(5)).unwrap(),
        gap,
        state,
        rows: 20,
        known: 30,
        calls: 4,
        error: gap.map(|_| "답이 없음".into()),
        reached: Some(Reached { at: at(3), id: gap }),
    }
}

fn hour(market: Option<&str>, hour: i64, rows: u64, first: i64, last: i64) -> HourRows {
    let (hour, market) = (at(hour * HOUR_US), market.map(Market::new));
    HourRows {
        venue: "upbit".into(),
        stream: Stream::Trade,
        market,
        hour,
        rows,
        first: at(first),
        last: at(last),
    }
}

fn carry(market: &str, state: &[u8]) -> Carry {
    Carry {
        venue: "upbit".into(),
        stream: Stream::Trade,
        market: Market::new(market),
        state: state.into(),
    }
}

fn instrument(listed: bool, first_seen: i64) -> InstrumentRow {
    InstrumentRow {
        venue: "upbit".into(),
        market: Market::new("KRW-BTC"),
        listed,
        name_local: Some("비트코인".into()),
        name_english: None,
        warning: Some(false),
        caution: None,
        first_seen: at(first_seen),
        last_changed: at(first_seen),
    }
}

/// A change with something in every part.
fn everything() -> Change {
    Change {
        at: at(99),
        segments: vec![segment(Stream::Trade, 1, 10, 20), segment(Stream::Ticker, 2, 15, 40)],
        hours: vec![hour(Some("KRW-BTC"), 0, 5, 10, 20), hour(None, 0, 1, 10, 10)],
        sessions: vec![session(1, Some(50), None), session(2, Some(60), Some(61))],
        live: vec![
            live(1, "KRW-BTC", 10, None),
            live(2, "KRW-BTC", 5, None),
            live(2, "KRW-ETH", 5, Some(30)),
        ],
        gaps: vec![
            (1, gap(None, 1, Some(5), GapState::BeyondRepair)),
            (2, gap(Some("KRW-BTC"), 7, None, GapState::Open)),
        ],
        jobs: vec![job(3, JobState::Running, Some(2)), job(4, JobState::Done, None)],
        instruments: vec![instrument(true, 5)],
        carries: vec![carry("KRW-BTC", b"abc"), carry("KRW-ETH", &[0, 255])],
        next_frame: Some(100),
        recovery: Some("{\"frames\":0}".into()),
        ..Change::default()
    }
}

/// Everything the catalog tells, as text.
fn told(catalog: &Catalog) -> String {
    let all = Filter::default();
    format!(
        "{:#?}",
        (
            catalog.start().unwrap(),
            catalog.segments(&all).unwrap(),
            catalog.retired().unwrap(),
            catalog.sessions(&all).unwrap(),
            catalog.gaps(&all).unwrap(),
            catalog.coverage(&all).unwrap(),
            catalog.jobs(&all).unwrap(),
            catalog.instruments("upbit").unwrap(),
            catalog.recovery().unwrap(),
        )
    )
}

#[test]
fn a_new_catalog_starts_at_one() {
    let (_folder, path) = home();
    let start = Catalog::open(&path).unwrap().start().unwrap();
    let expected = Start {
        next_session: 1,
        next_segment: 1,
        next_frame: 1,
        next_gap: 1,
        carries: vec![],
        open_gaps: vec![],
        jobs: vec![],
        proven: vec![],
        unclosed: vec![],
    };
    assert_eq!(start, expected);
}

#[test]
fn what_is_published_is_found_after_a_restart() {
    let (_folder, path) = home();
    let change = everything();
    Catalog::open(&path).unwrap().publish(&change).unwrap();
    let mut catalog = Catalog::open(&path).unwrap();
    let start = catalog.start().unwrap();
    let numbers = (start.next_session, start.next_segment, start.next_frame, start.next_gap);
    assert_eq!(numbers, (5, 3, 100, 3), "jobs count as sessions do");
    assert_eq!(start.carries, change.carries);
    assert_eq!(start.open_gaps, change.gaps[1..]);
    assert_eq!(start.unclosed, change.sessions[..1]);
    assert_eq!(start.jobs, change.jobs[..1], "the other is over, and of no gap");
    let proven: Vec<(&str, i64)> =
        start.proven.iter().map(|one| (one.market.as_str(), one.until.micros())).collect();
    assert_eq!(proven, [("KRW-BTC", 60), ("KRW-ETH", 30)]);

    let all = Filter::default();
    assert_eq!(catalog.segments(&all).unwrap(), change.segments);
    assert_eq!(catalog.sessions(&all).unwrap(), change.sessions);
    assert_eq!(catalog.gaps(&all).unwrap(), change.gaps);
    assert_eq!(catalog.jobs(&all).unwrap(), change.jobs);
    assert_eq!(catalog.instruments("upbit").unwrap(), change.instruments);
    assert_eq!(catalog.instruments("other").unwrap(), []);
    assert_eq!(catalog.recovery().unwrap(), change.recovery);
    let summary = catalog.summary().unwrap();
    let trade = summary.iter().find(|one| one.stream == Stream::Trade).unwrap();
    assert_eq!((trade.markets, trade.files, trade.rows, trade.bytes), (1, 1, 10, 1_000));
    assert_eq!((trade.first_event, trade.last_event), (at(10), at(20)));
    assert_eq!(summary.len(), 2);

    // The next change replaces, widens and removes.
    let next = Change {
        segments: vec![segment(Stream::Trade, 7, 30, 35)],
        retired: vec![1],
        hours: vec![hour(Some("KRW-BTC"), 0, 2, 5, 15)],
        sessions: vec![session(1, Some(80), Some(90))],
        gaps: vec![(2, gap(Some("KRW-BTC"), 7, Some(9), GapState::Repaired))],
        instruments: vec![instrument(false, 700)],
        carries: vec![carry("KRW-BTC", b""), carry("KRW-ETH", b"new")],
        next_frame: Some(100),
        ..Change::default()
    };
    catalog.publish(&next).unwrap();
    let start = catalog.start().unwrap();
    assert_eq!((start.next_segment, start.next_frame), (8, 100));
    assert_eq!(start.carries, next.carries[1..]);
    assert_eq!((start.open_gaps.len(), start.unclosed.len()), (0, 0));
    assert_eq!(start.proven[0].until, at(80));
    let sql = "SELECT count(*) FROM live WHERE to_us IS NULL";
    let open = catalog.db.query_row(sql, [], |row| row.get::<_, i64>(0));
    assert_eq!(open, Ok(0), "a closed session closes its spans");
    let retired = catalog.retired().unwrap();
    assert_eq!(retired.iter().map(|one| one.number).collect::<Vec<_>>(), [1]);
    let known = |number| catalog.knows(&segment(Stream::Trade, number, 10, 20).name).unwrap();
    assert_eq!((known(1), known(7)), (false, true));
    assert!(!catalog.instruments("upbit").unwrap()[0].listed);
    assert_eq!(catalog.instruments("upbit").unwrap()[0].first_seen, at(5));
    assert!(catalog.coverage(&all).unwrap().iter().map(|hour| hour.rows).eq([1, 7, 0]));
    catalog.forget(&retired).unwrap();
    assert_eq!(catalog.retired().unwrap(), []);
}

#[test]
fn a_change_that_cannot_be_leaves_nothing() {
    let (_folder, path) = home();
    let mut catalog = Catalog::open(&path).unwrap();
    catalog.publish(&everything()).unwrap();
    let before = told(&catalog);
    // Each of them is good but for one thing, at the beginning, in the middle or at the end.
    let good = || Change {
        segments: vec![segment(Stream::Trade, 3, 10, 20)],
        sessions: vec![session(3, None, None)],
        live: vec![live(3, "KRW-XRP", 1, None)],
        hours: vec![hour(Some("KRW-BTC"), 0, 5, 10, 20)],
        gaps: vec![(3, gap(None, 1, None, GapState::Open))],
        carries: vec![carry("KRW-BTC", b"other")],
        next_frame: Some(101),
        ..Change::default()
    };
    let taken = segment(Stream::Trade, 1, 10, 20);
    let mut same_path = segment(Stream::Trade, 5, 10, 20);
    same_path.rows = u64::MAX;
    for (change, what) in [
        (Change { segments: vec![segment(Stream::Trade, 3, 1, 2), taken], ..good() }, "UNIQUE"),
        (Change { segments: vec![same_path], ..good() }, "could not publish"),
        (Change { retired: vec![8], ..good() }, "no segment 8"),
        (Change { live: vec![live(4, "KRW-XRP", 1, None)], ..good() }, "FOREIGN KEY"),
        (Change { next_frame: Some(99), ..good() }, "go back from 100 to 99"),
    ] {
        let error = catalog.publish(&change).unwrap_err();
        assert!(error.to_string().contains(what) && !error.is_disk(), "{error}");
        assert_eq!(told(&catalog), before, "{what}");
    }
    catalog.publish(&good()).unwrap();
    assert_ne!(told(&catalog), before);
}

#[test]
fn versions_are_told_apart() {
    let (folder, path) = home();
    let absent = Catalog::of_folder(folder.path()).unwrap_err();
    assert!(
        matches!(absent, CatalogError::Absent { .. })
            && absent.to_string().contains("holds no recording")
    );
    assert!(!path.exists(), "reading makes nothing");

    Connection::open(&path).unwrap().execute_batch("VACUUM").unwrap();
    assert!(matches!(Catalog::open_read(&path), Err(CatalogError::Older { found: 0, .. })));
    drop(Catalog::open(&path).unwrap());
    drop(Catalog::open_read(&path).unwrap());

    Connection::open(&path).unwrap().pragma_update(None, "user_version", 3).unwrap();
    for error in [Catalog::open(&path).unwrap_err(), Catalog::open_read(&path).unwrap_err()] {
        assert!(matches!(error, CatalogError::Newer { found: 3, known: 2, .. }), "{error}");
    }
    std::fs::write(&path, "this is text").unwrap();
    for error in [Catalog::open(&path).unwrap_err(), Catalog::open_read(&path).unwrap_err()] {
        assert!(error.to_string().contains("catalog.sqlite: file is not a database"), "{error}");
    }
}

#[test]
fn a_start_reads_no_big_table() {
    let (_folder, path) = home();
    let catalog = Catalog::open(&path).unwrap();
    for sql in start::QUERIES {
        let mut plan =
            catalog.db.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.replace("?1", "''"))).unwrap();
        let steps: Vec<String> =
            plan.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        for step in &steps {
            let small =
                ["carry", "proven", "_open", "_pending"].iter().any(|one| step.contains(one));
            assert!(!step.starts_with("SCAN") || small, "{sql}: {steps:?}");
        }
    }
}

#[test]
fn dates_of_the_path_and_the_row_agree() {
    let (_folder, path) = home();
    let mut catalog = Catalog::open(&path).unwrap();
    catalog.publish(&everything()).unwrap();
    let date: String =
        catalog.db.query_row("SELECT date FROM segments", [], |row| row.get(0)).unwrap();
    assert_eq!(date.parse::<NaiveDate>().unwrap(), at(10).date());
    let gap: (String, f64) = catalog
        .db
        .query_row("SELECT from_utc, seconds FROM gap_list WHERE id = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(gap.0, "1970-01-01T00:00:00.000Z");
    assert_eq!(Duration::from_secs_f64(gap.1), Duration::from_micros(4));
}
