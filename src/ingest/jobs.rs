//! What became of the pages of jobs: counted here and nowhere else, from the pages themselves.
//!
//! Invariants: what the catalog has of a job is as of the catalog's position, so pages that are
//! read again after a kill are counted once; a job's end reaches the catalog only when every row
//! that its pages brought can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::settle::Count;
use crate::model::frame::Frame;
use crate::model::job::{Job, JobState, Reached};
use crate::model::market::Source;
use crate::model::span::Span;
use crate::model::time::Timestamp;

/// Jobs that are over and still told of.
const OVER_LIMIT: usize = 1_024;

/// What the writer knows of one job. It is there once the catalog knows the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobTold {
    /// Pages of it that are durable in the journal, in this run.
    pub pages: u64,
    /// Rows that were not there before, or not like this, as far as that is settled.
    pub rows: u64,
    /// Rows that were there already, as far as that is settled.
    pub known: u64,
    /// How far back it came; none before its first page.
    pub reached: Option<Reached>,
    /// Whether the catalog has its end: then all its rows can be read.
    pub over: bool,
}

/// Every job that was told.
pub type Told = BTreeMap<i64, JobTold>;

/// The jobs that are not over, and the last few that are.
#[derive(Debug, Default)]
pub struct Jobs {
    entries: BTreeMap<i64, Entry>,
    /// Those of which the catalog lacks something that was told.
    unsettled: BTreeSet<i64>,
    /// Those with pages that are not durable yet.
    waiting: BTreeSet<i64>,
    /// Whether [`Jobs::told`] says something else than before.
    changed: bool,
}

#[derive(Debug)]
struct Entry {
    /// As it was told last; its counts are those of the catalog's position.
    job: Job,
    /// Whether the catalog lacks what was told last.
    fresh: bool,
    /// Whether the catalog has the job at all.
    stored: bool,
    /// Whether the catalog has its end.
    over: bool,
    /// When its end was told, while the catalog does not have it.
    since: Option<Timestamp>,
    /// Whether lanes held candles of it when the last seal began.
    held: bool,
    taken: u64,
    durable: u64,
    sealed: u64,
    /// Rows told again since the last seal began.
    known: u64,
    /// Of all pages taken.
    reached: Option<Reached>,
    sealing: Option<Snapshot>,
}

/// What the seal that is under way covers.
#[derive(Debug, Clone, Copy)]
struct Snapshot {
    pages: u64,
    known: u64,
    reached: Option<Reached>,
}

/// The job whose page a frame is; none for what came live, and for lists of markets.
#[must_use]
pub fn page_of(frame: &Frame) -> Option<i64> {
    let page = frame.origin.source == Source::Rest && frame.origin.market.is_some();
    page.then_some(frame.origin.session)
}

impl Jobs {
    /// Goes on from what the catalog has.
    #[must_use]
    pub fn new(jobs: impl IntoIterator<Item = Job>) -> Self {
        let entry = |job: Job| (job.id, Entry { stored: true, ..Entry::new(job) });
        let entries = jobs.into_iter().map(entry).collect();
        Self { entries, changed: true, ..Self::default() }
    }

    /// A job was planned, or changed.
    pub fn take(&mut self, job: Job, now: Timestamp) {
        let entry = self.entries.entry(job.id).or_insert_with(|| Entry::new(job.clone()));
        let Job { rows, known, reached, .. } = entry.job;
        entry.since = job.state.is_over().then(|| entry.since.unwrap_or(now));
        entry.job = Job { rows, known, reached, ..job };
        entry.fresh = true;
        entry.over = false;
        self.unsettled.insert(entry.job.id);
    }

    /// The span that a job asks for.
    #[must_use]
    pub fn span(&self, id: i64) -> Option<Span> {
        self.entries.get(&id).map(|entry| entry.job.span)
    }

    /// Whether the catalog still has to learn of a job before a page of it may be kept.
    #[must_use]
    pub fn is_unknown(&self, id: i64) -> bool {
        self.entries.get(&id).is_some_and(|entry| !entry.stored)
    }

    /// A page came.
    pub fn page(&mut self, id: i64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.taken += 1;
            self.waiting.insert(id);
        }
    }

    /// A page of the job told of this.
    pub fn reach(&mut self, id: i64, at: Timestamp, number: Option<i64>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        // Numbers are no order: of one instant the last on a page is the earliest.
        if entry.reached.is_none_or(|reached| at <= reached.at) {
            entry.reached = Some(Reached { at, id: number });
        }
    }

    /// A row of the job was there already.
    pub fn known(&mut self, id: i64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.known += 1;
        }
    }

    /// The journal is synced: the pages that were taken are durable.
    pub fn synced(&mut self) {
        for id in std::mem::take(&mut self.waiting) {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.durable = entry.taken;
                self.changed = true;
            }
        }
    }

    /// Whether the end of some job waits for a seal for as long as `patience`. `holds` says whether
    /// candles of a job may still change: then a seal would not help.
    #[must_use]
    pub fn due(&self, now: Timestamp, patience: Duration, holds: impl Fn(i64) -> bool) -> bool {
        self.unsettled().any(|entry| {
            entry.since.is_some_and(|since| now.since(since) >= patience)
                && !entry.is_settled()
                && !holds(entry.job.id)
        })
    }

    /// A seal begins with all that was taken so far, but for candles that may still change.
    pub fn begin_seal(&mut self, holds: impl Fn(i64) -> bool) {
        for entry in self.entries.values_mut() {
            entry.held = entry.taken > 0 && !entry.over && holds(entry.job.id);
            let known = std::mem::take(&mut entry.known);
            entry.sealing = Some(Snapshot { pages: entry.taken, known, reached: entry.reached });
        }
    }

    /// The rows of the catalog for a seal whose files are written.
    #[must_use]
    pub fn sealed(&self, counts: &BTreeMap<i64, Count>) -> Vec<Job> {
        let row = |entry: &Entry| {
            let snapshot = entry.sealing?;
            let count = counts.get(&entry.job.id).copied().unwrap_or_default();
            let mut job = entry.job.clone();
            job.rows += count.rows;
            job.known += count.known + snapshot.known;
            job.reached = snapshot.reached;
            let settled = entry.taken == snapshot.pages && entry.known == 0 && !entry.held;
            job.state = shown(job.state, settled);
            let same = entry.stored && !entry.fresh && job == entry.job && !job.state.is_over();
            (!same && !entry.over).then_some(job)
        };
        self.entries.values().filter_map(row).collect()
    }

    /// The seal is published, with these rows.
    pub fn seal_published(&mut self, rows: &[Job]) {
        for entry in self.entries.values_mut() {
            if let Some(snapshot) = entry.sealing.take() {
                entry.sealed = snapshot.pages;
            }
        }
        self.published(rows);
    }

    /// The rows that the catalog lacks, or whose end it may have now.
    #[must_use]
    pub fn news(&self) -> Vec<Job> {
        self.unsettled().filter(|entry| entry.is_news()).map(Entry::row).collect()
    }

    /// Whether there are such rows.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.unsettled().any(Entry::is_news)
    }

    fn unsettled(&self) -> impl Iterator<Item = &Entry> {
        self.unsettled.iter().filter_map(|id| self.entries.get(id))
    }

    /// The catalog has these rows.
    pub fn published(&mut self, rows: &[Job]) {
        for row in rows {
            let Some(entry) = self.entries.get_mut(&row.id) else { continue };
            (entry.job.rows, entry.job.known, entry.job.reached) =
                (row.rows, row.known, row.reached);
            entry.stored = true;
            entry.fresh = false;
            entry.over = row.state.is_over();
            if entry.over {
                entry.since = None;
            }
            if entry.over || !entry.job.state.is_over() {
                self.unsettled.remove(&row.id);
            }
            self.changed = true;
        }
        let over: Vec<i64> =
            self.entries.iter().filter(|(_, entry)| entry.over).map(|(id, _)| *id).collect();
        let skip = over.len().saturating_sub(OVER_LIMIT);
        for id in over.into_iter().take(skip) {
            self.entries.remove(&id);
        }
    }

    /// What there is to tell, where it is something else than the last time.
    pub fn told(&mut self) -> Option<Arc<Told>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let stored = self.entries.iter().filter(|(_, entry)| entry.stored);
        Some(Arc::new(stored.map(|(id, entry)| (*id, entry.told())).collect()))
    }
}

impl Entry {
    fn new(job: Job) -> Self {
        Self {
            fresh: false,
            stored: false,
            over: job.state.is_over(),
            since: None,
            held: false,
            taken: 0,
            durable: 0,
            sealed: 0,
            known: 0,
            reached: job.reached,
            sealing: None,
            job,
        }
    }

    /// Whether all that its pages brought can be read.
    const fn is_settled(&self) -> bool {
        self.taken == self.sealed && self.known == 0 && self.sealing.is_none() && !self.held
    }

    /// Whether the catalog lacks something that it may have.
    const fn is_news(&self) -> bool {
        self.fresh || (self.job.state.is_over() && !self.over && self.is_settled())
    }

    /// Its row in the catalog as of the catalog's position.
    fn row(&self) -> Job {
        Job { state: shown(self.job.state, self.is_settled()), ..self.job.clone() }
    }

    fn told(&self) -> JobTold {
        let sealing = self.sealing.map_or(0, |snapshot| snapshot.known);
        JobTold {
            pages: self.durable,
            rows: self.job.rows,
            known: self.job.known + sealing + self.known,
            reached: self.reached,
            over: self.over,
        }
    }
}

/// What the catalog may say of a job's state.
const fn shown(state: JobState, settled: bool) -> JobState {
    if state.is_over() && !settled { JobState::Running } else { state }
}
