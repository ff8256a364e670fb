//! Who publishes: this process, where nobody records into the folder, or else the recorder's writer.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::ingest::writer::{Desk, DeskError};
use crate::model::time::Timestamp;
use crate::store::catalog::{Catalog, CatalogError};
use crate::store::folder::{Folder, FolderError};
use crate::store::fs::Fs;
use crate::store::journal::{self, JournalError};
use crate::store::paths::Paths;
use crate::store::segment::Segment;
use crate::store::swap::{Swap, SwapError, swap};
use crate::store::sweep::{SweepError, sweep};

/// Gives out numbers and publishes.
pub trait Publisher {
    /// Numbers that nobody else gets.
    ///
    /// # Errors
    ///
    /// When whoever gives them has ended.
    fn reserve(&mut self, count: u64) -> Result<Range<u64>, DeskError>;

    /// Puts new parts in the place of old ones: all of it, or nothing.
    ///
    /// # Errors
    ///
    /// When an old part is gone, or the disk or the catalog says no.
    fn swap(&mut self, swap: Swap) -> Result<Vec<Segment>, DeskError>;
}

impl Publisher for Desk {
    fn reserve(&mut self, count: u64) -> Result<Range<u64>, DeskError> {
        Desk::reserve(self, count)
    }

    fn swap(&mut self, swap: Swap) -> Result<Vec<Segment>, DeskError> {
        Desk::swap(self, swap)
    }
}

/// A data folder that nobody records into: this process has its lock.
#[derive(Debug)]
pub struct Owner {
    pub(super) folder: Folder,
    fs: Arc<dyn Fs>,
    pub(super) catalog: Catalog,
    pub(super) next_segment: u64,
}

/// Why a folder cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The data folder cannot be had.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What an earlier run left cannot be cleared.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// The journal cannot be listed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl Owner {
    /// Takes a folder that holds a recording, and clears away what a crash left. `now` is for
    /// whoever finds it taken.
    ///
    /// # Errors
    ///
    /// When it is in use or holds no recording, or the disk or the catalog fails.
    pub fn of(data: &Path, fs: &Arc<dyn Fs>, now: Timestamp) -> Result<Self, OwnerError> {
        // A folder without a recording is not made one.
        drop(Catalog::of_folder(data)?);
        let folder = Folder::lock(data, now)?;
        let paths = folder.paths();
        let mut catalog = Catalog::open(&paths.catalog())?;
        let journal = journal::whole_from(fs.as_ref(), &paths.journal())?;
        let swept = sweep(fs.as_ref(), paths, &mut catalog, journal)?;
        for name in swept.quarantined {
            tracing::warn!("{name} is not known to the catalog and went to quarantine/");
        }
        let next_segment = catalog.start()?.next_segment;
        Ok(Self { folder, fs: Arc::clone(fs), catalog, next_segment })
    }

    /// What is published.
    #[must_use]
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The folder's paths.
    #[must_use]
    pub const fn paths(&self) -> &Paths {
        self.folder.paths()
    }
}

impl Publisher for Owner {
    fn reserve(&mut self, count: u64) -> Result<Range<u64>, DeskError> {
        let first = self.next_segment;
        self.next_segment = first.saturating_add(count);
        Ok(first..self.next_segment)
    }

    fn swap(&mut self, wanted: Swap) -> Result<Vec<Segment>, DeskError> {
        let done: Result<_, SwapError> =
            swap(self.fs.as_ref(), self.folder.paths(), &mut self.catalog, wanted);
        Ok(done?)
    }
}
