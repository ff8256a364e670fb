//! Walking through one segment file, block by block, past whatever is damaged in it.
//!
//! At any time this holds one stretch of the file: a window of 64 KiB, or one block.

use std::io;

use super::block::{BadBody, Frames};
use super::format::{BLOCK_HEADER_BYTES, BLOCK_MAGIC, BlockHeader, FILE_HEADER_BYTES};
use super::format::{BadFileHeader, FileHeader};

/// Bytes read at a time, unless a block is larger.
const WINDOW_BYTES: usize = 64 * 1024;
/// What a disk reads or fails to read as one.
const PAGE_BYTES: u64 = 4096;
/// Pages of a file that are tried though they cannot be read: each may take seconds.
const BAD_PAGES_MAX: u32 = 16;
/// This many zeros at the end of a bad block say that its end was never written: no packed body
/// and no message of a venue ends so.
const ZEROS: usize = 16;

/// Reads bytes of a file: from an offset, up to a number; fewer only at the end.
pub(super) type Read<'a> = Box<dyn FnMut(u64, usize) -> io::Result<Vec<u8>> + 'a>;

/// What is wrong with a stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file header is not what was written.
    #[error("its header is damaged")]
    FileHeader,
    /// The file header is of another version.
    #[error("it is of version {0}, which this program does not read")]
    Version(u16),
    /// The file has another name than it was given.
    #[error("it begins with frame {0}, which its name does not say")]
    Renamed(u64),
    /// The file's name is none that the journal gives.
    #[error("its name is not one of a segment file")]
    Name,
    /// There is no block where one should begin.
    #[error("no block can be found here")]
    NoBlock,
    /// The body of a block is not what was written.
    #[error("the checksum of a block is wrong")]
    Checksum,
    /// The body of a block makes no frames, though its checksum is right.
    #[error("a block makes no frames")]
    Content,
    /// The disk could not read it, twice.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

/// The next thing in a file.
#[derive(Debug)]
pub(super) enum Found {
    /// A block whose header is good.
    Block {
        /// Where it begins.
        offset: u64,
        /// Its header.
        header: BlockHeader,
    },
    /// A stretch without a block; what follows it is a block or the end.
    Damaged {
        /// Where it begins.
        offset: u64,
        /// How long it is.
        bytes: u64,
        /// What is wrong.
        fault: Fault,
    },
    /// The end of the file was not written, or not all of it.
    Torn {
        /// Where the last whole block ends.
        offset: u64,
    },
}

/// One file being walked through.
pub(super) struct Walk<'a> {
    window: Window<'a>,
    offset: u64,
    /// The file's salt; none until a block of a file with a bad header tells it.
    salt: Option<u64>,
    /// No block begins with a lower sequence.
    floor: u64,
}

impl<'a> Walk<'a> {
    /// Begins at the start of a file of `length` bytes whose name says that it starts with the
    /// frame `first`. Tells the file header, where it is good, and otherwise what is wrong with
    /// it: its blocks can be read nevertheless. None: the file was made, and nothing in it ever
    /// synced.
    pub(super) fn begin(
        read: Read<'a>,
        length: u64,
        first: u64,
    ) -> Option<(Self, Result<FileHeader, Fault>)> {
        if length < FILE_HEADER_BYTES as u64 {
            return None;
        }
        let mut window = Window { read, length, start: 0, held: Vec::new() };
        let header = match window.at(0, FILE_HEADER_BYTES).map(FileHeader::decode) {
            Ok(Ok(header)) if header.first != first => Err(Fault::Renamed(header.first)),
            Ok(Ok(header)) => Ok(header),
            Ok(Err(BadFileHeader::Damaged)) => Err(Fault::FileHeader),
            Ok(Err(BadFileHeader::Version(version))) => Err(Fault::Version(version)),
            Err(error) => Err(Fault::Unreadable(error.to_string())),
        };
        let offset = FILE_HEADER_BYTES as u64;
        if header == Err(Fault::FileHeader) && window.is_zero_from(offset) {
            return None;
        }
        let salt = header.as_ref().ok().map(|header| header.salt);
        Some((Self { window, offset, salt, floor: first }, header))
    }

    /// The next block or stretch; none at the end.
    pub(super) fn next(&mut self) -> Option<Found> {
        let offset = self.offset;
        if offset >= self.window.length {
            return None;
        }
        match self.header_at(offset) {
            Ok(Some(header)) => Some(self.block(offset, header)),
            Ok(None) => Some(self.search(offset, offset + 1, Fault::NoBlock)),
            Err(error) => {
                let fault = Fault::Unreadable(error.to_string());
                Some(self.search(offset, next_page(offset), fault))
            }
        }
    }

    /// The frames of a block that [`Self::next`] found.
    pub(super) fn frames(&mut self, offset: u64, header: &BlockHeader) -> Result<Frames, Fault> {
        let body = self.window.at(offset + BLOCK_HEADER_BYTES as u64, length_of(header));
        let body = body.map_err(|error| Fault::Unreadable(error.to_string()))?;
        Frames::open(header, body).map_err(|bad| match bad {
            BadBody::Checksum => Fault::Checksum,
            BadBody::Content => Fault::Content,
        })
    }

    fn block(&mut self, offset: u64, header: BlockHeader) -> Found {
        let end = offset + header.length();
        if end > self.window.length || self.is_torn(offset, &header) {
            self.offset = self.window.length;
            return Found::Torn { offset };
        }
        self.offset = end;
        self.salt = Some(header.salt);
        self.floor = header.end();
        Found::Block { offset, header }
    }

    /// Whether this is the last block and its end was not written though the file has the length.
    fn is_torn(&mut self, offset: u64, header: &BlockHeader) -> bool {
        let end = offset + header.length();
        let last = matches!(self.window.at(end, BLOCK_HEADER_BYTES), Ok(next) if is_zero(next))
            && self.window.is_zero_from(end);
        if !last {
            return false;
        }
        let behind = usize::try_from(self.window.length - end).unwrap_or(usize::MAX);
        let wanted = ZEROS.saturating_sub(behind).max(1);
        let body = self.window.at(offset + BLOCK_HEADER_BYTES as u64, length_of(header));
        body.is_ok_and(|body| {
            let tail = body.get(body.len().saturating_sub(wanted)..).unwrap_or(body);
            is_zero(tail) && crc32fast::hash(body) != header.body_crc
        })
    }

    /// A good header at `offset` that continues this file.
    fn header_at(&mut self, offset: u64) -> io::Result<Option<BlockHeader>> {
        let (salt, floor) = (self.salt, self.floor);
        let header = BlockHeader::decode(self.window.at(offset, BLOCK_HEADER_BYTES)?);
        Ok(header.filter(|header| header.first >= floor && salt.is_none_or(|it| it == header.salt)))
    }

    /// Looks for the next block from `at` on, where at `offset` there is none.
    fn search(&mut self, offset: u64, mut at: u64, mut fault: Fault) -> Found {
        // A header that was cut off has nothing behind it, or nothing but zeros.
        if self.window.is_zero_from(offset + BLOCK_HEADER_BYTES as u64) {
            self.offset = self.window.length;
            return Found::Torn { offset };
        }
        let mut bad_pages = 0;
        while at < self.window.length {
            match self.step(at) {
                Ok(Step::Block(found)) => {
                    at = found;
                    break;
                }
                Ok(Step::On(to)) => at = to,
                Err(error) => {
                    bad_pages += 1;
                    fault = Fault::Unreadable(error.to_string());
                    at = if bad_pages < BAD_PAGES_MAX { next_page(at) } else { u64::MAX };
                }
            }
        }
        self.offset = at.min(self.window.length);
        Found::Damaged { offset, bytes: self.offset - offset, fault }
    }

    /// Looks through what is held from `at` on.
    fn step(&mut self, at: u64) -> io::Result<Step> {
        let held = self.window.from(at, BLOCK_HEADER_BYTES)?;
        let found = held.windows(BLOCK_MAGIC.len()).position(|bytes| bytes == BLOCK_MAGIC);
        let Some(found) = found else {
            // The magic may lie across the border of what is held.
            let clear = held.len().saturating_sub(BLOCK_MAGIC.len() - 1).max(1);
            return Ok(Step::On(at + clear as u64));
        };
        let found = at + found as u64;
        let header = self.header_at(found)?;
        Ok(if header.is_some() { Step::Block(found) } else { Step::On(found + 1) })
    }
}

/// How far a search came.
enum Step {
    Block(u64),
    On(u64),
}

const fn next_page(at: u64) -> u64 {
    (at / PAGE_BYTES + 1) * PAGE_BYTES
}

fn length_of(header: &BlockHeader) -> usize {
    usize::try_from(header.stored).unwrap_or(usize::MAX)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// The stretch of a file that is held.
struct Window<'a> {
    read: Read<'a>,
    length: u64,
    start: u64,
    held: Vec<u8>,
}

impl Window<'_> {
    /// Up to `length` bytes from `offset`; fewer at the end of the file.
    fn at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let held = self.from(offset, length)?;
        Ok(held.get(..length).unwrap_or(held))
    }

    /// Everything held from `offset` on, and at least `length` bytes; fewer at the end of the file.
    fn from(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = length.min(left);
        let skip = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        let skip = skip.filter(|skip| self.held.len().saturating_sub(*skip) >= length);
        let skip = if let Some(skip) = skip {
            skip
        } else {
            self.fill(offset, length, left)?;
            0
        };
        match self.held.get(skip..) {
            Some(held) if held.len() >= length => Ok(held),
            Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Ok(&[]),
        }
    }

    fn is_zero_from(&mut self, offset: u64) -> bool {
        let mut at = offset;
        while at < self.length {
            match self.at(at, WINDOW_BYTES) {
                Ok(window) if is_zero(window) && !window.is_empty() => at += window.len() as u64,
                Ok(_) | Err(_) => return false,
            }
        }
        true
    }

    /// Reads a whole window, or where that fails, no more than the pages that `length` bytes lie
    /// in: a bad page takes nothing with it. What failed for once is so tried again, too.
    fn fill(&mut self, offset: u64, length: usize, left: usize) -> io::Result<()> {
        self.held.clear();
        let page = usize::try_from(PAGE_BYTES - offset % PAGE_BYTES).unwrap_or(WINDOW_BYTES);
        let narrow = length.max(page.min(left));
        let wide = length.max(WINDOW_BYTES.min(left));
        self.held = (self.read)(offset, wide).or_else(|_| (self.read)(offset, narrow))?;
        self.start = offset;
        Ok(())
    }
}
