//! How often a host may be asked: one budget for everything in the process that talks to a venue.
//!
//! Invariants: connections to one host start at least `1 / connects_per_second` apart, requests of
//! one group to one host at least `1 / requests_per_second` apart, each in the order of asking, and
//! whatever can wait after whatever cannot; nothing starts while the host has told us to wait.
//! Hosts are told apart by name alone, because venues count by our address and not by their port.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::watch;

use super::clock::Clock;
use crate::model::time::SECOND_US;
use crate::venue::Limits;

/// The first wait after a connection was turned away for its rate.
const CONNECT_HOLD: Duration = Duration::from_secs(2);
/// The first wait of a group after a request was turned away for its rate, beyond the next second.
const GROUP_HOLD: Duration = Duration::from_millis(500);
/// The longest wait that one answer of "too many" leads to, where it does not say.
const HOLD_CAP: Duration = Duration::from_mins(1);
/// The longest wait that one block leads to, where it does not say.
const BLOCK_CAP: Duration = Duration::from_hours(1);
/// The shortest and the longest wait that a host can tell.
const TOLD_FLOOR: Duration = Duration::from_secs(2);
const TOLD_CAP: Duration = Duration::from_hours(24);
/// Requests are spread a little wider than allowed, so that the jitter of the way does not push one
/// into the second before.
const SPREAD_PERCENT: u32 = 102;
/// How late a timer may be without making all later ones late as well. It must be well under what
/// [`SPREAD_PERCENT`] leaves of a second.
const LATE: Duration = Duration::from_millis(5);

/// How often a venue may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Connections in one second.
    pub connects_per_second: u32,
    /// Requests in one second, for each group.
    pub requests_per_second: u32,
    /// How long to wait after a block that does not say for how long.
    pub block: Duration,
}

impl From<Limits> for Rates {
    fn from(limits: Limits) -> Self {
        let Limits { connects_per_second, requests_per_second, block, .. } = limits;
        Self { connects_per_second, requests_per_second, block }
    }
}

/// What something is that counts towards a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Opening a websocket.
    Connect,
    /// A request of this group.
    Request(&'static str),
}

/// Whether something can wait for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Live recording, and the repair of its gaps: in the order of asking.
    Now,
    /// When nothing urgent waits: in the order of asking.
    Later,
}

/// What the host said to it, as far as the rate goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was served; so many more would be in the current second, where the host says.
    Served {
        /// What is left.
        remaining: Option<u32>,
    },
    /// Too many (429); wait this long, where the host says.
    TooMany {
        /// What the host said.
        told: Option<Duration>,
    },
    /// This machine is blocked (418); wait this long, where the host says.
    Blocked {
        /// What the host said.
        told: Option<Duration>,
    },
}

/// The budget of one venue.
#[derive(Debug)]
pub struct Budget {
    clock: Arc<dyn Clock>,
    rates: Rates,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

impl Budget {
    /// A budget of which nothing is used.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, rates: Rates) -> Self {
        Self { clock, rates, hosts: Mutex::default() }
    }

    /// Waits until `what` may be done to `host`, and counts it.
    pub async fn wait(&self, host: &str, what: Use, urgency: Urgency) {
        let host = self.host(host);
        let pace = host.pace(what, self);
        match urgency {
            Urgency::Now => {
                let _waiting = Waiting::of(&pace.urgent);
                // Whoever holds the turn is served next; the others queue behind it in order.
                let _turn = pace.turn.lock().await;
                while let Err(left) = self.pass(&host, &pace) {
                    tokio::time::sleep(left).await;
                }
            }
            Urgency::Later => {
                let _turn = pace.later.lock().await;
                let mut urgent = pace.urgent.subscribe();
                loop {
                    // The sender lives as long as the pace does, so neither wait can fail.
                    drop(urgent.wait_for(|waiting| *waiting == 0).await);
                    let Err(left) = self.pass(&host, &pace) else { return };
                    tokio::select! {
                        () = tokio::time::sleep(left) => {}
                        _ = urgent.wait_for(|waiting| *waiting > 0) => {}
                    }
                }
            }
        }
    }

    /// Counts one more, or says how long to wait before asking again.
    fn pass(&self, host: &Host, pace: &Pace) -> Result<(), Duration> {
        let now = self.clock.monotonic();
        let free = host.block.lock_now().until.max(pace.hold.lock_now().until);
        let left = match free.checked_sub(now) {
            Some(left) if !left.is_zero() => left,
            Some(_) | None => match pace.limiter.check_n(pace.cells) {
                Ok(Ok(())) => {
                    pace.passed(now);
                    return Ok(());
                }
                Ok(Err(not_until)) => not_until.wait_time_from(now),
                // The quota holds that many cells; a second is the slowest pace there is.
                Err(_) => Duration::from_secs(1),
            },
        };
        // Timers have a granularity of a millisecond.
        Err(left.max(Duration::from_millis(1)))
    }

    /// Notes what `host` said to `what`.
    pub fn answered(&self, host: &str, what: Use, answer: Answer) {
        let host = self.host(host);
        let pace = host.pace(what, self);
        let now = self.clock.monotonic();
        let first = match what {
            Use::Connect => CONNECT_HOLD,
            Use::Request(_) => self.next_second() + GROUP_HOLD,
        };
        match answer {
            Answer::Served { remaining } => {
                pace.hold.lock_now().times = 0;
                host.block.lock_now().times = 0;
                // Another one may be on its way already.
                if remaining.is_some_and(|left| left <= 1) {
                    let until = pace.full(now).unwrap_or_else(|| now + self.next_second());
                    pace.hold.lock_now().at_least(until);
                }
            }
            Answer::TooMany { told } => pace.hold.lock_now().again(now, told, first, HOLD_CAP),
            Answer::Blocked { told } => {
                host.block.lock_now().again(now, told, self.rates.block, BLOCK_CAP);
            }
        }
    }

    /// How long `host` has told us to wait before the next `what`; zero where it has not.
    #[must_use]
    pub fn held(&self, host: &str, what: Use) -> Duration {
        let host = self.host(host);
        let until = host.block.lock_now().until.max(host.pace(what, self).hold.lock_now().until);
        until.saturating_sub(self.clock.monotonic())
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = lock(&self.hosts);
        if let Some(host) = hosts.get(name) {
            return Arc::clone(host);
        }
        let host = Arc::new(Host {
            connect: Arc::new(Pace::new(&self.clock, self.rates.connects_per_second)),
            groups: Mutex::default(),
            block: Guarded::default(),
        });
        hosts.insert(name.to_owned(), Arc::clone(&host));
        host
    }

    /// The time left of the current second of the wall clock, by which venues count.
    fn next_second(&self) -> Duration {
        let into = self.clock.now().micros().rem_euclid(SECOND_US);
        Duration::from_micros(u64::try_from(SECOND_US - into).unwrap_or(0))
    }
}

#[derive(Debug)]
struct Host {
    connect: Arc<Pace>,
    groups: Mutex<HashMap<&'static str, Arc<Pace>>>,
    block: Guarded,
}

impl Host {
    fn pace(&self, what: Use, budget: &Budget) -> Arc<Pace> {
        match what {
            Use::Connect => Arc::clone(&self.connect),
            Use::Request(group) => {
                Arc::clone(lock(&self.groups).entry(group).or_insert_with(|| {
                    Arc::new(Pace::new(&budget.clock, budget.rates.requests_per_second))
                }))
            }
        }
    }
}

/// One thing done again and again, at a steady pace.
#[derive(Debug)]
struct Pace {
    limiter: RateLimiter<NotKeyed, InMemoryState, Monotonic, NoOpMiddleware<Duration>>,
    /// What one use takes of the quota.
    cells: NonZeroU32,
    turn: tokio::sync::Mutex<()>,
    later: tokio::sync::Mutex<()>,
    /// How many urgent ones wait.
    urgent: watch::Sender<usize>,
    /// When the latest passed, at most as many as a second has room for.
    latest: Mutex<VecDeque<Duration>>,
    per_second: usize,
    hold: Guarded,
}

impl Pace {
    fn new(clock: &Arc<dyn Clock>, per_second: u32) -> Self {
        let apart = Duration::from_secs(1) / per_second.max(1) * SPREAD_PERCENT / 100;
        // One use takes so many cells, and the quota holds one cell more: what was not used is not
        // saved up for a burst, but for what makes up for a late timer.
        let cells = u32::try_from(apart.as_micros() / LATE.as_micros()).unwrap_or(u32::MAX);
        let cells = NonZeroU32::new(cells).unwrap_or(NonZeroU32::MIN);
        // A period of zero cannot be, and the alternative is the slowest pace rather than none.
        let quota = Quota::with_period(apart / cells.get())
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(cells.saturating_add(1));
        Self {
            cells,
            limiter: RateLimiter::direct_with_clock(quota, Monotonic(Arc::clone(clock))),
            turn: tokio::sync::Mutex::default(),
            later: tokio::sync::Mutex::default(),
            urgent: watch::Sender::new(0),
            latest: Mutex::default(),
            per_second: usize::try_from(per_second.max(1)).unwrap_or(usize::MAX),
            hold: Guarded::default(),
        }
    }

    fn passed(&self, at: Duration) {
        let mut latest = lock(&self.latest);
        latest.push_back(at);
        while latest.len() > self.per_second {
            latest.pop_front();
        }
    }

    /// Until when the host's second lasts in which we alone used up everything; none where others
    /// have a part in it. The host's clock need not beat with ours.
    fn full(&self, now: Duration) -> Option<Duration> {
        let latest = lock(&self.latest);
        let over = *latest.front()? + Duration::from_secs(1);
        // One that is on its way has passed and does not count at the host yet.
        let ours = latest.len() >= self.per_second && over + Duration::from_millis(150) > now;
        ours.then_some(over)
    }
}

/// One urgent user that waits.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn of(urgent: &'a watch::Sender<usize>) -> Self {
        urgent.send_modify(|waiting| *waiting += 1);
        Self(urgent)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}

/// Until when to wait, by the monotonic clock, and how often that was said in a row.
#[derive(Debug, Default)]
struct Hold {
    until: Duration,
    begun: Duration,
    times: u32,
}

impl Hold {
    /// The host said it again: wait as long as it told, or twice as long as the last time. What was
    /// on its way when it said so first is told the same, and doubles nothing.
    fn again(&mut self, now: Duration, told: Option<Duration>, first: Duration, cap: Duration) {
        let times = if now < self.until { self.times.saturating_sub(1) } else { self.times };
        let doubled = first.saturating_mul(2_u32.saturating_pow(times)).min(cap);
        self.times = times.saturating_add(1);
        // What is told is kept to, but not where it cannot be meant.
        let told = told.map(|told| told.clamp(first.min(TOLD_FLOOR), TOLD_CAP));
        // Of several that were on their way, the first began the wait.
        let begun = if now < self.until && told.is_none() { self.begun } else { now };
        self.begun = begun;
        self.at_least(begun + told.unwrap_or(doubled));
    }

    fn at_least(&mut self, until: Duration) {
        self.until = self.until.max(until);
    }
}

#[derive(Debug, Default)]
struct Guarded(Mutex<Hold>);

impl Guarded {
    fn lock_now(&self) -> MutexGuard<'_, Hold> {
        lock(&self.0)
    }
}

/// A lock whose holder panicked holds plain numbers still.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Our clock, as governor wants it.
#[derive(Debug, Clone)]
struct Monotonic(Arc<dyn Clock>);

impl GovernorClock for Monotonic {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

#[cfg(test)]
mod tests;
