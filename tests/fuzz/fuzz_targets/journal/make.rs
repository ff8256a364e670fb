//! Segment files to begin with, and how a changed one is made to look whole again.
//!
//! Checksums stop nearly every change at the door. So after most changes they are set right, and
//! what lies behind them is reached too.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use veritape::model::frame::{Frame, Origin};
use veritape::model::market::{Market, Source};
use veritape::model::subscription::Stream;
use veritape::model::time::Timestamp;
use veritape::store::journal::{Compression, Options};

use crate::memory::Memory;
use crate::{JOURNAL, write};

/// Bytes of the two headers, and where in them things are; the store's README has the format.
const FILE_HEADER: usize = 40;
const BLOCK_HEADER: usize = 44;
const BLOCK_MAGIC: &[u8] = b"VTJB";
const STORED_AT: usize = 8;
const SALT_AT: usize = 28;
const FILE_SALT_AT: usize = 28;
const BODY_CRC_AT: usize = 36;

/// What is set right in a changed file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    Nothing,
    Headers,
    HeadersAndBodies,
}

/// A small segment file, another one for each number.
pub fn segment(number: u32) -> Vec<u8> {
    let compression = [Compression::None, Compression::Zstd, Compression::Lz4];
    let options = Options {
        compression: compression[number as usize % 3],
        block_bytes: 100 * (1 + number as usize / 3 % 4),
        ..Options::default()
    };
    let disk = Memory::default();
    let frames: Vec<Frame> = (1..=1 + u64::from(number / 12 % 9)).map(frame).collect();
    write(&disk, &frames, options);
    let files = disk.files();
    files.get(&Path::new(JOURNAL).join("00000000000000000001.vtj")).cloned().unwrap_or_default()
}

/// A frame that is unlike its neighbours in all it has.
pub fn frame(sequence: u64) -> Frame {
    let rest = sequence.is_multiple_of(3);
    let origin = Origin {
        venue: ["a", "somewhere"][usize::from(rest)].into(),
        session: sequence.cast_signed() - 2,
        source: if rest { Source::Rest } else { Source::Ws },
        stream: rest.then_some(Stream::Trade),
        market: sequence.is_multiple_of(6).then(|| Market::new("KRW-BTC")),
    };
    let body = "{\"type\":\"trade\"}".repeat(usize::try_from(sequence % 4).unwrap_or_default());
    let ts_recv = Timestamp::from_micros(sequence.cast_signed() * 1_000_001);
    Frame { ts_recv, origin: Arc::new(origin), sequence, body: Bytes::from(body) }
}

/// Sets the checksums of a segment file right.
pub fn mend(file: &mut [u8], what: Mend) {
    if what == Mend::Nothing {
        return;
    }
    let Some((header, mut rest)) = file.split_at_mut_checked(FILE_HEADER) else { return };
    seal(header);
    let salt: Vec<u8> = header[FILE_SALT_AT..FILE_SALT_AT + 8].to_vec();
    while let Some(at) = rest.windows(BLOCK_MAGIC.len()).position(|four| four == BLOCK_MAGIC) {
        let Some((header, body)) = rest[at..].split_at_mut_checked(BLOCK_HEADER) else { return };
        let stored = header[STORED_AT..].first_chunk().map_or(0, |it| u32::from_le_bytes(*it));
        let stored = (stored as usize).min(body.len());
        header[SALT_AT..SALT_AT + 8].copy_from_slice(&salt);
        if what == Mend::HeadersAndBodies {
            let crc = crc32fast::hash(&body[..stored]);
            header[BODY_CRC_AT..BODY_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        }
        seal(header);
        rest = &mut body[stored..];
    }
}

/// Writes the checksum at the end of a header.
fn seal(header: &mut [u8]) {
    if let Some((content, crc)) = header.split_last_chunk_mut::<4>() {
        *crc = crc32fast::hash(content).to_le_bytes();
    }
}
