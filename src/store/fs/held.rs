//! The real disk, whose files stay readable once they were read: who has opened a file keeps it,
//! whether or not its name goes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::real::read_at;
use super::{Fs, hand_on};

/// The disk `of`; what is read through it is held open until this is dropped. For a few dozen files.
#[derive(Debug)]
pub struct HeldFs {
    of: Arc<dyn Fs>,
    open: Mutex<HashMap<PathBuf, Arc<File>>>,
}

impl HeldFs {
    /// Holds what is read of `of`, which must be the real disk.
    #[must_use]
    pub fn of(of: Arc<dyn Fs>) -> Self {
        Self { of, open: Mutex::default() }
    }

    fn file(&self, path: &Path) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(path) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(path)?);
        open.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }
}

impl Fs for HeldFs {
    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = self.file(path)?;
        read_at(&file, offset, length)
    }
    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(self.file(path)?.metadata()?.len())
    }

    hand_on!();
}
