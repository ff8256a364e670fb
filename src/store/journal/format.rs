//! The two headers of a segment file, byte by byte. All numbers are little-endian.
//!
//! Each header carries a CRC32 of itself, so that a flipped byte in a body does not lose the way
//! to the next block. The salt of a file is drawn at random when the file is made and repeated in
//! each of its blocks: bytes that merely look like a block (in the body of a frame, or left over
//! on the disk from another file) are not taken for one.

use crate::model::time::Timestamp;

/// Bytes of a file header.
pub(super) const FILE_HEADER_BYTES: usize = 40;
/// Bytes of a block header.
pub(super) const BLOCK_HEADER_BYTES: usize = 44;
/// The most a body may have, stored or raw: what a reader has to hold at once.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How a block begins.
pub(super) const BLOCK_MAGIC: [u8; 4] = *b"VTJB";

/// How a file begins. The line end inside shows a copy that went through a text conversion.
const FILE_MAGIC: [u8; 8] = *b"VTJRNL\r\n";
/// The version of the file and of its blocks.
const VERSION: u16 = 1;

/// How the body of a block is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Zstandard, level 1: an eighth to a third of the bytes (see `pack`).
    #[default]
    Zstd,
    /// LZ4: less work, larger files.
    Lz4,
    /// As it is.
    None,
}

impl Compression {
    const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Zstd => 1,
            Self::Lz4 => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::Zstd),
            2 => Some(Self::Lz4),
            _ => None,
        }
    }
}

/// What a file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// The sequence of its first frame; its name says the same.
    pub(super) first: u64,
    /// When its first frame arrived.
    pub(super) created: Timestamp,
    /// Drawn when the file was made.
    pub(super) salt: u64,
}

/// Why a file header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadFileHeader {
    /// Its bytes are not what was written.
    Damaged,
    /// Another version of the format.
    Version(u16),
}

impl FileHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FILE_HEADER_BYTES);
        out.extend_from_slice(&FILE_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.created.micros().to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadFileHeader> {
        let (version, header) = Self::read(bytes).ok_or(BadFileHeader::Damaged)?;
        if version == VERSION { Ok(header) } else { Err(BadFileHeader::Version(version)) }
    }

    fn read(bytes: &[u8]) -> Option<(u16, Self)> {
        let mut cursor = Cursor(checked(bytes, FILE_HEADER_BYTES)?);
        if cursor.array::<8>()? != FILE_MAGIC {
            return None;
        }
        let version = cursor.u16()?;
        cursor.u16()?;
        let header = Self { first: cursor.u64()?, created: cursor.time()?, salt: cursor.u64()? };
        Some((version, header))
    }
}

/// What a block begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// How its body is packed.
    pub(super) compression: Compression,
    /// Bytes of the body in the file.
    pub(super) stored: u32,
    /// Bytes of the body unpacked.
    pub(super) raw: u32,
    /// Frames in it; their sequences are consecutive.
    pub(super) frames: u32,
    /// The sequence of the first of them.
    pub(super) first: u64,
    /// The salt of the file.
    pub(super) salt: u64,
    /// CRC32 of the body as stored.
    pub(super) body_crc: u32,
}

impl BlockHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_HEADER_BYTES);
        out.extend_from_slice(&BLOCK_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.push(self.compression.code());
        out.push(0);
        out.extend_from_slice(&self.stored.to_le_bytes());
        out.extend_from_slice(&self.raw.to_le_bytes());
        out.extend_from_slice(&self.frames.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header these bytes begin with; none where they are not one, or not one that this
    /// program could have written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(&BLOCK_MAGIC) {
            return None;
        }
        let mut cursor = Cursor(checked(bytes, BLOCK_HEADER_BYTES)?);
        cursor.u32()?;
        if cursor.u16()? != VERSION {
            return None;
        }
        let compression = Compression::from_code(cursor.u8()?)?;
        cursor.u8()?;
        let header = Self {
            compression,
            stored: cursor.u32()?,
            raw: cursor.u32()?,
            frames: cursor.u32()?,
            first: cursor.u64()?,
            salt: cursor.u64()?,
            body_crc: cursor.u32()?,
        };
        let fits = |bytes: u32| usize::try_from(bytes).is_ok_and(|bytes| bytes <= BODY_BYTES_MAX);
        let sound = fits(header.stored)
            && fits(header.raw)
            && header.frames > 0
            && header.first > 0
            && header.first.checked_add(u64::from(header.frames)).is_some();
        sound.then_some(header)
    }

    /// The sequence behind its last frame.
    pub(super) const fn end(&self) -> u64 {
        self.first.saturating_add(self.frames as u64)
    }

    /// Bytes of header and body in the file.
    pub(super) const fn length(&self) -> u64 {
        BLOCK_HEADER_BYTES as u64 + self.stored as u64
    }
}

/// The first `length` of `bytes` without the CRC32 at their end, where it is right.
fn checked(bytes: &[u8], length: usize) -> Option<&[u8]> {
    let (content, crc) = bytes.get(..length)?.split_last_chunk::<4>()?;
    (crc32fast::hash(content) == u32::from_le_bytes(*crc)).then_some(content)
}

/// Reads numbers off the front of bytes; none where there are too few left.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn time(&mut self) -> Option<Timestamp> {
        self.i64().map(Timestamp::from_micros)
    }

    /// A text with its length (two bytes) before it.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.u16()?);
        std::str::from_utf8(self.bytes(length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: BlockHeader = BlockHeader {
        compression: Compression::Lz4,
        stored: 1,
        raw: 2,
        frames: 3,
        first: 4,
        salt: 5,
        body_crc: 6,
    };

    /// What a reader would have to make room for, or count with, is refused in the header.
    #[test]
    fn a_header_that_no_writer_makes_is_none() {
        let most = u32::try_from(BODY_BYTES_MAX).unwrap();
        for (header, sound) in [
            (GOOD, true),
            (BlockHeader { stored: most, raw: most, ..GOOD }, true),
            (BlockHeader { stored: most + 1, ..GOOD }, false),
            (BlockHeader { raw: most + 1, ..GOOD }, false),
            (BlockHeader { frames: 0, ..GOOD }, false),
            (BlockHeader { first: 0, ..GOOD }, false),
            (BlockHeader { first: u64::MAX - 3, ..GOOD }, true),
            (BlockHeader { first: u64::MAX - 2, ..GOOD }, false),
        ] {
            let read = BlockHeader::decode(&header.encode());
            assert_eq!(read, sound.then_some(header), "{header:?}");
        }
        assert_eq!(GOOD.encode().len(), BLOCK_HEADER_BYTES);
        assert_eq!(BlockHeader::decode(&GOOD.encode()[..BLOCK_HEADER_BYTES - 1]), None);
    }

    #[test]
    fn headers_lie_as_documented() {
        let bytes = GOOD.encode();
        assert_eq!(bytes[..8], *b"VTJB\x01\x00\x02\x00");
        assert_eq!(bytes[8..20], [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(bytes[20..36], [4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[36..40], [6, 0, 0, 0]);
        assert_eq!(bytes[40..], crc32fast::hash(&bytes[..40]).to_le_bytes());
        let file = FileHeader { first: 1, created: Timestamp::from_micros(-2), salt: 3 };
        let bytes = file.encode();
        assert_eq!(bytes[..12], *b"VTJRNL\r\n\x01\x00\x00\x00");
        assert_eq!(bytes[12..20], [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[20..28], [0xfe, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(bytes[28..36], [3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[36..], crc32fast::hash(&bytes[..36]).to_le_bytes());
        assert_eq!(FileHeader::decode(&bytes), Ok(file));
    }
}
