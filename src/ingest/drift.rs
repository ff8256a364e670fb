//! Telling the time: ticks, and the wall clock beside the monotonic one: where it was set, and how
//! far it drifts.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::queue::Sender;
use super::stats::Stats;
use crate::model::event::{ClockStep, Event};
use crate::model::time::Timestamp;
use crate::net::clock::Clock;

/// How often the time is told.
const TICK_EVERY: Duration = Duration::from_millis(25);
/// What goes at once by so much was set; less is how clocks are brought in line slowly.
const STEP: Duration = Duration::from_millis(250);
/// Between the two clocks nothing may come; where something did, the look says nothing.
const AT_ONCE: Duration = Duration::from_millis(20);

/// Looks at both clocks again and again.
#[derive(Debug)]
pub struct Drift {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    stats: Arc<Stats>,
    first_us: i64,
    last_us: i64,
}

impl Drift {
    /// As the clocks stand now, there is no drift.
    #[must_use]
    pub fn from_now(clock: Arc<dyn Clock>, stats: Arc<Stats>) -> Self {
        let offset = between(clock.now(), clock.monotonic());
        Self { clock, stats, first_us: offset, last_us: offset }
    }

    /// The same for one of whose drift nobody asks.
    #[must_use]
    pub fn of(clock: Arc<dyn Clock>) -> Self {
        Self::from_now(clock, Arc::default())
    }

    /// Looks, and says where the clock was set since the last look.
    pub fn look(&mut self) -> Option<ClockStep> {
        let before = self.clock.monotonic();
        let at = self.clock.now();
        if self.clock.monotonic().saturating_sub(before) >= AT_ONCE {
            return None;
        }
        let offset = between(at, before);
        let by_us = offset.saturating_sub(self.last_us);
        self.last_us = offset;
        self.stats.drifted(offset.saturating_sub(self.first_us));
        let stepped = Duration::from_micros(by_us.unsigned_abs()) >= STEP;
        stepped.then_some(ClockStep { at, by_us })
    }
}

/// Tells the time, and where the clock was set. Leaves a tick out where the queue is full: the next
/// one tells the time as well.
pub async fn tick(mut drift: Drift, queue: Sender, done: CancellationToken) {
    let mut every = tokio::time::interval(TICK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = done.cancelled() => return,
            _ = every.tick() => {}
        }
        if let Some(step) = drift.look() {
            tracing::warn!(
                "the clock of this machine went by {:.3} s at once; times of arrival go with it",
                Duration::from_micros(step.by_us.unsigned_abs()).as_secs_f64()
                    * if step.by_us < 0 { -1.0 } else { 1.0 },
            );
            if queue.send(Event::ClockStepped(step)).await.is_err() {
                return;
            }
        }
        if queue.try_send(Event::Tick(drift.clock.now())).is_err() {
            return;
        }
    }
}

fn between(wall: Timestamp, monotonic: Duration) -> i64 {
    wall.micros().saturating_sub(i64::try_from(monotonic.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Clocks that a test sets: wall and monotonic, in milliseconds.
    #[derive(Debug, Default)]
    struct Set(Mutex<(i64, u64)>);

    impl Clock for Set {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.lock().unwrap().0)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.lock().unwrap().1)
        }
    }

    #[test]
    fn steps_are_told_and_drift_is_summed() {
        let (set, stats) = (Arc::new(Set::default()), Arc::new(Stats::default()));
        let clock: Arc<dyn Clock> = Arc::<Set>::clone(&set);
        let mut drift = Drift::from_now(clock, Arc::clone(&stats));
        // Wall and monotonic clock, the step that is told, the drift since the start.
        let table = [
            (25, 25, None, 0),
            (51, 50, None, 1),
            (300, 75, None, 225),
            (100, 100, None, 0),
            (3_725, 125, Some(3_600), 3_600),
            (-8_750, 150, Some(-12_500), -8_900),
            (-8_725, 175, None, -8_900),
        ];
        for (wall, monotonic, step, sum) in table {
            *set.0.lock().unwrap() = (wall, monotonic);
            let told = drift.look();
            let expected = step
                .map(|ms: i64| ClockStep { at: Timestamp::from_millis(wall), by_us: ms * 1_000 });
            assert_eq!(told, expected, "{wall}");
            assert_eq!(stats.snapshot().drift_us, sum * 1_000, "{wall}");
        }
    }
}
