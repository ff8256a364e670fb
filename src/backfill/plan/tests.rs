use super::*;
use crate::model::job::{Job, JobKind, JobState};
use crate::venue;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn span(from: &str, to: &str) -> Span {
    Span::new(at(from), at(to)).unwrap()
}

fn done(stream: Stream, span: Span) -> Job {
    Job {
        id: 1,
        kind: JobKind::Backfill,
        venue: "upbit".into(),
        stream,
        market: Market::new("KRW-BTC"),
        span,
        gap: None,
        state: JobState::Done,
        rows: 0,
        known: 0,
        calls: 0,
        error: None,
        reached: None,
    }
}

const NOW: &str = "2026-11-21T09:00:30Z";

fn made(streams: &str, asked: Span, had: &[Job]) -> Plan {
    let markets = [Market::new("KRW-BTC")];
    let streams = streams.split(',').map(|name| name.parse::<Stream>().unwrap());
    let subjects: Vec<_> =
        streams.flat_map(|stream| markets.iter().map(move |one| (stream, one.clone()))).collect();
    let wish = Wish {
        venue: venue::by_name("upbit").unwrap(),
        subjects: &subjects,
        span: asked,
        held: &Held::of(BTreeMap::new(), had, &[]),
        trades_per_day: &BTreeMap::new(),
        now: at(NOW),
        settle: Duration::from_secs(5),
    };
    plan(&wish).unwrap()
}

fn check(streams: &str, asked: (&str, &str), had: &[Job], expected: &[&str]) {
    let plan = made(streams, span(asked.0, asked.1), had);
    let jobs = plan.jobs.iter().map(|job| format!("{} {}: {}", job.stream, job.span, job.pages));
    let lost = plan.lost.iter().map(|lost| format!("lost {} {}", lost.stream, lost.span));
    let found: Vec<String> = jobs.chain(lost).collect();
    assert_eq!(found, expected, "{streams} {asked:?} {had:?}");
}

#[test]
fn what_is_wanted_and_not_held_is_asked_for() {
    let minute = Stream::Candle(CandleUnit::M1);
    let whole = ("2026-11-21T00:00:00Z", "2026-11-21T10:00:00Z");
    // The candle of 09:00 still changes.
    let all = "candle.1m 2026-11-21T00:00:00Z .. 2026-11-21T09:00:00Z: 3";
    check("candle.1m", whole, &[], &[all]);
    check("candle.1m", ("2026-11-20T23:59:00.000001Z", NOW), &[], &[all]);
    let half = done(minute, span("2026-11-21T00:00:00Z", "2026-11-21T05:00:00Z"));
    let rest = "candle.1m 2026-11-21T05:00:00Z .. 2026-11-21T09:00:00Z: 2";
    check("candle.1m", whole, std::slice::from_ref(&half), &[rest]);
    // A hole on either side of little: one page for both.
    let little = done(minute, span("2026-11-21T08:00:00Z", "2026-11-21T08:10:00Z"));
    check("candle.1m", whole, &[half.clone(), little.clone()], &[rest]);
    check("candle.1m", whole, &[done(minute, span(whole.0, whole.1))], &[]);
    check("candle.1m", ("2026-11-21T09:00:00Z", "2027-01-01T00:00:00Z"), &[], &[]);
    check(
        "candle.1mo",
        ("2026-01-15T00:00:00Z", NOW),
        &[],
        &["candle.1mo 2026-02-01T00:00:00Z .. 2026-11-01T00:00:00Z: 1"],
    );
}

#[test]
fn what_the_venue_no_longer_has_is_told() {
    check(
        "trade",
        ("2026-11-13T12:00:00Z", "2026-11-15T06:00:00Z"),
        &[],
        &[
            "trade 2026-11-15T00:00:00Z .. 2026-11-15T06:00:00Z: 5",
            "trade 2026-11-14T00:00:00Z .. 2026-11-15T00:00:00Z: 20",
            "lost trade 2026-11-13T12:00:00Z .. 2026-11-14T00:00:00Z",
        ],
    );
    check(
        "candle.1s",
        ("2026-08-01T00:00:00Z", "2026-08-23T09:01:00Z"),
        &[],
        &[
            "candle.1s 2026-08-23T09:00:30Z .. 2026-08-23T09:01:00Z: 1",
            "lost candle.1s 2026-08-01T00:00:00Z .. 2026-08-23T09:00:30Z",
        ],
    );
    check(
        "orderbook",
        ("2026-11-21T00:00:00Z", NOW),
        &[],
        &["lost orderbook 2026-11-21T00:00:00Z .. 2026-11-21T09:00:30Z"],
    );
}

#[test]
fn jobs_are_short_enough_and_hold_every_window_once() {
    for (streams, from) in [
        ("candle.1m", "2026-11-07T09:00:00Z"),
        ("candle.1s", "2026-11-20T00:00:00Z"),
        ("candle.3m", "2020-01-01T00:00:00Z"),
    ] {
        let asked = span(from, "2026-11-21T09:00:00Z");
        let plan = made(streams, asked, &[]);
        let mut to = asked.to();
        for job in &plan.jobs {
            assert_eq!(job.span.to(), to, "{streams}: no hole and no overlap");
            assert!(job.pages <= PAGES_PER_JOB, "{streams}: {job:?}");
            to = job.span.from();
        }
        assert_eq!(to, asked.from(), "{streams}");
        assert!(plan.jobs.len() > 1, "{streams}: several can be worked on at once");
        let pages: u64 = plan.jobs.iter().map(|job| job.pages).sum();
        assert!(pages * 200 * 100 <= plan.jobs.iter().map(|job| job.rows).sum::<u64>() * 103);
    }
    let two_weeks = made("candle.1m", span("2026-11-07T09:00:00Z", "2026-11-21T09:00:00Z"), &[]);
    assert_eq!(two_weeks.jobs.len(), 3, "few enough that their last pages do not matter");
}
