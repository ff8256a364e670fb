//! Every path of a data folder: built and read here only.
//!
//! ```text
//! DATA/veritape.lock
//!      catalog.sqlite
//!      journal/
//!      raw/<YYYY-MM-DD>/
//!      quarantine/
//!      stream=<name>/venue=<venue>/date=<YYYY-MM-DD>/part-<number, 10 digits>.parquet
//! ```
//!
//! A name that ends in `.tmp` is not published yet: it never counts, and is removed at start.
//! Reading a name is strict: what [`PartName`] reads, it writes again letter for letter.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono::NaiveDate;
use smol_str::SmolStr;

use super::fs::Fs;
use crate::model::subscription::Stream;

/// The paths of one data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    data: PathBuf,
}

impl Paths {
    /// The paths of the data folder `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into() }
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The file whose lock says that a process owns the folder.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data.join("veritape.lock")
    }

    /// The SQLite file.
    #[must_use]
    pub fn catalog(&self) -> PathBuf {
        self.data.join("catalog.sqlite")
    }

    /// The folder of frames that are not in files yet.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.data.join("journal")
    }

    /// The folder of all kept raw frames.
    #[must_use]
    pub fn raw_root(&self) -> PathBuf {
        self.data.join("raw")
    }

    /// The folder of the raw frames kept of one day.
    #[must_use]
    pub fn raw(&self, day: NaiveDate) -> PathBuf {
        self.raw_root().join(day.to_string())
    }

    /// The day that the folder `path` holds the raw frames of; none where its name is not a day.
    #[must_use]
    pub fn raw_day(path: &Path) -> Option<NaiveDate> {
        let name = path.file_name()?.to_str()?;
        // Days have many spellings; ours is the only one that counts.
        name.parse().ok().filter(|day: &NaiveDate| day.to_string() == name)
    }

    /// The folder of what was found damaged or out of place.
    #[must_use]
    pub fn quarantine(&self) -> PathBuf {
        self.data.join("quarantine")
    }

    /// Where the file called `relative` in the catalog lies.
    #[must_use]
    pub fn absolute(&self, relative: &str) -> PathBuf {
        self.data.join(relative)
    }

    /// Where a part lies.
    #[must_use]
    pub fn part(&self, name: &PartName) -> PathBuf {
        self.absolute(&name.to_string())
    }

    /// A file that is only written to see whether that can be done.
    #[must_use]
    pub fn trial(&self) -> PathBuf {
        self.data.join("trial.tmp")
    }

    /// Where a part is written before it is published: in a folder of its own, because readers
    /// that take a whole folder (pandas, polars) fail on a file that is not Parquet.
    #[must_use]
    pub fn unpublished(&self, name: &PartName) -> PathBuf {
        self.data.join("tmp").join(format!("part-{:010}.parquet.tmp", name.number))
    }

    /// Everything in the part folders and what was never published, in the order of the names.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn walk(&self, fs: &dyn Fs) -> io::Result<Found> {
        let mut found = Found::default();
        found.take(fs.list(&self.data.join("tmp"))?, &self.data);
        let mut folders = vec![self.data.clone()];
        for key in [Some("stream="), Some("venue="), Some("date="), None] {
            let mut below = Vec::new();
            for folder in folders {
                let inside = folder != self.data;
                found.take(fs.list(&folder)?, &self.data);
                let (ours, others): (Vec<_>, Vec<_>) = fs
                    .folders(&folder)?
                    .into_iter()
                    .partition(|one| key.is_some_and(|key| starts(one, key)));
                below.extend(ours);
                found.strange.extend(others.into_iter().filter(|_| inside));
            }
            folders = below;
        }
        Ok(found)
    }
}

/// What lies in the part folders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Complete parts.
    pub parts: Vec<PartName>,
    /// Files that were never published.
    pub unpublished: Vec<PathBuf>,
    /// What lies in the part folders and is neither.
    pub strange: Vec<PathBuf>,
}

impl Found {
    fn take(&mut self, files: Vec<PathBuf>, data: &Path) {
        for path in files {
            let name = path.strip_prefix(data).ok().and_then(Path::to_str).map(str::parse);
            if is_tmp(&path) {
                self.unpublished.push(path);
            } else if let Some(Ok(name)) = name {
                self.parts.push(name);
            } else if path.parent().is_some_and(|folder| folder != data) {
                self.strange.push(path);
            }
        }
    }
}

fn starts(path: &Path, key: &str) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(key))
}

/// Whether `path` is the name of a file that is not published.
fn is_tmp(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tmp")
}

/// What the path of a part says. As text: the path, from the data folder on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartName {
    /// The stream of every row.
    pub stream: Stream,
    /// The venue of every row: lower-case letters, digits, `-` and `_`.
    pub venue: SmolStr,
    /// The UTC day of every row's time.
    pub date: NaiveDate,
    /// The segment's number: unique over the life of the data folder.
    pub number: u64,
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, venue, date, number } = self;
        write!(f, "stream={stream}/venue={venue}/date={date}/part-{number:010}.parquet")
    }
}

/// A path that is not that of a part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the path of a part: stream=<name>/venue=<venue>/date=<day>/part-<number>.parquet"
)]
pub struct NotAPart(pub String);

impl FromStr for PartName {
    type Err = NotAPart;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let read = || {
            let mut steps = path.split('/');
            let name = Self {
                stream: steps.next()?.strip_prefix("stream=")?.parse().ok()?,
                venue: steps.next()?.strip_prefix("venue=")?.into(),
                date: steps.next()?.strip_prefix("date=")?.parse().ok()?,
                number: steps
                    .next()?
                    .strip_prefix("part-")?
                    .strip_suffix(".parquet")?
                    .parse()
                    .ok()?,
            };
            let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_".contains(&c);
            let venue = !name.venue.is_empty() && name.venue.bytes().all(plain);
            // Numbers and days have many spellings; ours is the only one that counts.
            (venue && name.to_string() == path).then_some(name)
        };
        read().ok_or_else(|| NotAPart(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use proptest::prelude::*;

    use super::*;
    use crate::model::time::Timestamp;
    use crate::store::fs::RealFs;

    fn name(number: u64) -> PartName {
        let date = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        PartName { stream: Stream::Trade, venue: "upbit".into(), date, number }
    }

    #[test]
    fn only_the_one_spelling_is_a_part() {
        let good = "stream=trade/venue=upbit/date=2026-11-21/part-0000000007.parquet";
        assert_eq!(name(7).to_string(), good);
        assert_eq!(good.parse(), Ok(name(7)));
        assert_eq!(Paths::new("d").part(&name(7)), Path::new("d").join(good));
        for bad in [
            "",
            "part-0000000007.parquet",
            "stream=trades/venue=upbit/date=2026-11-21/part-0000000007.parquet",
            "stream=trade/venue=/date=2026-11-21/part-0000000007.parquet",
            "stream=trade/venue=../date=2026-11-21/part-0000000007.parquet",
            "stream=trade/venue=upbit/date=2026-11-31/part-0000000007.parquet",
            "stream=trade/venue=upbit/date=2026-11-1/part-0000000007.parquet",
            "stream=trade/venue=upbit/date=2026-11-21/part-7.parquet",
            "stream=trade/venue=upbit/date=2026-11-21/part-+000000007.parquet",
            "stream=trade/venue=upbit/date=2026-11-21/part-0000000007.parquet.tmp",
            "stream=trade/venue=upbit/date=2026-11-21/part-0000000007.parquet/x",
            "/stream=trade/venue=upbit/date=2026-11-21/part-0000000007.parquet",
            "stream=trade/venue=upbit/date=2026-11-21/part-99999999999999999999.parquet",
        ] {
            assert_eq!(bad.parse::<PartName>(), Err(NotAPart(bad.into())), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_name_reads_back(
            stream in prop::sample::select(Stream::all().collect::<Vec<_>>()),
            venue in "[a-z0-9_-]{1,12}", days in 0_u64..4_000_000, number: u64,
        ) {
            let date = Timestamp::default().date().checked_add_days(Days::new(days)).unwrap();
            let name = PartName { stream, venue: venue.into(), date, number };
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }

        #[test]
        fn no_text_panics(path in "(stream=)?[a-z./=0-9-]{0,30}\\PC{0,20}") {
            prop_assert!(path.parse::<PartName>().is_err());
        }
    }

    #[test]
    fn a_walk_finds_parts_and_what_was_never_published() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(home.path());
        assert_eq!(paths.walk(&RealFs).unwrap(), Found::default());

        let other = PartName { stream: Stream::Unread, venue: "upbit-sg".into(), ..name(3) };
        let (dead, odd) =
            (paths.unpublished(&name(8)), paths.part(&name(1)).with_file_name("notes.txt"));
        let deep = paths.part(&name(1)).with_file_name("more").join("part-0000000001.parquet");
        for path in
            [&paths.part(&name(7)), &paths.part(&name(2)), &paths.part(&other), &dead, &odd, &deep]
        {
            RealFs.create_folder(path.parent().unwrap()).unwrap();
            RealFs.create(path).unwrap();
        }
        let kept = paths.journal().join("x.tmp");
        RealFs.create_folder(&paths.journal()).unwrap();
        RealFs.create(&kept).unwrap();
        let found = paths.walk(&RealFs).unwrap();
        assert_eq!(found.parts, [name(2), name(7), other]);
        assert_eq!(found.unpublished, [dead], "the journal's own are the journal's");
        assert_eq!(found.strange, [odd, deep.parent().unwrap().to_owned()]);
    }
}
