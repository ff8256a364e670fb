//! A disk that is read slowly, and no more once its user is to stop.
//!
//! For work that has time, beside a recorder that has none: after each read it pauses as long as
//! keeps it at its rate, and a read after the stop fails, so that whatever is under way ends and
//! removes what it began.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::store::fs::{Fs, hand_on};

/// The disk `of`, asked gently.
#[derive(Debug)]
pub(super) struct Gentle {
    pub(super) of: Arc<dyn Fs>,
    pub(super) stop: Arc<AtomicBool>,
    /// At most.
    pub(super) bytes_per_second: u64,
}

impl Fs for Gentle {
    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the recorder is ending"));
        }
        let bytes = self.of.read(path, offset, length)?;
        let micros = (bytes.len() as u64).saturating_mul(1_000_000) / self.bytes_per_second.max(1);
        thread::sleep(Duration::from_micros(micros));
        Ok(bytes)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.of.length(path)
    }

    hand_on!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fs::RealFs;

    #[test]
    fn it_reads_until_it_is_to_stop() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"what was recorded").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let of = Arc::new(RealFs);
        let disk = Gentle { of, stop: Arc::clone(&stop), bytes_per_second: 1 << 30 };
        assert_eq!(disk.read(file.path(), 5, 3).unwrap(), b"was");
        stop.store(true, Ordering::Relaxed);
        let error = disk.read(file.path(), 5, 3).unwrap_err();
        // Another kind might be tried again by whoever reads.
        assert_eq!(error.kind(), io::ErrorKind::Other);
        disk.remove(file.path()).unwrap();
        assert!(!file.path().exists(), "what was begun can be removed");
    }
}
