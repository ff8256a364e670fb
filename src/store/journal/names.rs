//! Names of segment files, and moving them out of the journal.

use std::path::{Path, PathBuf};

use super::JournalError;
use crate::store::fs::Fs;

/// How the name of a segment file ends.
pub(super) const EXTENSION: &str = "vtj";
/// Digits of a sequence in a name: names sort as sequences do.
const DIGITS: usize = 20;
/// Files of one name that are kept side by side, at most.
const SAME_NAME_MAX: u32 = 10_000;

/// The name of the segment file that begins with the frame `first`.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:0DIGITS$}.{EXTENSION}")
}

/// The sequence that the name of a segment file tells: `<20 digits>.vtj`, or
/// `<20 digits>-<n>.vtj` where the plain name was taken in a folder it was moved to.
pub(super) fn first_sequence(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let (digits, again) = name.split_once('-').unwrap_or((name, "0"));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let sound = digits.len() == DIGITS && plain(digits) && plain(again);
    digits.parse().ok().filter(|first| sound && *first > 0)
}

/// Moves `path` into `folder`, which is made if need be, replacing nothing there. Tells the file's
/// new place.
pub(super) fn move_into(fs: &dyn Fs, path: &Path, folder: &Path) -> Result<PathBuf, JournalError> {
    fs.create_folder(folder).map_err(JournalError::disk("make the folder", folder))?;
    let to = free_name(fs, path, folder)?;
    match fs.publish(path, &to) {
        Ok(()) => Ok(to),
        // An earlier try moved it and could not say so: what is left is to make that last.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            for folder in [Some(folder), path.parent()].into_iter().flatten() {
                fs.sync_folder(folder).map_err(JournalError::disk("sync", folder))?;
            }
            Ok(folder.join(path.file_name().unwrap_or_default()))
        }
        Err(error) => Err(JournalError::disk("move", path)(error)),
    }
}

fn free_name(fs: &dyn Fs, path: &Path, folder: &Path) -> Result<PathBuf, JournalError> {
    let taken = fs.list(folder).map_err(JournalError::disk("list", folder))?;
    let plain = folder.join(path.file_name().unwrap_or_default());
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.split_once('-').map_or(&*stem, |(digits, _)| digits);
    let numbered = (1..SAME_NAME_MAX).map(|n| folder.join(format!("{stem}-{n}.{EXTENSION}")));
    std::iter::once(plain)
        .chain(numbered)
        .find(|name| !taken.contains(name))
        .ok_or_else(|| JournalError::disk("move", path)(std::io::ErrorKind::AlreadyExists.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_first_sequence() {
        for (name, first) in [
            ("00000000000000000001.vtj", Some(1)),
            ("00000000000000000042-7.vtj", Some(42)),
            ("18446744073709551615.vtj", Some(u64::MAX)),
            ("18446744073709551616.vtj", None),
            ("00000000000000000000.vtj", None),
            ("0000000000000000001.vtj", None),
            ("+0000000000000000001.vtj", None),
            ("00000000000000000001-.vtj", None),
            ("00000000000000000001.vtj.tmp", None),
            ("00000000000000000001", None),
        ] {
            assert_eq!(first_sequence(Path::new(name)), first, "{name}");
        }
        assert_eq!(first_sequence(Path::new(&segment_name(7))), Some(7));
    }
}
