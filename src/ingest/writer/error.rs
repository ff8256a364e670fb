//! Why the writer gives up.

use std::time::Duration;

use crate::store::catalog::CatalogError;
use crate::store::folder::FolderError;
use crate::store::journal::JournalError;
use crate::store::segment::SegmentError;
use crate::store::sweep::SweepError;

/// Why the writer gave up.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The data folder cannot be had.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What an earlier run left cannot be cleared.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file could not be written.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The state that an earlier run left cannot be read.
    #[error(
        "the catalog's merge state of {lane} cannot be read ({error}); it was made by another \
         version: record into a new folder"
    )]
    State {
        /// Which lane.
        lane: String,
        /// Why.
        error: serde_json::Error,
    },
    /// The thread that writes files could not be started.
    #[error("cannot start a thread: {0}; is a limit on processes or memory too low?")]
    Thread(std::io::Error),
    /// The disk took nothing for too long.
    #[error(
        "the disk of {folder} took nothing for {grace:?}: {error}. About {needed} bytes wait and \
         {free} are free: {advice} and start again; nothing that was promised is lost"
    )]
    Disk {
        /// The data folder.
        folder: String,
        /// How long it was tried.
        grace: Duration,
        /// What the disk said last.
        error: Box<WriterError>,
        /// Bytes that wait to be written, roughly.
        needed: usize,
        /// Bytes that are free, in words.
        free: String,
        /// What to do.
        advice: String,
    },
}
