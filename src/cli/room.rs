//! The room of a recorder's disk: when it is called low, and what is known of how long it lasts.

use std::io;
use std::path::Path;
use std::time::Duration;

use smol_str::SmolStr;

use super::config::{Config, RawKeep};
use crate::maintain::room::{DAYS, Room, days_left};
use crate::model::subscription::Stream;
use crate::model::time::{DAY, Timestamp};
use crate::serve::Disk;
use crate::store::catalog::{Catalog, CatalogError};
use crate::store::fs::{Fs, RealFs};
use crate::store::paths::Paths;
use crate::store::raw;

/// A disk that lasts for some days only is told of this often.
const TELL_EVERY: Duration = DAY;

/// What is to be told of the room, or done about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Word {
    /// Less is free than has to be.
    Low,
    /// Again there is more.
    Enough,
    /// What is free lasts for so many days.
    Scarce(f64),
}

/// Whether it is low, and what was told of it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    low: bool,
    scarce_at: Option<Duration>,
}

impl Watch {
    /// Whether less is free than has to be. It is over only with a tenth more than that, so that a
    /// disk at the border is not told of again and again.
    pub(super) const fn is_low(&self) -> bool {
        self.low
    }

    /// Looks, and gives what is new.
    pub(super) fn look(
        &mut self,
        now: Duration,
        free: u64,
        disk: Disk,
        warn_days: u16,
    ) -> Vec<Word> {
        let mut words = Vec::new();
        let least = disk.min_free_bytes;
        let enough = least.saturating_add(least / 10);
        if !self.low && free < least {
            self.low = true;
            words.push(Word::Low);
        } else if self.low && free >= enough {
            self.low = false;
            words.push(Word::Enough);
        }
        let days = disk.bytes_per_day.and_then(|bytes| days_left(free, bytes));
        match days.filter(|days| *days < f64::from(warn_days)) {
            Some(days)
                if self.scarce_at.is_none_or(|told| now.saturating_sub(told) >= TELL_EVERY) =>
            {
                self.scarce_at = Some(now);
                words.push(Word::Scarce(days));
            }
            Some(_) | None => {}
        }
        words
    }
}

/// What is known at the start.
pub(super) fn disk(config: &Config) -> Disk {
    Disk { min_free_bytes: config.min_free_bytes.as_u64(), bytes_per_day: None }
}

/// By how much the folder grows a day: the files of the streams that are asked for, and the raw
/// frames that are kept; none while it is not known.
pub(super) fn growth(
    data: &Path,
    asked: &[(SmolStr, Stream)],
    keep: RawKeep,
    now: Timestamp,
) -> Result<Option<u64>, CatalogError> {
    let room = Room::of(&Catalog::of_folder(data)?, now)?;
    // What nobody asks for any more does not come, but for what comes of itself.
    let own = |stream| matches!(stream, Stream::Instrument | Stream::Unread);
    let counts = |key: &(SmolStr, Stream)| own(key.1) || asked.contains(key);
    if !room.streams.keys().any(|key| asked.contains(key)) {
        return Ok(None);
    }
    // Raw frames that cannot be counted are not none: with them left out it would last too long.
    let kept = match raw_per_day(&Paths::new(data), keep, now) {
        Ok(kept) => kept,
        Err(error) => {
            tracing::debug!("how much the raw frames take is not known: {error}");
            return Ok(None);
        }
    };
    Ok(Some(room.growth(counts).saturating_add(kept)))
}

/// Bytes of kept raw frames a day, over the last full days; none where they do not grow: what is
/// kept for some days only does no more once they are over.
fn raw_per_day(paths: &Paths, keep: RawKeep, now: Timestamp) -> io::Result<u64> {
    if keep == RawKeep::Nothing {
        return Ok(0);
    }
    let since = now.day().before(DAY * DAYS).date();
    let days = raw::days(&RealFs, paths).map_err(io::Error::other)?;
    if let RawKeep::Days(kept) = keep
        && days.len() > usize::from(kept)
    {
        return Ok(0);
    }
    let late = days.into_iter().filter(|day| *day >= since && *day < now.date());
    let (mut count, mut bytes) = (0_u64, 0_u64);
    for day in late {
        for file in RealFs.list(&paths.raw(day))? {
            bytes = bytes.saturating_add(length(&file)?);
        }
        count += 1;
    }
    Ok(bytes.checked_div(count).unwrap_or_default())
}

/// A file's bytes; one that went meanwhile has none.
fn length(file: &Path) -> io::Result<u64> {
    match RealFs.length(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        told => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::catalog::Change;
    use crate::store::paths::PartName;
    use crate::store::segment::{Ends, Segment};

    #[test]
    fn what_is_new_is_told_once() {
        let mut watch = Watch::default();
        let disk = Disk { min_free_bytes: 1_000, bytes_per_day: Some(1_000) };
        let hour = Duration::from_hours;
        for (at, free, told) in [
            (0, 50_000, vec![]),
            (1, 8_000, vec![]),
            (2, 6_000, vec![Word::Scarce(6.0)]),
            (3, 7_100, vec![]),
            (4, 5_000, vec![]),
            (25, 5_000, vec![]),
            (26, 5_000, vec![Word::Scarce(5.0)]),
            (27, 999, vec![Word::Low]),
            (28, 10, vec![]),
            (29, 1_050, vec![]),
            (30, 1_100, vec![Word::Enough]),
            (31, 1_000, vec![]),
            (32, 900, vec![Word::Low]),
        ] {
            assert_eq!(watch.look(hour(at), free, disk, 7), told, "at {at} h, {free} bytes");
        }
        let unknown = Disk { min_free_bytes: 0, bytes_per_day: None };
        assert_eq!(Watch::default().look(hour(0), 0, unknown, 7), []);
    }

    /// A folder with one full day of trades, 500 bytes, whose raw folder is made by `raw`; and what
    /// the folder is said to grow by.
    fn told_growth(keep: RawKeep, raw: impl Fn(&Path)) -> Option<u64> {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path());
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let day = |hours: u64| now.day().before(Duration::from_hours(24 - hours));
        let ends = Ends { min: day(0), max: day(24).before(Duration::from_micros(1)) };
        let (stream, venue) = (Stream::Trade, SmolStr::new_static("v"));
        let name = PartName { stream, venue: venue.clone(), date: day(0).date(), number: 1 };
        let segment = Segment {
            name,
            rows: 1,
            bytes: 500,
            blake3: String::new(),
            format_version: 1,
            ts_event: ends,
            ts_recv: ends,
            frames: Ends { min: 1, max: 1 },
        };
        let mut catalog = Catalog::open(&paths.catalog()).unwrap();
        catalog.publish(&Change { segments: vec![segment], ..Change::default() }).unwrap();
        raw(&paths.raw_root());
        growth(folder.path(), &[(venue, stream)], keep, now).unwrap()
    }

    #[test]
    fn raw_frames_that_cannot_be_counted_are_not_none() {
        let day = |root: &Path| {
            std::fs::create_dir_all(root.join("2026-11-20")).unwrap();
            std::fs::write(root.join("2026-11-20/1.vtj"), [0; 70]).unwrap();
        };
        let no_folder = |root: &Path| std::fs::write(root, "").unwrap();
        let (forever, days) = (RawKeep::Forever, RawKeep::Days(3));
        assert_eq!(told_growth(forever, |_| ()), Some(500), "nothing is kept yet");
        assert_eq!(told_growth(forever, day), Some(570));
        assert_eq!(told_growth(days, day), Some(570));
        assert_eq!(told_growth(RawKeep::Days(0), day), Some(500), "as much goes as comes");
        assert_eq!(told_growth(forever, no_folder), None);
        assert_eq!(told_growth(days, no_folder), None);
        assert_eq!(told_growth(RawKeep::Nothing, no_folder), Some(500), "nobody asks for them");
    }
}
