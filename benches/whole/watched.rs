//! The real disk, and when it had which blocks of the journal.
//!
//! A block's header says which frames are in it (`src/store/journal/format.rs`): it begins with
//! `VTJB`, has their number at byte 16 and the first of them at byte 20. The first block of a file
//! stands behind the 40 bytes of the file's own header.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use veritape::net::clock::{Clock as _, SystemClock};
use veritape::store::fs::{Fs, FsFile, RealFs};

use super::recorder::is_journal;

const FILE_HEADER: usize = 40;
const BLOCK: &[u8] = b"VTJB";

/// Frames that became durable together.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Synced {
    /// The sequence of the first of them.
    pub(crate) first: u64,
    /// How many.
    pub(crate) frames: u32,
    /// When: microseconds since 1970.
    pub(crate) at: i64,
}

type Log = Arc<Mutex<Vec<Synced>>>;

/// A disk that notes when the journal is synced.
#[derive(Debug)]
pub(crate) struct Watched {
    of: RealFs,
    log: Log,
}

impl Watched {
    pub(crate) const fn over(of: RealFs, log: Log) -> Self {
        Self { of, log }
    }
}

#[derive(Debug)]
struct WatchedFile {
    of: Box<dyn FsFile>,
    log: Log,
    written: Vec<(u64, u32)>,
}

impl Write for WatchedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend(block(bytes).or_else(|| block(bytes.get(FILE_HEADER..)?)));
        self.of.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.of.flush()
    }
}

impl FsFile for WatchedFile {
    fn sync(&mut self) -> io::Result<()> {
        self.of.sync()?;
        let at = SystemClock::new().now().micros();
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend(self.written.drain(..).map(|(first, frames)| Synced { first, frames, at }));
        Ok(())
    }

    fn reserve(&mut self, length: u64) -> io::Result<()> {
        self.of.reserve(length)
    }
}

/// The frames of a block that begins here.
fn block(bytes: &[u8]) -> Option<(u64, u32)> {
    bytes.starts_with(BLOCK).then_some(())?;
    let frames = u32::from_le_bytes(*bytes.get(16..)?.first_chunk()?);
    let first = u64::from_le_bytes(*bytes.get(20..)?.first_chunk()?);
    Some((first, frames))
}

impl Fs for Watched {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let of = self.of.create(path)?;
        if !is_journal(path) {
            return Ok(of);
        }
        Ok(Box::new(WatchedFile { of, log: Arc::clone(&self.log), written: Vec::new() }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        self.of.append(path)
    }

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.of.read(path, offset, length)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.of.length(path)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.of.truncate(path, length)
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.of.publish(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.of.remove(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.of.remove_folder(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.of.create_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.of.sync_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.of.list(folder)
    }

    fn folders(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.of.folders(folder)
    }
}
