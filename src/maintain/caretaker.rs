//! Looks after the files while a recorder runs: merges small ones, removes what a policy no longer
//! keeps, and proves the hours that are over.
//!
//! On a thread of its own with the lowest priority, one task at a time, reading gently. It reads
//! the catalog and writes parts under temporary names; numbers and publication are the writer's, so
//! it asks at its desk. What cannot be done now is tried again later: it never stops a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use smol_str::SmolStr;

use super::compact::plan::{Task, plan_on_its_own};
use super::compact::{CompactError, carry_out};
use super::coverage::{COUNTED_DAYS, unproven};
use super::gentle::Gentle;
use super::proof::edge_after;
use super::proof::ledger::Ledger;
use super::proof::reading::{self, ProofError, Site};
use super::retain::{self, Policy, RetainError};
use crate::ingest::writer::{Desk, DeskError};
use crate::model::span::Span;
use crate::model::time::Timestamp;
use crate::net::clock::Clock;
use crate::store::catalog::{Catalog, CatalogError, ConditionRow, Filter};
use crate::store::fs::{Fs, free_bytes};
use crate::store::paths::Paths;

/// Of twenty steps of priority the last.
const NICENESS: i32 = 19;
/// A disk that reads a hundred times faster than a venue tells is not noticed at this rate.
const BYTES_PER_SECOND: u64 = 64 << 20;
/// How long what failed is left alone.
const RETRY_AFTER: Duration = Duration::from_hours(1);
/// How soon after the start it looks for the first time: what waited for it begins to go.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How long an hour is left alone after its end before it is proven: its files are merged by then.
const QUIET: Duration = Duration::from_mins(12);
/// Conditions that the writer stores at once.
const CONDITIONS: usize = 2_000;
/// How often hours are read anew because a file of theirs was replaced or cannot be read.
const TRIES: u32 = 20;

/// What to look after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Care {
    /// Whether small files are merged.
    pub compact: bool,
    /// What is kept.
    pub retain: Policy,
    /// How often to look.
    pub every: Duration,
    /// Files are merged only where so much stays free beside what that takes for a while.
    pub min_free_bytes: u64,
    /// How long a candle may change after its end.
    pub settle: Duration,
}

/// The thread. When this is dropped it is asked to end.
#[derive(Debug)]
pub struct Caretaker {
    stop: Arc<AtomicBool>,
    wake: SyncSender<()>,
    care: Arc<Mutex<Care>>,
    thread: Option<JoinHandle<()>>,
}

impl Caretaker {
    /// Starts to look after the folder `data`, whose writer is asked at `desk`.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start(
        data: &Path,
        fs: Arc<dyn Fs>,
        clock: Arc<dyn Clock>,
        desk: Desk,
        care: Care,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let care = Arc::new(Mutex::new(care));
        let (wake, asleep) = sync_channel(1);
        let of = Gentle { of: fs, stop: Arc::clone(&stop), bytes_per_second: BYTES_PER_SECOND };
        let mut round = Round {
            data: data.to_owned(),
            paths: Paths::new(data),
            fs: Arc::new(of),
            clock,
            desk,
            care: Arc::clone(&care),
            failed: BTreeMap::new(),
            proven: None,
        };
        let stopped = Arc::clone(&stop);
        let body = move || {
            // Without the right to be less urgent it is as urgent as the rest: no reason to stop.
            rustix::process::setpriority_process(None, NICENESS).ok();
            round.run(&stopped, &asleep);
        };
        let thread = thread::Builder::new().name("caretaker".to_owned()).spawn(body)?;
        Ok(Self { stop, wake, care, thread: Some(thread) })
    }

    /// Where it is told of other settings.
    #[must_use]
    pub fn orders(&self) -> Orders {
        Orders { wake: self.wake.clone(), care: Arc::clone(&self.care) }
    }

    /// Asks it to end, and does not wait.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Where it has not heard the last call yet, it hears that one.
        self.wake.try_send(()).ok();
    }

    /// Waits for its end. What it asks of the writer it asks no more once that has ended.
    pub fn join(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A panic there was told by its hook already.
            drop(thread.join());
        }
    }
}

impl Drop for Caretaker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Tells the thread what it looks after.
#[derive(Debug, Clone)]
pub struct Orders {
    wake: SyncSender<()>,
    care: Arc<Mutex<Care>>,
}

impl Orders {
    /// Changes what is looked after, and has it look at once.
    pub fn change(&self, change: impl FnOnce(&mut Care)) {
        change(&mut self.care.lock().unwrap_or_else(PoisonError::into_inner));
        // Where it has not heard the last call yet, it hears that one.
        self.wake.try_send(()).ok();
    }
}

/// Why a task was not done.
#[derive(Debug, thiserror::Error)]
enum CareError {
    #[error("the disk does not say what is free: {0}")]
    Disk(io::Error),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Compact(#[from] CompactError),
    #[error(transparent)]
    Retain(#[from] RetainError),
    #[error(transparent)]
    Desk(#[from] DeskError),
}

struct Round {
    data: PathBuf,
    paths: Paths,
    fs: Arc<dyn Fs>,
    clock: Arc<dyn Clock>,
    desk: Desk,
    care: Arc<Mutex<Care>>,
    /// Tasks that failed, by the numbers of their files, and until when they are left alone.
    failed: BTreeMap<Vec<u64>, Timestamp>,
    /// Hours before it were proven, as far as they can be.
    proven: Option<Timestamp>,
}

impl Round {
    fn run(&mut self, stop: &AtomicBool, asleep: &Receiver<()>) {
        let mut pause = self.care().every.min(FIRST_LOOK);
        loop {
            match asleep.recv_timeout(pause) {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
            pause = self.care().every;
            if let Err(error) = self.look(stop)
                && !stop.load(Ordering::Relaxed)
            {
                tracing::warn!("the files are not looked after: {error}");
            }
        }
    }

    /// Does what there is to do, one after the other; after each it looks again.
    fn look(&mut self, stop: &AtomicBool) -> Result<(), CareError> {
        self.retire()?;
        while let Some(task) = self.next()? {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let now = self.clock.now();
            match carry_out(&self.fs, &self.paths, now, &task, &mut self.desk) {
                Ok(done) => tracing::info!(
                    "merged {} files of {} into {}: {} rows, {} bytes were {}",
                    done.replaced,
                    folder(&task),
                    done.written,
                    done.rows,
                    done.bytes_after,
                    done.bytes_before,
                ),
                Err(CompactError::Desk(DeskError::Ended)) => return Ok(()),
                Err(error) => {
                    let until = now.after(RETRY_AFTER);
                    self.failed.insert(numbers(&task), until);
                    if !stop.load(Ordering::Relaxed) {
                        tracing::warn!("the files of {} stay as they are: {error}", folder(&task));
                    }
                }
            }
        }
        match self.prove(stop) {
            Err(CareError::Desk(DeskError::Ended)) => Ok(()),
            done => done,
        }
    }

    /// Proves the hours of the last days that are over and were not proven, or have changed since:
    /// once an hour, so that what was repaired meanwhile is found.
    fn prove(&mut self, stop: &AtomicBool) -> Result<(), CareError> {
        let over = self.clock.now().before(QUIET).hour();
        if self.proven == Some(over) {
            return Ok(());
        }
        // What fails now is tried again in the next hour.
        self.proven = Some(over);
        let from = over.before(Duration::from_hours(24 * COUNTED_DAYS));
        let Some(within) = Span::new(from, over) else { return Ok(()) };
        let catalog = Catalog::of_folder(&self.data)?;
        for (venue, hours) in unproven(&catalog, within)? {
            let rows = self.proof(&catalog, &venue, hours, stop)?;
            let count = rows.len();
            for rows in rows.chunks(CONDITIONS) {
                self.desk.put_conditions(rows.to_vec())?;
            }
            tracing::debug!("{venue} {hours}: {count} conditions found");
        }
        Ok(())
    }

    /// Proves hours of a venue and day; none where they are not to be proven now.
    fn proof(
        &self,
        catalog: &Catalog,
        venue: &SmolStr,
        hours: Span,
        stop: &AtomicBool,
    ) -> Result<Vec<ConditionRow>, CareError> {
        let (fs, paths, now) = (&self.fs, &self.paths, self.clock.now());
        let settle = self.care().settle;
        let mut bad = BTreeSet::new();
        for _ in 0..TRIES {
            let proven = catalog.snapshot(|catalog| {
                let about = Filter { within: Some(hours), ..Filter::default() };
                let ledger = &Ledger::load(catalog, &about, edge_after(settle))?;
                let rows_at_once = reading::FEW_ROWS;
                let site = Site { fs, paths, catalog, ledger, bad: &bad, now, rows_at_once };
                reading::prove_hours(site, venue, hours)
            });
            match proven {
                Ok(rows) => return Ok(rows),
                Err(_) if stop.load(Ordering::Relaxed) => break,
                Err(ProofError::Catalog(error)) => return Err(error.into()),
                // Replaced meanwhile, it is known no more; else its rows are not here.
                Err(ProofError::Segment(fault)) => bad.insert(fault.segment.name.number),
            };
        }
        Ok(Vec::new())
    }

    /// What to merge next.
    fn next(&mut self) -> Result<Option<Task>, CareError> {
        let care = self.care();
        if !care.compact {
            return Ok(None);
        }
        let free = free_bytes(&self.data).map_err(CareError::Disk)?;
        let now = self.clock.now();
        self.failed.retain(|_, until| *until > now);
        let catalog = Catalog::of_folder(&self.data)?;
        let segments = catalog.segments(&Filter::default())?;
        let mut tasks = plan_on_its_own(&segments, &catalog.of_one_market()?, now);
        tasks.retain(|task| !self.failed.contains_key(&numbers(task)));
        // Old and new lie side by side for a while.
        tasks.retain(|task| bytes(task).saturating_add(care.min_free_bytes) <= free);
        Ok(tasks.into_iter().next())
    }

    fn care(&self) -> Care {
        self.care.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn retire(&mut self) -> Result<(), CareError> {
        let now = self.clock.now();
        let segments = Catalog::of_folder(&self.data)?.segments(&Filter::default())?;
        for one in retain::plan(&segments, &self.care().retain, now) {
            retain::carry_out(now, &one, &mut self.desk)?;
            tracing::info!("removed {}", one.words());
        }
        Ok(())
    }
}

fn numbers(task: &Task) -> Vec<u64> {
    task.sources.iter().map(|source| source.name.number).collect()
}

fn bytes(task: &Task) -> u64 {
    task.sources.iter().map(|source| source.bytes).fold(0, u64::saturating_add)
}

/// Which files, for the log.
fn folder(task: &Task) -> String {
    let first = task.sources.first().map(|source| &source.name);
    first.map_or_else(String::new, |name| format!("{} {} {}", name.venue, name.stream, name.date))
}
