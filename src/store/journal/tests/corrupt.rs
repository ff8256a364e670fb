//! What survives of a segment file that is damaged: everything else in it, exactly.

use std::path::{Path, PathBuf};

use super::super::block::Frames;
use super::super::format::{BLOCK_HEADER_BYTES, BlockHeader, Compression, FILE_HEADER_BYTES};
use super::super::{Fault, Keep, Options, read_all};
use super::{JOURNAL, SMALL, frame, open, recover, sequences, write};
use crate::store::fs::faulty::FaultyFs;

const BLOCKS: usize = 4;
const FRAMES: u64 = 5;

/// A segment file of four blocks of five frames.
struct Sample {
    bytes: Vec<u8>,
    /// Where the first block begins, and where each ends.
    borders: Vec<usize>,
}

fn path() -> PathBuf {
    Path::new(JOURNAL).join("00000000000000000001.vtj")
}

fn sample(compression: Compression) -> Sample {
    let disk = FaultyFs::default();
    let options = Options { compression, ..Options::default() };
    let (mut journal, _) = open(&disk, 1, options).unwrap();
    let mut borders = vec![FILE_HEADER_BYTES];
    for block in 0..BLOCKS as u64 {
        write(&mut journal, 1 + block * FRAMES, 1 + (block + 1) * FRAMES, 0);
        borders.push(disk.bytes(&path()).len());
    }
    Sample { bytes: disk.bytes(&path()), borders }
}

impl Sample {
    fn block(&self, index: usize) -> &[u8] {
        &self.bytes[self.borders[index]..self.borders[index + 1]]
    }

    /// The frames of blocks that stand in `bytes` where they stood.
    fn untouched(&self, bytes: &[u8]) -> Vec<u64> {
        let stands = |index: &usize| {
            bytes.get(self.borders[*index]..self.borders[*index + 1]) == Some(self.block(*index))
        };
        (0..BLOCKS).filter(stands).flat_map(frames_of).collect()
    }
}

fn frames_of(block: usize) -> std::ops::Range<u64> {
    let first = 1 + block as u64 * FRAMES;
    first..first + FRAMES
}

/// Exactly `survive` comes out, twice; a later process gives no sequence again that may have been
/// in the file; what is damaged is said, and not deleted.
fn check(what: &str, bytes: &[u8], survive: &[u64]) -> super::super::RecoveryReport {
    let disk = FaultyFs::default();
    disk.put(&path(), bytes);
    let (mut journal, found, report) = recover(&disk, 1);
    let expected: Vec<_> = survive.iter().map(|sequence| frame(*sequence, 0)).collect();
    assert_eq!(sequences(&found), survive, "{what}");
    assert_eq!(found, expected, "{what}");
    assert_eq!(recover(&disk, 1).1, expected, "{what}: the second time");
    assert!(journal.next_sequence() > survive.last().copied().unwrap_or(0), "{what}");

    let released = journal.release(u64::MAX, &Keep::Nothing).unwrap();
    assert_eq!(released.quarantined > 0, !report.damaged.is_empty(), "{what}: {report:?}");
    let kept = !report.damaged.is_empty() || !report.quarantined.is_empty();
    assert_eq!(disk.files().len(), usize::from(kept), "{what}: {:?}", disk.files());
    report
}

/// The first sequence that a process gives which finds this file.
fn next_after(bytes: &[u8]) -> u64 {
    let disk = FaultyFs::default();
    disk.put(&path(), bytes);
    recover(&disk, 1).0.next_sequence()
}

#[test]
fn any_byte_flipped_costs_its_block_and_no_more() {
    for compression in [Compression::Zstd, Compression::Lz4, Compression::None] {
        let sample = sample(compression);
        for at in 0..sample.bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = sample.bytes.clone();
                bytes[at] ^= flip;
                let what = format!("{compression:?}, byte {at} ^ {flip}");
                let report = check(&what, &bytes, &sample.untouched(&bytes));
                assert_eq!((report.damaged.len(), report.torn.len()), (1, 0), "{what}");
                assert!(next_after(&bytes) > 20, "{what}");
                let damage = &report.damaged[0];
                let block = sample.borders.iter().rposition(|border| *border <= at);
                let offset = block.map_or(0, |block| sample.borders[block]);
                let in_body = block.is_some() && at >= offset + BLOCK_HEADER_BYTES;
                assert_eq!(damage.frames, in_body.then_some(5), "{what}");
                let start = if in_body { offset + BLOCK_HEADER_BYTES } else { offset };
                assert_eq!(damage.offset, start as u64, "{what}");
                let (frames, faults) = read_all(&bytes);
                assert!(at < FILE_HEADER_BYTES || faults.len() == 1, "{what}");
                assert!(at < FILE_HEADER_BYTES || frames.len() == 15, "{what}");
            }
        }
    }
}

#[test]
fn a_file_cut_anywhere_gives_its_whole_blocks() {
    let sample = sample(Compression::Zstd);
    for length in 0..sample.bytes.len() {
        let bytes = &sample.bytes[..length];
        let report = check(&format!("cut at {length}"), bytes, &sample.untouched(bytes));
        let whole = sample.borders.contains(&length);
        assert_eq!((report.torn.len(), report.damaged.len()), (usize::from(!whole), 0));
        assert!(report.quarantined.is_empty());
    }
}

#[test]
fn a_file_zeroed_from_anywhere_gives_its_whole_blocks() {
    let sample = sample(Compression::Zstd);
    for length in FILE_HEADER_BYTES..sample.bytes.len() {
        for more in [0, 100_000] {
            let mut bytes = sample.bytes[..length].to_vec();
            bytes.resize(sample.bytes.len() + more, 0);
            let survive = sample.untouched(&bytes);
            let report = check(&format!("zeros from {length}, {more}"), &bytes, &survive);
            let quiet = report.damaged.is_empty() && report.quarantined.is_empty();
            assert!(
                quiet || length + 16 > sample.borders[BLOCKS],
                "zeros from {length}: {report:?}"
            );
        }
    }
}

/// A disk that cannot read a page of a large file: what lies in it is lost, not what is around.
#[test]
fn a_bad_page_costs_the_blocks_in_it() {
    let disk = FaultyFs::default();
    let (mut journal, _) = open(&disk, 1, Options { segment_bytes: 1 << 20, ..SMALL }).unwrap();
    let mut borders = vec![FILE_HEADER_BYTES];
    for block in 0..12 {
        let body = vec![b'x'; 30_000].into();
        let frame = crate::model::frame::Frame { body, ..frame(block + 1, 0) };
        journal.append(&frame).unwrap();
        journal.sync().unwrap();
        borders.push(disk.bytes(&path()).len());
    }
    let length = borders[12];
    for (page, pages) in (0..=length / 4096).flat_map(|page| [(page, 1), (page, 3)]) {
        let bad = page * 4096..((page + pages) * 4096).min(length);
        let disk = disk.kill();
        disk.spoil(&path(), bad.clone());
        let (mut journal, found, report) = recover(&disk, 1);
        let stands = |block: &u64| {
            let block = usize::try_from(*block).unwrap();
            borders[block] <= bad.start || borders[block - 1] >= bad.end
        };
        let expected: Vec<_> = (1..=12).filter(stands).collect();
        assert_eq!(sequences(&found), expected, "page {page}");
        let unreadable = |it: &super::super::Damage| matches!(it.fault, Some(Fault::Unreadable(_)));
        assert!(report.damaged.iter().all(unreadable), "page {page}: {report:?}");
        assert!(!report.damaged.is_empty() && report.torn.is_empty(), "page {page}");
        assert_eq!(journal.release(u64::MAX, &Keep::Nothing).unwrap().quarantined, 1);
    }
}

/// Wherever the next block begins against the stretches that are read at a time.
#[test]
fn noise_of_any_length_hides_no_block() {
    let sample = sample(Compression::Zstd);
    for length in (1..100).chain(65_300..65_700) {
        let noise = vec![0xa5; length];
        let parts = [header(&sample), sample.block(0), &noise, &sample.bytes[sample.borders[1]..]];
        let (frames, faults) = read_all(&joined(&parts));
        assert_eq!((frames.len(), &faults[..]), (20, &[Fault::NoBlock][..]), "{length}");
    }
}

/// A corruption, by name.
type Corruption = (&'static str, fn(&Sample) -> Vec<u8>, &'static [usize], Said);

/// What the report says of it.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Torn,
    Missing,
    Damaged(&'static [Fault]),
    Quarantined(Fault),
}

const ALL: &[usize] = &[0, 1, 2, 3];

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn header(sample: &Sample) -> &[u8] {
    &sample.bytes[..FILE_HEADER_BYTES]
}

fn changed(sample: &Sample, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = sample.bytes.clone();
    change(&mut bytes);
    bytes
}

fn middle(sample: &Sample) -> usize {
    sample.borders[1] + BLOCK_HEADER_BYTES + 10
}

const CORRUPTIONS: &[Corruption] = &[
    ("none", |s| s.bytes.clone(), ALL, Said::Nothing),
    ("empty", |_| Vec::new(), &[], Said::Torn),
    ("header alone", |s| header(s).to_vec(), &[], Said::Nothing),
    ("half a header", |s| s.bytes[..20].to_vec(), &[], Said::Torn),
    ("zeros behind", |s| joined(&[&s.bytes, &[0; 9_000]]), ALL, Said::Torn),
    ("a few zeros behind", |s| joined(&[&s.bytes, &[0; 9]]), ALL, Said::Torn),
    ("half a block behind", |s| joined(&[&s.bytes, &s.block(0)[..30]]), ALL, Said::Torn),
    (
        "the last block without its end",
        |s| s.bytes[..s.bytes.len() - 1].to_vec(),
        &[0, 1, 2],
        Said::Torn,
    ),
    (
        "noise behind",
        |s| joined(&[&s.bytes, &[0xa5; 9_000]]),
        ALL,
        Said::Damaged(&[Fault::NoBlock]),
    ),
    (
        "noise between",
        |s| joined(&[header(s), s.block(0), &[0xa5; 99_999], &s.bytes[s.borders[1]..]]),
        ALL,
        Said::Damaged(&[Fault::NoBlock]),
    ),
    (
        "zeros between",
        |s| joined(&[header(s), s.block(0), &[0; 99_999], &s.bytes[s.borders[1]..]]),
        ALL,
        Said::Damaged(&[Fault::NoBlock]),
    ),
    (
        "magics between",
        |s| joined(&[header(s), s.block(0), &b"VTJB".repeat(50_000), &s.bytes[s.borders[1]..]]),
        ALL,
        Said::Damaged(&[Fault::NoBlock]),
    ),
    (
        "a block gone",
        |s| joined(&[header(s), s.block(0), s.block(2), s.block(3)]),
        &[0, 2, 3],
        Said::Missing,
    ),
    (
        "a block twice",
        |s| joined(&[header(s), s.block(0), s.block(0), &s.bytes[s.borders[1]..]]),
        ALL,
        Said::Damaged(&[Fault::NoBlock]),
    ),
    (
        "two blocks changed places",
        |s| joined(&[header(s), s.block(0), s.block(2), s.block(1), s.block(3)]),
        &[0, 2, 3],
        Said::Damaged(&[Fault::NoBlock]),
    ),
    (
        "a block of another file",
        |s| joined(&[header(s), s.block(0), sample(Compression::None).block(1), s.block(3)]),
        &[0, 3],
        Said::Damaged(&[Fault::NoBlock]),
    ),
    (
        "two blocks damaged",
        |s| changed(s, |bytes| [1, 3].iter().for_each(|at| bytes[s.borders[*at] + 50] ^= 4)),
        &[0, 2],
        Said::Damaged(&[Fault::Checksum, Fault::Checksum]),
    ),
    (
        "a byte more in a block",
        |s| changed(s, |bytes| bytes.insert(middle(s), 1)),
        &[0, 2, 3],
        Said::Damaged(&[Fault::Checksum, Fault::NoBlock]),
    ),
    (
        "a byte less in a block",
        |s| changed(s, |bytes| _ = bytes.remove(middle(s))),
        &[0, 3],
        Said::Damaged(&[Fault::Checksum, Fault::NoBlock]),
    ),
    (
        "a block that ends in zeros, half a block behind",
        |s| joined(&[&s.bytes[..s.bytes.len() - 20], &[0; 20], &s.block(0)[..30]]),
        &[0, 1, 2],
        Said::Damaged(&[Fault::Checksum]),
    ),
    (
        "noise and half a block behind",
        |s| joined(&[&s.bytes[..s.borders[3]], &[0xa5; 20], &s.block(3)[..60]]),
        &[0, 1, 2],
        Said::Damaged(&[Fault::NoBlock]),
    ),
    (
        "file header zeroed",
        |s| joined(&[&[0; FILE_HEADER_BYTES], &s.bytes[FILE_HEADER_BYTES..]]),
        ALL,
        Said::Damaged(&[Fault::FileHeader]),
    ),
    ("zeros only", |s| vec![0; s.bytes.len()], &[], Said::Torn),
    ("noise only", |s| vec![0xa5; s.bytes.len()], &[], Said::Quarantined(Fault::FileHeader)),
    (
        "no block left",
        |s| changed(s, |bytes| s.borders[..4].iter().for_each(|at| bytes[at + 9] ^= 1)),
        &[],
        Said::Quarantined(Fault::NoBlock),
    ),
    (
        "file header of version 2",
        |s| {
            changed(s, |bytes| {
                bytes[8] = 2;
                let crc = crc32fast::hash(&bytes[..36]).to_le_bytes();
                bytes[36..40].copy_from_slice(&crc);
            })
        },
        ALL,
        Said::Damaged(&[Fault::Version(2)]),
    ),
];

#[test]
fn named_corruptions_cost_what_they_say() {
    for (what, corrupt, blocks, said) in CORRUPTIONS {
        let sample = sample(Compression::Zstd);
        let survive: Vec<_> = blocks.iter().copied().flat_map(frames_of).collect();
        let report = check(what, &corrupt(&sample), &survive);
        let faults: Vec<_> = report.damaged.iter().filter_map(|it| it.fault.clone()).collect();
        let found = if let [aside] = &report.quarantined[..] {
            Said::Quarantined(aside.fault.clone().unwrap())
        } else if !report.torn.is_empty() {
            Said::Torn
        } else if report.damaged.is_empty() && !report.missing.is_empty() {
            Said::Missing
        } else if report.damaged.is_empty() {
            Said::Nothing
        } else {
            let Said::Damaged(expected) = said else { panic!("{what}: {report:?}") };
            assert_eq!(&faults, expected, "{what}");
            continue;
        };
        assert_eq!(&found, said, "{what}: {report:?}");
    }
}

/// A message that contains a block, of which the beginning of its own block is damaged.
#[test]
fn a_block_inside_a_message_is_not_taken_for_one() {
    let inner = sample(Compression::None);
    let disk = FaultyFs::default();
    let (mut journal, _) = open(&disk, 1, Options { block_bytes: 1 << 20, ..SMALL }).unwrap();
    let body = inner.bytes[FILE_HEADER_BYTES..].to_vec().into();
    journal.append(&crate::model::frame::Frame { body, ..frame(1, 0) }).unwrap();
    journal.sync().unwrap();
    let mut bytes = disk.bytes(&path());
    bytes[FILE_HEADER_BYTES + 9] ^= 1;
    let report = check("a block inside", &bytes, &[]);
    assert_eq!(report.quarantined.len(), 1);
}

/// Bodies whose checksum is right and that no writer here makes.
#[test]
fn a_body_that_makes_no_frames_is_refused_whole() {
    let sample = sample(Compression::None);
    let good = BlockHeader::decode(sample.block(0)).unwrap();
    let body = &sample.block(0)[BLOCK_HEADER_BYTES..];
    let sealed = |change: fn(&mut BlockHeader), body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap();
        let body_crc = crc32fast::hash(body);
        let mut header = BlockHeader { stored: length, raw: length, body_crc, ..good };
        change(&mut header);
        Frames::open(&header, body).map(Iterator::count).ok()
    };
    assert_eq!(sealed(|_| (), body), Some(5));
    assert_eq!(sealed(|header| header.frames = 4, body), None);
    assert_eq!(sealed(|header| header.frames = 6, body), None);
    assert_eq!(sealed(|header| header.frames = u32::MAX, body), None);
    assert_eq!(sealed(|header| header.raw += 1, body), None);
    assert_eq!(sealed(|header| header.raw = u32::MAX, body), None);
    assert_eq!(sealed(|header| header.compression = Compression::Zstd, body), None);
    assert_eq!(sealed(|header| header.compression = Compression::Lz4, body), None);
    assert_eq!(sealed(|_| (), &[body, &[0]].concat()), None);
    assert_eq!(sealed(|_| (), &[&[0xff; 4], &body[4..]].concat()), None);
    assert_eq!(sealed(|_| (), &[]), None);
}
