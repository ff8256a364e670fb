//! Jobs, executed: several at once, within the rates, repairs first.
//!
//! Invariants: a job asks for its next page only when the writer says that the last one is
//! durable; every way to fail is tried again a limited number of times; when [`run`] returns, no
//! request is under way, and every job is over or told as it stands, so that a later run goes on
//! with it.
//!
//! Repairs and backfills have places of their own, so that a repair never waits for a job that
//! takes long; that it also goes first is the budget's doing.

mod answer;
mod board;
mod work;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::board::Board;
pub use self::board::{Ended, Progress};
use crate::ingest::jobs::JobTold;
use crate::ingest::queue::{NoWriter, Sender};
use crate::model::job::{Job, JobKind};
use crate::net::clock::Clock;
use crate::net::http::Http;
use crate::venue::Venue;

/// Jobs that wait for a place at most; beyond it whoever hands them over waits.
const WAITING: usize = 100_000;

/// What a run needs.
#[derive(Clone)]
pub struct Setup {
    /// The venue.
    pub venue: &'static dyn Venue,
    /// Where its REST server is.
    pub rest_url: String,
    /// Makes requests.
    pub http: Http,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where pages and news of jobs go.
    pub queue: Sender,
    /// What the writer says of jobs.
    pub told: watch::Receiver<Arc<BTreeMap<i64, JobTold>>>,
    /// How hard it tries.
    pub effort: Effort,
}

/// How hard a run tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Jobs at once, of each kind and each group of requests.
    pub at_once: usize,
    /// How often in a row a page may fail while others succeed before its job is given up.
    pub tries: u32,
    /// How long nothing at all may succeed before the run ends, with its jobs to be gone on with;
    /// it never does where none is given.
    pub patience: Option<Duration>,
}

impl Default for Effort {
    fn default() -> Self {
        Self { at_once: 8, tries: 8, patience: Some(Duration::from_mins(5)) }
    }
}

/// Executes the jobs that `jobs` hands over, until all are over and no more can come, or until
/// `stop` is cancelled: then it takes in what is on its way, and leaves the rest for a later run.
/// What it does shows in `progress`.
///
/// # Errors
///
/// When the writer is gone.
pub async fn run(
    setup: Setup,
    mut jobs: mpsc::Receiver<Job>,
    progress: watch::Sender<Progress>,
    stop: CancellationToken,
) -> Result<(), NoWriter> {
    // A child: what ends this run does not end what else the caller stops by it.
    let stop = stop.child_token();
    let board = Arc::new(Board::new(&setup, progress, stop.clone()));
    let mut places = Places { setup, board, waiting: HashMap::new(), taken: HashMap::new() };
    let mut working = JoinSet::new();
    let mut outcome = Ok(());
    let mut open = true;
    loop {
        if stop.is_cancelled() || outcome.is_err() {
            places.waiting.clear();
            jobs.close();
            open = false;
        }
        while let Some((place, work)) = places.next() {
            working.spawn(async move { (place, work.await) });
        }
        tokio::select! {
            biased;
            () = stop.cancelled(), if open => {}
            job = jobs.recv(), if open && places.waits() < WAITING => match job {
                Some(job) => {
                    let announced = places.announce(job).await;
                    outcome = outcome.and(announced);
                }
                None => open = false,
            },
            Some(ended) = working.join_next() => match ended {
                Ok((place, ended)) => {
                    places.free(place);
                    outcome = outcome.and(ended);
                }
                Err(panic) => tracing::error!("work on a job ended by a fault: {panic}"),
            },
            else => return outcome,
        }
    }
}

/// A kind of jobs, and a group of requests.
type Place = (JobKind, &'static str);

/// Which jobs wait for which place.
struct Places {
    setup: Setup,
    board: Arc<Board>,
    waiting: HashMap<Place, VecDeque<Job>>,
    taken: HashMap<Place, usize>,
}

impl Places {
    fn waits(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Takes a job: from here on the catalog has it.
    async fn announce(&mut self, job: Job) -> Result<(), NoWriter> {
        self.board.planned(&job);
        self.setup.queue.send(crate::model::event::Event::Job(job.clone().into())).await?;
        let ask = work::first_page(&self.setup, &job);
        // One without a page ends as soon as it begins, wherever that is.
        let group = ask.map_or("", |page| page.request.group);
        self.waiting.entry((job.kind, group)).or_default().push_back(job);
        Ok(())
    }

    /// The next job that has a place.
    fn next(&mut self) -> Option<(Place, impl Future<Output = Result<(), NoWriter>> + use<>)> {
        let at_once = self.setup.effort.at_once.max(1);
        let (place, jobs) = self.waiting.iter_mut().find(|(place, jobs)| {
            !jobs.is_empty() && self.taken.get(*place).copied().unwrap_or(0) < at_once
        })?;
        let (place, job) = (*place, jobs.pop_front()?);
        *self.taken.entry(place).or_default() += 1;
        Some((place, work::work(self.setup.clone(), Arc::clone(&self.board), job)))
    }

    fn free(&mut self, place: Place) {
        if let Some(taken) = self.taken.get_mut(&place) {
            *taken = taken.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
