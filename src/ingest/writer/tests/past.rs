//! Pages of the past beside what came live: each trade once, each candle in its last state, and
//! jobs that are counted right and over only when their rows can be read.

mod disk;

use super::*;
use crate::model::gap::{Gap, GapState};
use crate::model::job::{Job, JobKind, JobState};
use crate::model::span::Span;

pub(super) const JOB: i64 = 70;

/// A job for this many seconds of the script, over all of them where none are given.
pub(super) fn job(id: i64, stream: Stream, state: JobState) -> Event {
    Event::Job(told(id, stream, state).into())
}

fn told(id: i64, stream: Stream, state: JobState) -> Job {
    Job {
        id,
        kind: JobKind::Repair,
        venue: VENUE.into(),
        stream,
        market: Market::new("KRW-BTC"),
        span: Span::new(at(0), at(100_000)).expect("a span"),
        gap: None,
        state,
        rows: 0,
        known: 0,
        calls: 1,
        error: None,
        reached: None,
    }
}

/// A page with trades, newest first: each with its second and number.
pub(super) fn trades(second: i64, job: i64, trades: &[(i64, i64)]) -> Event {
    let row = |(second, id): &(i64, i64)| {
        json!({"market": "KRW-BTC", "trade_date_utc": "2026-09-21", "trade_time_utc": "00:00:00",
            "timestamp": at(*second).micros() / 1_000, "trade_price": 5.0, "trade_volume": 0.5,
            "prev_closing_price": 4.0, "change_price": 1.0, "ask_bid": "BID",
            "sequential_id": id})
    };
    page(second, job, Stream::Trade, &trades.iter().map(row).collect())
}

/// A page with candles, newest first: each with its opening second, close, and last trade.
fn candles(second: i64, job: i64, candles: &[(i64, f64, i64)]) -> Event {
    let row = |(open, close, last): &(i64, f64, i64)| {
        json!({"market": "KRW-BTC",
            "candle_date_time_utc": at(*open).datetime().format("%Y-%m-%dT%H:%M:%S").to_string(),
            "candle_date_time_kst": at(*open).datetime().format("%Y-%m-%dT%H:%M:%S").to_string(),
            "opening_price": 1.0, "high_price": 9.0, "low_price": 1.0, "trade_price": close,
            "timestamp": at(*last).micros() / 1_000, "candle_acc_trade_price": 1.0,
            "candle_acc_trade_volume": 1.0})
    };
    page(second, job, Stream::Candle(CandleUnit::S1), &candles.iter().map(row).collect())
}

fn page(second: i64, job: i64, stream: Stream, rows: &serde_json::Value) -> Event {
    let market = Some(Market::new("KRW-BTC"));
    let origin = Origin {
        venue: VENUE.into(),
        session: job,
        source: Source::Rest,
        stream: Some(stream),
        market,
    };
    Event::Frame(Frame::arrived(at(second), Arc::new(origin), Bytes::from(rows.to_string())))
}

const TRADE: Stream = Stream::Trade;
const CANDLE: Stream = Stream::Candle(CandleUnit::S1);

/// Plays each run on the same folder, one after the other.
fn runs(runs: impl IntoIterator<Item = Vec<Event>>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for events in runs {
        let writer = start(folder.path(), &real()).expect("starts");
        writer.play(events).expect("plays");
    }
    folder
}

fn counts(folder: &tempfile::TempDir) -> Vec<(i64, JobState, u64, u64)> {
    let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
    let jobs = catalog.jobs(&Filter::default()).expect("jobs");
    jobs.iter().map(|job| (job.id, job.state, job.rows, job.known)).collect()
}

/// Rows by the hour, as counted, and as there are in the files.
fn counted(folder: &tempfile::TempDir, stream: Stream) -> (u64, usize) {
    let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
    let filter = Filter { stream: Some(stream), ..Filter::default() };
    let hours = catalog.coverage(&filter).expect("hours");
    let rows = hours.iter().filter(|hour| hour.stream == stream).map(|hour| hour.rows).sum();
    (rows, column(folder.path(), &real(), stream, "frame").len())
}

#[test]
fn a_trade_is_there_once_whichever_way_it_came_first() {
    let live = |ids: &[i64]| -> Vec<Event> {
        let mut events = vec![opened(0, 1), served(1, 1)];
        events.extend(ids.iter().map(|id| trade(*id * 10, 1, *id)));
        events
    };
    let past = |second: i64, ids: &[i64]| -> Vec<Event> {
        let rows: Vec<(i64, i64)> = ids.iter().rev().map(|id| (*id * 10, *id)).collect();
        vec![
            job(JOB, TRADE, JobState::Running),
            trades(second, JOB, &rows),
            job(JOB, TRADE, JobState::Done),
        ]
    };
    let both = |one: Vec<Event>, other: Vec<Event>| vec![[one, other].concat()];
    let snapshot = |second: i64, id: i64| {
        vec![opened(second, 2), served(second, 2), told_again(second, 2, (id * 10, id))]
    };
    for (what, script, rows, known) in [
        ("live first, page soon after", both(live(&[1, 2, 4]), past(45, &[1, 2, 3, 4])), 1, 3),
        ("live first, page much later", both(live(&[1, 2, 4]), past(9_000, &[1, 2, 3, 4])), 1, 3),
        ("in an earlier run, soon", vec![live(&[1, 2, 4]), past(45, &[1, 2, 3, 4])], 1, 3),
        ("in an earlier run, late", vec![live(&[1, 2, 4]), past(9_000, &[1, 2, 3, 4])], 1, 3),
        ("page first, live soon", vec![past(45, &[1, 2, 3, 4]), snapshot(46, 4)], 4, 0),
        ("page first, snapshot late", vec![past(9_000, &[1, 2, 3, 4]), snapshot(9_001, 2)], 4, 0),
        ("both ways in one seal, late", both(past(9_000, &[1, 2, 3, 4]), snapshot(9_001, 2)), 4, 0),
    ] {
        let folder = runs(script);
        let ids = column(folder.path(), &real(), TRADE, "id");
        assert_eq!(ids, ["1", "2", "3", "4"], "{what}");
        assert_eq!(counts(&folder), [(JOB, JobState::Done, rows, known)], "{what}");
        assert_eq!(counted(&folder, TRADE), (4, 4), "{what}");
    }
}

#[test]
fn of_a_candle_the_later_state_stays_and_an_equal_one_was_there() {
    let live = vec![
        candle(10, 10, 1.0, 10),
        candle(11, 11, 5.0, 11),
        Event::Tick(at(20)),
        Event::Tick(at(100)),
    ];
    let past = |second: i64, rows: &[(i64, f64, i64)]| {
        vec![
            job(JOB, CANDLE, JobState::Running),
            candles(second, JOB, rows),
            Event::Tick(at(second + 6)),
            job(JOB, CANDLE, JobState::Done),
        ]
    };
    for (what, script, closes, rows, known) in [
        (
            "another content, late",
            vec![live.clone(), past(9_000, &[(12, 7.0, 12), (11, 5.0, 11), (10, 2.0, 12)])],
            ["2.0", "5.0", "7.0"],
            2,
            1,
        ),
        (
            "another content, soon",
            vec![live.clone(), past(60, &[(12, 7.0, 12), (11, 5.0, 11), (10, 2.0, 12)])],
            ["2.0", "5.0", "7.0"],
            2,
            1,
        ),
        (
            "an earlier state",
            vec![live.clone(), past(9_000, &[(12, 7.0, 12), (10, 2.0, 9)])],
            ["1.0", "5.0", "7.0"],
            1,
            1,
        ),
        (
            "page first, live after it",
            vec![past(15, &[(12, 7.0, 12), (10, 1.0, 10)]), live.clone()],
            ["1.0", "5.0", "7.0"],
            2,
            0,
        ),
    ] {
        let folder = runs(script);
        let stream = Stream::Candle(CandleUnit::S1);
        let mut held = column(folder.path(), &real(), stream, "close");
        held.sort();
        assert_eq!(held, closes, "{what}");
        assert_eq!(counts(&folder), [(JOB, JobState::Done, rows, known)], "{what}");
        assert_eq!(counted(&folder, CANDLE), (3, 3), "{what}");
    }
}

#[test]
fn a_late_candle_that_is_new_is_counted() {
    let folder = runs([vec![
        candle(11, 11, 5.0, 11),
        Event::Tick(at(20)),
        candle(21, 10, 1.0, 10),
        Event::Tick(at(30)),
    ]]);
    assert_eq!(counted(&folder, CANDLE), (2, 2));
}

#[test]
fn a_candle_that_still_forms_and_what_lies_outside_the_span_are_left() {
    let inside = Span::new(at(11), at(14)).expect("a span");
    let folder = runs([vec![
        Event::Job(Job { span: inside, ..told(JOB, CANDLE, JobState::Running) }.into()),
        candles(13, JOB, &[(13, 1.0, 13), (12, 2.0, 12), (11, 3.0, 11), (10, 4.0, 10)]),
    ]]);
    assert_eq!(column(folder.path(), &real(), CANDLE, "close"), ["2.0", "3.0"]);
    let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
    let jobs = catalog.jobs(&Filter::default()).expect("jobs");
    assert_eq!(jobs[0].reached.map(|reached| reached.at), Some(at(10)), "where the page led");
}

#[test]
fn more_files_than_can_be_open_at_once_are_written_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = i64::try_from(sealer::BASES_AT_ONCE).expect("few") * 2 + 5;
    let live = (0..count).flat_map(|nth| {
        let second = 10 + nth * 90;
        let ticks = [10, 80].map(|later| Event::Tick(at(second + later)));
        [vec![candle(second, second, 1.0, second)], ticks.to_vec()].concat()
    });
    start(folder.path(), &real()).expect("starts").play(live).expect("plays");
    let files = |folder: &Path| {
        let catalog = Catalog::of_folder(folder).expect("a catalog");
        catalog.segments(&Filter::default()).expect("segments").len()
    };
    assert!(files(folder.path()) > sealer::BASES_AT_ONCE * 2, "{}", files(folder.path()));
    let rows: Vec<(i64, f64, i64)> =
        (0..count).rev().map(|nth| (10 + nth * 90, 2.0, 11 + nth * 90)).collect();
    let late = [job(JOB, CANDLE, JobState::Running), candles(90_000, JOB, &rows)];
    start(folder.path(), &real()).expect("starts").play(late).expect("plays");
    let closes = column(folder.path(), &real(), CANDLE, "close");
    assert_eq!(closes.len(), rows.len());
    assert!(closes.iter().all(|close| close == "2.0"), "{closes:?}");
    assert_eq!(files(folder.path()), 1, "the files that held them are gone");
}

#[test]
fn a_page_is_told_once_it_is_durable_and_an_end_once_its_rows_can_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = start(folder.path(), &real()).expect("starts");
    let told = writer.jobs();
    let state = |writer: &Writer| {
        let jobs = writer.catalog.jobs(&Filter::default()).expect("jobs");
        jobs.first().map(|job| (job.state, job.rows))
    };
    let step = |writer: &mut Writer, event| {
        let later = writer.now.max(at(9_000)).after(LOOK_EVERY);
        for event in [event, Event::Tick(later)] {
            writer.take(event).expect("taken");
        }
        writer.catch_up().expect("caught up");
        let told = told.borrow().get(&JOB).copied().unwrap_or_default();
        (told.pages, told.over, state(writer))
    };
    let running = job(JOB, TRADE, JobState::Running);
    assert_eq!(step(&mut writer, running), (0, false, Some((JobState::Running, 0))));
    let page = trades(9_000, JOB, &[(20, 2), (10, 1)]);
    assert_eq!(step(&mut writer, page), (1, false, Some((JobState::Running, 0))));
    let done = job(JOB, TRADE, JobState::Done);
    assert_eq!(step(&mut writer, done), (1, false, Some((JobState::Running, 0))), "not readable");
    writer.seal().expect("sealed");
    assert_eq!(state(&writer), Some((JobState::Done, 2)));
    assert!(told.borrow().get(&JOB).is_some_and(|told| told.over && told.rows == 2));
}

#[test]
fn a_job_whose_rows_were_all_there_ends_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = [opened(0, 1), served(1, 1), trade(10, 1, 1)];
    start(folder.path(), &real()).expect("starts").play(live).expect("plays");
    let mut writer = start(folder.path(), &real()).expect("starts");
    for event in [
        job(JOB, TRADE, JobState::Running),
        trades(12, JOB, &[(10, 1)]),
        job(JOB, TRADE, JobState::Done),
        Event::Tick(at(100)),
        Event::Tick(at(101)),
    ] {
        writer.take(event).expect("taken");
        writer.catch_up().expect("caught up");
        writer.finish_seal().expect("sealed");
    }
    assert_eq!(counts(&folder), [(JOB, JobState::Done, 0, 1)]);
}

#[test]
fn a_gap_ends_with_the_last_of_its_jobs() {
    let folder = tempfile::tempdir().expect("a folder");
    let cut = [
        opened(0, 1),
        served(1, 1),
        trade(1, 1, 1),
        closed(5, 1, Some(GapCause::Disconnect)),
        opened(30, 2),
        served(31, 2),
        trade(31, 2, 4),
        closed(32, 2, None),
    ];
    start(folder.path(), &real()).expect("starts").play(cut).expect("plays");
    let gap = || -> (i64, Gap) {
        let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
        let gaps = catalog.gaps(&Filter { stream: Some(TRADE), ..Filter::default() });
        gaps.expect("gaps").remove(0)
    };
    let (id, open) = gap();
    assert_eq!((open.state, open.source), (GapState::Open, None));
    let of_gap =
        |number, state| Event::Job(Job { gap: Some(id), ..told(number, TRADE, state) }.into());
    let first = [
        of_gap(JOB, JobState::Running),
        of_gap(JOB + 1, JobState::Running),
        trades(90, JOB, &[(12, 3), (11, 2)]),
        of_gap(JOB, JobState::Done),
    ];
    start(folder.path(), &real()).expect("starts").play(first).expect("plays");
    assert_eq!(gap().1.state, GapState::Open, "one of two jobs");
    let second = [trades(91, JOB + 1, &[(11, 2)]), of_gap(JOB + 1, JobState::Done)];
    start(folder.path(), &real()).expect("starts").play(second).expect("plays");
    let (_, repaired) = gap();
    assert_eq!((repaired.state, repaired.rows_repaired), (GapState::Repaired, 2));
    assert_eq!(repaired.source, Some(Source::Rest));
    assert_eq!(column(folder.path(), &real(), TRADE, "source"), ["rest", "rest", "ws", "ws"]);
}

#[test]
fn a_gap_that_ended_stays_as_it_is_over_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |second: i64, session: i64| {
        let events = [
            opened(second, session),
            served(second + 1, session),
            trade(second + 1, session, second),
            closed(second + 5, session, None),
        ];
        start(folder.path(), &real()).expect("starts").play(events).expect("plays");
    };
    let spans = || -> Vec<(Timestamp, Option<Timestamp>)> {
        let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
        let filter = Filter { stream: Some(TRADE), ..Filter::default() };
        let gaps = catalog.gaps(&filter).expect("gaps");
        gaps.iter().map(|(_, gap)| (gap.from, gap.to)).collect()
    };
    for (second, session) in [(0, 1), (30, 2), (60, 3)] {
        run(second, session);
    }
    assert_eq!(spans(), [(at(5), Some(at(31))), (at(35), Some(at(61)))]);
}

#[test]
fn a_kill_between_pages_counts_each_row_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = crate::store::fs::faulty::FaultyFs::default();
    let fs: Arc<dyn Fs> = Arc::new(disk.clone());
    let mut writer = start(folder.path(), &fs).expect("starts");
    for event in [
        job(JOB, TRADE, JobState::Running),
        trades(9_000, JOB, &[(20, 2), (10, 1)]),
        Event::Tick(at(9_070)),
        Event::Tick(at(9_071)),
        trades(9_072, JOB, &[(10, 1), (5, 3)]),
    ] {
        writer.take(event).expect("taken");
        writer.catch_up().expect("caught up");
        writer.finish_seal().expect("sealed");
    }
    let after: Arc<dyn Fs> = Arc::new(disk.kill());
    drop(writer);
    let mut writer = start(folder.path(), &after).expect("starts again");
    assert!(writer.next_session() > JOB, "the numbers of jobs are taken");
    assert_eq!(counts(&folder), [(JOB, JobState::Running, 3, 1)]);
    let told = writer.jobs().borrow().get(&JOB).copied().expect("told");
    let reached = told.reached.map(|reached| (reached.at, reached.id));
    assert_eq!((reached, told.over), (Some((at(5), Some(3))), false));
    writer.take(job(JOB, TRADE, JobState::Done)).expect("taken");
    writer.end().expect("ends");
    assert_eq!(counts(&folder), [(JOB, JobState::Done, 3, 1)]);
    assert_eq!(column(folder.path(), &after, TRADE, "id"), ["1", "2", "3"]);
}
