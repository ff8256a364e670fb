//! The journal's reader, over the bytes of one segment file.
//!
//! Whatever these are: sequences rise; a start reads what the reader reads; frames that come after
//! it are added to that and change nothing of it; what could not be read is put aside and not
//! deleted; and the frames, written again, are read as they were.
#![no_main]

mod make;
mod memory;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use veritape::model::frame::Frame;
use veritape::store::journal::{Compression, Fault, Journal, Keep, Options, Recovery, read_all};

use crate::make::{Mend, frame, mend, segment};
use crate::memory::Memory;

const JOURNAL: &str = "/journal";
const QUARANTINE: &str = "/quarantine";

/// A few packed bytes can hold millions of frames; more than this are read only.
const FRAMES_MAX: usize = 2_000;
const BYTES_MAX: usize = 1 << 20;

fuzz_target!(|file: &[u8]| {
    let (frames, faults) = read_all(file);
    for pair in frames.windows(2) {
        assert!(pair[0].sequence < pair[1].sequence, "{pair:?}");
    }
    let bytes: usize = frames.iter().map(|frame| frame.body.len()).sum();
    if frames.len() <= FRAMES_MAX && bytes <= BYTES_MAX {
        start(file, &frames, &faults);
        write_again(file.len(), &frames);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let (kind, number) = (seed % 64, seed / 64);
    let size = if kind == 0 {
        let file = segment(number);
        let size = file.len().min(max_size);
        data[..size].copy_from_slice(&file[..size]);
        size
    } else {
        fuzzer_mutate(data, size, max_size)
    };
    let what = match kind % 8 {
        0 => Mend::Nothing,
        1 | 2 => Mend::Headers,
        _ => Mend::HeadersAndBodies,
    };
    mend(&mut data[..size], what);
    size
});

fn open(disk: &Memory, options: Options) -> (Journal, Recovery) {
    let fs = Arc::new(disk.clone());
    Journal::open(fs, Path::new(JOURNAL), Path::new(QUARANTINE), 1, options).unwrap()
}

/// Writes `frames` to a journal.
fn write(disk: &Memory, frames: &[Frame], options: Options) {
    let (mut journal, _) = open(disk, options);
    for frame in frames {
        journal.append(frame).unwrap();
        if journal.sync_due() {
            journal.sync().unwrap();
        }
    }
    journal.sync().unwrap();
}

/// A start that finds the file, records one frame, and ends; then another start.
fn start(file: &[u8], frames: &[Frame], faults: &[Fault]) {
    let Some(name) = name_of(file, faults) else { return };
    let disk = Memory::default();
    disk.files().insert(name, file.to_vec());
    let (mut journal, recovery) = open(&disk, Options::default());
    let mut expected = frames.to_vec();
    assert_eq!(recovery.collect::<Vec<_>>(), expected, "{faults:?}");
    let next = journal.next_sequence();
    assert!(frames.last().is_none_or(|last| last.sequence < next), "{next}");
    if next < u64::MAX {
        let new = Frame { sequence: next, ..frame(5) };
        journal.append(&new).unwrap();
        assert_eq!(journal.sync().unwrap(), next + 1);
        expected.push(new);
    }
    let (mut journal, recovery) = open(&disk, Options::default());
    assert_eq!(recovery.collect::<Vec<_>>(), expected, "{faults:?}");

    journal.release(u64::MAX, &Keep::Nothing).unwrap();
    assert_eq!(disk.count(Path::new(JOURNAL)), 0);
    assert_eq!(disk.count(Path::new(QUARANTINE)) > 0, !faults.is_empty(), "{faults:?}");
}

/// The name that the file would have; none where no journal gives such a name.
fn name_of(file: &[u8], faults: &[Fault]) -> Option<PathBuf> {
    let headless = |fault: &Fault| matches!(fault, Fault::FileHeader | Fault::Version(_));
    let first = match file.get(12..).and_then(|rest| rest.first_chunk()) {
        Some(first) if !faults.iter().any(headless) => u64::from_le_bytes(*first),
        Some(_) | None => 1,
    };
    (first > 0).then(|| Path::new(JOURNAL).join(format!("{first:020}.vtj")))
}

/// The frames in a new journal: as few and as many of them in a block and in a file as `variant`
/// says.
fn write_again(variant: usize, frames: &[Frame]) {
    let compression = [Compression::None, Compression::Zstd, Compression::Lz4];
    let options = Options {
        compression: compression[variant % 3],
        block_bytes: 1 << (variant / 3 % 12),
        segment_bytes: 1 << (variant / 36 % 12),
        ..Options::default()
    };
    let disk = Memory::default();
    write(&disk, frames, options);
    let (_, mut recovery) = open(&disk, options);
    assert_eq!(recovery.by_ref().collect::<Vec<_>>(), frames);
    assert_eq!((recovery.report().torn.len(), recovery.report().damaged.len()), (0, 0));
}
