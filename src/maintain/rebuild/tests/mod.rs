//! What is made again is what was there: on real files, from recordings of the real writer.

mod kills;
mod script;

use std::collections::BTreeSet;
use std::path::PathBuf;

use tempfile::TempDir;

use self::script::{Holdings, MIDNIGHT, RUNS, at, play, real};
use super::*;
use crate::model::gap::{GapCause, GapState};
use crate::model::market::{Market, Source};
use crate::model::record::{Body, Head, Row, Unread};
use crate::store::catalog::{Filter, HourRows};
use crate::store::folder::Folder;
use crate::store::segment::{self, Base, Contents, Frames, Omit, Segment};

/// A recording with raw frames.
struct Home {
    folder: TempDir,
    first: Holdings,
}

impl Home {
    fn recorded() -> Self {
        Self::of(&RUNS)
    }

    fn of(runs: &[std::ops::Range<i64>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (session, run) in (1..).zip(runs) {
            play(folder.path(), session, run.clone());
        }
        let first = Holdings::of(folder.path());
        Self { folder, first }
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    fn raw_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for day in real().folders(&Paths::new(self.data()).raw_root()).unwrap() {
            files.extend(real().list(&day).unwrap());
        }
        files
    }

    fn rebuild(&self, request: &Request) -> Result<Summary, RebuildError> {
        rebuild(self.data(), &real(), at(9_000), request)
    }

    /// Makes a span again; what is held after is what was held first.
    #[track_caller]
    fn check(&self, request: &Request) -> Summary {
        let summary = self.rebuild(request).unwrap();
        let now = Holdings::of(self.data());
        let (before, after): (BTreeSet<&String>, BTreeSet<&String>) =
            (self.first.rows.iter().collect(), now.rows.iter().collect());
        let gone: Vec<_> = before.difference(&after).take(5).collect();
        let new: Vec<_> = after.difference(&before).take(5).collect();
        assert!(gone.is_empty() && new.is_empty(), "{request:?}: gone {gone:#?}, new {new:#?}");
        assert_eq!(now.rows.len(), self.first.rows.len(), "{request:?}: some rows are there twice");
        assert_eq!(now.hours, self.first.hours, "{request:?}");
        summary
    }
}

fn span(from: i64, to: i64) -> Request {
    Request {
        span: Span::new(at(from), at(to)).unwrap(),
        streams: Vec::new(),
        dry_run: false,
        settle: Duration::from_secs(5),
        buffer_bytes: 64 << 20,
    }
}

fn everything() -> Request {
    span(-86_400, 86_400)
}

#[test]
fn every_span_is_made_again_as_it_was() {
    let home = Home::recorded();
    for stream in ["trade", "orderbook", "ticker", "candle.1s", "candle.1m", "instrument", "unread"]
    {
        assert!(home.first.of_stream(stream).len() > 5 || stream == "ticker", "{stream}");
    }
    assert!(home.raw_files().len() > 2, "{:?}", home.raw_files());
    let all = home.check(&everything());
    assert_eq!(all.missing_frames, 0);
    assert_eq!(all.rows, home.first.rows.len() as u64);
    assert!(all.replaced > all.written && all.written > 0, "{all:?}");
    assert_eq!(home.check(&everything()).rows, all.rows, "once more");

    for (from, to) in [
        (0, 900),
        (900, 1_800),
        // Borders within a minute's file, at midnight, between the runs and around it all.
        (333, 777),
        (0, MIDNIGHT),
        (MIDNIGHT, 1_050),
        (995, 1_105),
        (1_010, 1_090),
        (-500, 7),
        (1_795, 5_000),
        (615, 616),
    ] {
        let summary = home.check(&span(from, to));
        assert_eq!(summary.missing_frames, 0, "{from} to {to}");
        assert_eq!(summary.frames > 0, from != 1_010, "{from} to {to}");
    }
    // Little memory: many small parts, and candles that are revised in a later one.
    let small = Request { buffer_bytes: 20_000, ..everything() };
    assert!(home.check(&small).written > 20);
    assert_eq!(home.check(&everything()).rows, all.rows);
}

#[test]
fn only_the_streams_asked_for_are_touched() {
    let home = Home::recorded();
    let files = |stream| {
        let filter = Filter { stream: Some(stream), ..Filter::default() };
        Catalog::of_folder(home.data()).unwrap().segments(&filter).unwrap()
    };
    let (trades, books) = (files(Stream::Trade), files(Stream::Orderbook));
    home.check(&Request { streams: vec![Stream::Trade], ..span(100, 1_500) });
    assert_ne!(files(Stream::Trade), trades);
    assert_eq!(files(Stream::Orderbook), books);

    let before = Catalog::of_folder(home.data()).unwrap().segments(&Filter::default()).unwrap();
    let dry = home.check(&Request { dry_run: true, ..everything() });
    assert!(dry.rows > 0 && dry.written > 0);
    let after = Catalog::of_folder(home.data()).unwrap().segments(&Filter::default()).unwrap();
    assert_eq!(after, before, "a dry run changes nothing");
    let done = home.check(&everything());
    assert_eq!(done, dry, "and says what would be done");
}

#[test]
fn what_is_not_kept_stays() {
    let home = Home::recorded();
    let files = home.raw_files();
    let whole: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    for (place, (file, bytes)) in files.iter().zip(&whole).enumerate() {
        std::fs::remove_file(file).unwrap();
        let summary = home.check(&everything());
        assert!(summary.missing_frames > 0, "without file {place}: {summary:?}");
        let mut flipped = bytes.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        std::fs::write(file, flipped).unwrap();
        let summary = home.check(&everything());
        assert!(summary.missing_frames > 0, "with file {place} damaged: {summary:?}");
        home.check(&span(200, 1_300));
        std::fs::write(file, bytes).unwrap();
    }
    assert_eq!(home.check(&everything()).missing_frames, 0);

    std::fs::remove_dir_all(Paths::new(home.data()).raw_root()).unwrap();
    let nothing = home.check(&everything());
    assert_eq!((nothing.frames, nothing.replaced, nothing.written), (0, 0, 0));
    assert!(nothing.missing_frames > 1_000, "{nothing:?}");
    assert_eq!(home.check(&span(5_000, 6_000)), Summary::default());
}

#[test]
fn a_damaged_part_is_made_again() {
    let home = Home::recorded();
    let segments = Catalog::of_folder(home.data()).unwrap().segments(&Filter::default()).unwrap();
    let trades = segments.iter().filter(|one| one.name.stream == Stream::Trade);
    let damaged = trades.clone().nth(5).unwrap();
    let path = Paths::new(home.data()).part(&damaged.name);
    std::fs::write(&path, b"not what was written").unwrap();
    // A span that cuts through it cannot be where a frame is not kept: its other rows would be lost.
    let first =
        |file: &PathBuf| -> i64 { file.file_stem().unwrap().to_str().unwrap().parse().unwrap() };
    let files = home.raw_files();
    let holder = files.iter().filter(|file| first(file) <= damaged.frames.min).max().unwrap();
    let bytes = std::fs::read(holder).unwrap();
    std::fs::remove_file(holder).unwrap();
    let middle = damaged.ts_recv.min.after(Duration::from_secs(20));
    let cut = Request { span: Span::new(middle, at(90_000)).unwrap(), ..everything() };
    let error = home.rebuild(&cut).unwrap_err();
    assert!(matches!(error, RebuildError::Border { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&damaged.ts_recv.min.to_string()), "{text}");
    // Else it is made again with the rest, and so is one that is not there at all.
    std::fs::write(holder, bytes).unwrap();
    home.check(&cut);
    let segments = Catalog::of_folder(home.data()).unwrap().segments(&Filter::default()).unwrap();
    let trades = segments.iter().filter(|one| one.name.stream == Stream::Trade);
    let gone = trades.clone().nth(2).unwrap();
    std::fs::remove_file(Paths::new(home.data()).part(&gone.name)).unwrap();
    let middle = gone.ts_recv.min.after(Duration::from_secs(20));
    home.check(&Request { span: Span::new(middle, at(90_000)).unwrap(), ..everything() });
}

/// As if a decoder of the first run had not understood the frames of some trades.
fn misunderstand(home: &Home) -> Vec<i64> {
    let (fs, paths) = (real(), Paths::new(home.data()));
    let mut catalog = Catalog::open(&paths.catalog()).unwrap();
    let filter = Filter { stream: Some(Stream::Trade), ..Filter::default() };
    let part = catalog.segments(&filter).unwrap().swap_remove(3);
    let (mut misread, mut lost) = (Frames::default(), Vec::new());
    segment::scan(&fs, &paths, &part, segment::Extent::Keys, |cells| {
        lost.extend(cells.rows().map(|row| cells.frame(row)));
    })
    .unwrap();
    lost.sort_unstable();
    lost.dedup();
    lost.truncate(4);
    for frame in &lost {
        misread.push(*frame);
    }
    let mut number = catalog.start().unwrap().next_segment;
    let mut write = |stream, rows: &[Row], bases: &[Base<'_>]| -> Segment {
        let name = PartName { stream, number, ..part.name.clone() };
        number += 1;
        let written = segment::write(&fs, &paths, Contents { name: &name, rows, bases }).unwrap();
        written.publish(fs.as_ref()).unwrap()
    };
    let rest = write(Stream::Trade, &[], &[Base::published(&part, Omit::Frames(&misread))]);
    let rows: Vec<Row> = lost.iter().map(|frame| unread(part.ts_recv.min, *frame)).collect();
    let unread = write(Stream::Unread, &rows, &[]);
    let gap = crate::model::gap::Gap {
        venue: part.name.venue.clone(),
        stream: Stream::Trade,
        market: None,
        from: part.ts_recv.min,
        to: Some(part.ts_recv.min.after(Duration::from_micros(1))),
        cause: GapCause::Unread,
        state: GapState::Open,
        rows_repaired: 0,
        source: None,
        detail: "not understood".to_owned(),
    };
    let change = Change {
        segments: vec![rest, unread],
        retired: vec![part.name.number],
        gaps: vec![(900, gap)],
        hours: vec![HourRows {
            venue: part.name.venue.clone(),
            stream: Stream::Trade,
            market: Some(Market::new("KRW-B")),
            hour: part.ts_event.min.hour(),
            rows: 5,
            first: part.ts_event.min,
            last: part.ts_event.max,
        }],
        ..Change::default()
    };
    catalog.publish(&change).unwrap();
    remove_retired(fs.as_ref(), &paths, &mut catalog).unwrap();
    lost
}

fn unread(ts_recv: Timestamp, frame: i64) -> Row {
    let (market, source, snapshot, session) = (None, Source::Ws, false, 1);
    let head = Head { market, ts_recv, source, snapshot, session, frame };
    Row { head, body: Body::Unread(Unread { reason: "not understood".into(), body: "x".into() }) }
}

#[test]
fn what_can_be_read_now_becomes_rows() {
    let home = Home::recorded();
    assert_eq!(misunderstand(&home).len(), 4);
    let other = Holdings::of(home.data());
    assert!(other.of_stream("trade").len() < home.first.of_stream("trade").len());
    assert!(other.of_stream("unread").len() > home.first.of_stream("unread").len());
    home.check(&everything());
    let gaps = Catalog::of_folder(home.data()).unwrap().gaps(&Filter::default()).unwrap();
    let unread = gaps.iter().filter(|(_, gap)| gap.cause == GapCause::Unread);
    for (id, gap) in unread {
        // Garbage is garbage still.
        assert_eq!(gap.state == GapState::Repaired, *id == 900, "{gap:?}");
    }
}

#[test]
fn a_candle_that_may_still_change_is_left_to_the_recorder() {
    let (home, other) = (Home::recorded(), Home::recorded());
    for (session, run) in [(3, 2_000..2_200), (4, 2_300..2_330)] {
        // One minute lasts beyond the end of each run.
        play(home.data(), session, run.clone());
        play(other.data(), session, run);
        let after = Holdings::of(home.data());
        home.rebuild(&everything()).unwrap();
        assert_eq!(Holdings::of(home.data()), after);
        assert_eq!(Holdings::of(other.data()), after, "the recorder goes on as if nothing was");
    }
}

#[test]
fn a_folder_in_use_or_without_a_recording_is_refused() {
    let home = Home::recorded();
    let held = Folder::lock(home.data(), at(0)).unwrap();
    let error = home.rebuild(&everything()).unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(held);
    let empty = tempfile::tempdir().unwrap();
    let error = rebuild(empty.path(), &real(), at(0), &everything()).unwrap_err();
    assert!(error.to_string().contains("holds no recording"), "{error}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "and nothing is made there");
}
