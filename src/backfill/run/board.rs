//! What the jobs of one run know of each other, and what is shown of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Setup;
use crate::model::job::{Job, JobState};
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::net::clock::Clock;

/// What a run has done so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Jobs that were handed over.
    pub jobs: usize,
    /// How much of each of them is done, summed.
    pub share: f64,
    /// How they ended, in the order in which they did.
    pub ended: Vec<Ended>,
    /// Pages that are durable.
    pub pages: u64,
    /// Requests that were made.
    pub calls: u64,
    /// Those that were made again.
    pub retries: u64,
    /// Of each group of requests: how many were made, and the time of the first and of the last.
    /// Clock: ours, monotonic.
    pub groups: BTreeMap<&'static str, (u64, Duration, Duration)>,
    /// What is being asked for.
    pub current: Option<(Stream, Market)>,
    /// Why the run ended before its jobs did.
    pub gave_up: Option<String>,
}

/// A job that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its number.
    pub id: i64,
    /// The stream.
    pub stream: Stream,
    /// The market.
    pub market: Market,
    /// Done or failed.
    pub state: JobState,
    /// What went wrong.
    pub error: Option<String>,
}

impl Progress {
    /// How much of the time in which requests were made their rate was used, of 1; none before
    /// the second request.
    #[must_use]
    pub fn rate_used(&self, per_second: u32) -> Option<f64> {
        let busy = self.groups.values().max_by_key(|(calls, ..)| *calls);
        let (calls, first, last) = busy.filter(|(calls, ..)| *calls > 1)?;
        let allowed = last.saturating_sub(*first).as_secs_f64() * f64::from(per_second);
        let made = u32::try_from(calls - 1).map_or(f64::INFINITY, f64::from);
        Some(made / allowed.max(f64::MIN_POSITIVE))
    }
}

/// What is known of a market's past.
#[derive(Debug, Clone)]
pub(super) enum Bottom {
    /// There is no such market.
    NoMarket(String),
    /// There is nothing of the stream before this.
    Nothing(Stream, Timestamp),
}

/// Shared by the jobs of a run.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) stop: CancellationToken,
    clock: Arc<dyn Clock>,
    patience: Option<Duration>,
    progress: watch::Sender<Progress>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    shares: HashMap<i64, f64>,
    bottoms: HashMap<Market, Vec<Bottom>>,
    /// When a page was last had.
    success: Duration,
}

impl Board {
    pub(super) fn new(
        setup: &Setup,
        progress: watch::Sender<Progress>,
        stop: CancellationToken,
    ) -> Self {
        let inner = Inner { success: setup.clock.monotonic(), ..Inner::default() };
        Self {
            stop,
            clock: Arc::clone(&setup.clock),
            patience: setup.effort.patience,
            progress,
            inner: Mutex::new(inner),
        }
    }

    pub(super) fn planned(&self, job: &Job) {
        self.progress.send_modify(|progress| progress.jobs += 1);
        self.inner().shares.insert(job.id, 0.0);
    }

    /// A request is about to be made.
    pub(super) fn called(&self, job: &Job, group: &'static str) {
        let now = self.clock.monotonic();
        self.progress.send_modify(|progress| {
            progress.calls += 1;
            progress.current = Some((job.stream, job.market.clone()));
            let (calls, _, last) = progress.groups.entry(group).or_insert((0, now, now));
            *calls += 1;
            *last = now;
        });
    }

    pub(super) fn retried(&self) {
        self.progress.send_modify(|progress| progress.retries += 1);
    }

    /// A page is durable; the job has come so far.
    pub(super) fn had(&self, job: &Job, share: f64) {
        self.inner().success = self.clock.monotonic();
        self.progress.send_modify(|progress| progress.pages += 1);
        self.came(job, share);
    }

    pub(super) fn ended(&self, job: &Job) {
        self.came(job, 1.0);
        self.inner().shares.remove(&job.id);
        self.progress.send_modify(|progress| {
            progress.ended.push(Ended {
                id: job.id,
                stream: job.stream,
                market: job.market.clone(),
                state: job.state,
                error: job.error.clone(),
            });
        });
    }

    /// Whether some page was had since `then`.
    pub(super) fn succeeded_since(&self, then: Duration) -> bool {
        self.inner().success > then
    }

    /// Ends the run where nothing succeeded for too long; says whether it did.
    pub(super) fn give_up(&self, why: &str) -> bool {
        let silent = self.clock.monotonic().saturating_sub(self.inner().success);
        let over = self.patience.is_some_and(|patience| silent >= patience);
        if over {
            self.progress.send_modify(|progress| {
                progress.gave_up.get_or_insert_with(|| why.to_owned());
            });
            self.stop.cancel();
        }
        over
    }

    /// Notes where a market's past ends.
    pub(super) fn found(&self, market: &Market, bottom: Bottom) {
        self.inner().bottoms.entry(market.clone()).or_default().push(bottom);
    }

    /// What another job found that concerns what `job` has left before `before`.
    pub(super) fn bottom(&self, job: &Job, before: Timestamp) -> Option<Bottom> {
        let inner = self.inner();
        let found = inner.bottoms.get(&job.market)?.iter().find(|bottom| match bottom {
            Bottom::NoMarket(_) => true,
            Bottom::Nothing(stream, at) => *stream == job.stream && before <= *at,
        });
        found.cloned()
    }

    fn came(&self, job: &Job, share: f64) {
        let mut inner = self.inner();
        let held = inner.shares.entry(job.id).or_default();
        let more = share - *held;
        *held = share;
        drop(inner);
        self.progress.send_modify(|progress| progress.share += more);
    }

    /// A lock whose holder panicked holds plain values still.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
