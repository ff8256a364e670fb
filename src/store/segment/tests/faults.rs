//! What must not become a part, and what is left of the attempt: nothing.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::*;
use crate::model::subscription::CandleUnit;
use crate::store::fs::FsFile;

fn leftovers(home: &Home) -> Vec<PathBuf> {
    home.paths.walk(home.fs.as_ref()).unwrap().unpublished
}

#[test]
fn rows_of_elsewhere_are_refused() {
    let home = Home::new();
    let name = sample::name(Stream::Trade, 1);
    let good = || sample::row(Stream::Trade, "KRW-BTC", 5, 1, true);
    let candle = Stream::Candle(CandleUnit::D1);
    for (rows, what) in [
        (vec![], "no row"),
        (
            vec![good(), sample::row(Stream::Orderbook, "KRW-BTC", 5, 1, true)],
            "not one of this stream",
        ),
        (vec![good(), sample::row(candle, "KRW-BTC", 5, 1, true)], "not one of this stream"),
        (
            vec![good(), sample::row(Stream::Trade, "KRW-BTC", -1, 1, true)],
            "2026-11-20T23:59:59.999999Z",
        ),
        (
            vec![good(), sample::row(Stream::Trade, "KRW-BTC", 86_400_000_000, 1, true)],
            "2026-11-22",
        ),
        (vec![sample::row(Stream::Trade, "", 5, 1, true), good()].split_off(1), ""),
    ] {
        match home.write(&name, &rows, &[]) {
            Ok(_) => assert_eq!(what, ""),
            Err(error @ SegmentError::Misfit { .. }) => {
                assert!(!what.is_empty() && error.to_string().contains(what), "{error}");
                assert_eq!(leftovers(&home), Vec::<PathBuf>::new());
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_damaged_base_is_not_taken_for_true() {
    let home = Home::new();
    let name = sample::name(Stream::Trade, 1);
    let rows = sample::rows(Stream::Trade);
    let segment = home.publish(&name, &rows);
    let path = home.paths.part(&name);
    let whole = std::fs::read(&path).unwrap();
    let bases = [Base::published(&segment, Omit::Nothing)];
    let next = sample::name(Stream::Trade, 2);
    let attempt = || home.write(&next, &rows, &bases);

    let mut damaged = vec![whole[..whole.len() - 1].to_vec(), Vec::new()];
    damaged.extend((0..whole.len()).step_by(31).map(|place| flipped(&whole, place)));
    for bytes in damaged {
        std::fs::write(&path, bytes).unwrap();
        let error = attempt().unwrap_err();
        assert!(error.to_string().contains("is damaged") && !error.is_disk(), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(attempt().unwrap_err().is_disk());
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(attempt().unwrap().segment().rows, 2 * rows.len() as u64);

    // A base of another stream is no base, and none is its own.
    assert!(matches!(home.write(&name, &rows, &bases), Err(SegmentError::Misfit { .. })));
    let other = sample::name(Stream::Ticker, 3);
    let error = home.write(&other, &[], &bases).unwrap_err().to_string();
    assert!(error.contains("its columns (format 1) are not those of ticker"), "{error}");
}

fn flipped(whole: &[u8], place: usize) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    bytes[place] ^= 1 << (place % 8);
    bytes
}

#[test]
fn no_flipped_byte_is_read() {
    let home = Home::new();
    for stream in [Stream::Trade, Stream::Orderbook, Stream::Unread] {
        let segment = home.publish(&sample::name(stream, 1), &sample::rows(stream));
        let path = home.paths.part(&segment.name);
        let whole = std::fs::read(&path).unwrap();
        for place in (0..whole.len()).step_by(5) {
            std::fs::write(&path, flipped(&whole, place)).unwrap();
            let error = footer(&home.fs, &home.paths, &segment).unwrap_err();
            assert!(matches!(error, SegmentError::Damaged { .. }), "{error}");
        }
    }
}

#[test]
fn what_is_no_part_is_named() {
    let home = Home::new();
    let mut segment = home.publish(&sample::name(Stream::Trade, 1), &sample::rows(Stream::Trade));
    let path = home.paths.part(&segment.name);
    for bytes in [&b""[..], b"PAR1", b"PAR1\xff\xff\xff\xffPAR1", &[0; 100]] {
        std::fs::write(&path, bytes).unwrap();
        (segment.bytes, segment.blake3) = checksum(home.fs.as_ref(), &path).unwrap();
        let error = footer(&home.fs, &home.paths, &segment).unwrap_err();
        assert!(
            matches!(&error, SegmentError::Damaged { path: named, .. } if *named == path),
            "{error}"
        );
    }
}

/// A disk that is full after so many bytes, and one that cannot sync.
#[derive(Debug)]
struct Faulty {
    bytes: usize,
    syncs: bool,
}

#[derive(Debug)]
struct FaultyFile(Box<dyn FsFile>, usize, bool);

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(&bytes[..bytes.len().min(self.1)])?;
        self.1 -= count;
        if count == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(count) }
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl FsFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        if self.2 { self.0.sync() } else { Err(io::Error::other("the disk died")) }
    }
    fn reserve(&mut self, length: u64) -> io::Result<()> {
        self.0.reserve(length)
    }
}

impl Fs for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(Box::new(FaultyFile(RealFs.create(path)?, self.bytes, self.syncs)))
    }
    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        RealFs.append(path)
    }
    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        RealFs.read(path, offset, length)
    }
    fn length(&self, path: &Path) -> io::Result<u64> {
        RealFs.length(path)
    }
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        RealFs.truncate(path, length)
    }
    fn publish(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFs.remove(path)
    }
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_folder(path)
    }
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        RealFs.create_folder(path)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        RealFs.sync_folder(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        RealFs.list(folder)
    }
    fn folders(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        RealFs.folders(folder)
    }
}

#[test]
fn the_disks_own_words_reach_the_caller() {
    let (name, rows) = (sample::name(Stream::Trade, 1), sample::rows(Stream::Trade));
    let mut home = Home::new();
    let whole: usize = home.write(&name, &rows, &[]).unwrap().segment().bytes.try_into().unwrap();
    for bytes in [0, 1, 4, 1_000, whole - 1] {
        home.fs = Arc::new(Faulty { bytes, syncs: true });
        let error = home.write(&name, &rows, &[]).unwrap_err();
        let SegmentError::Disk { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), ErrorKind::StorageFull, "{error}");
        assert_eq!(leftovers(&home), Vec::<PathBuf>::new());
    }
    home.fs = Arc::new(Faulty { bytes: whole, syncs: false });
    assert!(home.write(&name, &rows, &[]).unwrap_err().to_string().contains("the disk died"));
    home.fs = Arc::new(Faulty { bytes: whole, syncs: true });
    let written = home.write(&name, &rows, &[]).unwrap();
    assert!(written.publish(home.fs.as_ref()).unwrap_err().is_disk());
    assert_eq!(home.paths.walk(home.fs.as_ref()).unwrap().parts, []);
}
