//! What a start removes before it replays the journal: files that were never published, and files
//! that the catalog does not know.
//!
//! A crash between the renaming of a part and the catalog's transaction leaves a part that nobody
//! counts; replay writes its rows again. But a part that the journal cannot give back is never
//! removed: it goes to `quarantine/`. And where the catalog knows nothing at all while such parts
//! are there, it was lost, and the start is refused.

use std::io;
use std::path::{Path, PathBuf};

use super::catalog::{Catalog, CatalogError};
use super::fs::Fs;
use super::paths::{PartName, Paths};

/// How many parts of one name the quarantine takes.
const COPIES: u32 = 1_000;

/// What a start removed. Paths are from the data folder on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Files that were never published.
    pub unpublished: Vec<String>,
    /// Parts that the journal gives back.
    pub replayed: Vec<String>,
    /// Parts whose rows are in other parts.
    pub retired: Vec<String>,
    /// Parts that nobody knows, moved to `quarantine/`.
    pub quarantined: Vec<String>,
}

/// Why a start cannot sweep.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// There are files, and a catalog that never knew any.
    #[error(
        "{} holds {count} files, {example} among them, that its catalog knows nothing of: catalog.sqlite was lost. \
        Put it back from a backup, or move the files away and start anew",
        data.display()
    )]
    CatalogLost {
        /// The data folder.
        data: PathBuf,
        /// How many files.
        count: usize,
        /// One of them.
        example: PartName,
    },
    /// The disk said no.
    #[error("could not {doing} {}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the disk said.
        source: io::Error,
    },
    /// The catalog said no.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Clears the part folders. `journal_from` is the first frame that the journal still has; none
/// where it has no frame. The journal's own files are the journal's.
///
/// # Errors
///
/// When the catalog was lost, or the disk or the catalog says no. What was done by then is right,
/// and done again without harm.
pub fn sweep(
    fs: &dyn Fs,
    paths: &Paths,
    catalog: &mut Catalog,
    journal_from: Option<u64>,
) -> Result<Swept, SweepError> {
    let retired = remove_retired(fs, paths, catalog)?;
    let mut swept = Swept { retired, ..Swept::default() };
    let found = paths.walk(fs).map_err(disk("list", paths.data()))?;
    let position = catalog.start_position()?;
    let (mut again, mut strange) = (Vec::new(), Vec::new());
    for name in found.parts {
        if !catalog.knows(&name)? {
            let kept = journal_from.is_some_and(|first| first <= position.next_frame);
            if kept && name.number >= position.next_segment { &mut again } else { &mut strange }
                .push(name);
        }
    }
    if let (Some(example), 1) = (strange.first(), position.next_segment) {
        let (data, count) = (paths.data().to_owned(), strange.len());
        return Err(SweepError::CatalogLost { data, count, example: example.clone() });
    }
    for path in found.unpublished {
        fs.remove(&path).map_err(disk("remove", &path))?;
        let relative = path.strip_prefix(paths.data()).unwrap_or(&path);
        swept.unpublished.push(relative.display().to_string());
    }
    for name in again {
        let path = paths.part(&name);
        fs.remove(&path).map_err(disk("remove", &path))?;
        swept.replayed.push(name.to_string());
    }
    for name in strange {
        quarantine(fs, paths, &name).map_err(disk("move to quarantine", &paths.part(&name)))?;
        swept.quarantined.push(name.to_string());
    }
    Ok(swept)
}

/// Removes the parts whose rows are in other parts, and those that were about to be published.
/// Tells their paths.
///
/// # Errors
///
/// When the disk or the catalog says no; the same may be tried again.
pub fn remove_retired(
    fs: &dyn Fs,
    paths: &Paths,
    catalog: &mut Catalog,
) -> Result<Vec<String>, SweepError> {
    let retired = catalog.retired()?;
    for one in &retired {
        let path = paths.absolute(&one.path);
        fs.remove(&path).map_err(disk("remove", &path))?;
    }
    catalog.forget(&retired)?;
    Ok(retired.into_iter().map(|one| one.path).collect())
}

fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SweepError {
    let path = path.to_owned();
    move |source| SweepError::Disk { path, doing, source }
}

/// Moves a part, which the catalog does not know, to a free name in the quarantine.
///
/// # Errors
///
/// When the disk says no; the next start tries the same.
pub fn quarantine(fs: &dyn Fs, paths: &Paths, name: &PartName) -> io::Result<()> {
    let home = paths.quarantine().join(name.to_string());
    let folder = home.parent().unwrap_or(&home);
    fs.create_folder(folder)?;
    let taken = fs.list(folder)?;
    let free = (1..=COPIES)
        .map(|copy| home.with_added_extension(copy.to_string()))
        .find(|path| !taken.contains(path));
    match free {
        Some(free) => fs.publish(&paths.part(name), &free),
        None => Err(io::Error::other(format!("{} holds {COPIES} of it already", folder.display()))),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::model::subscription::Stream;
    use crate::model::time::Timestamp;
    use crate::store::catalog::Change;
    use crate::store::fs::RealFs;
    use crate::store::segment::{Ends, Segment};

    struct Home {
        paths: Paths,
        catalog: Catalog,
        _folder: TempDir,
    }

    fn name(number: u64) -> PartName {
        let date = Timestamp::default().date();
        PartName { stream: Stream::Trade, venue: "upbit".into(), date, number }
    }

    fn file(path: &Path) {
        RealFs.create_folder(path.parent().unwrap()).unwrap();
        RealFs.create(path).unwrap();
    }

    impl Home {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let paths = Paths::new(folder.path());
            let catalog = Catalog::open(&paths.catalog()).unwrap();
            Self { paths, catalog, _folder: folder }
        }

        /// Parts 1 and 2, published up to frame 100; part 1 was then replaced by part 3.
        fn recorded(&mut self) {
            let time = Ends { min: Timestamp::default(), max: Timestamp::default() };
            let segment = |number| Segment {
                name: name(number),
                rows: 1,
                bytes: 1,
                blake3: String::new(),
                format_version: 1,
                ts_event: time,
                ts_recv: time,
                frames: Ends { min: 1, max: 1 },
            };
            let segments = vec![segment(1), segment(2)];
            self.catalog
                .publish(&Change { segments, next_frame: Some(100), ..Change::default() })
                .unwrap();
            let change =
                Change { segments: vec![segment(3)], retired: vec![1], ..Change::default() };
            self.catalog.publish(&change).unwrap();
            (1..=3).for_each(|number| file(&self.paths.part(&name(number))));
        }

        fn sweep(&mut self, journal_from: Option<u64>) -> Result<Swept, SweepError> {
            sweep(&RealFs, &self.paths, &mut self.catalog, journal_from)
        }

        fn left(&self) -> Vec<u64> {
            let found = self.paths.walk(&RealFs).unwrap();
            assert_eq!(found.unpublished, Vec::<PathBuf>::new());
            found.parts.iter().map(|name| name.number).collect()
        }
    }

    #[test]
    fn only_what_can_be_had_again_is_removed() {
        let text = |number| name(number).to_string();
        // The journal's first frame; what becomes of part 4 (of a crash) and part 0 (of nobody).
        for (journal_from, replayed, quarantined) in [
            (Some(100), vec![text(4)], vec![text(0)]),
            (Some(1), vec![text(4)], vec![text(0)]),
            // The journal does not reach back to what is published: an old catalog was put back.
            (Some(101), vec![], vec![text(0), text(4)]),
            (None, vec![], vec![text(0), text(4)]),
        ] {
            let mut home = Home::new();
            home.recorded();
            let dead = home.paths.unpublished(&name(5));
            for path in [&home.paths.part(&name(4)), &home.paths.part(&name(0)), &dead] {
                file(path);
            }
            let expected = Swept {
                unpublished: vec!["tmp/part-0000000005.parquet.tmp".to_owned()],
                replayed,
                retired: vec![text(1)],
                quarantined: quarantined.clone(),
            };
            assert_eq!(home.sweep(journal_from).unwrap(), expected, "{journal_from:?}");
            assert_eq!(home.left(), [2, 3]);
            assert_eq!(home.sweep(journal_from).unwrap(), Swept::default(), "once is enough");
            for part in quarantined {
                assert!(home.paths.quarantine().join(part + ".1").exists());
            }
            // A second of the same name finds its own place.
            file(&home.paths.part(&name(0)));
            home.sweep(journal_from).unwrap();
            assert!(home.paths.quarantine().join(text(0) + ".2").exists());
        }
    }

    #[test]
    fn a_lost_catalog_stops_the_start_and_costs_no_file() {
        let mut home = Home::new();
        (1..=2).for_each(|number| file(&home.paths.part(&name(number))));
        for journal_from in [None, Some(2)] {
            let error = home.sweep(journal_from).unwrap_err();
            assert!(matches!(&error, SweepError::CatalogLost { count: 2, .. }), "{error}");
            assert!(error.to_string().contains("catalog.sqlite was lost"), "{error}");
            assert_eq!(home.left(), [1, 2]);
        }
        // The very first segments of a recording, and a crash: the journal has them all.
        assert_eq!(home.sweep(Some(1)).unwrap().replayed.len(), 2);
        assert_eq!(home.left(), Vec::<u64>::new());
    }

    #[test]
    fn a_missing_folder_is_nothing_to_sweep() {
        let mut home = Home::new();
        assert_eq!(home.sweep(None).unwrap(), Swept::default());
    }
}
