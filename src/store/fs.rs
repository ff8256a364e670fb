//! Every disk operation of the store, behind one seam: the real disk, and a faulty one in tests.
//!
//! Nothing else in the store touches the disk, but for SQLite, which keeps its own files, and the
//! folder's lock.

mod held;
mod real;

#[cfg(test)]
pub(crate) mod faulty;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use self::held::HeldFs;
pub use self::real::{RealFs, free_bytes};

/// What a disk over another one, its field `of`, hands on as it is: all that does not read.
macro_rules! hand_on {
    ($( $name:ident ( $( $argument:ident : $kind:ty ),* ) -> $result:ty; )+) => {
        $( fn $name(&self, $( $argument: $kind ),*) -> std::io::Result<$result> {
            self.of.$name($( $argument ),*)
        } )+
    };
    () => {
        $crate::store::fs::hand_on! {
            create(path: &std::path::Path) -> Box<dyn $crate::store::fs::FsFile>;
            append(path: &std::path::Path) -> Box<dyn $crate::store::fs::FsFile>;
            truncate(path: &std::path::Path, length: u64) -> ();
            publish(from: &std::path::Path, to: &std::path::Path) -> ();
            remove(path: &std::path::Path) -> ();
            remove_folder(path: &std::path::Path) -> ();
            create_folder(path: &std::path::Path) -> ();
            sync_folder(path: &std::path::Path) -> ();
            list(folder: &std::path::Path) -> Vec<std::path::PathBuf>;
            folders(folder: &std::path::Path) -> Vec<std::path::PathBuf>;
        }
    };
}

pub(crate) use hand_on;

/// What the store asks of a disk.
pub trait Fs: Send + Sync + fmt::Debug {
    /// Makes `path` a new, empty file open for writing at its end; one that was there is emptied.
    ///
    /// # Errors
    ///
    /// What the disk says; the folder must be there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;

    /// Opens `path` for writing at its end.
    ///
    /// # Errors
    ///
    /// What the disk says; the file must be there.
    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;

    /// Up to `length` bytes of `path` from `offset` on; fewer only at the end of the file.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Bytes in `path`.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn length(&self, path: &Path) -> io::Result<u64>;

    /// Cuts `path` to `length` bytes and syncs it.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;

    /// Gives the synced file `from` the name `to`, replacing what had it, and syncs the folders of
    /// both: after this the file is there under its new name, whatever happens.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn publish(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. One that is not there is no error.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder, and syncs the one that holds it. One that is not there is no error.
    ///
    /// # Errors
    ///
    /// What the disk says; a folder that holds anything stays.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder and those above it, and syncs the folder that holds it.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Syncs a folder: names of files made or removed in it stay so.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// The files directly in `folder`, sorted by name; none where there is no such folder.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// The folders directly in `folder`, sorted by name; none where there is no such folder.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn folders(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
}

/// A file open for writing at its end.
pub trait FsFile: io::Write + Send + fmt::Debug {
    /// Makes sure that what was written is on the disk.
    ///
    /// # Errors
    ///
    /// What the disk says. After an error the file must be taken as damaged from the last good
    /// sync on.
    fn sync(&mut self) -> io::Result<()>;

    /// Reserves room up to `length` bytes without changing the length of the file, where the file
    /// system can.
    ///
    /// # Errors
    ///
    /// What the disk says; a file system that cannot reserve is no error.
    fn reserve(&mut self, length: u64) -> io::Result<()>;
}
