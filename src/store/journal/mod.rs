//! The journal: every frame on disk before anyone looks into it.
//!
//! A folder of segment files, each named after the sequence of its first frame, each a header and
//! then blocks; a block is one group commit. Bytes are in `format` and in the store's README.
//!
//! What holds:
//!
//! * When [`Journal::sync`] returned `n`, every frame with a lower sequence is found again,
//!   whatever happens: file synced, and its name too.
//! * A frame leaves memory only when a sync had it. A sync that failed may be called again until
//!   it works; it loses nothing and writes nothing twice that a reader would see twice.
//! * After a write or sync failed, nothing in the file behind the last good sync is trusted: the
//!   kernel may have dropped those bytes and call the next sync good. The file is cut there, and
//!   the frames are written again to a new one.
//! * A process writes only to files it made. Files found at start are cut to what is whole in
//!   them, made durable, read, and released.
//! * A reader gives a frame exactly as it was appended, or not at all. Sequences rise.
//! * Nothing in a file stops a start. What cannot be read is reported and never deleted.

mod ahead;
mod block;
mod commit;
mod format;
mod names;
mod pack;
mod recovery;
mod survey;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::ahead::Ahead;
use self::block::{Block, FRAME_BYTES_MAX};
use self::commit::Active;
use self::names::move_into;
use self::pack::Packer;
use self::survey::{Segment, survey};
use super::fs::Fs;
use crate::model::frame::Frame;
use crate::model::time::Timestamp;

pub use self::format::Compression;
pub use self::recovery::{Damage, Recovery, RecoveryReport, read_all, replay, replay_within};
pub use self::survey::whole_from;
pub use self::walk::Fault;

/// How a journal writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How blocks are packed.
    pub compression: Compression,
    /// Bytes of frames after which a block is full and a sync is due. At most 32 MiB.
    pub block_bytes: usize,
    /// Bytes after which a segment file is full; also what is reserved for it when it is made.
    pub segment_bytes: u64,
    /// Bytes of frames that may wait for a disk in trouble; then no more are taken.
    pub pending_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compression: Compression::Zstd,
            block_bytes: 4 * 1024 * 1024,
            segment_bytes: 64 * 1024 * 1024,
            pending_bytes: 64 * 1024 * 1024,
        }
    }
}

/// What becomes of released segment files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// They are removed.
    Nothing,
    /// They are moved to this folder, into one folder per UTC day of their first frame.
    Raw(PathBuf),
}

/// Whether `path` has the name of a segment file, in the journal or where it is kept.
#[must_use]
pub fn is_segment(path: &Path) -> bool {
    names::first_sequence(path).is_some()
}

/// What a release did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Released {
    /// Segment files removed or moved.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// How many of them went to quarantine, because something in them could not be read.
    pub quarantined: u64,
}

/// What the journal cannot do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused. What was appended is still held: try again, or stop and say so.
    #[error("journal: cannot {action} {}: {source}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A frame was appended out of order.
    #[error("journal: frame {sequence} does not follow, the next is {next} or later")]
    OutOfOrder {
        /// Its sequence.
        sequence: u64,
        /// The lowest that could follow.
        next: u64,
    },
    /// A frame is larger than a block may be.
    #[error("journal: frame {sequence} has {bytes} bytes, more than a block can hold")]
    TooLarge {
        /// Its sequence.
        sequence: u64,
        /// Bytes of its body.
        bytes: usize,
    },
    /// Too much waits for the disk already: the frame was not taken. Sync, then append it again.
    #[error("journal: {pending} bytes wait for the disk, no more are taken until a sync succeeds")]
    Full {
        /// Bytes that wait.
        pending: usize,
    },
}

impl JournalError {
    fn disk<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Disk { action, path: path.to_owned(), source }
    }
}

impl JournalError {
    /// Whether the disk refused, so that the same may succeed later.
    #[must_use]
    pub const fn is_disk(&self) -> bool {
        matches!(self, Self::Disk { .. })
    }
}

/// The journal of one data folder.
#[derive(Debug)]
pub struct Journal {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    quarantine: PathBuf,
    options: Options,
    /// Files that are no longer written to, oldest first.
    closed: VecDeque<Segment>,
    active: Option<Active>,
    /// Blocks that no sync has had yet, oldest first.
    pending: VecDeque<Block>,
    pending_bytes: usize,
    /// None while it packs a block elsewhere.
    packer: Option<Packer>,
    /// A block from before all that are pending, and when its first frame arrived.
    ahead: Option<Ahead>,
    oldest: Option<Timestamp>,
    /// Memory of a block that is done, for the next one.
    spare: Vec<u8>,
    /// The lowest sequence that can be appended.
    next: u64,
    /// Every frame with a lower sequence is durable.
    durable: u64,
}

impl Journal {
    /// Puts the journal in `folder` in order and opens it for new frames. The recovery gives the
    /// frames it holds from sequence `from` on; files that cannot be read go to `quarantine`.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub fn open(
        fs: Arc<dyn Fs>,
        folder: &Path,
        quarantine: &Path,
        from: u64,
        options: Options,
    ) -> Result<(Self, Recovery), JournalError> {
        fs.create_folder(folder).map_err(JournalError::disk("make the folder", folder))?;
        let survey = survey(&*fs, folder, quarantine)?;
        let next = survey.next.max(from);
        let journal = Self {
            fs: Arc::clone(&fs),
            folder: folder.to_owned(),
            quarantine: quarantine.to_owned(),
            options: Options { block_bytes: options.block_bytes.min(FRAME_BYTES_MAX), ..options },
            closed: survey.segments.clone().into(),
            active: None,
            pending: VecDeque::new(),
            pending_bytes: 0,
            packer: None,
            ahead: None,
            oldest: None,
            spare: Vec::new(),
            next,
            durable: next,
        };
        Ok((journal, Recovery::over(fs, survey, from)))
    }

    /// The lowest sequence that the next frame can have: no file holds it or a later one.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Takes a frame into memory; [`Self::sync`] makes it durable. A sequence may leave some out,
    /// but not go back.
    ///
    /// # Errors
    ///
    /// Where the frame was not taken.
    pub fn append(&mut self, frame: &Frame) -> Result<(), JournalError> {
        let sequence = frame.sequence;
        if sequence < self.next || sequence == u64::MAX {
            return Err(JournalError::OutOfOrder { sequence, next: self.next });
        }
        let too_large = JournalError::TooLarge { sequence, bytes: frame.body.len() };
        let room = Block::room(frame).ok_or(too_large)?;
        if self.pending_bytes > 0 && self.pending_bytes + room > self.options.pending_bytes {
            return Err(JournalError::Full { pending: self.pending_bytes });
        }
        let goes_on =
            |last: &Block| last.end() == sequence && last.bytes() < self.options.block_bytes;
        if !self.pending.back().is_some_and(goes_on) {
            let block = Block::before(frame, std::mem::take(&mut self.spare));
            self.pending.push_back(block);
        }
        if let Some(block) = self.pending.back_mut() {
            let before = if block.frames() == 0 { 0 } else { block.bytes() };
            block.push(frame);
            self.pending_bytes += block.bytes() - before;
        }
        self.next = sequence + 1;
        Ok(())
    }

    /// Bytes of frames that no sync has had yet.
    #[must_use]
    pub const fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Ends the file that is written to, so that [`Self::release`] can have it.
    pub fn roll(&mut self) {
        let Some(active) = self.active.take() else { return };
        if active.bytes < self.options.segment_bytes {
            // Gives back the room reserved for it; where that fails, the next start does it.
            self.fs.truncate(&active.path, active.bytes).ok();
        }
        self.close(&active);
    }

    /// Lets go of the closed segment files all of whose frames have a sequence below `below`. A
    /// file in which something could not be read is not removed: it goes to quarantine, unless
    /// it is kept anyway.
    ///
    /// # Errors
    ///
    /// When the disk refuses; what was not released is tried again the next time.
    pub fn release(&mut self, below: u64, keep: &Keep) -> Result<Released, JournalError> {
        let mut released = Released::default();
        while let Some(segment) = self.closed.front()
            && segment.end <= below
        {
            let damaged = segment.damaged.load(Ordering::Relaxed);
            let raw = match (keep, segment.created) {
                (Keep::Raw(folder), Some(created)) => Some(folder.join(created.date().to_string())),
                (Keep::Raw(_), None) | (Keep::Nothing, _) => None,
            };
            if let Some(day) = raw {
                move_into(&*self.fs, &segment.path, &day)?;
            } else if damaged {
                move_into(&*self.fs, &segment.path, &self.quarantine)?;
                released.quarantined += 1;
            } else {
                let path = &segment.path;
                self.fs.remove(path).map_err(JournalError::disk("remove", path))?;
            }
            released.files += 1;
            released.bytes += segment.bytes;
            self.closed.pop_front();
        }
        Ok(released)
    }

    fn close(&mut self, active: &Active) {
        self.closed.push_back(Segment {
            path: active.path.clone(),
            bytes: active.bytes,
            first: active.header.first,
            end: active.end,
            created: Some(active.header.created),
            damaged: Arc::new(AtomicBool::new(false)),
        });
    }
}
