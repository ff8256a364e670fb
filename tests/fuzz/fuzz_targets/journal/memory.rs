//! A disk in memory, which never fails.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use veritape::store::fs::{Fs, FsFile};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Files by their paths. A folder is there when a file is in it.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Files>>);

impl Memory {
    /// Every file.
    pub fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Files directly in `folder`.
    pub fn count(&self, folder: &Path) -> usize {
        self.files().keys().filter(|path| path.parent() == Some(folder)).count()
    }
}

impl Fs for Memory {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        self.files().insert(path.to_owned(), Vec::new());
        self.append(path)
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        self.length(path)?;
        Ok(Box::new(Open { disk: self.clone(), path: path.to_owned() }))
    }

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let files = self.files();
        let file = files.get(path).ok_or(ErrorKind::NotFound)?;
        let rest = file.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        Ok(rest.get(..length).unwrap_or(rest).to_vec())
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(self.files().get(path).ok_or(ErrorKind::NotFound)?.len() as u64)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.files().get_mut(path).ok_or(ErrorKind::NotFound)?.resize(length, 0);
        Ok(())
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files();
        let bytes = files.remove(from).ok_or(ErrorKind::NotFound)?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files().remove(path);
        Ok(())
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let files = self.files();
        Ok(files.keys().filter(|path| path.parent() == Some(folder)).cloned().collect())
    }

    fn folders(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

/// A file of it.
#[derive(Debug)]
struct Open {
    disk: Memory,
    path: PathBuf,
}

impl io::Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut files = self.disk.files();
        files.get_mut(&self.path).ok_or(ErrorKind::NotFound)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FsFile for Open {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reserve(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
}
