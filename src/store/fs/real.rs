//! The real disk.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::{Fs, FsFile};

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFs;

/// Bytes that this process may still write where `path` lies.
///
/// # Errors
///
/// What the disk says; `path` must be there.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let state = rustix::fs::statvfs(path)?;
    Ok(state.f_bavail.saturating_mul(state.f_frsize))
}

/// Up to `length` bytes of `file` from `offset` on; fewer only at its end.
pub(super) fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let there = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(there).unwrap_or(length).min(length)];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

impl Fs for RealFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(Box::new(RealFile(File::create(path)?)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(Box::new(RealFile(File::options().append(true).open(path)?)))
    }

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        read_at(&File::open(path)?, offset, length)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = File::options().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the Fs::publish that is to be used"
        )]
        fs::rename(from, to)?;
        self.sync_folder(holder(to))?;
        if holder(from) == holder(to) { Ok(()) } else { self.sync_folder(holder(from)) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        match fs::remove_dir(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(()) => self.sync_folder(holder(path)),
        }
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = path.ancestors().take_while(|one| !is_folder(one)).collect();
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists && is_folder(folder) => {}
                made => made?,
            }
            self.sync_folder(holder(folder))?;
        }
        // A folder that was there may be new all the same: made by a process that died before it
        // could sync.
        self.sync_folder(holder(path))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        entries(folder, fs::FileType::is_file)
    }

    fn folders(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        entries(folder, fs::FileType::is_dir)
    }
}

/// The folder that holds `path`.
fn holder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Whether there is a folder called `path`; the empty path is the current folder.
fn is_folder(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.is_dir()
}

fn entries(folder: &Path, wanted: fn(&fs::FileType) -> bool) -> io::Result<Vec<PathBuf>> {
    let found = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?,
    };
    let mut paths = Vec::new();
    for entry in found {
        let entry = entry?;
        if wanted(&entry.file_type()?) {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

#[derive(Debug)]
struct RealFile(File);

impl Write for RealFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl FsFile for RealFile {
    fn sync(&mut self) -> io::Result<()> {
        // The length is part of what fdatasync has to keep.
        self.0.sync_data()
    }

    fn reserve(&mut self, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, 0, length) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_reads_cuts_and_publishes() {
        let home = tempfile::tempdir().unwrap();
        let fs = RealFs;
        let folder = home.path().join("a/b/c");
        fs.create_folder(&folder).unwrap();
        fs.create_folder(&folder).unwrap();
        let (tmp, path) = (folder.join("x.tmp"), home.path().join("a/x"));

        let mut file = fs.create(&tmp).unwrap();
        file.reserve(1 << 20).unwrap();
        file.write_all(b"hello").unwrap();
        file.sync().unwrap();
        assert_eq!(fs.length(&tmp).unwrap(), 5, "reserving keeps the length");
        fs.append(&tmp).unwrap().write_all(b", world").unwrap();
        for (offset, length, expected) in
            [(0, 100, "hello, world"), (7, 3, "wor"), (11, 5, "d"), (12, 1, ""), (99, 1, "")]
        {
            assert_eq!(fs.read(&tmp, offset, length).unwrap(), expected.as_bytes());
        }
        assert!(fs.read(&tmp, 0, usize::MAX).is_ok(), "a length from a damaged file is no harm");

        fs.create(&path).unwrap().write_all(b"what had the name before").unwrap();
        fs.publish(&tmp, &path).unwrap();
        assert_eq!(fs.list(&folder).unwrap(), Vec::<PathBuf>::new());
        fs.truncate(&path, 5).unwrap();
        assert_eq!(fs.read(&path, 0, 100).unwrap(), b"hello");
        assert_eq!(fs.list(&home.path().join("a")).unwrap(), std::slice::from_ref(&path));
        assert_eq!(fs.folders(&home.path().join("a")).unwrap(), [home.path().join("a/b")]);

        fs.remove(&path).unwrap();
        fs.remove(&path).unwrap();
        assert_eq!(fs.length(&path).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(fs.append(&path).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(fs.list(&home.path().join("none")).unwrap(), Vec::<PathBuf>::new());
        assert!(free_bytes(home.path()).unwrap() > 0);
        assert!(free_bytes(&path).is_err());
    }

    #[test]
    fn a_file_in_the_way_of_a_folder_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x");
        RealFs.create(&path).unwrap();
        assert!(RealFs.create_folder(&path).is_err());
        assert!(RealFs.create_folder(&path.join("y")).is_err());
    }
}
