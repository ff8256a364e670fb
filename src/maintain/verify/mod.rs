//! Whether everything that was published is still there, as it was published, once, and complete.
//!
//! What is looked at:
//!
//! * **Every file** of the catalog: it is there, has the size, the BLAKE3 and the rows it was
//!   published with; every page decodes; its rows are sorted and lie in its spans and its day
//!   (`files`). The BLAKE3 finds any flipped bit; `places` says in which row group and column. With
//!   `quick`, size and footer only.
//! * **Every key** is there once in all files of its stream and market (`keys`).
//! * **The folder** holds no file that the catalog does not know (`strange`).
//! * **The count** of rows by hour is that of the files.
//! * **Every hour** of trades and candles is proven, where there is something to prove it with
//!   (`crate::maintain::proof`); the outcome is stored as the hour's condition.
//!
//! It reads one state of the catalog, and works while a recorder runs: a file that was replaced
//! meanwhile is no fault, so whatever looks wrong is asked about once more. It writes conditions
//! only, in the end and only where no recorder runs. Memory is bounded: files are read batch by
//! batch, keys and hours day by day.

mod files;
mod keys;
mod remedy;
mod strange;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use smol_str::SmolStr;

use self::work::parallel;
use super::proof::ledger::Ledger;
use super::proof::reading::{self, ProofError, span_of};
use super::proof::{Numbers, edge_after};
use crate::model::condition::Condition;
use crate::model::gap::words;
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::{Catalog, CatalogError, ConditionRow, Filter};
use crate::store::folder::{Folder, FolderError, held_by};
use crate::store::fs::Fs;
use crate::store::paths::{PartName, Paths};
use crate::store::segment::Segment;

/// How often a day is begun anew because its files were replaced meanwhile, or cannot be read.
const TRIES: u32 = 100;

/// What to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Files of these streams; of all where none is named.
    pub streams: Vec<Stream>,
    /// Files and hours that touch it. Clock: the venue's.
    pub within: Option<Span>,
    /// Whether sizes and footers are enough.
    pub quick: bool,
    /// How long after its end a candle may still change.
    pub settle: Duration,
    /// How many threads work.
    pub threads: usize,
}

/// Hears how far it is.
#[derive(Clone, Copy)]
pub struct Progress<'a> {
    /// A step begins that has so much to do.
    pub begin: &'a (dyn Fn(&'static str, u64) + Sync),
    /// So much more of it is done.
    pub done: &'a (dyn Fn(u64) + Sync),
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Files looked at.
    pub files: u64,
    /// Rows that they were published with.
    pub rows: u64,
    /// What is wrong, in the order of the paths.
    pub faults: Vec<Fault>,
    /// The commands that mend all of it, one after the other.
    pub remedies: Vec<String>,
    /// Damaged files that have to go first: nothing in the folder has their rows.
    pub lost: Vec<PartName>,
    /// Files that were replaced while this went on, and not looked at.
    pub replaced: u64,
    /// Files that were never published, or are about to go: the next start removes them.
    pub leftovers: u64,
    /// The conditions of the hours of trades and candles.
    pub hours: Vec<ConditionRow>,
    /// Why the conditions could not be stored.
    pub not_stored: Option<String>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, from the data folder on.
    pub path: String,
    /// What it is.
    pub fault: FaultKind,
    /// Where in the file, and in what way.
    pub detail: String,
    /// The commands that mend it, one after the other, where there are any.
    pub remedy: Vec<String>,
}

words! {
    /// What is wrong with a file.
    FaultKind {
        /// It is not there.
        Missing = "missing",
        /// The disk cannot read it.
        Unreadable = "unreadable",
        /// It has another size.
        Size = "size",
        /// Its bytes are not those that were published.
        Checksum = "checksum",
        /// Its bytes are those, and it cannot be read as a part.
        Format = "format",
        /// It has another number of rows.
        Rows = "rows",
        /// Rows lie outside its spans or its day, or name no market.
        Span = "span",
        /// Rows are not in order.
        Order = "order",
        /// Something is in it that is recorded already, there or in another file.
        Key = "key",
        /// The catalog does not know it.
        Unknown = "unknown",
        /// The catalog counts other rows by the hour than its files have.
        Count = "count",
    }
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The folder cannot be listed.
    #[error("could not list {path}: {source}")]
    List {
        /// The data folder.
        path: String,
        /// What the disk said.
        source: std::io::Error,
    },
}

impl Report {
    /// How many hours of trades have each condition.
    #[must_use]
    pub fn count(&self, condition: Condition) -> usize {
        let of_trades = self.hours.iter().filter(|hour| hour.stream == Stream::Trade);
        of_trades.filter(|hour| hour.condition == condition).count()
    }

    /// Whether nothing is damaged or missing.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults.is_empty() && !self.hours.iter().any(|hour| hour.condition.is_bad())
    }
}

/// What every step works on.
#[derive(Clone, Copy)]
struct Site<'a> {
    fs: &'a Arc<dyn Fs>,
    paths: &'a Paths,
    request: &'a Request,
    progress: Progress<'a>,
    now: Timestamp,
}

/// One state of the catalog.
struct Picture {
    segments: Vec<Segment>,
    ledger: Ledger,
    miscounted: Vec<Fault>,
}

/// Verifies the data folder `data`. `now` is the time for the catalog.
///
/// # Errors
///
/// When the folder holds no recording, or the catalog cannot be read.
pub fn verify(
    data: &Path,
    fs: &Arc<dyn Fs>,
    now: Timestamp,
    request: &Request,
    progress: Progress<'_>,
) -> Result<Report, VerifyError> {
    let catalog = Catalog::of_folder(data)?;
    let paths = &Paths::new(data);
    let site = Site { fs, paths, request, progress, now };
    let Picture { segments, ledger, miscounted } =
        catalog.snapshot(|catalog| site.picture(catalog))?;
    let mut report = Report {
        files: u64::try_from(segments.len()).unwrap_or(u64::MAX),
        rows: segments.iter().map(|segment| segment.rows).sum(),
        faults: miscounted,
        ..Report::default()
    };
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    (progress.begin)("files", bytes);
    let checked = parallel(&segments, request.threads, |segment| {
        let found = files::check(site, segment);
        (progress.done)(segment.bytes);
        (segment, found)
    });
    let (mut bad, mut unread) = (BTreeSet::new(), BTreeSet::new());
    for (segment, found) in checked.into_iter().filter(|(_, found)| !found.is_empty()) {
        bad.insert(segment.name.number);
        // What is there twice can be read: the proof says in which second.
        if found.iter().any(|fault| fault.fault != FaultKind::Key) {
            unread.insert(segment.name.number);
        }
        if catalog.knows(&segment.name)? {
            report.faults.extend(found);
        } else {
            report.replaced += 1;
        }
    }
    strange::look(site, &catalog, held(data).is_some(), &mut report)?;
    if !request.quick {
        report.faults.extend(keys::check(site, &catalog, &segments, &bad)?);
        report.hours = site.prove(data, &segments, &ledger, &unread)?;
        report.not_stored = store(data, now, &report.hours);
    }
    report.faults.sort();
    remedy::offer(site, &segments, &mut report);
    Ok(report)
}

impl Site<'_> {
    fn picture(self, catalog: &Catalog) -> Result<Picture, CatalogError> {
        let filter = Filter { within: self.request.within, ..Filter::default() };
        let mut segments = catalog.segments(&filter)?;
        segments.retain(|segment| self.wants(segment.name.stream));
        let edge = edge_after(self.request.settle);
        let ledger = Ledger::load(catalog, &Filter::default(), edge)?;
        Ok(Picture { miscounted: strange::miscounted(self, catalog)?, segments, ledger })
    }

    fn wants(self, stream: Stream) -> bool {
        self.request.streams.is_empty() || self.request.streams.contains(&stream)
    }

    /// Proves every hour of every day that was to be recorded.
    fn prove(
        self,
        data: &Path,
        segments: &[Segment],
        ledger: &Ledger,
        bad: &BTreeSet<u64>,
    ) -> Result<Vec<ConditionRow>, VerifyError> {
        if !Stream::all().any(|stream| has_condition(stream) && self.wants(stream)) {
            return Ok(Vec::new());
        }
        let mut days: BTreeMap<(SmolStr, NaiveDate), u64> = BTreeMap::new();
        for lane in ledger.all().filter(|lane| lane.1 == Stream::Trade) {
            for hour in ledger.hours(lane, self.request.within) {
                days.entry((lane.0.clone(), hour.date())).or_default();
            }
        }
        for segment in segments {
            if let Some(bytes) = days.get_mut(&(segment.name.venue.clone(), segment.name.date)) {
                *bytes += segment.bytes;
            }
        }
        let days: Vec<_> = days.into_iter().collect();
        (self.progress.begin)("hours", days.iter().map(|(_, bytes)| bytes).sum());
        let proven = parallel(&days, self.request.threads, |((venue, date), bytes)| {
            let hours = self.prove_day(data, ledger, bad.clone(), venue, *date);
            (self.progress.done)(*bytes);
            hours
        });
        let mut hours = Vec::new();
        for day in proven {
            hours.extend(day?);
        }
        hours.retain(|hour| {
            let span = Span::new(hour.hour, hour.hour.after(Duration::from_hours(1)));
            let touches = |within: Span| span.and_then(|span| span.intersect(within)).is_some();
            self.wants(hour.stream) && self.request.within.is_none_or(touches)
        });
        Ok(hours)
    }

    fn prove_day(
        self,
        data: &Path,
        ledger: &Ledger,
        mut bad: BTreeSet<u64>,
        venue: &SmolStr,
        day: NaiveDate,
    ) -> Result<Vec<ConditionRow>, VerifyError> {
        let catalog = Catalog::of_folder(data)?;
        let Site { fs, paths, now, .. } = self;
        for _ in 0..TRIES {
            let proven = catalog.snapshot(|catalog| {
                let rows_at_once = reading::MANY_ROWS;
                let site =
                    reading::Site { fs, paths, catalog, ledger, bad: &bad, now, rows_at_once };
                reading::prove_day(site, venue, day)
            });
            match proven {
                Ok(hours) => return Ok(hours),
                Err(ProofError::Catalog(error)) => return Err(error.into()),
                // Replaced meanwhile, the new state has it no more; else its rows are not here.
                Err(ProofError::Segment(fault)) => bad.insert(fault.segment.name.number),
            };
        }
        let span = span_of(day).map(|span| span.to_string()).unwrap_or_default();
        tracing::warn!("{venue} {span}: files change faster than they are read; not proven");
        Ok(Vec::new())
    }
}

/// Whether there is something to prove the hours of a stream with.
const fn has_condition(stream: Stream) -> bool {
    matches!(stream, Stream::Trade | Stream::Candle(_))
}

/// The numbers that decided a condition; none of them where another version wrote them.
#[must_use]
pub fn numbers(hour: &ConditionRow) -> Numbers {
    serde_json::from_str(&hour.numbers).unwrap_or_default()
}

/// Who has the folder.
fn held(data: &Path) -> Option<String> {
    held_by(data).ok().flatten()
}

/// Stores conditions where nobody records; else says why it does not.
fn store(data: &Path, now: Timestamp, hours: &[ConditionRow]) -> Option<String> {
    if hours.is_empty() {
        return None;
    }
    let _folder = match Folder::lock(data, now) {
        Ok(folder) => folder,
        Err(FolderError::Held { holder, .. }) => return Some(format!("{holder} has the folder")),
        Err(error) => return Some(error.to_string()),
    };
    let stored = Catalog::open(&Paths::new(data).catalog())
        .and_then(|mut catalog| catalog.put_conditions(hours));
    stored.err().map(|error| error.to_string())
}
