//! From memory to the disk: blocks are packed, written and synced, one after the other.

use std::io;
use std::path::{Path, PathBuf};

use super::ahead::{Ahead, Packed};
use super::block::Block;
use super::format::FileHeader;
use super::names;
use super::pack::Packer;
use super::{Journal, JournalError, Options};
use crate::model::time::Timestamp;
use crate::store::fs::{Fs, FsFile};

/// The file that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Box<dyn FsFile>,
    pub(super) path: PathBuf,
    pub(super) header: FileHeader,
    /// Bytes that a sync has had; the file is taken as damaged from there on when one fails.
    pub(super) bytes: u64,
    /// The sequence behind its last durable frame.
    pub(super) end: u64,
}

impl Journal {
    /// Whether a block is full: time to sync, or to [`Self::sync_ahead`].
    #[must_use]
    pub fn sync_due(&self) -> bool {
        self.pending.len() > 1
            || self.pending.back().is_some_and(|last| last.bytes() >= self.options.block_bytes)
    }

    /// When the oldest frame arrived that no sync has had. Clock: ours.
    #[must_use]
    pub fn unsynced_since(&self) -> Option<Timestamp> {
        self.oldest.or_else(|| self.pending.front().map(Block::created))
    }

    /// Makes every appended frame durable, and tells the sequence below which all are. May be
    /// called again after an error, as often as need be: nothing is lost by it.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub fn sync(&mut self) -> Result<u64, JournalError> {
        self.settle()?;
        while let Some(block) = self.pending.pop_front() {
            let packer = self.take_packer();
            self.commit(Packed::now(block, packer))?;
        }
        self.durable = self.next;
        Ok(self.durable)
    }

    /// Begins to make durable what was appended, and returns before it is: what an earlier call
    /// began is durable then.
    ///
    /// # Errors
    ///
    /// When the disk refuses; as after [`Self::sync`].
    pub fn sync_ahead(&mut self) -> Result<(), JournalError> {
        self.settle()?;
        // There is no file after an error, when the disk has to show first that it is well; more than
        // one wait where sequences were left out.
        if self.active.is_none() || self.pending.len() > 1 {
            return self.sync().map(drop);
        }
        if let Some(block) = self.pending.pop_front() {
            self.oldest = Some(block.created());
            let packer = self.take_packer();
            self.ahead = Some(Ahead::begin(block, packer));
        }
        Ok(())
    }

    /// Goes on to make what was appended durable as far as that goes without waiting for a packer:
    /// begins with it, or ends what was begun where it is packed by now.
    ///
    /// # Errors
    ///
    /// When the disk refuses; as after [`Self::sync`].
    pub fn sync_on(&mut self) -> Result<(), JournalError> {
        match &self.ahead {
            Some(ahead) if ahead.is_packed() => self.settle(),
            Some(_) => Ok(()),
            None => self.sync_ahead(),
        }
    }

    /// Whether a block is being packed elsewhere.
    #[cfg(test)]
    pub(crate) const fn packs(&self) -> bool {
        self.ahead.is_some()
    }

    /// Makes the block durable that is being packed elsewhere.
    fn settle(&mut self) -> Result<(), JournalError> {
        self.oldest = None;
        match self.ahead.take().and_then(Ahead::wait) {
            Some(packed) => self.commit(*packed),
            None => Ok(()),
        }
    }

    fn take_packer(&mut self) -> Packer {
        self.packer.take().unwrap_or_else(|| Packer::new(self.options.compression))
    }

    /// Writes a block and makes it durable; where the disk refuses it is pending again, and first.
    fn commit(&mut self, packed: Packed) -> Result<(), JournalError> {
        let Packed { block, mut packer, outcome } = packed;
        let written = self.write(&block, &mut packer, outcome);
        self.packer = Some(packer);
        if let Err(error) = written {
            self.pending.push_front(block);
            self.abandon();
            return Err(error);
        }
        self.durable = block.end();
        self.pending_bytes = self.pending_bytes.saturating_sub(block.bytes());
        self.spare = block.spare();
        Ok(())
    }

    /// Writes what the packer holds of `block`, into a new file where there is none, and syncs it.
    fn write(
        &mut self,
        block: &Block,
        packer: &mut Packer,
        outcome: io::Result<()>,
    ) -> Result<(), JournalError> {
        let active = match &mut self.active {
            Some(active) => active,
            None => {
                self.active.insert(Active::make(&*self.fs, &self.folder, block, &self.options)?)
            }
        };
        let path = &active.path;
        outcome.map_err(JournalError::disk("pack a block for", path))?;
        let first = active.bytes == 0;
        let bytes = packer.bytes(block, &active.header, first);
        active.file.write_all(bytes).map_err(JournalError::disk("write", path))?;
        active.file.sync().map_err(JournalError::disk("sync", path))?;
        if first {
            let folder = &self.folder;
            self.fs.sync_folder(folder).map_err(JournalError::disk("sync", folder))?;
        }
        active.bytes += bytes.len() as u64;
        active.end = block.end();
        if active.bytes >= self.options.segment_bytes {
            self.roll();
        }
        Ok(())
    }

    /// Gives up the active file after a failure in it. Cutting it is for the space and for a
    /// quiet next start; where the disk does not even do that, what is left behind the last good
    /// sync holds frames that are written again elsewhere, or nothing readable.
    fn abandon(&mut self) {
        let Some(active) = self.active.take() else { return };
        if active.bytes == 0 {
            self.fs.remove(&active.path).ok();
        } else {
            self.fs.truncate(&active.path, active.bytes).ok();
            self.close(&active);
        }
    }
}

impl Active {
    /// A new file that begins with `block`. A name that is there already is one of a try whose
    /// sync failed: no sync had anything in it.
    fn make(
        fs: &dyn Fs,
        folder: &Path,
        block: &Block,
        options: &Options,
    ) -> Result<Self, JournalError> {
        let path = folder.join(names::segment_name(block.first()));
        let mut file = fs.create(&path).map_err(JournalError::disk("make", &path))?;
        // Room in advance is for speed only: a disk too full for it may still take the blocks.
        file.reserve(options.segment_bytes).ok();
        let header =
            FileHeader { first: block.first(), created: block.created(), salt: rand::random() };
        Ok(Self { file, path, header, bytes: 0, end: block.first() })
    }
}
