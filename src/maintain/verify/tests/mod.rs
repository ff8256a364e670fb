//! A recording is tampered with, and verify says with what.

mod home;
mod hours;
mod lost;
mod remedies;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use self::home::{Home, S1, at, everything};
use super::*;
use crate::model::record::Row;
use crate::store::catalog::Change;
use crate::store::fs::RealFs;

#[test]
fn a_recording_as_it_was_has_no_fault() {
    let home = Home::recorded();
    let report = home.verify();
    assert_eq!(report.faults, Vec::new());
    assert_eq!((report.files, report.rows), (14, 4 * 2 * 260 + 2));
    assert!(report.is_good() && report.not_stored.is_none(), "{report:#?}");
    assert_eq!((report.replaced, report.leftovers), (0, 0));
    assert_eq!(report.count(Condition::Complete), 6, "{:#?}", report.hours);
    for quick in [true, false] {
        let within = Span::new(at(3_600), at(3_601));
        let streams = vec![Stream::Trade];
        let part = home.ask(&Request { streams, within, quick, ..everything() }, &|_, _| {});
        assert_eq!((part.files, part.rows, part.faults), (1, 240, Vec::new()));
        assert_eq!(part.hours.len(), if quick { 0 } else { 2 });
    }
}

/// What is done to a recording, what is found, in which file, and in which words.
type Case = (fn(&Home) -> String, FaultKind, &'static str);

fn rows(home: &Home, stream: Stream, seconds: &[i64]) -> Vec<Row> {
    seconds.iter().map(|second| home.row(stream, "KRW-A", *second)).collect()
}

fn overwrite(home: &Home, segment: &Segment, bytes: &[u8]) -> String {
    std::fs::write(home.paths.part(&segment.name), bytes).unwrap();
    segment.name.to_string()
}

/// A part whose second half comes first.
fn turned(home: &Home, part: &Segment) -> Vec<u8> {
    let bytes = bytes::Bytes::from(std::fs::read(home.paths.part(&part.name)).unwrap());
    let rows = usize::try_from(part.rows).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().with_batch_size(rows);
    let ours = reader.metadata().file_metadata().key_value_metadata().cloned();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let properties = WriterProperties::builder().set_key_value_metadata(ours).build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch.slice(rows / 2, rows - rows / 2)).unwrap();
    writer.write(&batch.slice(0, rows / 2)).unwrap();
    writer.close().unwrap();
    file
}

const CASES: &[Case] = &[
    (
        |home| {
            let part = home.part(Stream::Trade, 1);
            std::fs::remove_file(home.paths.part(&part.name)).unwrap();
            part.name.to_string()
        },
        FaultKind::Missing,
        "not there",
    ),
    (|home| overwrite(home, &home.part(S1, 0), b"short"), FaultKind::Size, "5 bytes; it was"),
    (
        |home| {
            let part = home.part(Stream::Ticker, 0);
            overwrite(home, &part, &vec![0; usize::try_from(part.bytes).unwrap()])
        },
        FaultKind::Checksum,
        "in its footer",
    ),
    (
        |home| {
            home.sql(
                "UPDATE segments SET rows = rows + 1 WHERE stream = 'orderbook' AND number = 4",
            );
            home.sql("UPDATE hours SET rows = rows + 1 WHERE stream = 'orderbook' AND market = 'KRW-A' AND hour = (SELECT min(hour) FROM hours)");
            home.part(Stream::Orderbook, 0).name.to_string()
        },
        FaultKind::Rows,
        "240 rows; it was published with 241",
    ),
    (
        |home| {
            home.sql("UPDATE segments SET ts_event_max = ts_event_max - 1 WHERE number = 1");
            home.part(Stream::Trade, 0).name.to_string()
        },
        FaultKind::Span,
        "2 rows lie outside its spans or its day; the first: row 119, KRW-A at 2026-09-22T10:59:30Z",
    ),
    (
        // As if this program had written it so.
        |home| {
            let part = home.part(Stream::Orderbook, 1);
            home.republish(&part, b"PAR1 and so on");
            part.name.to_string()
        },
        FaultKind::Format,
        "is damaged",
    ),
    (
        |home| {
            let part = home.part(Stream::Trade, 0);
            home.republish(&part, &turned(home, &part));
            part.name.to_string()
        },
        FaultKind::Order,
        "1 rows are not in order; the first: row 120, KRW-A at 2026-09-22T10:00:00Z",
    ),
    (
        |home| {
            let twice = home.part(Stream::Trade, 0);
            let part = home.publish(Stream::Trade, &rows(home, Stream::Trade, &[0, 1]));
            assert!(twice.name.number < part.name.number);
            part.name.to_string()
        },
        FaultKind::Key,
        "1 rows are recorded already; the first: KRW-A 1000000, also in stream=trade",
    ),
    (
        |home| {
            let seconds = [3_000, 3_001, 3_001];
            home.publish(Stream::Orderbook, &rows(home, Stream::Orderbook, &seconds))
                .name
                .to_string()
        },
        FaultKind::Key,
        "1 rows are in it twice; the first: row 2, KRW-A at 2026-09-22T10:50:01Z, as row 1",
    ),
    (
        |home| home.publish(S1, &rows(home, S1, &[3_000, 3_001])).name.to_string(),
        FaultKind::Key,
        "also in stream=candle.1s",
    ),
    (
        |home| home.publish(Stream::Ticker, &rows(home, Stream::Ticker, &[3_000])).name.to_string(),
        FaultKind::Key,
        "also in stream=ticker",
    ),
    (
        |home| home.write(Stream::Trade, &rows(home, Stream::Trade, &[5])).name.to_string(),
        FaultKind::Unknown,
        "the catalog does not know it",
    ),
    (
        |home| {
            let part = home.part(Stream::Trade, 0).name;
            std::fs::write(home.paths.part(&part).with_file_name("mine.parquet"), "PAR1").unwrap();
            part.to_string().replace(&format!("part-{:010}", part.number), "mine")
        },
        FaultKind::Unknown,
        "readers of the folder may take it",
    ),
    (
        |home| {
            home.sql("DELETE FROM hours WHERE stream = 'ticker' AND market = 'KRW-A' AND hour = (SELECT max(hour) FROM hours)");
            "stream=ticker/venue=upbit/date=2026-09-22".to_owned()
        },
        FaultKind::Count,
        "500 rows by the hour, 520 in files",
    ),
];

#[test]
fn every_fault_is_named() {
    for (tamper, kind, words) in CASES {
        let home = Home::recorded();
        let path = tamper(&home);
        let report = home.verify();
        let found = report.faults.iter().find(|fault| fault.fault == *kind && fault.path == path);
        let Some(found) = found else { panic!("no {kind} of {path}: {:#?}", report.faults) };
        assert!(found.detail.contains(words), "{words:?} is not in {:?}", found.detail);
        // In order of the file's own rows, and of other files: nothing else is said.
        let others = report.faults.iter().filter(|fault| fault.path != path).count();
        assert_eq!(others, 0, "{:#?}", report.faults);
        assert!(!report.is_good());
    }
}

/// Every value of the enum is in a case, but for what needs another disk.
#[test]
fn every_kind_of_fault_has_a_case() {
    let shown = |kind: &FaultKind| CASES.iter().any(|(_, shown, _)| shown == kind);
    let rest: Vec<_> = FaultKind::ALL.iter().filter(|kind| !shown(kind)).collect();
    assert_eq!(rest, [&FaultKind::Unreadable]);
}

/// Changes one byte of a file, and changes it back when dropped.
struct Flip<'a>(&'a Path, u64, u8);

impl<'a> Flip<'a> {
    fn new(path: &'a Path, place: u64, by: u8) -> Self {
        let flip = Self(path, place, by);
        flip.turn();
        flip
    }

    fn turn(&self) {
        let file = OpenOptions::new().read(true).write(true).open(self.0).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, self.1).unwrap();
        file.write_all_at(&[byte[0] ^ self.2], self.1).unwrap();
    }
}

impl Drop for Flip<'_> {
    fn drop(&mut self) {
        self.turn();
    }
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let home = Home::recorded();
    let progress = Progress { begin: &|_, _| {}, done: &|_| {} };
    let request = everything();
    let site = Site { fs: &home.fs, paths: &home.paths, request: &request, progress, now: at(0) };
    let streams = [Stream::Trade, S1, Stream::Ticker, Stream::Orderbook, Stream::Unread];
    let mut columns = BTreeSet::new();
    for stream in streams {
        let part = home.part(stream, 0);
        let path = home.paths.part(&part.name);
        // Every byte of the smallest file, and of the others one in a few.
        let step = if stream == Stream::Unread { 1 } else { 3 };
        for place in (0..part.bytes).step_by(step) {
            let by = u8::try_from(place % 255).unwrap() + 1;
            let _flip = Flip::new(&path, place, by);
            let found = files::check(site, &part);
            let [fault] = found.as_slice() else { panic!("{path:?} {place}: {found:?}") };
            assert_eq!((fault.fault, &fault.path), (FaultKind::Checksum, &part.name.to_string()));
            let (_, words) = fault.detail.split_once(": ").unwrap();
            let column = words.strip_prefix("row group 0, column ");
            assert!(column.is_some() || words.contains("footer"), "{place}: {words}");
            columns.extend(column.map(|column| format!("{stream} {column}")));
        }
        assert_eq!(files::check(site, &part), Vec::new(), "as it was");
    }
    let all = streams.into_iter().flat_map(|stream| {
        Row::columns(stream).map(move |column| format!("{stream} {}", column.name))
    });
    assert_eq!(columns, all.collect(), "every column of every stream was hit, and named");
}

/// The same through the whole command.
#[test]
fn one_flipped_byte_is_one_fault() {
    let home = Home::recorded();
    let segments = home.catalog().segments(&Filter::default()).unwrap();
    let index = any::<prop::sample::Index>;
    let config =
        ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(file in index(), place in index(), by in 1_u8..)| {
        let part = &segments[file.index(segments.len())];
        let path = home.paths.part(&part.name);
        let place = u64::try_from(place.index(usize::try_from(part.bytes).unwrap())).unwrap();
        let _flip = Flip::new(&path, place, by);
        let report = home.verify();
        prop_assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
        prop_assert_eq!(&report.faults[0].path, &part.name.to_string());
        prop_assert_eq!(report.faults[0].fault, FaultKind::Checksum);
    });
}

#[test]
fn quick_sees_sizes_and_footers() {
    let home = Home::recorded();
    let quick = Request { quick: true, ..everything() };
    let part = home.part(Stream::Trade, 0);
    let path = home.paths.part(&part.name);
    {
        let _flip = Flip::new(&path, part.bytes - 2, 1);
        let report = home.ask(&quick, &|_, _| {});
        assert_eq!(report.faults[0].fault, FaultKind::Checksum, "{:#?}", report.faults);
        assert_eq!(report.hours, Vec::new());
    }
    assert_eq!(home.ask(&quick, &|_, _| {}).faults, Vec::new());
    overwrite(&home, &part, b"PAR1");
    assert_eq!(home.ask(&quick, &|_, _| {}).faults[0].fault, FaultKind::Size);
}

#[test]
fn a_file_without_checksums_of_columns_is_read_whole() {
    let home = Home::recorded();
    let part = home.part(Stream::Trade, 0);
    let path = home.paths.part(&part.name);
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(8).rposition(|window| window == b"v1 rows=").unwrap();
    bytes[place] = b'w';
    std::fs::write(&path, &bytes).unwrap();
    let blake3 = blake3::hash(&bytes).to_hex();
    home.sql(&format!(
        "UPDATE segments SET blake3 = '{blake3}' WHERE number = {}",
        part.name.number
    ));
    for quick in [true, false] {
        let report = home.ask(&Request { quick, ..everything() }, &|_, _| {});
        assert_eq!(report.faults, Vec::new());
    }
    let _flip = Flip::new(&path, 3_000, 1);
    let fault = home.verify().faults.swap_remove(0);
    assert_eq!(fault.fault, FaultKind::Checksum);
    assert!(
        fault.detail.ends_with("unless it was written without checksums of columns"),
        "{fault:?}"
    );
}

#[test]
fn a_file_that_was_replaced_meanwhile_is_no_fault() {
    let home = Home::recorded();
    let old = home.part(Stream::Trade, 0);
    let replace = |step: &'static str, _| {
        if step == "files" {
            let seconds: Vec<i64> = (0..3_600).step_by(30).collect();
            let mut rows = rows(&home, Stream::Trade, &seconds);
            rows.extend(seconds.iter().map(|second| home.row(Stream::Trade, "KRW-B", *second)));
            let segments = vec![home.write(Stream::Trade, &rows)];
            let retired = vec![old.name.number];
            home.catalog().publish(&Change { segments, retired, ..Change::default() }).unwrap();
            std::fs::remove_file(home.paths.part(&old.name)).unwrap();
        }
    };
    let report = home.ask(&everything(), &replace);
    assert_eq!((report.faults, report.replaced), (Vec::new(), 1));
    assert_eq!(home.verify().replaced, 0);
}

#[test]
fn a_recorder_may_be_at_work() {
    let home = Home::recorded();
    let part = home.write(Stream::Trade, &rows(&home, Stream::Trade, &[7]));
    std::fs::create_dir_all(home.data().join("tmp")).unwrap();
    std::fs::write(home.data().join("tmp/part-0000000099.parquet.tmp"), "").unwrap();
    let held = Folder::lock(home.data(), at(0)).unwrap();
    let report = home.verify();
    assert_eq!((&report.faults, report.leftovers), (&Vec::new(), 0), "{part:?} is on its way");
    let why = report.not_stored.unwrap();
    assert!(why.contains(&format!("process {}", std::process::id())), "{why}");
    drop(held);
    let report = home.verify();
    assert_eq!((report.faults.len(), report.leftovers), (1, 1), "{report:#?}");
    assert_eq!(report.not_stored, None);
}

#[test]
fn keys_are_compared_in_parts_where_they_are_many() {
    let home = Home::recorded();
    home.publish(Stream::Trade, &rows(&home, Stream::Trade, &[0, 30, 31, 90, 7_000]));
    home.publish(S1, &rows(&home, S1, &[60, 61, 3_000, 3_601]));
    let progress = Progress { begin: &|_, _| {}, done: &|_| {} };
    let request = everything();
    let site = Site { fs: &home.fs, paths: &home.paths, request: &request, progress, now: at(0) };
    for (stream, count) in [(Stream::Trade, "3 rows"), (S1, "2 rows")] {
        let filter = Filter { stream: Some(stream), ..Filter::default() };
        let segments = home.catalog().segments(&filter).unwrap();
        let files: Vec<&Segment> = segments.iter().collect();
        let whole = keys::twice(site, stream, &files, keys::KEYS_AT_ONCE);
        assert_eq!(whole.len(), 1, "{whole:?}");
        assert!(whole[0].1.starts_with(count), "{whole:?}");
        for at_once in [400, 100, 17] {
            let parts = keys::twice(site, stream, &files, at_once);
            assert_eq!((parts.len(), parts[0].0), (1, whole[0].0));
            assert!(parts[0].1.starts_with(count), "{at_once}: {parts:?}");
        }
    }
}

#[test]
fn a_file_that_the_disk_cannot_read_is_unreadable() {
    let home = Home::recorded();
    let part = home.part(Stream::Trade, 0);
    let path = home.paths.part(&part.name);
    std::fs::remove_file(&path).unwrap();
    // A loop of links is nothing that a disk can follow.
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let report = home.verify();
    assert_eq!(report.faults[0].fault, FaultKind::Unreadable, "{:#?}", report.faults);
    assert!(RealFs.length(&path).is_err());
}
