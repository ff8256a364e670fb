//! What is kept, and for how long: by age and by bytes, for each stream and for all.
//!
//! What holds: only whole UTC days of a stream go, oldest first, and never the day that is not
//! over; each is noted in the catalog with its policy and the time in the transaction that retires
//! its files, so that it is never taken for lost; files are removed after it. What is to go is
//! decided in [`plan`], without a disk. The counts of the hours stay: they say what was recorded.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime};
use smol_str::SmolStr;

use super::publisher::{Owner, OwnerError, Publisher};
use crate::ingest::writer::DeskError;
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::{HOUR_US, Timestamp};
use crate::store::catalog::{CatalogError, Change, Filter, Retirement};
use crate::store::fs::Fs;
use crate::store::segment::Segment;
use crate::store::swap::Swap;

/// How much of something is kept. What is not given does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// A day goes so long after its end.
    pub age: Option<Duration>,
    /// The oldest days go while there is more than this.
    pub bytes: Option<u64>,
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Of one stream.
    pub streams: BTreeMap<Stream, Limits>,
    /// Bytes of all files together.
    pub total: Option<u64>,
}

/// A day of a stream that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retiree {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The UTC day.
    pub date: NaiveDate,
    /// All its files.
    pub files: Vec<Segment>,
    /// Why, in words.
    pub policy: String,
}

/// Why something could not go. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RetainError {
    /// The data folder cannot be had.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// It could not be published.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

/// Removes what `policy` does not keep from a folder that nobody records into, and tells it.
///
/// # Errors
///
/// When the folder is in use or holds no recording, or the catalog fails.
pub fn retain(
    data: &std::path::Path,
    fs: &std::sync::Arc<dyn Fs>,
    now: Timestamp,
    policy: &Policy,
) -> Result<Vec<Retiree>, RetainError> {
    let mut owner = Owner::of(data, fs, now)?;
    let plan = plan(&owner.catalog().segments(&Filter::default())?, policy, now);
    for one in &plan {
        carry_out(now, one, &mut owner)?;
    }
    Ok(plan)
}

/// What is to go, oldest first.
#[must_use]
pub fn plan(segments: &[Segment], policy: &Policy, now: Timestamp) -> Vec<Retiree> {
    let mut days = days(segments);
    days.retain(|day| day.date < now.date());
    let mut going = Vec::new();
    for (stream, limits) in &policy.streams {
        let of_stream = |day: &Retiree| day.stream == *stream;
        if let Some(age) = limits.age {
            let old = |day: &Retiree| of_stream(day) && day.end().after(age) <= now;
            let policy = format!("{stream} older than {}", humantime::format_duration(age));
            take(&mut days, &mut going, &policy, |day, _| old(day));
        }
        if let Some(limit) = limits.bytes {
            let files = segments.iter().filter(|file| file.name.stream == *stream);
            let bytes = held(files, &going);
            let policy = format!("more than {limit} bytes of {stream}");
            take(&mut days, &mut going, &policy, |day, taken| {
                of_stream(day) && bytes - taken.min(bytes) > limit
            });
        }
    }
    if let Some(limit) = policy.total {
        let bytes = held(segments.iter(), &going);
        let policy = format!("more than {limit} bytes in all");
        take(&mut days, &mut going, &policy, |_, taken| bytes - taken.min(bytes) > limit);
    }
    going.sort_by_key(|day| (day.date, day.stream, day.venue.clone()));
    going
}

/// Retires the files of a day, and notes why.
///
/// # Errors
///
/// When a file is gone, or the disk or the catalog says no.
pub fn carry_out(
    now: Timestamp,
    day: &Retiree,
    publisher: &mut dyn Publisher,
) -> Result<(), RetainError> {
    let midnight = Timestamp::from(day.date.and_time(NaiveTime::MIN).and_utc());
    let retirement = Span::new(midnight, day.end()).map(|span| Retirement {
        venue: day.venue.clone(),
        stream: day.stream,
        span,
        files: u64::try_from(day.files.len()).unwrap_or(u64::MAX),
        rows: day.rows(),
        bytes: day.bytes(),
        policy: day.policy.clone(),
        at: now,
    });
    publisher.swap(Swap {
        parts: Vec::new(),
        sources: day.files.iter().map(|file| file.name.clone()).collect(),
        change: Change {
            at: now,
            retirements: retirement.into_iter().collect(),
            ..Change::default()
        },
    })?;
    Ok(())
}

impl Retiree {
    /// Rows that go.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Bytes that go.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// All of it, for people.
    #[must_use]
    pub fn words(&self) -> impl fmt::Display {
        let Self { venue, stream, date, files, policy } = self;
        format!("{venue} {stream} {date}: {} files, {} bytes ({policy})", files.len(), self.bytes())
    }

    fn end(&self) -> Timestamp {
        let midnight = Timestamp::from(self.date.and_time(NaiveTime::MIN).and_utc());
        midnight.after(Duration::from_micros(24 * HOUR_US.unsigned_abs()))
    }
}

/// Moves from `days` to `going`, in order, what `goes` picks; it is told how many bytes it picked
/// so far.
fn take(
    days: &mut Vec<Retiree>,
    going: &mut Vec<Retiree>,
    policy: &str,
    goes: impl Fn(&Retiree, u64) -> bool,
) {
    let mut taken = 0;
    for mut day in std::mem::take(days) {
        if goes(&day, taken) {
            taken += day.bytes();
            policy.clone_into(&mut day.policy);
            going.push(day);
        } else {
            days.push(day);
        }
    }
}

/// Bytes of `files` that are not going.
fn held<'a>(files: impl Iterator<Item = &'a Segment>, going: &[Retiree]) -> u64 {
    let goes = |file: &&Segment| going.iter().any(|day| day.files.contains(file));
    files.filter(|file| !goes(file)).map(|file| file.bytes).sum()
}

/// The files by day, oldest first; within a day the largest first.
fn days(segments: &[Segment]) -> Vec<Retiree> {
    let mut days: BTreeMap<(NaiveDate, Stream, SmolStr), Vec<Segment>> = BTreeMap::new();
    for one in segments {
        let key = (one.name.date, one.name.stream, one.name.venue.clone());
        days.entry(key).or_default().push(one.clone());
    }
    let day = |((date, stream, venue), files)| Retiree {
        venue,
        stream,
        date,
        files,
        policy: String::new(),
    };
    let mut days: Vec<Retiree> = days.into_iter().map(day).collect();
    days.sort_by_key(|day| (day.date, std::cmp::Reverse(day.bytes())));
    days
}

#[cfg(test)]
mod tests;
