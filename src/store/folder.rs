//! The data folder and its lock: one process owns it, and a second one is told which.
//!
//! The lock is the operating system's and ends with the process, however it ends. The text in the
//! file (process id and start) only says who it is; it holds nothing.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::fs::{Fs, RealFs};
use super::paths::Paths;
use crate::model::time::Timestamp;

/// More than any text of ours in the lock file.
const TEXT_LIMIT_BYTES: u64 = 256;
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// A data folder that this process owns until the value is dropped.
#[derive(Debug)]
pub struct Folder {
    paths: Paths,
    _lock: File,
}

/// Why a data folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error(
        "data folder {} is in use by {holder}. Stop that process, or give another folder with --data",
        data.display()
    )]
    Held {
        /// The folder.
        data: PathBuf,
        /// What the lock file says of the process.
        holder: String,
    },
    /// It cannot be made or written to.
    #[error(
        "cannot write to data folder {}: {source}. Give this user the right to write there, or give another folder with --data",
        path.display()
    )]
    Unwritable {
        /// What could not be made or opened.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
}

impl Folder {
    /// Makes the folder `data` where it is missing and takes its lock. `now` is written beside the
    /// lock, for whoever finds it taken.
    ///
    /// # Errors
    ///
    /// When another process has the lock, or the folder cannot be written to.
    pub fn lock(data: &Path, now: Timestamp) -> Result<Self, FolderError> {
        let paths = Paths::new(data);
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            |source| FolderError::Unwritable { path, source }
        };
        RealFs.create_folder(data).map_err(unwritable(data))?;
        let path = paths.lock();
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unwritable(&path))?;
        match take(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&mut lock);
                return Err(FolderError::Held { data: data.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(unwritable(&path)(source)),
        }
        sign(&mut lock, now).map_err(unwritable(&path))?;
        Ok(Self { paths, _lock: lock })
    }

    /// The folder's paths.
    #[must_use]
    pub const fn paths(&self) -> &Paths {
        &self.paths
    }
}

/// Takes the lock. Whoever asks [`held_by`] has it for an instant: that is no reason to fail.
fn take(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_TRIES),
            done => return done,
        }
    }
    lock.try_lock()
}

/// Whether some process owns the folder `data`, and which. Takes nothing.
///
/// # Errors
///
/// What the disk says.
pub fn held_by(data: &Path) -> io::Result<Option<String>> {
    let mut lock = match File::open(Paths::new(data).lock()) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        lock => lock?,
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut lock))),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Says where the process that owns the folder `data` can be asked, for whoever looks for it.
///
/// # Errors
///
/// What the disk says.
pub fn announce(data: &Path, url: &str) -> io::Result<()> {
    let mut lock = File::options().append(true).open(Paths::new(data).lock())?;
    lock.write_all(format!("http {url}\n").as_bytes())
}

/// Where the process that owns the folder `data` can be asked; none where nobody owns it, or it
/// answers nobody.
///
/// # Errors
///
/// What the disk says.
pub fn announced(data: &Path) -> io::Result<Option<String>> {
    if held_by(data)?.is_none() {
        return Ok(None);
    }
    let mut text = String::new();
    File::open(Paths::new(data).lock())?.take(TEXT_LIMIT_BYTES).read_to_string(&mut text)?;
    Ok(text.lines().filter_map(|line| line.strip_prefix("http ")).next_back().map(str::to_owned))
}

fn sign(lock: &mut File, now: Timestamp) -> io::Result<()> {
    let text = format!("pid {}\nsince {now}\n", std::process::id());
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(text.as_bytes())
}

/// `process 4711 (since …)`, as far as the file says it: the holder may be about to write.
fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    if lock.take(TEXT_LIMIT_BYTES).read_to_string(&mut text).is_err() {
        text.clear();
    }
    let word = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    match (word("pid "), word("since ")) {
        (Some(pid), Some(since)) => format!("process {pid} since {since}"),
        (Some(pid), None) => format!("process {pid}"),
        (None, _) => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    const CHILD: &str = "VERITAPE_TEST_HOLD_FOLDER";

    /// Not a test of its own: what the child process of the next one runs.
    #[test]
    fn holds_the_folder_for_the_parent() {
        let Some(data) = std::env::var_os(CHILD) else { return };
        let _folder = Folder::lock(Path::new(&data), Timestamp::from_micros(1)).unwrap();
        println!("held");
        io::stdin().read_line(&mut String::new()).unwrap();
    }

    #[test]
    fn a_second_process_is_told_who_holds_it() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("new/data");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::folder::tests::holds_the_folder_for_the_parent",
                "--nocapture",
            ])
            .env(CHILD, &data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(told.map(Result::unwrap).any(|line| line.ends_with("held")), "the child died");

        let who = format!("process {} since 1970-01-01T00:00:00.000001Z", child.id());
        let error = Folder::lock(&data, Timestamp::default()).unwrap_err();
        assert!(error.to_string().contains(&who), "{error}");
        assert!(error.to_string().contains("--data"), "{error}");
        assert_eq!(held_by(&data).unwrap(), Some(who));

        child.kill().unwrap();
        child.wait().unwrap();
        let folder =
            Folder::lock(&data, Timestamp::default()).expect("a dead holder holds nothing");
        assert_eq!(folder.paths(), &Paths::new(&data));
        assert!(held_by(&data).unwrap().is_some());
        assert_eq!(announced(&data).unwrap(), None);
        announce(&data, "http://127.0.0.1:9187").unwrap();
        assert_eq!(announced(&data).unwrap().as_deref(), Some("http://127.0.0.1:9187"));
        drop(folder);
        assert_eq!(announced(&data).unwrap(), None);
        assert_eq!(held_by(&data).unwrap(), None);
        assert_eq!(held_by(home.path()).unwrap(), None);
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        File::create(&path).unwrap();
        let error = Folder::lock(&path.join("data"), Timestamp::default()).unwrap_err().to_string();
        assert!(error.contains("file/data") && error.contains("--data"), "{error}");
    }
}
