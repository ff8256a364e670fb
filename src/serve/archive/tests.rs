//! The calendar tells what is known of each hour, as `veritape coverage` does.

use super::*;
use crate::model::gap::{GapCause, GapState};
use crate::store::catalog::{Change, HourRows, LiveSpan, Retirement, SessionRow, SessionTally};

const VENUE: &str = "somewhere";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rows(market: &str, hour: &str, rows: u64) -> HourRows {
    let (hour, market) = (at(hour), Some(Market::new(market)));
    let (first, last) = (hour, hour.after(HOUR / 2));
    HourRows { venue: VENUE.into(), stream: Stream::Trade, market, hour, rows, first, last }
}

fn catalog(folder: &Path) -> Catalog {
    let mut catalog = Catalog::open(&folder.join("catalog.sqlite")).unwrap();
    let (from, to) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T12:00:00Z"));
    let session = SessionRow {
        id: 1,
        venue: VENUE.into(),
        endpoint: String::new(),
        subscriptions: "[]".to_owned(),
        opened: from,
        first_data: Some(from),
        closed: Some(to),
        why: None,
        frames: 1,
        bytes: 1,
        proven_until: Some(to),
        tally: SessionTally::default(),
    };
    let live = ["A", "B"].map(|market| LiveSpan {
        session: 1,
        venue: VENUE.into(),
        stream: Stream::Trade,
        market: Market::new(market),
        from,
        to: Some(to),
    });
    let gap = Gap {
        venue: VENUE.into(),
        stream: Stream::Trade,
        market: Some(Market::new("A")),
        from: to,
        to: Some(at("2026-11-20T14:30:00Z")),
        cause: GapCause::Disconnect,
        state: GapState::BeyondRepair,
        rows_repaired: 0,
        source: None,
        detail: String::new(),
    };
    let retired = Retirement {
        venue: VENUE.into(),
        stream: Stream::Trade,
        span: Span::new(at("2026-11-19T00:00:00Z"), at("2026-11-20T00:00:00Z")).unwrap(),
        files: 1,
        rows: 1,
        bytes: 1,
        policy: String::new(),
        at: to,
    };
    let hours = vec![
        rows("A", "2026-11-19T08:00:00Z", 7),
        rows("A", "2026-11-20T10:00:00Z", 3),
        rows("B", "2026-11-20T10:00:00Z", 4),
        rows("A", "2026-11-20T11:00:00Z", 5),
        rows("A", "2026-11-20T14:00:00Z", 2),
        // The last trade of a quiet market, as told at subscription.
        rows("B", "2026-11-20T02:00:00Z", 1),
    ];
    let change = Change {
        sessions: vec![session],
        live: live.to_vec(),
        gaps: vec![(1, gap)],
        retirements: vec![retired],
        hours,
        ..Change::default()
    };
    catalog.publish(&change).unwrap();
    catalog
}

#[test]
fn each_hour_has_its_condition() {
    let folder = tempfile::tempdir().unwrap();
    let mut catalog = catalog(folder.path());
    let words = |catalog: &Catalog| {
        let now = at("2026-11-20T15:00:00Z");
        let told = calendar(catalog, Stream::Trade, 2, now).unwrap();
        let mut words = Vec::new();
        for day in told["days"].as_array().unwrap() {
            for (hour, cell) in (0..).zip(day["hours"].as_array().unwrap()) {
                if let Some(word) = cell["condition"].as_str() {
                    words.push(format!("{} {hour} {word}", &day["date"].as_str().unwrap()[8..]));
                }
            }
        }
        words
    };
    let ledger = ["19 8 retired", "20 10 unproven", "20 11 unproven"];
    let lost = ["20 12 missing", "20 13 missing", "20 14 degraded"];
    assert_eq!(words(&catalog), [ledger.as_slice(), &lost].concat());

    let found = |market: &str, hour: &str, rows, condition| crate::store::catalog::ConditionRow {
        venue: VENUE.into(),
        stream: Stream::Trade,
        market: Market::new(market),
        hour: at(hour),
        condition,
        rows,
        covered_us: 3_600_000_000,
        evidence: Vec::new(),
        evidence_rows: 0,
        ledger: crate::maintain::proof::ledger::fingerprint(&[no_gap()]),
        numbers: "{}".to_owned(),
        checked_at: at("2026-11-20T15:00:00Z"),
    };
    let (ten, eleven) = ("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z");
    let stored = [
        found("A", ten, 3, Condition::Complete),
        found("B", ten, 4, Condition::Repaired),
        found("A", eleven, 5, Condition::Complete),
        found("B", eleven, 0, Condition::Complete),
    ];
    catalog.put_conditions(&stored).unwrap();
    let proven = ["19 8 retired", "20 10 repaired", "20 11 complete"];
    assert_eq!(words(&catalog), [proven.as_slice(), &lost].concat());
    let told = day(&catalog, Stream::Trade, at(ten).date()).unwrap();
    assert_eq!(told["markets"][0]["hours"][0]["condition"], "complete", "{told:#}");
    assert_eq!(told["markets"][0]["condition"], "degraded", "{told:#}");

    // Another row: what was found is of the past.
    let hours = vec![rows("B", ten, 1)];
    catalog.publish(&Change { hours, ..Change::default() }).unwrap();
    assert_eq!(words(&catalog)[1], "20 10 unproven");
}

/// What is due of an hour without a gap.
fn no_gap() -> crate::maintain::proof::ledger::Due<'static> {
    let judged = crate::model::span::Spans::new();
    crate::maintain::proof::ledger::Due { covered: Duration::ZERO, judged, gaps: Vec::new() }
}
