//! Kept raw frames: journal files whose frames are published, in one folder for each UTC day.
//!
//! Invariants: only a folder in `raw/` whose name is a day is ours, and in it only what has the
//! name of a journal file; nothing else is ever removed. What is to go ([`expired`]) is decided
//! apart from its removal.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{Days, NaiveDate};

use super::fs::Fs;
use super::journal;
use super::paths::Paths;

/// Why kept frames cannot be listed or removed.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing} {}: {source}", path.display())]
pub struct RawError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl RawError {
    fn disk<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self { doing, path: path.to_owned(), source }
    }
}

/// The days of which frames are kept, in order.
///
/// # Errors
///
/// When the disk says no.
pub fn days(fs: &dyn Fs, paths: &Paths) -> Result<Vec<NaiveDate>, RawError> {
    let root = paths.raw_root();
    let folders = fs.folders(&root).map_err(RawError::disk("list", &root))?;
    let mut days: Vec<NaiveDate> =
        folders.iter().filter_map(|folder| Paths::raw_day(folder)).collect();
    days.sort();
    Ok(days)
}

/// Of `days`, those that are more than `keep` days before `today`.
#[must_use]
pub fn expired(days: &[NaiveDate], today: NaiveDate, keep: u16) -> Vec<NaiveDate> {
    let first = today.checked_sub_days(Days::new(keep.into())).unwrap_or(NaiveDate::MIN);
    days.iter().copied().filter(|day| *day < first).collect()
}

/// Of `days`, in order, those whose folders can hold frames that arrived from `first` to `last`: a
/// file lies under the day of its first frame, so the day before them may reach into it.
#[must_use]
pub fn reaching(days: &[NaiveDate], first: NaiveDate, last: NaiveDate) -> Vec<NaiveDate> {
    let from = days.partition_point(|day| *day < first).saturating_sub(1);
    days.iter().skip(from).copied().take_while(|day| *day <= last).collect()
}

/// Removes the kept frames of `day`, and its folder unless something else is in it. Tells how many
/// files it removed.
///
/// # Errors
///
/// When the disk says no; the same may be tried again.
pub fn remove(fs: &dyn Fs, paths: &Paths, day: NaiveDate) -> Result<u64, RawError> {
    let folder = paths.raw(day);
    let held = fs.list(&folder).map_err(RawError::disk("list", &folder))?;
    let mut removed = 0;
    for file in held.iter().filter(|file| journal::is_segment(file)) {
        fs.remove(file).map_err(RawError::disk("remove", file))?;
        removed += 1;
    }
    match fs.remove_folder(&folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
            Err(RawError::disk("remove", &folder)(error))
        }
        Ok(()) | Err(_) => Ok(removed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fs::RealFs;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn days_beyond_the_retention_expire() {
        let days = ["2026-02-26", "2026-02-27", "2026-02-28", "2026-03-01", "2026-03-05"].map(day);
        for (today, keep, gone) in [
            ("2026-03-01", 0, 3),
            ("2026-03-01", 1, 2),
            ("2026-03-01", 3, 0),
            ("2026-03-02", 3, 1),
            ("2026-03-02", u16::MAX, 0),
            ("2026-03-09", 3, 5),
            // A clock that went back takes nothing.
            ("2025-01-01", 0, 0),
        ] {
            assert_eq!(expired(&days, day(today), keep), days[..gone], "{today}, {keep} days");
        }
        assert_eq!(expired(&days, NaiveDate::MIN, 30), []);
    }

    #[test]
    fn a_day_is_read_with_the_one_before_it() {
        let days = ["2026-02-20", "2026-02-27", "2026-02-28", "2026-03-01"].map(day);
        for (first, last, expected) in [
            ("2026-02-28", "2026-02-28", &days[1..3]),
            ("2026-02-25", "2026-02-26", &days[..1]),
            ("2026-02-01", "2026-02-20", &days[..1]),
            ("2026-02-01", "2026-02-02", &days[..0]),
            ("2026-04-01", "2026-04-02", &days[3..]),
            ("2026-01-01", "2026-12-31", &days[..]),
        ] {
            assert_eq!(reaching(&days, day(first), day(last)), expected, "{first} to {last}");
        }
        assert_eq!(reaching(&[], day("2026-01-01"), day("2026-12-31")), []);
    }

    #[test]
    fn nothing_but_kept_frames_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(home.path());
        assert_eq!(days(&RealFs, &paths).unwrap(), []);
        let file = |path: PathBuf| {
            RealFs.create_folder(path.parent().unwrap()).unwrap();
            RealFs.create(&path).unwrap();
            path
        };
        let frames = "00000000000000000001.vtj";
        let old = day("2026-01-01");
        let ours = [frames, "00000000000000000001-1.vtj", "00000000000000000900.vtj"]
            .map(|name| file(paths.raw(old).join(name)));
        let theirs = [
            paths.raw_root().join(frames),
            paths.raw_root().join("2026-1-2").join(frames),
            paths.raw_root().join("notes").join(frames),
            paths.raw(day("2026-01-03")).join("notes.txt"),
        ]
        .map(file);
        let found = days(&RealFs, &paths).unwrap();
        assert_eq!(found, [old, day("2026-01-03")]);

        for day in &found {
            let removed = remove(&RealFs, &paths, *day).unwrap();
            assert_eq!(removed, if *day == old { 3 } else { 0 });
        }
        assert!(ours.iter().all(|file| !file.exists()) && !paths.raw(old).exists());
        for file in theirs {
            assert!(file.exists(), "{} is gone", file.display());
        }
        assert_eq!(remove(&RealFs, &paths, old).unwrap(), 0, "once more does no harm");
    }
}
