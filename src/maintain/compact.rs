//! Small files of a day become one, or one for each market.
//!
//! What holds:
//!
//! * The rows are the same before and after, whatever order they come in; of what was there twice
//!   one stays (the last state of a candle, the first row of a trade), and the count of its hour
//!   goes down with it.
//! * Nothing goes before what takes its place is written, synced, read back and found the same: the
//!   count and the sum of a 128-bit hash over all columns of all rows, taken from the old files and
//!   from the new ones, each by a reading of its own.
//! * It is there as a whole or not at all ([`swap`](crate::store::swap)): killed at any moment it
//!   leaves the old files or the new ones. Who has an old file open reads it to its end.
//! * A damaged file stops what it is part of, and nothing else: it stays where it is, for `verify`
//!   and `rebuild`.
//!
//! What is to be done is decided in [`plan`], without a disk.

pub mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use self::plan::{Rule, Task};
use super::publisher::{Owner, OwnerError, Publisher};
use crate::ingest::writer::DeskError;
use crate::model::market::Market;
use crate::model::time::Timestamp;
use crate::store::catalog::{Catalog, CatalogError, Change, Filter, HourRows};
use crate::store::fs::{Fs, free_bytes};
use crate::store::paths::{PartName, Paths};
use crate::store::segment::{
    self, Compacted, Compaction, Dropped, Extent, Fingerprint, Segment, SegmentError,
};
use crate::store::swap::Swap;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files that others took the place of.
    pub replaced: u64,
    /// Files written.
    pub written: u64,
    /// Rows in them.
    pub rows: u64,
    /// Rows that were there twice, and are once.
    pub dropped: u64,
    /// Bytes of the files that were replaced.
    pub bytes_before: u64,
    /// Bytes of those that were written.
    pub bytes_after: u64,
}

/// What became of all tasks.
#[derive(Debug, Default)]
pub struct Report {
    /// What was done.
    pub summary: Summary,
    /// What was not, and why: all its files are as they were.
    pub failed: Vec<(Task, CompactError)>,
}

/// Why files were not merged. They are as they were.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The data folder cannot be had.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// It could not be published.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// What was written is not what was read.
    #[error(
        "merging {files} files of {first} gave {found} rows where {expected} were read, or others: nothing was changed. \
         The disk or the memory of this machine is failing"
    )]
    Differs {
        /// How many files.
        files: usize,
        /// One of them.
        first: PartName,
        /// Rows that there should be.
        expected: u64,
        /// Rows that there are.
        found: u64,
    },
    /// Old and new files do not both find room.
    #[error("merging needs {needed} bytes beside what is there, and {free} are free")]
    Room {
        /// Bytes that it takes, roughly.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
}

/// Does all that `rule` asks for on a folder that nobody records into. `now` is the time.
///
/// # Errors
///
/// When the folder is in use or holds no recording, or the catalog fails. What a file's own fault
/// prevents is in the report.
pub fn compact(
    data: &Path,
    fs: &Arc<dyn Fs>,
    now: Timestamp,
    rule: &Rule,
) -> Result<Report, CompactError> {
    let mut owner = Owner::of(data, fs, now)?;
    let tasks = planned(owner.catalog(), now, rule)?;
    let paths = owner.paths().clone();
    let mut report = Report::default();
    for task in tasks {
        match carry_out(fs, &paths, now, &task, &mut owner) {
            Ok(done) => report.summary.add(done),
            Err(error) => report.failed.push((task, error)),
        }
    }
    Ok(report)
}

/// What [`compact`] would do.
///
/// # Errors
///
/// When the catalog fails.
pub fn planned(catalog: &Catalog, now: Timestamp, rule: &Rule) -> Result<Vec<Task>, CompactError> {
    let segments = catalog.segments(&Filter::default())?;
    Ok(plan::plan(&segments, &catalog.of_one_market()?, rule, now))
}

/// Merges the files of one task and publishes the result.
///
/// # Errors
///
/// When a file is damaged or gone, or the disk or the catalog says no.
pub fn carry_out(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    now: Timestamp,
    task: &Task,
    publisher: &mut dyn Publisher,
) -> Result<Summary, CompactError> {
    let bytes_before: u64 = task.sources.iter().map(|source| source.bytes).sum();
    check_room(paths, bytes_before)?;
    let survey = Survey::of(fs, paths, &task.sources)?;
    let parts = if task.by_market { survey.markets.len() } else { 1 };
    let numbers = publisher.reserve(Compaction::numbers(task.sources.len(), parts))?;
    let wanted = Compaction { sources: &task.sources, numbers, by_market: task.by_market };
    let Compacted { parts, dropped } = segment::compact(fs, paths, &wanted)?;
    let expected = survey.rows.without(dropped.rows);
    let swap = Swap {
        sources: task.sources.iter().map(|source| source.name.clone()).collect(),
        change: Change { at: now, uncounted: uncounted(task, &dropped), ..Change::default() },
        parts,
    };
    let unpublished = swap.unpublished(paths);
    let written = same(fs, task, &swap, expected)
        .and_then(|()| Ok(publisher.swap(swap)?))
        .inspect_err(|_| {
            for path in &unpublished {
                // What cannot be removed now is removed at the next start.
                fs.remove(path).ok();
            }
        })?;
    Ok(Summary {
        replaced: count(task.sources.len()),
        written: count(written.len()),
        rows: expected.rows(),
        dropped: dropped.rows.rows(),
        bytes_before,
        bytes_after: written.iter().map(|part| part.bytes).sum(),
    })
}

impl Summary {
    fn add(&mut self, other: Self) {
        self.replaced += other.replaced;
        self.written += other.written;
        self.rows += other.rows;
        self.dropped += other.dropped;
        self.bytes_before += other.bytes_before;
        self.bytes_after += other.bytes_after;
    }
}

/// All rows of some files, by a reading that is for this alone.
#[derive(Default)]
struct Survey {
    rows: Fingerprint,
    markets: BTreeSet<Option<Market>>,
}

impl Survey {
    fn of(fs: &Arc<dyn Fs>, paths: &Paths, segments: &[Segment]) -> Result<Self, SegmentError> {
        let mut survey = Self::default();
        for one in segments {
            segment::scan(fs, paths, one, Extent::Whole, |cells| {
                let mut last = None;
                for row in cells.rows() {
                    survey.rows.add(cells, row);
                    let market = cells.market(row);
                    if last != Some(market) {
                        survey.markets.insert(market.map(Market::new));
                        last = Some(market);
                    }
                }
            })?;
        }
        Ok(survey)
    }
}

/// Whether the new files, read from the disk, have the rows that they should.
fn same(
    fs: &Arc<dyn Fs>,
    task: &Task,
    swap: &Swap,
    expected: Fingerprint,
) -> Result<(), CompactError> {
    let mut found = Fingerprint::default();
    for (part, _) in &swap.parts {
        part.scan(fs, Extent::Whole, |cells| {
            cells.rows().for_each(|row| found.add(cells, row));
        })?;
    }
    match task.sources.first() {
        Some(first) if found != expected => Err(CompactError::Differs {
            files: task.sources.len(),
            first: first.name.clone(),
            expected: expected.rows(),
            found: found.rows(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// The counts of hours that were too high.
fn uncounted(task: &Task, dropped: &Dropped) -> Vec<HourRows> {
    let Some(first) = task.sources.first() else { return Vec::new() };
    let row = |((market, hour), rows): (&(Option<Market>, Timestamp), &u64)| HourRows {
        venue: first.name.venue.clone(),
        stream: first.name.stream,
        market: market.clone(),
        hour: *hour,
        rows: *rows,
        first: *hour,
        last: *hour,
    };
    dropped.hours.iter().map(row).collect()
}

/// Old and new files are there at once, and what is made on the way.
fn check_room(paths: &Paths, bytes: u64) -> Result<(), CompactError> {
    let needed = bytes.saturating_mul(2);
    match free_bytes(paths.data()) {
        Ok(free) if free < needed => Err(CompactError::Room { needed, free }),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
