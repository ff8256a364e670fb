//! Whichever disk operation is the last one: what is there after is the old, or the new.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::store::fs::FsFile;

/// The real disk, until so many operations were done; then none is any more.
#[derive(Debug)]
struct Dying {
    left: Arc<AtomicU64>,
}

impl Dying {
    fn after(operations: u64) -> Self {
        Self { left: Arc::new(AtomicU64::new(operations)) }
    }
}

fn live(left: &AtomicU64) -> io::Result<()> {
    let step = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    step.map(drop).map_err(|_| io::Error::other("the process is dead"))
}

struct DyingFile(Box<dyn FsFile>, Arc<AtomicU64>);

impl fmt::Debug for DyingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Write for DyingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        live(&self.1)?;
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl FsFile for DyingFile {
    fn sync(&mut self) -> io::Result<()> {
        live(&self.1)?;
        self.0.sync()
    }
    fn reserve(&mut self, length: u64) -> io::Result<()> {
        self.0.reserve(length)
    }
}

macro_rules! until_death {
    ($( fn $name:ident(&self, $($arg:ident: $ty:ty),+) -> io::Result<$out:ty>; )+) => { $(
        fn $name(&self, $($arg: $ty),+) -> io::Result<$out> {
            live(&self.left)?;
            real().$name($($arg),+)
        }
    )+ };
}

impl Fs for Dying {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        live(&self.left)?;
        Ok(Box::new(DyingFile(real().create(path)?, Arc::clone(&self.left))))
    }
    until_death! {
        fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
        fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
        fn publish(&self, from: &Path, to: &Path) -> io::Result<()>;
        fn remove(&self, path: &Path) -> io::Result<()>;
        fn remove_folder(&self, path: &Path) -> io::Result<()>;
        fn create_folder(&self, path: &Path) -> io::Result<()>;
        fn sync_folder(&self, path: &Path) -> io::Result<()>;
    }
    // Reading changes nothing, so that the process may as well die at what follows.
    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        real().read(path, offset, length)
    }
    fn length(&self, path: &Path) -> io::Result<u64> {
        real().length(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        real().list(folder)
    }
    fn folders(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        real().folders(folder)
    }
}

/// A copy of the folder `from` in `to`.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn killed_at_any_moment_it_leaves_the_old_or_the_new() {
    let home = Home::of(std::slice::from_ref(&(480..720)));
    misunderstand(&home);
    let old = Holdings::of(home.data()).rows;
    let request = span(490, 700);
    let mut outcomes = BTreeSet::new();
    // Streams that are enough to have parts of each kind.
    let request = Request { streams: vec![Stream::Trade], ..request };
    for operations in 0.. {
        let folder = tempfile::tempdir().unwrap();
        copy(home.data(), folder.path());
        let disk = Dying::after(operations);
        let left = Arc::clone(&disk.left);
        let done = rebuild(folder.path(), &(Arc::new(disk) as Arc<dyn Fs>), at(9_000), &request);
        let alive = left.load(Ordering::SeqCst) > 0;
        // The next start, of whatever it is, clears away what is left.
        let again = Request { dry_run: true, ..request.clone() };
        rebuild(folder.path(), &real(), at(9_001), &again).unwrap();
        let now = Holdings::of(folder.path()).rows;
        let outcome = if now == home.first.rows { "new" } else { "old" };
        assert!(outcome == "new" || now == old, "after {operations} operations");
        assert!(done.is_err() || outcome == "new", "after {operations} operations");
        assert!(!Paths::new(folder.path()).quarantine().exists());
        outcomes.insert((outcome, done.is_ok()));
        if alive {
            assert!(operations > 20, "{operations} operations");
            break;
        }
    }
    // Also: done, though not all of the old is removed.
    assert_eq!(outcomes, BTreeSet::from([("old", false), ("new", true)]));
}
