//! Checksums of the pieces of a part, so that damage has a place: row group and column.
//!
//! The Parquet library writes no checksums of pages. So each part says in its own metadata, under
//! `veritape.places`, where the bytes of each column of each row group lie, and their CRC32:
//!
//! ```text
//! v1 rows=<rows> columns=<columns> <offset>+<length>:<CRC32, 8 digits> … end=<CRC32 of what is before>
//! ```
//!
//! one entry for each column of the first row group, then of the second, and so on. The text has a
//! checksum of its own and is looked for as text, so that it can be read where Parquet's own
//! metadata is damaged: that is never parsed without its BLAKE3.

use std::io;
use std::path::Path;

use parquet::file::metadata::RowGroupMetaData;

use crate::model::record::Row;
use crate::model::subscription::Stream;
use crate::store::fs::Fs;

/// Its name in the metadata.
pub(super) const KEY: &str = "veritape.places";
const START: &str = "v1 rows=";
const END: &str = " end=";
/// Parquet's mark at both ends of a file.
const MAGIC: &[u8] = b"PAR1";
/// Length of the metadata, and the mark.
const TAIL_BYTES: u64 = 8;
const BLOCK_BYTES: u64 = 1 << 20;
/// More metadata than any part of ours has.
const FOOTER_LIMIT_BYTES: u64 = 64 << 20;
/// Damaged places that are named.
const NAMED: usize = 5;

/// Where the columns of a part lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    rows: u64,
    columns: usize,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    offset: u64,
    length: u64,
    crc: u32,
}

/// What the part of `length` bytes at `path` says of itself; none where its footer is damaged.
///
/// # Errors
///
/// When the disk says no.
pub fn read(fs: &dyn Fs, path: &Path, length: u64) -> io::Result<Option<Places>> {
    let Some(body) = length.checked_sub(TAIL_BYTES) else { return Ok(None) };
    let (head, tail) = (fs.read(path, 0, MAGIC.len())?, fs.read(path, body, 8)?);
    let Some((size, mark)) = tail.split_first_chunk::<4>() else { return Ok(None) };
    let size = u64::from(u32::from_le_bytes(*size));
    let Some(start) = body.checked_sub(size).filter(|_| size <= FOOTER_LIMIT_BYTES) else {
        return Ok(None);
    };
    if head != MAGIC || mark != MAGIC {
        return Ok(None);
    }
    let footer = fs.read(path, start, usize::try_from(size).unwrap_or_default())?;
    Ok(find(&footer).filter(|places| places.pieces.iter().all(|one| one.end() <= start)))
}

impl Places {
    /// Rows in the part.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Says in words which columns of which row groups of the part at `path` are not what they
    /// were.
    #[must_use]
    pub fn damaged(&self, fs: &dyn Fs, path: &Path, stream: Stream) -> String {
        let names: Vec<&str> = Row::columns(stream).map(|column| column.name).collect();
        let mut words = Vec::new();
        for (place, piece) in self.pieces.iter().enumerate() {
            let (group, column) = (place / self.columns.max(1), place % self.columns.max(1));
            let name = names.get(column).copied().unwrap_or("?");
            match checksum(fs, path, piece.offset, piece.length) {
                Ok(crc) if crc == piece.crc => {}
                Ok(_) => words.push(format!("row group {group}, column {name}")),
                Err(error) => words.push(format!("row group {group}, column {name} ({error})")),
            }
        }
        let more = words.len().saturating_sub(NAMED);
        words.truncate(NAMED);
        match (words.is_empty(), more) {
            (true, _) => "outside its columns, in the page index or the footer".to_owned(),
            (false, 0) => words.join("; "),
            (false, more) => format!("{}; and {more} more", words.join("; ")),
        }
    }
}

impl Piece {
    fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// The text for a part of which `groups` are written to `path`, and flushed.
pub(super) fn note(
    fs: &dyn Fs,
    path: &Path,
    groups: &[RowGroupMetaData],
    rows: u64,
) -> io::Result<String> {
    let columns = groups.first().map_or(0, RowGroupMetaData::num_columns);
    let mut text = format!("{START}{rows} columns={columns}");
    for column in groups.iter().flat_map(RowGroupMetaData::columns) {
        let (offset, length) = column.byte_range();
        let crc = checksum(fs, path, offset, length)?;
        for piece in [" ", &offset.to_string(), "+", &length.to_string(), &format!(":{crc:08x}")] {
            text.push_str(piece);
        }
    }
    let crc = crc32fast::hash(text.as_bytes());
    Ok(format!("{text}{END}{crc:08x}"))
}

fn checksum(fs: &dyn Fs, path: &Path, offset: u64, length: u64) -> io::Result<u32> {
    let mut hash = crc32fast::Hasher::new();
    let (mut at, end) = (offset, offset.saturating_add(length));
    while at < end {
        let size = usize::try_from((end - at).min(BLOCK_BYTES)).unwrap_or_default();
        let block = fs.read(path, at, size)?;
        if block.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hash.update(&block);
        at += u64::try_from(block.len()).unwrap_or_default();
    }
    Ok(hash.finalize())
}

/// The text in a footer, if it is whole.
fn find(footer: &[u8]) -> Option<Places> {
    let key = find_bytes(footer, KEY.as_bytes())?;
    let value = footer.get(key..)?;
    let value = value.get(find_bytes(value, START.as_bytes())?..)?;
    let end = find_bytes(value, END.as_bytes())?;
    let text = std::str::from_utf8(value.get(..end)?).ok()?;
    let crc = value.get(end + END.len()..)?.get(..8)?;
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    (crc == crc32fast::hash(text.as_bytes())).then(|| parse(text))?
}

fn parse(text: &str) -> Option<Places> {
    let mut words = text.strip_prefix(START)?.split(' ');
    let rows = words.next()?.parse().ok()?;
    let columns = words.next()?.strip_prefix("columns=")?.parse().ok()?;
    let piece = |word: &str| {
        let (range, crc) = word.split_once(':')?;
        let (offset, length) = range.split_once('+')?;
        let crc = u32::from_str_radix(crc, 16).ok()?;
        Some(Piece { offset: offset.parse().ok()?, length: length.parse().ok()?, crc })
    };
    let pieces = words.map(piece).collect::<Option<_>>()?;
    Some(Places { rows, columns, pieces })
}

fn find_bytes(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}
