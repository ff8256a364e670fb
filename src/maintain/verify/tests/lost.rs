//! Damaged files are taken out: what is lost is named, and whenever it dies the folder is as before
//! or as after.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::home::{Home, S1, at};
use crate::backfill::held::Held;
use crate::maintain::publisher::Owner;
use crate::maintain::quarantine::{Quarantined, quarantine};
use crate::model::gap::{Gap, GapCause};
use crate::model::job::{Job, JobKind, JobState};
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::{Change, Filter};
use crate::store::fs::faulty::{Fault, FaultyFs, Outcome, PowerLoss};
use crate::store::fs::{Fs, RealFs};
use crate::store::paths::PartName;

const NOW: i64 = 8_000;

fn gaps(home: &Home) -> Vec<Gap> {
    let gaps = home.catalog().gaps(&Filter::default()).unwrap();
    gaps.into_iter().map(|(_, gap)| gap).collect()
}

fn words(gap: &Gap) -> String {
    let market = gap.market.as_ref().map_or("all", Market::as_str);
    let second = |at: Timestamp| at.since(super::home::at(0)).as_secs_f64();
    let to = second(gap.to.unwrap());
    let (stream, state, from) = (gap.stream, gap.state, second(gap.from));
    assert_eq!(gap.cause, GapCause::Damaged);
    format!("{stream} {market} {from} to {to} {state}")
}

fn taken_out(home: &Home, files: &[PartName]) -> Quarantined {
    quarantine(home.data(), &home.fs, at(NOW), files).unwrap()
}

#[test]
fn what_is_lost_is_named_by_market_and_time() {
    let home = Home::recorded();
    let (trades, candles) = (home.part(Stream::Trade, 1), home.part(S1, 1));
    let (books, unread) = (home.part(Stream::Orderbook, 0), home.part(Stream::Unread, 0));
    for part in [&trades, &books, &unread] {
        std::fs::write(home.paths.part(&part.name), "PAR1").unwrap();
    }
    std::fs::remove_file(home.paths.part(&candles.name)).unwrap();
    let report = home.verify();
    assert_eq!(report.faults.len(), 4, "{:#?}", report.faults);
    let data = home.data().display();
    let commands = [
        format!("veritape verify --data {data} --quarantine"),
        format!("veritape gaps repair --data {data} --venue upbit"),
    ];
    assert_eq!(report.remedies, commands);
    let mut lost: Vec<_> = [&trades, &candles, &books, &unread].map(|one| one.name.clone()).into();
    lost.sort();
    assert_eq!(report.lost, lost);

    let done = taken_out(&home, &report.lost);
    assert_eq!((done.files.len(), done.rows), (4, 3 * 240 + 1));
    let mut told: Vec<String> = gaps(&home).iter().map(words).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "candle.1s KRW-A 3600 to 7171 open",
            "candle.1s KRW-B 3600 to 7171 open",
            "orderbook KRW-A 0 to 3570.000001 beyond_repair",
            "orderbook KRW-B 0 to 3570.000001 beyond_repair",
            "trade KRW-A 3600 to 7170.000001 open",
            "trade KRW-B 3600 to 7170.000001 open",
            "unread KRW-A 7820 to 7820.000001 beyond_repair",
        ]
    );
    for part in [&trades, &books, &unread] {
        assert!(home.paths.quarantine().join(part.name.to_string() + ".1").exists());
        assert!(!home.paths.part(&part.name).exists());
    }
    let report = home.verify();
    assert_eq!((report.faults, report.remedies), (Vec::new(), Vec::new()), "nothing else is wrong");
    assert_eq!(report.hours.iter().filter(|hour| hour.condition.is_bad()).count(), 4);
    assert_eq!(taken_out(&home, &lost), Quarantined::default(), "once is enough");
}

#[test]
fn of_a_market_in_another_file_nothing_is_lost() {
    let home = Home::recorded();
    let rows = |market: &str| vec![home.row(Stream::Trade, market, 7_801)];
    let (lost, _) =
        (home.publish(Stream::Trade, &rows("KRW-A")), home.publish(Stream::Trade, &rows("KRW-B")));
    std::fs::write(home.paths.part(&lost.name), "PAR1").unwrap();
    taken_out(&home, &home.verify().lost);
    let told: Vec<String> = gaps(&home).iter().map(words).collect();
    assert_eq!(told, ["trade KRW-A 7801 to 7801.000001 open"]);
    assert_eq!(home.verify().faults, Vec::new());
}

#[test]
fn what_a_job_brought_is_asked_for_again() {
    let home = Home::recorded();
    let lost = home.part(S1, 1);
    let market = Market::new("KRW-A");
    let all = Span::new(at(0), at(7_800)).unwrap();
    let job = |id, gap, from, to| Job {
        id,
        kind: JobKind::Backfill,
        venue: super::home::VENUE.into(),
        stream: S1,
        market: market.clone(),
        span: Span::new(at(from), at(to)).unwrap(),
        gap,
        state: JobState::Done,
        rows: 0,
        known: 0,
        calls: 1,
        error: None,
        reached: None,
    };
    let publish =
        |job| home.catalog().publish(&Change { jobs: vec![job], ..Change::default() }).unwrap();
    publish(job(10, None, 0, 7_800));
    let held = || {
        let held = Held::read(&home.catalog(), super::home::VENUE, all).unwrap();
        let spans = held.spans(S1, &market);
        let spans = spans.within(all);
        let second = |at: Timestamp| at.since(super::home::at(0)).as_secs();
        spans.iter().map(|span| (second(span.from()), second(span.to()))).collect::<Vec<_>>()
    };
    assert_eq!(held(), [(0, 7_800)]);
    taken_out(&home, &[lost.name]);
    assert_eq!(held(), [(0, 3_600), (7_171, 7_800)]);
    let gaps = home.catalog().gaps(&Filter::default()).unwrap();
    let (id, _) = gaps.iter().find(|(_, gap)| gap.market.as_ref() == Some(&market)).unwrap();
    publish(job(11, Some(*id), 3_600, 5_000));
    assert_eq!(held(), [(0, 5_000), (7_171, 7_800)], "what closes the gap counts");
}

/// The disk as the next start finds it.
fn after(disk: &FaultyFs, nth: u64) -> FaultyFs {
    let keeps = |names| PowerLoss::Keeps { bytes: 0, names, zeros: false };
    match nth % 4 {
        0 => disk.kill(),
        1 => disk.crash(keeps(false)),
        2 => disk.crash(keeps(true)),
        _ => disk.crash(PowerLoss::Anything(nth)),
    }
}

/// Dies at every operation that changes something.
fn check(outcome: Outcome) {
    let disk = FaultyFs::default();
    let mut home = Home::on(Arc::new(disk.clone()));
    let damaged = [home.part(Stream::Trade, 1), home.part(Stream::Orderbook, 0)];
    for part in &damaged {
        disk.truncate(&home.paths.part(&part.name), 5).unwrap();
    }
    let names = damaged.map(|part| part.name);
    let saved = std::fs::read(home.paths.catalog()).unwrap();
    let aside = |home: &Home, name: &PartName| {
        home.fs.length(&home.paths.quarantine().join(name.to_string() + ".1")).is_ok()
    };
    let calm = disk.kill();
    let fs: Arc<dyn Fs> = Arc::new(calm.clone());
    quarantine(home.data(), &fs, at(NOW), &names).unwrap();
    let mut moments = calm.changes();
    assert!(moments.len() >= 4, "{moments:?}");
    moments.push(calm.operations());
    let mut outcomes = BTreeSet::new();
    for (place, nth) in (0..).zip(moments) {
        restore(&home.paths.catalog(), &saved);
        let dying = disk.kill();
        dying.fail(Fault { after: nth, error: Errno::IO, lasting: true, outcome });
        let fs: Arc<dyn Fs> = Arc::new(dying.clone());
        let done = quarantine(home.data(), &fs, at(NOW), &names);
        home.fs = Arc::new(after(&dying, place));
        drop(Owner::of(home.data(), &home.fs, at(NOW)).unwrap());
        let known = names.each_ref().map(|name| home.catalog().knows(name).unwrap());
        let new = known == [false; 2];
        assert!(new || known == [true; 2], "{outcome:?} at operation {nth}");
        assert_eq!(gaps(&home).len(), if new { 4 } else { 0 }, "{outcome:?} at operation {nth}");
        for name in &names {
            // It is in one place, and nowhere twice.
            assert_eq!(aside(&home, name), new, "{outcome:?} at operation {nth}");
            assert_eq!(home.fs.length(&home.paths.part(name)).is_ok(), !new);
        }
        assert!(done.is_err() || new, "{outcome:?} at operation {nth}");
        outcomes.insert((new, done.is_ok()));
    }
    assert!(outcomes.contains(&(true, true)), "{outcomes:?}");
}

/// Puts the catalog back as it was.
fn restore(catalog: &Path, saved: &[u8]) {
    for end in ["-wal", "-shm"] {
        let mut path = catalog.as_os_str().to_owned();
        path.push(end);
        RealFs.remove(Path::new(&path)).ok();
    }
    std::fs::write(catalog, saved).unwrap();
}

#[test]
fn killed_at_any_operation_it_leaves_the_old_or_the_new() {
    for outcome in Outcome::ALL {
        check(outcome);
    }
}
