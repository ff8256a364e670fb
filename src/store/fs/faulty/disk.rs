//! What the disk has, what a reader sees, and what of it would outlast a power loss.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{Fault, Outcome};

#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    pub(super) files: Vec<File>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) durable_names: BTreeMap<PathBuf, usize>,
    pub(super) renames: Vec<Rename>,
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) operations: u64,
    /// Those of them that change something.
    pub(super) changes: Vec<u64>,
    pub(super) largest_read: usize,
    pub(super) fault: Option<Fault>,
    pub(super) bad: Option<(PathBuf, Range<usize>)>,
    pub(super) backwards: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct File {
    /// What a reader sees.
    pub(super) seen: Vec<u8>,
    /// What the disk has or will have: zeros where a failed sync dropped bytes.
    pub(super) disk: Vec<u8>,
    /// This much of it is on the disk.
    pub(super) synced: usize,
}

/// A change of names that no sync has reached yet: `file` under `to` (none: under no name), and
/// no longer under `from`.
#[derive(Debug, Clone)]
pub(super) struct Rename {
    pub(super) file: usize,
    pub(super) from: Option<PathBuf>,
    pub(super) to: Option<PathBuf>,
}

/// What an operation needs, and so which faults can strike it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Change,
    Room,
}

impl Disk {
    /// Counts an operation; the error, where it fails, and what becomes of it.
    pub(super) fn strike(&mut self, needs: Needs) -> Result<(), (io::Error, Outcome)> {
        let now = self.operations;
        self.operations += 1;
        if needs != Needs::Nothing {
            self.changes.push(now);
        }
        let strikes = |fault: &Fault| {
            now >= fault.after
                && match fault.error {
                    Errno::NOSPC => needs == Needs::Room,
                    Errno::ROFS => needs != Needs::Nothing,
                    _ => true,
                }
        };
        let Some(fault) = self.fault.filter(strikes) else { return Ok(()) };
        if !fault.lasting {
            self.fault = None;
        }
        Err((fault.error.into(), fault.outcome))
    }

    /// An operation that is done whole or not at all.
    pub(super) fn operate<T>(
        &mut self,
        needs: Needs,
        operation: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.strike(needs) {
            Ok(()) => operation(self),
            Err((error, Outcome::Undone | Outcome::Dropped)) => Err(error),
            Err((error, Outcome::Done)) => operation(self).and(Err(error)),
        }
    }

    /// As a new process finds it.
    pub(super) fn fresh(self) -> Self {
        let changes = Vec::new();
        Self { operations: 0, changes, largest_read: 0, fault: None, ..self }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn folder_of(&self, path: &Path) -> io::Result<()> {
        let there = path.parent().is_some_and(|folder| self.folders.contains(folder));
        if there { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    pub(super) fn rename(&mut self, rename: Rename) {
        rename.apply(&mut self.names);
        self.renames.push(rename);
    }

    pub(super) fn sync_folder(&mut self, folder: &Path) {
        let (synced, rest) = std::mem::take(&mut self.renames)
            .into_iter()
            .partition(|rename: &Rename| rename.is_in(folder));
        self.renames = rest;
        for rename in synced {
            rename.apply(&mut self.durable_names);
        }
    }
}

impl Rename {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        if let Some(from) = &self.from
            && names.get(from) == Some(&self.file)
        {
            names.remove(from);
        }
        if let Some(to) = &self.to {
            names.insert(to.clone(), self.file);
        }
    }

    pub(super) fn is_in(&self, folder: &Path) -> bool {
        [&self.from, &self.to].into_iter().flatten().any(|path| path.parent() == Some(folder))
    }
}
