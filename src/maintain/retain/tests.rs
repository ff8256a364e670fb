//! What goes, and that it is known why.

use super::*;
use crate::store::catalog::Catalog;
use crate::store::fs::RealFs;
use crate::store::paths::{PartName, Paths};
use crate::store::segment::tests::sample;
use crate::store::segment::{self, Contents, Ends};

const DAY: Duration = Duration::from_hours(24);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Files of 100 bytes: a trade's and two books' a day, from the 18th to the 21st.
fn files() -> Vec<Segment> {
    let mut files = Vec::new();
    for day in 18..=21 {
        for stream in [Stream::Trade, Stream::Orderbook, Stream::Orderbook] {
            let start = at(&format!("2026-11-{day}T10:00:00Z"));
            let ends = Ends { min: start, max: start };
            let number = u64::try_from(files.len()).unwrap();
            let name = PartName { stream, venue: "upbit".into(), date: start.date(), number };
            files.push(Segment {
                name,
                rows: 7,
                bytes: 100,
                blake3: String::new(),
                format_version: 1,
                ts_event: ends,
                ts_recv: ends,
                frames: Ends { min: 1, max: 1 },
            });
        }
    }
    files
}

#[test]
fn whole_days_go_oldest_first() {
    let age = |days: u32| Limits { age: Some(days * DAY), bytes: None };
    let bytes = |bytes| Limits { age: None, bytes: Some(bytes) };
    let (trade, book) = (Stream::Trade, Stream::Orderbook);
    let check = |now: &str, streams: &[(Stream, Limits)], total, expected: &[&str]| {
        let policy = Policy { streams: streams.iter().copied().collect(), total };
        let going = plan(&files(), &policy, at(now));
        let told: Vec<String> = going
            .iter()
            .map(|day| format!("{} {} {}", day.date.format("%d"), day.stream, day.files.len()))
            .collect();
        assert_eq!(told, expected, "{policy:?} at {now}");
        assert!(going.iter().all(|day| !day.policy.is_empty()));
    };
    let now = "2026-11-21T12:00:00Z";
    check(now, &[], None, &[]);
    check(now, &[(trade, age(2))], None, &["18 trade 1"]);
    check("2026-11-20T23:59:59Z", &[(trade, age(2))], None, &[]);
    check("2026-11-21T00:00:00Z", &[(trade, age(2))], None, &["18 trade 1"]);
    check(now, &[(book, age(1))], None, &["18 orderbook 2", "19 orderbook 2"]);
    check(now, &[(book, age(0))], None, &["18 orderbook 2", "19 orderbook 2", "20 orderbook 2"]);
    check(now, &[(book, bytes(800))], None, &[]);
    check(now, &[(book, bytes(799))], None, &["18 orderbook 2"]);
    check(now, &[(book, bytes(600))], None, &["18 orderbook 2"]);
    // The day that is not over stays, whatever was said.
    check(now, &[(trade, bytes(0))], None, &["18 trade 1", "19 trade 1", "20 trade 1"]);
    check(now, &[], Some(1_200), &[]);
    // The largest first of one day.
    check(now, &[], Some(1_000), &["18 orderbook 2"]);
    check(now, &[], Some(999), &["18 trade 1", "18 orderbook 2"]);
    check(now, &[(trade, age(2))], Some(1_000), &["18 trade 1", "18 orderbook 2"]);
}

#[test]
fn what_went_is_known_and_off_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (paths, fs): (_, std::sync::Arc<dyn Fs>) =
        (Paths::new(folder.path()), std::sync::Arc::new(RealFs));
    let mut catalog = Catalog::open(&paths.catalog()).unwrap();
    let mut all = Vec::new();
    for (number, stream) in (1..).zip([Stream::Trade, Stream::Trade, Stream::Ticker]) {
        let (name, rows) = (sample::name(stream, number), sample::rows(stream));
        let contents = Contents { name: &name, rows: &rows, bases: &[] };
        all.push(segment::write(&fs, &paths, contents).unwrap().publish(fs.as_ref()).unwrap());
    }
    catalog.publish(&Change { segments: all.clone(), ..Change::default() }).unwrap();
    drop(catalog);
    let limits = Limits { age: Some(DAY), bytes: None };
    let policy = Policy { streams: [(Stream::Trade, limits)].into(), total: None };
    let now = at("2026-11-23T00:00:00Z");
    assert_eq!(retain(folder.path(), &fs, now, &policy).unwrap().len(), 1);
    let catalog = Catalog::of_folder(folder.path()).unwrap();
    assert_eq!(catalog.segments(&Filter::default()).unwrap(), all[2..]);
    let there: Vec<bool> = all.iter().map(|one| paths.part(&one.name).exists()).collect();
    assert_eq!(there, [false, false, true]);
    let known = catalog.retirements(&Filter::default()).unwrap();
    let midnight = at("2026-11-21T00:00:00Z");
    let expected = Retirement {
        venue: "upbit".into(),
        stream: Stream::Trade,
        span: Span::new(midnight, midnight.after(DAY)).unwrap(),
        files: 2,
        rows: all[0].rows + all[1].rows,
        bytes: all[0].bytes + all[1].bytes,
        policy: "trade older than 1day".to_owned(),
        at: now,
    };
    assert_eq!(known, [expected]);
    let of_ticker = Filter { stream: Some(Stream::Ticker), ..Filter::default() };
    assert_eq!(catalog.retirements(&of_ticker).unwrap(), []);
    drop(catalog);
    assert!(retain(folder.path(), &fs, now, &policy).unwrap().is_empty(), "once is enough");
}
