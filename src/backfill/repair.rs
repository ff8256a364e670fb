//! The holes of a recording, closed by REST: gaps become jobs, and jobs close gaps.
//!
//! Invariants: a gap is asked for once, by jobs that the catalog has before their first page, so a
//! restart goes on with them; what fails for a while is tried again and its gap stays open; nothing
//! here decides what became of a gap, which is the writer's to say.

pub mod holes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::holes::{Repair, ready_at, repairs};
use super::run::{self, Effort, Progress};
use crate::ingest::feed::Numbers;
use crate::ingest::presence::asked;
use crate::ingest::queue::NoWriter;
use crate::model::event::Event;
use crate::model::gap::Gap;
use crate::model::job::{Job, JobKind, JobState};
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::{DAY, Timestamp};
use crate::store::catalog::{Catalog, CatalogError, Filter};
use crate::venue::Venue;

/// How often the ledger is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// New jobs of one look at most; the rest follows at the next.
const JOBS_AT_ONCE: usize = 1_000;
/// How long what is on its way may take when the end comes: it is asked for again.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// How long after a gap the markets that it took count as recorded.
const BACK_WITHIN: Duration = Duration::from_mins(1);

/// What repairs need.
#[derive(Clone)]
pub struct Setup {
    /// How jobs are executed.
    pub run: run::Setup,
    /// The data folder.
    pub data: PathBuf,
    /// Numbers for jobs.
    pub numbers: Arc<Numbers>,
    /// How long after its end a candle may still change.
    pub settle: Duration,
}

/// How hard repairs try: until it succeeds, or until nothing at all did for `patience`.
#[must_use]
pub fn effort(patience: Option<Duration>) -> Effort {
    Effort { tries: u32::MAX, patience, ..Effort::default() }
}

/// Why a repair ended.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The writer is gone.
    #[error(transparent)]
    NoWriter(#[from] NoWriter),
    /// A thread ended by a fault.
    #[error("reading the ledger ended by a fault: {0}")]
    Fault(#[from] tokio::task::JoinError),
}

/// Closes gaps as they come, until `stop` is cancelled.
///
/// # Errors
///
/// When the writer is gone, or the ledger cannot be read.
pub async fn keep(setup: Setup, stop: CancellationToken) -> Result<(), RepairError> {
    let mut crew = Crew { setup, stop: stop.child_token(), handed: BTreeMap::new(), runner: None };
    let worked = loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(()),
            turn = crew.turn() => turn,
        };
        match turn {
            // What a reader cannot read now it may read later; recording does not end for it.
            Err(RepairError::Catalog(error)) => tracing::warn!("repairs wait: {error}"),
            Err(error) => break Err(error),
            Ok(()) => {}
        }
    };
    crew.end().await;
    worked
}

/// Closes the gaps that there are, as far as that can be done now. The gaps' states are in the
/// catalog when the writer has ended.
///
/// # Errors
///
/// When the writer is gone, or the ledger cannot be read.
pub async fn all(
    setup: Setup,
    progress: watch::Sender<Progress>,
    stop: CancellationToken,
) -> Result<(), RepairError> {
    let venue = setup.run.venue.name();
    let gaps = waiting(&Catalog::of_folder(&setup.data)?, venue)?;
    let ready = gaps.iter().filter_map(|(_, gap)| ready_at(gap, setup.settle)).max();
    let wait = ready.map_or(Duration::ZERO, |ready| ready.since(setup.run.clock.now()));
    tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        () = tokio::time::sleep(wait) => {}
    }
    let work = setup.look(Vec::new(), usize::MAX).await?;
    let (jobs, list) = mpsc::channel(work.len().max(1));
    for job in work {
        if job.state.is_over() {
            setup.run.queue.send(Event::Job(job.into())).await?;
        } else if jobs.send(job).await.is_err() {
            break;
        }
    }
    drop(jobs);
    Ok(run::run(setup.run, list, progress, stop).await?)
}

/// The gaps of `venue` that ended and wait for repair.
///
/// # Errors
///
/// When the catalog cannot be read.
pub fn waiting(catalog: &Catalog, venue: &str) -> Result<Vec<(i64, Gap)>, CatalogError> {
    let mut gaps = catalog.waiting_gaps()?;
    gaps.retain(|(_, gap)| gap.venue == venue);
    Ok(gaps)
}

impl Setup {
    /// The jobs to begin or to go on with, busiest markets first, beside those in `handed`.
    async fn look(&self, handed: Vec<Job>, most: usize) -> Result<Vec<Job>, RepairError> {
        let (data, venue, settle) = (self.data.clone(), self.run.venue, self.settle);
        let (numbers, now) = (Arc::clone(&self.numbers), self.run.clock.now());
        let look = move || {
            let ledger = Ledger { venue, settle, now, handed: &handed, most };
            ledger.read(&data, &numbers)
        };
        Ok(tokio::task::spawn_blocking(look).await??)
    }
}

/// One look at the ledger.
struct Ledger<'a> {
    venue: &'static dyn Venue,
    settle: Duration,
    now: Timestamp,
    handed: &'a [Job],
    most: usize,
}

impl Ledger<'_> {
    fn read(&self, data: &Path, numbers: &Numbers) -> Result<Vec<Job>, CatalogError> {
        let catalog = Catalog::of_folder(data)?;
        let mut jobs: Vec<Job> = catalog.unfinished_jobs()?;
        jobs.retain(|job| {
            job.kind == JobKind::Repair
                && job.venue == self.venue.name()
                && self.handed.iter().all(|handed| handed.id != job.id)
        });
        for (id, gap) in waiting(&catalog, self.venue.name())? {
            if jobs.len() >= self.most {
                break;
            }
            if ready_at(&gap, self.settle).is_none_or(|ready| self.now < ready) {
                continue;
            }
            let mut known = catalog.jobs_of_gap(id)?;
            known.extend(self.handed.iter().filter(|job| job.gap == Some(id)).cloned());
            let markets = markets_of(&catalog, &gap)?;
            let planned = repairs(self.venue, &gap, &markets, &known, self.now);
            jobs.extend(planned.into_iter().map(|repair| job(numbers.next(), id, &gap, repair)));
        }
        let mut rows: HashMap<Stream, HashMap<Market, u64>> = HashMap::new();
        for stream in jobs.iter().map(|job| job.stream).collect::<Vec<_>>() {
            if let std::collections::hash_map::Entry::Vacant(free) = rows.entry(stream) {
                let since = self.now.before(DAY).hour();
                free.insert(catalog.rows_since(self.venue.name(), stream, since)?);
            }
        }
        let busy =
            |job: &Job| rows.get(&job.stream).and_then(|rows| rows.get(&job.market)).copied();
        jobs.sort_by_key(|job| (std::cmp::Reverse(busy(job).unwrap_or(0)), job.id));
        Ok(jobs)
    }
}

/// The markets that a gap took: where it names none, those that were recorded after it, or before;
/// where that was long ago, those that were asked for then, or last.
fn markets_of(catalog: &Catalog, gap: &Gap) -> Result<Vec<Market>, CatalogError> {
    if let Some(market) = &gap.market {
        return Ok(vec![market.clone()]);
    }
    let to = gap.to.unwrap_or(gap.from);
    let around = [
        Span::new(gap.from, to.after(BACK_WITHIN)),
        Span::new(gap.from.before(BACK_WITHIN), to.after(BACK_WITHIN)),
    ];
    for within in around.into_iter().flatten() {
        let filter = Filter {
            venue: Some(gap.venue.clone()),
            stream: Some(gap.stream),
            market: None,
            within: Some(within),
        };
        let markets: Vec<Market> =
            catalog.proven(&filter)?.into_keys().map(|(_, market)| market).collect();
        if !markets.is_empty() {
            return Ok(markets);
        }
    }
    let within = Span::new(gap.from.before(BACK_WITHIN), to.after(BACK_WITHIN));
    let filter = Filter { venue: Some(gap.venue.clone()), within, ..Filter::default() };
    let sessions = catalog.sessions(&filter)?;
    let asked: BTreeSet<Market> = sessions
        .iter()
        .flat_map(|session| asked(&session.subscriptions).to_vec())
        .filter(|one| one.stream == gap.stream)
        .map(|one| one.market)
        .collect();
    if !asked.is_empty() {
        return Ok(asked.into_iter().collect());
    }
    let proven = catalog.start()?.proven.into_iter();
    let last = proven.filter(|one| one.venue == gap.venue && one.stream == gap.stream);
    Ok(last.map(|one| one.market).collect::<BTreeSet<_>>().into_iter().collect())
}

fn job(id: i64, gap_id: i64, gap: &Gap, repair: Repair) -> Job {
    let Repair { market, span, end } = repair;
    let (state, error) = match end {
        Some((state, why)) => (state, Some(why)),
        None => (JobState::Planned, None),
    };
    Job {
        id,
        kind: JobKind::Repair,
        venue: gap.venue.clone(),
        stream: gap.stream,
        market,
        span,
        gap: Some(gap_id),
        state,
        rows: 0,
        known: 0,
        calls: 0,
        error,
        reached: None,
    }
}

/// The repairs under way.
struct Crew {
    setup: Setup,
    stop: CancellationToken,
    /// The jobs whose end the catalog does not have, and whether the writer has told of them.
    handed: BTreeMap<i64, (Job, bool)>,
    runner: Option<Runner>,
}

struct Runner {
    jobs: mpsc::Sender<Job>,
    work: JoinHandle<Result<(), NoWriter>>,
}

impl Crew {
    async fn turn(&mut self) -> Result<(), RepairError> {
        let told = Arc::clone(&self.setup.run.told.borrow());
        self.handed.retain(|id, (_, seen)| match told.get(id) {
            Some(told) => {
                *seen = true;
                !told.over
            }
            // The writer forgets what has long been over.
            None => !*seen,
        });
        if self.handed.is_empty() {
            self.rest().await?;
        }
        let handed = self.handed.values().map(|(job, _)| job.clone()).collect();
        for job in self.setup.look(handed, JOBS_AT_ONCE).await? {
            self.hand_over(job).await?;
        }
        Ok(())
    }

    async fn hand_over(&mut self, job: Job) -> Result<(), RepairError> {
        self.handed.insert(job.id, (job.clone(), false));
        if job.state.is_over() {
            self.setup.run.queue.send(Event::Job(job.into())).await?;
            return Ok(());
        }
        let runner = self.runner.get_or_insert_with(|| {
            let (jobs, list) = mpsc::channel(JOBS_AT_ONCE);
            let progress = watch::Sender::default();
            let work = run::run(self.setup.run.clone(), list, progress, self.stop.clone());
            Runner { jobs, work: tokio::spawn(work) }
        });
        let sent = runner.jobs.send(job).await;
        if sent.is_err() {
            self.rest().await?;
            return Err(NoWriter.into());
        }
        Ok(())
    }

    /// Lets the runner end, which has nothing to do: what it remembers of jobs goes with it.
    async fn rest(&mut self) -> Result<(), RepairError> {
        if let Some(Runner { jobs, work }) = self.runner.take() {
            drop(jobs);
            work.await??;
        }
        Ok(())
    }

    /// Ends what is under way. A page that takes too long is asked for again after a restart.
    async fn end(mut self) {
        self.stop.cancel();
        if let Some(Runner { jobs, mut work }) = self.runner.take() {
            drop(jobs);
            if tokio::time::timeout(STOP_PATIENCE, &mut work).await.is_err() {
                work.abort();
                // Cancelled, or done after all.
                drop(work.await);
            }
        }
    }
}

#[cfg(test)]
mod tests;
