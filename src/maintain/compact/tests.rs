//! The rows are the same before and after, whatever the files and whenever it dies.

mod beside;
mod kills;

use std::collections::BTreeMap;
use std::collections::HashSet;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::model::record::Row;
use crate::model::subscription::{CandleUnit, Stream};
use crate::store::fs::RealFs;
use crate::store::segment::tests::sample;
use crate::store::segment::{Contents, Values};

const CANDLE: Stream = Stream::Candle(CandleUnit::M1);

fn now() -> Timestamp {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

/// A folder with published files.
struct Home {
    fs: Arc<dyn Fs>,
    folder: TempDir,
}

impl Home {
    /// The files are numbered from 1 on.
    fn of(fs: Arc<dyn Fs>, files: &[(Stream, Vec<Row>)]) -> Self {
        let home = Self { fs, folder: tempfile::tempdir().unwrap() };
        let mut catalog = Catalog::open(&home.paths().catalog()).unwrap();
        for (number, (stream, rows)) in (1..).zip(files) {
            let name = sample::name(*stream, number);
            let contents = Contents { name: &name, rows, bases: &[] };
            let written = segment::write(&home.fs, &home.paths(), contents).unwrap();
            let segments = vec![written.publish(home.fs.as_ref()).unwrap()];
            let hours = rows.iter().map(|row| HourRows {
                venue: name.venue.clone(),
                stream: *stream,
                market: row.head.market.clone(),
                hour: row.time().hour(),
                rows: 1,
                first: row.time(),
                last: row.time(),
            });
            let hours = hours.collect();
            catalog.publish(&Change { segments, hours, ..Change::default() }).unwrap();
        }
        home
    }

    fn real(files: &[(Stream, Vec<Row>)]) -> Self {
        Self::of(Arc::new(RealFs), files)
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    fn paths(&self) -> Paths {
        Paths::new(self.data())
    }

    fn compact(&self, rule: &Rule) -> Report {
        compact(self.data(), &self.fs, now(), rule).unwrap()
    }

    fn files(&self) -> Vec<Segment> {
        Catalog::of_folder(self.data()).unwrap().segments(&Filter::default()).unwrap()
    }

    /// Every row of every published file, sorted; each file is in order, and the folder holds no
    /// other.
    fn rows(&self) -> Vec<String> {
        rows(&self.fs, &self.paths(), &self.files())
    }

    /// The counts of all hours, without those that are none.
    fn hours(&self) -> BTreeMap<(Stream, Option<Market>, Timestamp), u64> {
        let catalog = Catalog::of_folder(self.data()).unwrap();
        let hours = catalog.coverage(&Filter::default()).unwrap().into_iter();
        hours.map(|one| ((one.stream, one.market, one.hour), one.rows)).collect()
    }
}

fn rows(fs: &Arc<dyn Fs>, paths: &Paths, files: &[Segment]) -> Vec<String> {
    let mut rows = Vec::new();
    for file in files {
        let mut last = None;
        segment::scan(fs, paths, file, Extent::Whole, |cells| {
            for row in cells.rows() {
                let key = (cells.market(row).map(str::to_owned), cells.time(row), cells.frame(row));
                assert!(last.as_ref().is_none_or(|last| *last <= key), "{last:?} then {key:?}");
                last = Some(key);
                let mut values = Values::default();
                cells.put(row, &mut values);
                rows.push(format!("{} {:?}", file.name.stream, values.0));
            }
        })
        .unwrap();
    }
    let mut found: Vec<_> =
        paths.walk(fs.as_ref()).unwrap().parts.iter().map(|name| name.number).collect();
    let mut known: Vec<_> = files.iter().map(|file| file.name.number).collect();
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known);
    rows.sort();
    rows
}

/// The rows that should be left, by the plainest way.
fn left(files: &[(Stream, Vec<Row>)]) -> Vec<(Stream, Row)> {
    let mut all: Vec<(Stream, Row)> = Vec::new();
    for (stream, rows) in files {
        all.extend(rows.iter().map(|row| (*stream, row.clone())));
    }
    all.sort_by_key(|(stream, row)| (*stream, row.head.market.clone(), row.time(), row.head.frame));
    let mut seen = HashSet::new();
    let id = |row: &Row| format!("{:?}", values(row).get(8));
    match files.first().map(|(stream, _)| *stream) {
        Some(Stream::Trade) => {
            all.retain(|(_, row)| seen.insert((row.head.market.clone(), id(row))));
        }
        Some(Stream::Candle(_)) => {
            all.reverse();
            all.retain(|(_, row)| seen.insert((row.head.market.clone(), row.time().to_string())));
        }
        Some(Stream::Orderbook | Stream::Ticker | Stream::Instrument | Stream::Unread) | None => {}
    }
    all
}

fn values(row: &Row) -> Vec<segment::Value> {
    let mut values = Values::default();
    row.cells(&mut values);
    values.0
}

fn text(rows: &[(Stream, Row)]) -> Vec<String> {
    let mut text: Vec<String> =
        rows.iter().map(|(stream, row)| format!("{stream} {:?}", values(row))).collect();
    text.sort();
    text
}

/// Files of rows of one stream: market, offset, frame, and whether it has nulls.
fn files_of(stream: Stream, files: &[Vec<(usize, i64, i64, bool)>]) -> Vec<(Stream, Vec<Row>)> {
    const MARKETS: [&str; 3] = ["KRW-A", "KRW-B", "ÄRW"];
    let row = |(market, offset, frame, full): &(usize, i64, i64, bool)| {
        sample::row(stream, MARKETS[*market], offset * 3_000_000_000, *frame, *full)
    };
    files.iter().map(|rows| (stream, rows.iter().map(row).collect())).collect()
}

fn check(files: &[(Stream, Vec<Row>)], rule: &Rule) {
    let home = Home::real(files);
    let expected = left(files);
    let before: usize = files.iter().map(|(_, rows)| rows.len()).sum();
    let report = home.compact(rule);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(home.rows(), text(&expected));
    let markets: BTreeSet<_> = expected.iter().map(|(_, row)| row.head.market.clone()).collect();
    let count = if rule.by_market { markets.len() } else { 1 };
    assert_eq!(home.files().len(), count);
    let mut hours = BTreeMap::new();
    for (stream, row) in &expected {
        let hour = (*stream, row.head.market.clone(), row.time().hour());
        *hours.entry(hour).or_insert(0) += 1;
    }
    assert_eq!(home.hours(), hours);
    let Summary { replaced, written, rows, dropped, bytes_before, bytes_after } = report.summary;
    let done = files.len() > 1 || rule.by_market;
    assert_eq!(replaced, if done { files.len() as u64 } else { 0 });
    assert_eq!(written, if done { count as u64 } else { 0 });
    if done {
        assert_eq!((rows, dropped), (expected.len() as u64, (before - expected.len()) as u64));
        assert!(bytes_before > 0);
        assert_eq!(bytes_after, home.files().iter().map(|file| file.bytes).sum::<u64>());
    }
    assert_eq!(home.compact(rule).summary, Summary::default(), "once is enough");
    assert!(!home.paths().quarantine().exists());
    assert_eq!(std::fs::read_dir(home.data().join("tmp")).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_files_keep_their_rows(
        stream in prop::sample::select(Stream::all().collect::<Vec<_>>()),
        files in prop::collection::vec(
            prop::collection::vec((0_usize..3, 0_i64..4, 1_i64..6, any::<bool>()), 1..12), 2..9),
        by_market: bool,
    ) {
        check(&files_of(stream, &files), &Rule { by_market, ..Rule::default() });
    }
}

#[test]
fn revisions_and_doubles_leave_one_row() {
    let twice = || vec![(0, 1, 3, true), (0, 1, 5, false), (1, 2, 4, true)];
    for stream in [Stream::Trade, CANDLE] {
        for by_market in [false, true] {
            let files = files_of(stream, &[twice(), twice(), vec![(0, 1, 4, false)], twice()]);
            assert_ne!(left(&files).len(), 10);
            check(&files, &Rule { by_market, ..Rule::default() });
        }
    }
    // A run of doubles over the border of two batches.
    let many = |frame| (0..2_100).map(|one| (0, one % 9, frame + one % 2, true)).collect();
    check(&files_of(CANDLE, &[many(1), many(7), many(3)]), &Rule::default());
}

#[test]
fn a_damaged_file_stops_its_day_and_nothing_else() {
    let mut files = files_of(Stream::Trade, &[vec![(0, 1, 1, true)], vec![(1, 1, 2, true)]]);
    files.extend(files_of(CANDLE, &[vec![(0, 1, 3, true)], vec![(1, 1, 4, true)]]));
    let home = Home::real(&files);
    let path = home.paths().part(&home.files()[1].name);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let report = home.compact(&Rule::default());
    let [(task, error)] = report.failed.as_slice() else { panic!("{:?}", report.failed) };
    assert_eq!(task.sources.len(), 2);
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert_eq!((report.summary.replaced, report.summary.written), (2, 1));
    let left: Vec<_> = home.files().iter().map(|file| file.name.number).collect();
    assert_eq!(left.len(), 3);
    assert!(path.exists() && left.contains(&1) && left.contains(&2));
}

#[test]
fn a_folder_in_use_is_refused() {
    let home = Home::real(&files_of(CANDLE, &[vec![(0, 1, 1, true)]]));
    let held = Owner::of(home.data(), &home.fs, now()).unwrap();
    let error = compact(home.data(), &home.fs, now(), &Rule::default()).unwrap_err();
    assert!(error.to_string().contains("is in use by"), "{error}");
    drop(held);
}

#[test]
fn a_file_that_was_replaced_meanwhile_is_not_merged() {
    let files = files_of(CANDLE, &[vec![(0, 1, 1, true)], vec![(0, 2, 2, true)]]);
    let home = Home::real(&files);
    let mut owner = Owner::of(home.data(), &home.fs, now()).unwrap();
    let tasks = planned(owner.catalog(), now(), &Rule::default()).unwrap();
    let carry = |owner: &mut Owner| carry_out(&home.fs, &home.paths(), now(), &tasks[0], owner);
    let revised = Swap { sources: vec![home.files()[0].name.clone()], ..Swap::default() };
    owner.swap(revised).unwrap();
    let error = carry(&mut owner).unwrap_err();
    assert!(matches!(&error, CompactError::Segment(error) if error.is_gone()), "{error}");
    // Also when it goes after it was read.
    let path = home.paths().part(&files_name(&tasks[0]));
    std::fs::write(&path, b"").unwrap();
    assert!(carry(&mut owner).is_err());
    assert_eq!(home.files().len(), 1);
    assert_eq!(std::fs::read_dir(home.data().join("tmp")).unwrap().count(), 0);
}

fn files_name(task: &Task) -> PartName {
    task.sources[0].name.clone()
}

#[test]
fn a_result_that_differs_is_not_published() {
    let files = files_of(CANDLE, &[vec![(0, 1, 1, true)], vec![(0, 2, 2, true)]]);
    let home = Home::real(&files);
    let catalog = Catalog::of_folder(home.data()).unwrap();
    let task = planned(&catalog, now(), &Rule::default()).unwrap().remove(0);
    let wanted = Compaction { sources: &task.sources, numbers: 3..4, by_market: false };
    let Compacted { parts, .. } = segment::compact(&home.fs, &home.paths(), &wanted).unwrap();
    let swap = Swap { parts, ..Swap::default() };
    let all = Survey::of(&home.fs, &home.paths(), &task.sources).unwrap().rows;
    same(&home.fs, &task, &swap, all).unwrap();
    // One row less, and as many rows of which one is another.
    let one = Survey::of(&home.fs, &home.paths(), &task.sources[..1]).unwrap().rows;
    let mut twice = one;
    segment::scan(&home.fs, &home.paths(), &task.sources[0], Extent::Whole, |cells| {
        twice.add(cells, 0);
    })
    .unwrap();
    for other in [one, twice] {
        let error = same(&home.fs, &task, &swap, other).unwrap_err();
        assert!(matches!(error, CompactError::Differs { found: 2, .. }), "{error}");
    }
}
