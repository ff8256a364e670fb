//! A picture of the recorder, taken once a second and at the start more often, from which every
//! request is answered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use smol_str::SmolStr;

use super::Disk;
use super::health::{self, Problem, Signs};
use super::routes::Shared;
use crate::ingest::progress::Progress;
use crate::ingest::stats::Snapshot;
use crate::maintain::room::days_left;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::fs::free_bytes;

/// How often the picture is taken.
const EVERY: Duration = Duration::from_secs(1);
/// The same until the recorder is ready, which somebody may wait for.
const EVERY_AT_START: Duration = Duration::from_millis(200);
/// Over how long the rate of now is taken.
const RATE_OVER: Duration = Duration::from_secs(5);
/// Minutes whose rates are kept.
const MINUTES: usize = 360;

/// The recorder at one instant.
#[derive(Debug)]
pub(super) struct Now {
    pub(super) at: Timestamp,
    pub(super) started: Timestamp,
    pub(super) progress: Progress,
    pub(super) stats: Snapshot,
    pub(super) queued_events: u64,
    pub(super) queued_bytes: u64,
    pub(super) free_bytes: Option<u64>,
    pub(super) disk: Disk,
    pub(super) problems: Vec<Problem>,
    pub(super) ready: bool,
    /// Records a second of each stream, over the last seconds.
    pub(super) rates: BTreeMap<(SmolStr, Stream), f64>,
}

impl Now {
    /// For how many days what is free lasts, as far as that is known.
    pub(super) fn days_left(&self) -> Option<f64> {
        days_left(self.free_bytes?, self.disk.bytes_per_day?)
    }
}

/// The latest picture, and what led to it.
#[derive(Debug)]
pub(super) struct Board {
    now: Mutex<Arc<Now>>,
    history: Mutex<History>,
}

/// Rates of the last hours.
#[derive(Debug, Default)]
struct History {
    /// Records told so far, at the pictures of the last [`RATE_OVER`].
    latest: VecDeque<(Timestamp, Told)>,
    /// Records of each minute that is over, by its first instant.
    minutes: VecDeque<(Timestamp, Told)>,
    /// The minute that lasts, and what had been told at its beginning; nothing where it was not
    /// seen from its beginning on.
    minute: Option<(Timestamp, Option<Told>)>,
}

type Told = BTreeMap<(SmolStr, Stream), u64>;

impl Board {
    pub(super) fn new(at: Timestamp) -> Self {
        let now = Now {
            at,
            started: at,
            progress: Progress::default(),
            stats: Snapshot::default(),
            queued_events: 0,
            queued_bytes: 0,
            free_bytes: None,
            disk: Disk::default(),
            problems: Vec::new(),
            ready: false,
            rates: BTreeMap::new(),
        };
        Self { now: Mutex::new(Arc::new(now)), history: Mutex::default() }
    }

    /// The latest picture.
    pub(super) fn now(&self) -> Arc<Now> {
        Arc::clone(&self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records a second, minute by minute, oldest first.
    pub(super) fn history(&self) -> Value {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<&(SmolStr, Stream)> =
            history.minutes.iter().flat_map(|(_, told)| told.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let streams = names.into_iter().map(|key| {
            let of_minute = |(_, told): &(Timestamp, Told)| told.get(key).copied().unwrap_or(0);
            let rates = history.minutes.iter().map(of_minute).map(|count| rate(count, 60_000_000));
            json!({
                "venue": key.0,
                "stream": key.1.name(),
                "records_per_s": rates.collect::<Vec<f64>>(),
            })
        });
        let streams: Vec<Value> = streams.collect();
        let minutes = history.minutes.iter().map(|(minute, _)| minute.to_string());
        json!({ "minutes": minutes.collect::<Vec<String>>(), "streams": streams })
    }

    /// Takes a picture.
    pub(super) fn take(&self, shared: &Shared, free_bytes: Option<u64>) {
        let (at, sources) = (shared.sources.clock.now(), &shared.sources);
        let progress = sources.progress.borrow().clone();
        let before = self.now();
        let signs = Signs::of(sources, &progress, before.started, at, free_bytes);
        let disk = *sources.disk.borrow();
        let rates = self.history.lock().unwrap_or_else(PoisonError::into_inner).add(&progress);
        let now = Now {
            at,
            started: before.started,
            problems: health::problems(&signs),
            // Served once is enough: what is lost later is a matter of health.
            ready: before.ready || health::ready(&progress.roll),
            stats: sources.stats.snapshot(),
            queued_events: signs.queued_events,
            queued_bytes: signs.queued_bytes,
            free_bytes,
            disk,
            rates,
            progress,
        };
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
    }
}

/// Takes pictures until it is dropped.
pub(super) async fn sample(shared: Arc<Shared>) {
    loop {
        shared.board.take(&shared, free_bytes(&shared.sources.data).ok());
        let every = if shared.board.now().ready { EVERY } else { EVERY_AT_START };
        tokio::time::sleep(every).await;
    }
}

impl History {
    /// Takes what was told so far, and gives the rates of now.
    fn add(&mut self, progress: &Progress) -> BTreeMap<(SmolStr, Stream), f64> {
        let told: Told =
            progress.streams.iter().map(|(key, tally)| (key.clone(), tally.told)).collect();
        let at = progress.at;
        self.turn(at, &told);
        if self.latest.back().is_none_or(|(last, _)| *last < at) {
            self.latest.push_back((at, told.clone()));
        }
        while self.latest.get(1).is_some_and(|(second, _)| at.since(*second) >= RATE_OVER) {
            self.latest.pop_front();
        }
        let Some((since, before)) = self.latest.front() else { return BTreeMap::new() };
        let elapsed = at.since(*since).as_micros();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let rates = told.into_iter().map(|(key, count)| {
            let fresh = count.saturating_sub(before.get(&key).copied().unwrap_or(0));
            (key, rate(fresh, elapsed))
        });
        rates.collect()
    }

    fn turn(&mut self, at: Timestamp, told: &Told) {
        let minute = Timestamp::from_micros(at.micros() - at.micros().rem_euclid(60_000_000));
        match self.minute.take() {
            Some((lasting, None)) if lasting < minute => {
                self.minute = Some((minute, Some(told.clone())));
            }
            Some((lasting, Some(before))) if lasting < minute => {
                let fresh = told.iter().map(|(key, count)| {
                    (key.clone(), count.saturating_sub(before.get(key).copied().unwrap_or(0)))
                });
                self.minutes.push_back((lasting, fresh.collect()));
                if self.minutes.len() > MINUTES {
                    self.minutes.pop_front();
                }
                self.minute = Some((minute, Some(told.clone())));
            }
            Some(lasting) => self.minute = Some(lasting),
            None => self.minute = Some((minute, None)),
        }
    }
}

/// Events a second, to a hundredth.
fn rate(count: u64, elapsed_us: u64) -> f64 {
    if elapsed_us == 0 {
        return 0.0;
    }
    let hundredths = u128::from(count) * 100_000_000 / u128::from(elapsed_us);
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::progress::Tally;

    /// What is told when so many were told by `at`.
    fn progress(at: Timestamp, told: i64) -> Progress {
        let tally = Tally { told: u64::try_from(told).unwrap(), ..Tally::default() };
        let streams = [((SmolStr::from("v"), Stream::Trade), tally)].into();
        Progress { at, streams, ..Progress::default() }
    }

    #[test]
    fn the_rate_of_now_is_over_seconds_however_often_it_is_looked() {
        for every in [200, 500, 1_000] {
            let mut history = History::default();
            let mut rates = Vec::new();
            for ms in (0..=20_000).step_by(every) {
                // 10 a second, and none in the last second.
                let told = ms.min(19_000) / 100;
                let now = history.add(&progress(Timestamp::from_millis(ms), told));
                rates.extend(now.into_values());
            }
            assert_eq!(rates.last().map(f64::to_string).as_deref(), Some("8"), "every {every} ms");
        }
    }

    #[test]
    fn rates_are_of_the_last_seconds_and_of_each_minute() {
        let mut history = History::default();
        let key = (SmolStr::from("v"), Stream::Trade);
        let mut rates = BTreeMap::new();
        for second in -10..=130 {
            // 10 a second, from the second minute on 20.
            let told = 10 * (second + 10) + 10 * (second - 60).max(0);
            rates = history.add(&progress(Timestamp::from_millis(second * 1_000), told));
        }
        assert_eq!(rates[&key].to_string(), "20");
        let minutes: Vec<_> = history.minutes.iter().map(|(_, told)| told[&key]).collect();
        assert_eq!(minutes, [600, 1_200]);
    }
}
