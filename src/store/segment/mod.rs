//! Parquet files: one stream, venue and UTC day each, sorted by market, time and arrival.
//!
//! Invariants: a file is complete or absent (written under a temporary name, synced, then
//! renamed); what the catalog says of it (size, BLAKE3, spans) was taken from the very bytes and
//! rows that were written; no Arrow type is seen outside the store.

mod batch;
pub mod cells;
mod columns;
mod compact;
pub mod document;
mod fingerprint;
mod frames;
mod layout;
mod merge;
mod output;
pub mod places;
pub mod read;
mod select;
mod sheet;
mod unique;
pub mod write;

#[cfg(test)]
pub(crate) mod tests;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::paths::PartName;
use crate::model::time::Timestamp;

pub use self::cells::{Cells, Extent, scan};
pub use self::columns::{Columns, columns};
pub use self::compact::{Compacted, Compaction, compact};
pub use self::fingerprint::Fingerprint;
pub use self::frames::Frames;
pub use self::merge::{Keys, Wanted};
pub use self::read::{Footer, checksum, footer};
pub use self::select::select;
pub use self::sheet::{Sheet, Value, Values};
pub use self::unique::Dropped;
pub use self::write::{Base, Contents, Omit, Written, write};

/// The version of the layout of the files, in each file's metadata and in the catalog. It grows
/// when a column changes its meaning or goes; a new column is no new version.
pub const FORMAT_VERSION: u32 = 1;

/// What the catalog says of one file. Both ends of each span are inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it lies, and what that says.
    pub name: PartName,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// BLAKE3 of the whole file, in hexadecimal.
    pub blake3: String,
    /// [`FORMAT_VERSION`] of whoever wrote it.
    pub format_version: u32,
    /// The times of its rows (`Row::time`). Clock: the venue's.
    pub ts_event: Ends<Timestamp>,
    /// When its rows arrived. Clock: ours.
    pub ts_recv: Ends<Timestamp>,
    /// The sequence numbers of the frames its rows came in.
    pub frames: Ends<i64>,
}

/// The least and the greatest of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends<T> {
    /// The least.
    pub min: T,
    /// The greatest.
    pub max: T,
}

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The disk said no.
    #[error("could not {doing} {}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the disk said.
        source: io::Error,
    },
    /// The file is not what was published, or no Parquet file of ours.
    #[error("{} is damaged: {detail}. Run verify, and rebuild it from raw frames if they are kept", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In what way.
        detail: String,
    },
    /// The rows are not what the file is for: a fault of this program.
    #[error("cannot write {name}: {detail}")]
    Misfit {
        /// The file that was to be written.
        name: PartName,
        /// In what way.
        detail: String,
    },
}

impl SegmentError {
    /// Whether the file is not there any more: its rows may be in another one now.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the disk said no, so that the same may succeed once there is space.
    #[must_use]
    pub const fn is_disk(&self) -> bool {
        matches!(self, Self::Disk { .. })
    }

    fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { path, doing, source }
    }

    /// What went wrong while writing `name` to `path`.
    fn writing(name: &PartName, path: &Path, fault: ParquetError) -> Self {
        match disk_fault(fault) {
            Ok(source) => Self::disk("write", path)(source),
            Err(detail) => Self::Misfit { name: name.clone(), detail },
        }
    }

    /// What went wrong while reading `path`.
    fn reading(path: &Path, fault: ParquetError) -> Self {
        match disk_fault(fault) {
            Ok(source) => Self::disk("read", path)(source),
            Err(detail) => Self::Damaged { path: path.to_owned(), detail },
        }
    }

    /// What went wrong with the rows of `name` on their way.
    fn misfit(name: &PartName, fault: &ArrowError) -> Self {
        Self::Misfit { name: name.clone(), detail: fault.to_string() }
    }
}

/// The disk's own words in `fault`; else what it says.
fn disk_fault(fault: ParquetError) -> Result<io::Error, String> {
    let text = fault.to_string();
    let ParquetError::External(inner) = fault else { return Err(text) };
    inner
        .downcast::<io::Error>()
        .map(|inner| *inner)
        .map_err(|inner: Box<dyn Error + Send + Sync>| inner.to_string())
}
