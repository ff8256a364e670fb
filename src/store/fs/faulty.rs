//! A disk that fails when told to, and forgets when the power goes.
//!
//! It is a model in memory of what a real one promises and no more:
//!
//! * Written bytes are on the disk once their file is synced; before, any prefix of them may be.
//! * A name that was made, changed or removed is so once its folder is synced; before, it may be
//!   either way. Syncing a file does nothing for its name.
//! * After a failed sync the bytes it was for can still be read, but they are on the disk never:
//!   the kernel drops them, and calls the next sync good.
//!
//! It is compiled for tests of this crate only: the tests that start the real program use a real
//! disk, for they are about what the model leaves out.

mod disk;

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::io::Errno;

use self::disk::{Disk, File, Needs, Rename};
use super::{Fs, FsFile};

/// A failure to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// At the first operation that it can strike, this many operations from now on (0: the next).
    pub(crate) after: u64,
    /// What the disk says. `NOSPC` strikes what needs room, `ROFS` what changes anything, the
    /// rest everything.
    pub(crate) error: Errno,
    /// Whether it strikes every later operation too, until [`FaultyFs::heal`].
    pub(crate) lasting: bool,
    /// What becomes of the operation all the same.
    pub(crate) outcome: Outcome,
}

/// What becomes of an operation that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing: as if the process had died before it.
    Undone,
    /// Nothing, and a sync drops for good what it was for.
    Dropped,
    /// It is done nevertheless; a write, by its half.
    Done,
}

impl Outcome {
    pub(crate) const ALL: [Self; 3] = [Self::Undone, Self::Dropped, Self::Done];
}

/// What a power loss leaves of what was not synced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PowerLoss {
    /// The same for every file and name.
    Keeps {
        /// Bytes behind the last sync, at most.
        bytes: usize,
        /// Changes of names.
        names: bool,
        /// Files keep their length: bytes that are lost read as zeros.
        zeros: bool,
    },
    /// Anything that may be, drawn from this seed for each file and name.
    Anything(u64),
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultyFs(Arc<Mutex<Disk>>);

impl FaultyFs {
    /// Plans a failure; one at a time.
    pub(crate) fn fail(&self, fault: Fault) {
        let mut disk = self.disk();
        let after = disk.operations + fault.after;
        disk.fault = Some(Fault { after, ..fault });
    }

    /// Ends all failures.
    pub(crate) fn heal(&self) {
        self.disk().fault = None;
    }

    /// Makes these bytes of a file unreadable.
    pub(crate) fn spoil(&self, path: &Path, bytes: Range<usize>) {
        self.disk().bad = Some((path.to_owned(), bytes));
    }

    /// Lists folders in another order from now on.
    pub(crate) fn list_backwards(&self) {
        self.disk().backwards = true;
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// Which operations so far changed something, counted from 0.
    pub(crate) fn changes(&self) -> Vec<u64> {
        self.disk().changes.clone()
    }

    /// The disk after the process was killed: nothing is lost, nothing becomes safer, and the old
    /// process can no longer write to it.
    pub(crate) fn kill(&self) -> Self {
        let disk = self.disk().clone();
        Self(Arc::new(Mutex::new(disk.fresh())))
    }

    /// The disk after the power went.
    pub(crate) fn crash(&self, loss: PowerLoss) -> Self {
        let mut disk = self.disk().clone();
        let mut rng = match loss {
            PowerLoss::Anything(seed) => StdRng::seed_from_u64(seed),
            PowerLoss::Keeps { .. } => StdRng::seed_from_u64(0),
        };
        for rename in std::mem::take(&mut disk.renames) {
            let kept = match loss {
                PowerLoss::Keeps { names, .. } => names,
                PowerLoss::Anything(_) => rng.random(),
            };
            if kept {
                rename.apply(&mut disk.durable_names);
            }
        }
        disk.names = disk.durable_names.clone();
        for file in &mut disk.files {
            let unsynced = file.disk.len() - file.synced;
            let (kept, zeros) = match loss {
                PowerLoss::Keeps { bytes, zeros, .. } => (bytes.min(unsynced), zeros),
                PowerLoss::Anything(_) => (rng.random_range(0..=unsynced), rng.random()),
            };
            let length = file.disk.len();
            file.disk.truncate(file.synced + kept);
            if zeros {
                file.disk.resize(length, 0);
            }
            file.seen.clone_from(&file.disk);
            file.synced = file.disk.len();
        }
        Self(Arc::new(Mutex::new(disk.fresh())))
    }

    /// The most bytes of one file that no sync has reached.
    pub(crate) fn unsynced(&self) -> usize {
        self.disk().files.iter().map(|file| file.disk.len() - file.synced).max().unwrap_or(0)
    }

    /// The most bytes that were read at once.
    pub(crate) fn largest_read(&self) -> usize {
        self.disk().largest_read
    }

    /// Every file that has a name.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.disk().names.keys().cloned().collect()
    }

    /// The bytes of a file, which must be there.
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let disk = self.disk();
        disk.files[disk.names[path]].seen.clone()
    }

    /// Puts a file there, durable.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut disk = self.disk();
        let file = disk.files.len();
        disk.files.push(File { seen: bytes.to_vec(), disk: bytes.to_vec(), synced: bytes.len() });
        disk.folders.extend(path.ancestors().skip(1).map(Path::to_path_buf));
        disk.names.insert(path.to_owned(), file);
        disk.durable_names.insert(path.to_owned(), file);
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, file: usize) -> Box<dyn FsFile> {
        Box::new(FaultyFile { fs: self.clone(), file })
    }
}

impl Fs for FaultyFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let file = self.disk().operate(Needs::Room, |disk| {
            disk.folder_of(path)?;
            let file = disk.files.len();
            disk.files.push(File::default());
            disk.rename(Rename { file, from: None, to: Some(path.to_owned()) });
            Ok(file)
        })?;
        Ok(self.handle(file))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let file = self.disk().operate(Needs::Change, |disk| disk.find(path))?;
        Ok(self.handle(file))
    }

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.disk().operate(Needs::Nothing, |disk| {
            disk.largest_read = disk.largest_read.max(length);
            let seen = &disk.files[disk.find(path)?].seen;
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(seen.len());
            let until = from.saturating_add(length).min(seen.len());
            if let Some((spoilt, bad)) = &disk.bad
                && (path == spoilt && from < bad.end && bad.start < until)
            {
                return Err(Errno::IO.into());
            }
            Ok(seen[from..until].to_vec())
        })
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.disk()
            .operate(Needs::Nothing, |disk| Ok(disk.files[disk.find(path)?].seen.len() as u64))
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.disk().operate(Needs::Change, |disk| {
            let file = disk.find(path)?;
            let length = usize::try_from(length).map_err(io::Error::other)?;
            disk.files[file].seen.resize(length, 0);
            disk.files[file].disk.resize(length, 0);
            disk.files[file].synced = length;
            Ok(())
        })
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.operate(Needs::Room, |disk| {
            let file = disk.find(from)?;
            disk.folder_of(to)?;
            disk.rename(Rename { file, from: Some(from.to_owned()), to: Some(to.to_owned()) });
            Ok(())
        })?;
        for folder in [from.parent(), to.parent()].into_iter().flatten() {
            disk.operate(Needs::Change, |disk| {
                disk.sync_folder(folder);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk().operate(Needs::Change, |disk| {
            if let Ok(file) = disk.find(path) {
                disk.rename(Rename { file, from: Some(path.to_owned()), to: None });
            }
            Ok(())
        })
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.disk().operate(Needs::Change, |disk| {
            let mut held = disk.names.keys().chain(&disk.folders);
            if held.any(|held| held.parent() == Some(path)) {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            disk.folders.remove(path);
            Ok(())
        })
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.disk().operate(Needs::Room, |disk| {
            disk.folders.extend(path.ancestors().map(Path::to_path_buf));
            Ok(())
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.disk().operate(Needs::Change, |disk| {
            disk.sync_folder(path);
            Ok(())
        })
    }

    fn folders(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk().operate(Needs::Nothing, |disk| {
            let folders = disk.folders.iter();
            Ok(folders.filter(|path| path.parent() == Some(folder)).cloned().collect())
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk().operate(Needs::Nothing, |disk| {
            let names = disk.names.keys().filter(|path| path.parent() == Some(folder)).cloned();
            Ok(if disk.backwards { names.rev().collect() } else { names.collect() })
        })
    }
}

#[derive(Debug)]
struct FaultyFile {
    fs: FaultyFs,
    file: usize,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.fs.disk();
        let struck = disk.strike(Needs::Room);
        let written = match &struck {
            Ok(()) => bytes,
            Err((_, Outcome::Done)) => &bytes[..bytes.len() / 2],
            Err((_, Outcome::Undone | Outcome::Dropped)) => &[],
        };
        let file = &mut disk.files[self.file];
        file.seen.extend_from_slice(written);
        file.disk.extend_from_slice(written);
        struck.map_or_else(|(error, _)| Err(error), |()| Ok(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FsFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.fs.disk();
        let struck = disk.strike(Needs::Room);
        let file = &mut disk.files[self.file];
        match struck {
            Ok(()) => {
                file.synced = file.disk.len();
                Ok(())
            }
            Err((error, outcome)) => {
                let synced = file.synced;
                match outcome {
                    Outcome::Undone => {}
                    Outcome::Dropped => file.disk[synced..].fill(0),
                    Outcome::Done => file.synced = file.disk.len(),
                }
                Err(error)
            }
        }
    }

    fn reserve(&mut self, _length: u64) -> io::Result<()> {
        self.fs.disk().operate(Needs::Room, |_| Ok(()))
    }
}
