//! The body of a block: the origins of its frames, then the frames.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use smol_str::SmolStr;

use super::format::{BODY_BYTES_MAX, BlockHeader, Compression, Cursor};
use crate::model::frame::{Frame, Origin};
use crate::model::market::{Market, Source};
use crate::model::time::Timestamp;

/// What a frame takes besides its bytes.
const ENTRY_BYTES: usize = 16;
/// The most that an origin takes besides its names.
const ORIGIN_BYTES: usize = 64;
/// The longest name of a venue or market.
const NAME_BYTES_MAX: usize = u16::MAX as usize;
/// The largest frame, and the fullest block that still takes one: together they fit in a body.
pub(super) const FRAME_BYTES_MAX: usize = BODY_BYTES_MAX / 2 - 4;
/// Bytes kept free before the frames, for the origins: they are known last, and stand first. More
/// origins than fit there cost one copy of the frames.
const ORIGINS_ROOM: usize = 512;

/// Frames with consecutive sequences that wait for the disk.
#[derive(Debug)]
pub(super) struct Block {
    first: u64,
    created: Timestamp,
    frames: u32,
    origins: HashMap<Arc<Origin>, u32>,
    /// The origin of the last frame: most frames share it, and a pointer is compared faster.
    last: Option<(Arc<Origin>, u32)>,
    table: Vec<u8>,
    /// Bytes kept free in `entries`, before the frames.
    room: usize,
    entries: Vec<u8>,
}

impl Block {
    /// An empty block whose first frame will be `frame`; it takes up the memory of `spare`.
    pub(super) fn before(frame: &Frame, mut spare: Vec<u8>) -> Self {
        spare.clear();
        spare.resize(ORIGINS_ROOM, 0);
        Self {
            first: frame.sequence,
            created: frame.ts_recv,
            frames: 0,
            origins: HashMap::new(),
            last: None,
            table: Vec::new(),
            room: ORIGINS_ROOM,
            entries: spare,
        }
    }

    /// The sequence of its first frame.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// How many frames it has.
    pub(super) const fn frames(&self) -> u32 {
        self.frames
    }

    /// When its first frame arrived.
    pub(super) const fn created(&self) -> Timestamp {
        self.created
    }

    /// The sequence behind its last frame.
    pub(super) const fn end(&self) -> u64 {
        self.first.saturating_add(self.frames as u64)
    }

    /// Bytes of its body so far, unpacked.
    pub(super) const fn bytes(&self) -> usize {
        4 + self.table.len() + self.entries.len() - self.room
    }

    /// The most that `frame` adds to a body; none where it can be in no block.
    pub(super) fn room(frame: &Frame) -> Option<usize> {
        let venue = frame.origin.venue.len();
        let market = frame.origin.market.as_ref().map_or(0, |market| market.as_str().len());
        let names_fit = venue <= NAME_BYTES_MAX && market <= NAME_BYTES_MAX;
        let room = ENTRY_BYTES + ORIGIN_BYTES + venue + market + frame.body.len();
        (names_fit && room <= FRAME_BYTES_MAX).then_some(room)
    }

    /// Adds a frame. The caller has seen to it that it follows and that there is room.
    pub(super) fn push(&mut self, frame: &Frame) {
        let origin = self.origin(&frame.origin);
        let length = u32::try_from(frame.body.len()).unwrap_or(u32::MAX);
        self.entries.extend_from_slice(&frame.ts_recv.micros().to_le_bytes());
        self.entries.extend_from_slice(&origin.to_le_bytes());
        self.entries.extend_from_slice(&length.to_le_bytes());
        self.entries.extend_from_slice(&frame.body);
        self.frames += 1;
    }

    fn origin(&mut self, origin: &Arc<Origin>) -> u32 {
        if let Some((last, index)) = &self.last
            && Arc::ptr_eq(last, origin)
        {
            return *index;
        }
        let next = u32::try_from(self.origins.len()).unwrap_or(u32::MAX);
        let index = *self.origins.entry(Arc::clone(origin)).or_insert_with(|| {
            write_origin(&mut self.table, origin);
            next
        });
        self.last = Some((Arc::clone(origin), index));
        index
    }

    /// Its body, unpacked.
    pub(super) fn body(&mut self) -> io::Result<&[u8]> {
        let origins = u32::try_from(self.origins.len()).map_err(io::Error::other)?;
        let before = 4 + self.table.len();
        if before > self.room {
            self.entries.splice(..0, vec![0; before - self.room]);
            self.room = before;
        }
        let begin = self.room - before;
        let place = self.entries.get_mut(begin..self.room);
        if let Some((count, table)) = place.and_then(|place| place.split_at_mut_checked(4)) {
            count.copy_from_slice(&origins.to_le_bytes());
            table.copy_from_slice(&self.table);
        }
        Ok(self.entries.get(begin..).unwrap_or_default())
    }

    /// Its memory, for the next one.
    pub(super) fn spare(self) -> Vec<u8> {
        self.entries
    }
}

fn write_origin(out: &mut Vec<u8>, origin: &Origin) {
    write_text(out, &origin.venue);
    out.extend_from_slice(&origin.session.to_le_bytes());
    out.push(match origin.source {
        Source::Ws => 0,
        Source::Rest => 1,
    });
    write_text(out, origin.stream.map_or("", |stream| stream.name()));
    out.push(u8::from(origin.market.is_some()));
    write_text(out, origin.market.as_ref().map_or("", |market| market.as_str()));
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend(text.bytes().take(usize::from(length)));
}

/// Why the body of a block cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadBody {
    /// Its bytes are not what was written.
    Checksum,
    /// Its bytes are what was written, and make no frames: another program's, or a fault here.
    Content,
}

/// The frames of one block, one after the other. They share one buffer, which stays as long as
/// any of them.
#[derive(Debug)]
pub(super) struct Frames {
    raw: Bytes,
    at: usize,
    origins: Vec<Arc<Origin>>,
    next: u64,
    end: u64,
}

impl Frames {
    /// Checks and unpacks the body `stored` of the block `header`. Everything is looked at here,
    /// so that a block gives all of its frames or none.
    pub(super) fn open(header: &BlockHeader, stored: &[u8]) -> Result<Self, BadBody> {
        if crc32fast::hash(stored) != header.body_crc {
            return Err(BadBody::Checksum);
        }
        let frames = Self::unpack(header, stored).ok_or(BadBody::Content)?;
        let mut rest = Self { raw: frames.raw.clone(), origins: frames.origins.clone(), ..frames };
        while rest.next < rest.end {
            rest.step().ok_or(BadBody::Content)?;
        }
        if rest.at == rest.raw.len() { Ok(frames) } else { Err(BadBody::Content) }
    }

    fn unpack(header: &BlockHeader, stored: &[u8]) -> Option<Self> {
        // The header was read, so this has a limit.
        let length = usize::try_from(header.raw).ok()?;
        let raw = match header.compression {
            Compression::Zstd => zstd::bulk::decompress(stored, length).ok()?,
            Compression::Lz4 => {
                let mut raw = vec![0; length];
                let written = lz4_flex::block::decompress_into(stored, &mut raw).ok()?;
                raw.truncate(written);
                raw
            }
            Compression::None => stored.to_vec(),
        };
        if raw.len() != length {
            return None;
        }
        let mut cursor = Cursor(&raw);
        let count = cursor.u32()?;
        let mut origins = Vec::new();
        for _ in 0..count {
            origins.push(Arc::new(read_origin(&mut cursor)?));
        }
        let at = raw.len() - cursor.0.len();
        let raw = Bytes::from(raw);
        Some(Self { raw, at, origins, next: header.first, end: header.end() })
    }

    fn step(&mut self) -> Option<Frame> {
        let mut cursor = Cursor(self.raw.get(self.at..)?);
        let ts_recv = cursor.time()?;
        let origin = self.origins.get(usize::try_from(cursor.u32()?).ok()?)?;
        let length = usize::try_from(cursor.u32()?).ok()?;
        let body = self.raw.slice_ref(cursor.bytes(length)?);
        let frame = Frame { ts_recv, origin: Arc::clone(origin), sequence: self.next, body };
        self.at += ENTRY_BYTES + length;
        self.next += 1;
        Some(frame)
    }
}

impl Iterator for Frames {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        if self.next < self.end { self.step() } else { None }
    }
}

fn read_origin(cursor: &mut Cursor<'_>) -> Option<Origin> {
    let venue = SmolStr::new(cursor.text()?);
    let session = cursor.i64()?;
    let source = match cursor.u8()? {
        0 => Source::Ws,
        1 => Source::Rest,
        _ => return None,
    };
    let stream = match cursor.text()? {
        "" => None,
        name => Some(name.parse().ok()?),
    };
    let (has_market, code) = (cursor.u8()? == 1, cursor.text()?);
    let market = has_market.then(|| Market::new(code));
    Some(Origin { venue, session, source, stream, market })
}
