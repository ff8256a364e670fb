//! A file of log lines that never grows beyond its bounds: when it is full it becomes `NAME.1`, what
//! was that becomes `NAME.2`, and so on; the eldest goes.
//!
//! Lines are whole in one file. What the disk says no to is lost: the log must not stop the recording.
//! [`LogFile::reopen`] is for those who move the file away themselves (logrotate).

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::store::fs::{Fs, RealFs};

/// The file that is written to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    limit: u64,
    kept: u8,
    file: File,
    bytes: u64,
}

impl LogFile {
    /// Goes on at the end of the file `path`, which holds `limit` bytes at most; beside it are `kept`
    /// older ones.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(super) fn open(path: &Path, limit: u64, kept: u8) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), limit, kept, file, bytes })
    }

    /// Writes to whatever is at its path now.
    ///
    /// # Errors
    ///
    /// When it cannot be opened; it goes on with the file that it had.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(&self.path, self.limit, self.kept)?;
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        if self.kept == 0 {
            self.file.set_len(0)?;
            self.bytes = 0;
            return Ok(());
        }
        // Where somebody moved it away there is nothing to make room for.
        if self.path.exists() {
            for age in (1..self.kept).rev() {
                if older(&self.path, age).exists() {
                    RealFs.publish(&older(&self.path, age), &older(&self.path, age + 1))?;
                }
            }
            RealFs.publish(&self.path, &older(&self.path, 1))?;
        }
        self.reopen()
    }
}

/// One line, as the log hands it over.
impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.limit && self.turn().is_err()
        {
            // It grows on, and the next turn is tried after as much again.
            self.bytes = 0;
        }
        self.file.write_all(line)?;
        self.bytes = self.bytes.saturating_add(length);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn older(path: &Path, age: u8) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{age}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What lies in the folder, the newest first.
    fn held(path: &Path) -> Vec<String> {
        let all = [path.to_owned()].into_iter().chain((1..10).map(|age| older(path, age)));
        all.filter_map(|path| fs::read_to_string(path).ok()).collect()
    }

    #[test]
    fn so_many_files_of_so_many_bytes() {
        for (kept, expected) in [
            (0, &["i\n"][..]),
            (1, &["i\n", "g\nh\n"]),
            (3, &["i\n", "g\nh\n", "e\nf\n", "c\nd\n"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let mut log = LogFile::open(&path, 5, kept).unwrap();
            for line in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
                log.write_all(format!("{line}\n").as_bytes()).unwrap();
            }
            assert_eq!(held(&path), expected, "{kept} kept");
        }
    }

    #[test]
    fn it_goes_on_where_it_was_and_follows_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "old\n").unwrap();
        let mut log = LogFile::open(&path, 9, 2).unwrap();
        log.write_all(b"a line that is longer than the file may be\n").unwrap();
        assert_eq!(held(&path), ["a line that is longer than the file may be\n", "old\n"]);
        // Somebody moves it away: it goes there until it is told to look again.
        let away = folder.path().join("away");
        RealFs.publish(&path, &away).unwrap();
        log.reopen().unwrap();
        log.write_all(b"new\n").unwrap();
        assert_eq!(held(&path), ["new\n", "old\n"]);
        // The same without a word: what is full is away already.
        fs::remove_file(&path).unwrap();
        log.write_all(b"longer\n").unwrap();
        log.write_all(b"again\n").unwrap();
        assert_eq!(held(&path), ["again\n", "longer\n", "old\n"]);
        assert!(LogFile::open(&folder.path().join("no/log"), 1, 1).is_err());
    }
}
