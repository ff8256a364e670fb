//! Sessions back to back for what one connection carries: reconnects for ever, and changes without
//! a hole.
//!
//! Invariants: there is always a session or an attempt at one, while anything is wanted and nobody
//! said stop; a session that is replaced on purpose (another set of subscriptions, its age, a
//! host that moved) is closed only after its successor has shown a first frame of each
//! subscription, or has had the time for it; every session that was told as opened is told as
//! closed, once.
//!
//! The feed decides when there is a session; what happens over one is in `live`. Feeds of several
//! lines carry the same subscriptions and know nothing of each other.

mod address;
mod live;
mod vitals;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::live::{End, Live};
use super::queue::{NoWriter, Sender};
use super::stats::Stats;
use crate::model::subscription::Subscription;
use crate::net::backoff::Backoff;
use crate::net::budget::{Budget, Use};
use crate::net::clock::Clock;
use crate::net::connect::Connector;
use crate::venue::Venue;

/// A feed writes at most one line per this time about its reconnects.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// A feed follows its host to other addresses at most once per this time. A host with so many
/// addresses that ours is seldom among them seems to move all the time.
const MOVE_EVERY: Duration = Duration::from_hours(1);

/// What all feeds of a run share.
pub struct Context {
    /// The venue.
    pub venue: &'static dyn Venue,
    /// Where its websocket is.
    pub url: String,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Opens websockets.
    pub connector: Connector,
    /// How often.
    pub budget: Arc<Budget>,
    /// Numbers for sessions.
    pub numbers: Arc<Numbers>,
    /// Where events go.
    pub queue: Sender,
    /// Live counters.
    pub stats: Arc<Stats>,
}

/// Hands out the numbers of sessions and of jobs, each once.
#[derive(Debug)]
pub struct Numbers(AtomicI64);

impl Numbers {
    /// The first number handed out is `first`.
    #[must_use]
    pub const fn starting_at(first: i64) -> Self {
        Self(AtomicI64::new(first))
    }

    /// The next number.
    pub fn next(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// When sessions are replaced by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The first time, after the start.
    pub first: Duration,
    /// Then again and again after so long.
    pub every: Duration,
}

/// One feed.
pub struct Feed {
    /// What it shares with others.
    pub context: Arc<Context>,
    /// What is wanted. An empty list means no session.
    pub wanted: watch::Receiver<Arc<[Subscription]>>,
    /// Which it is of the feeds that carry the same, from 1 on.
    pub line: u32,
    /// When sessions are replaced by age; never where none is given.
    pub rotation: Option<Rotation>,
    /// Ends the feed.
    pub stop: CancellationToken,
}

impl Feed {
    /// Runs until it is stopped; then closes what is open.
    ///
    /// # Errors
    ///
    /// When the writer is gone. A panic in a session goes on here.
    pub async fn run(self) -> Result<(), NoWriter> {
        let (notices, heard) = mpsc::channel(16);
        let rotate_at = self.rotation.map(|rotation| Instant::now() + rotation.first);
        Controller {
            feed: self,
            notices,
            tasks: JoinSet::new(),
            next_id: 0,
            current: None,
            successor: None,
            backoff: Backoff::new(),
            rotate_at,
            move_at: Instant::now(),
            talked: Arc::default(),
            line: Line::default(),
        }
        .run(heard)
        .await
    }
}

/// What a session tells its feed.
enum Notice {
    /// Every subscription was seen, or had its time.
    Settled,
    /// The host is elsewhere now. Told again and again.
    Moved,
}

/// The way from a session to its feed.
#[derive(Clone)]
struct ToFeed {
    id: u64,
    notices: mpsc::Sender<(u64, Notice)>,
}

impl ToFeed {
    /// The feed takes notices as they come; where it does not, it is ending.
    fn tell(&self, notice: Notice) {
        if self.notices.try_send((self.id, notice)).is_err() {
            tracing::debug!("nobody waits for what a session has to say");
        }
    }
}

/// A session that runs, or tries to.
struct Handle {
    id: u64,
    subscriptions: Arc<[Subscription]>,
    retire: CancellationToken,
    /// Failures of this attempt's line of attempts; a successor has its own.
    backoff: Backoff,
}

struct Controller {
    feed: Feed,
    notices: mpsc::Sender<(u64, Notice)>,
    tasks: JoinSet<(u64, End)>,
    next_id: u64,
    current: Option<Handle>,
    successor: Option<Handle>,
    backoff: Backoff,
    rotate_at: Option<Instant>,
    /// From when on the host may be followed again.
    move_at: Instant,
    /// Whether any session of this feed ever brought data.
    talked: Arc<AtomicBool>,
    line: Line,
}

impl Controller {
    async fn run(mut self, mut heard: mpsc::Receiver<(u64, Notice)>) -> Result<(), NoWriter> {
        let stop = self.feed.stop.clone();
        self.follow_wanted();
        let mut may_change = true;
        let mut outcome = loop {
            let rotate_at = self.rotate_at;
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = self.ended(ended) {
                        break Err(error);
                    }
                }
                Some((id, notice)) = heard.recv() => match notice {
                    Notice::Settled => self.settled(id),
                    Notice::Moved => self.moved(id),
                },
                changed = self.feed.wanted.changed(), if may_change => match changed {
                    Ok(()) => self.follow_wanted(),
                    // Whoever decides what is wanted is gone, and its last word stands.
                    Err(_) => may_change = false,
                },
                () = sleep_until(rotate_at) => self.rotate(),
            }
        };
        for handle in self.current.iter().chain(&self.successor) {
            handle.retire.cancel();
        }
        while let Some(ended) = self.tasks.join_next().await {
            if matches!(unpanicked(ended), (_, End::NoWriter)) {
                outcome = Err(NoWriter);
            }
        }
        outcome
    }

    /// Brings the sessions in line with what is wanted.
    fn follow_wanted(&mut self) {
        let wanted = Arc::clone(&self.feed.wanted.borrow_and_update());
        if wanted.is_empty() {
            for handle in self.current.take().into_iter().chain(self.successor.take()) {
                handle.retire.cancel();
            }
            return;
        }
        let Some(current) = &self.current else {
            self.current = Some(self.start(Duration::ZERO, self.backoff));
            return;
        };
        // A successor on its way carries an older wish: it is let finish, and then replaced, so
        // that what it was told as opened is also told as closed by the same rule as any other.
        if self.successor.is_none() && current.subscriptions != wanted {
            self.successor = Some(self.start(Duration::ZERO, Backoff::new()));
        }
    }

    /// Replaces the session because of its age.
    fn rotate(&mut self) {
        let every = self.feed.rotation.map(|rotation| rotation.every);
        self.rotate_at = every.map(|every| Instant::now() + every);
        if self.current.is_some() && self.successor.is_none() {
            self.successor = Some(self.start(Duration::ZERO, Backoff::new()));
        }
    }

    /// Replaces the session because its host is elsewhere now.
    fn moved(&mut self, id: u64) {
        let now = Instant::now();
        let is_current = self.current.as_ref().is_some_and(|current| current.id == id);
        // What is in the way now is not when it is told again.
        if !is_current || self.successor.is_some() || now < self.move_at {
            return;
        }
        tracing::info!(
            venue = self.feed.context.venue.name(),
            "the venue's host has moved to other addresses; a new connection takes over",
        );
        self.move_at = now + MOVE_EVERY;
        self.successor = Some(self.start(Duration::ZERO, Backoff::new()));
    }

    /// A session has shown what it can show.
    fn settled(&mut self, id: u64) {
        if self.successor.as_ref().is_none_or(|successor| successor.id != id) {
            return;
        }
        if let Some(old) = self.current.take() {
            old.retire.cancel();
        }
        self.current = self.successor.take();
        self.follow_wanted();
    }

    /// A session, or an attempt at one, is over.
    fn ended(&mut self, ended: Result<(u64, End), JoinError>) -> Result<(), NoWriter> {
        let (id, end) = unpanicked(ended);
        let (why, data_for) = match end {
            End::NoWriter => return Err(NoWriter),
            End::Retired => return Ok(()),
            End::NotOpened(error) => (error.to_string(), Duration::ZERO),
            End::Broken { why, data_for } => (why, data_for),
        };
        if self.current.as_ref().is_some_and(|current| current.id == id) {
            self.current = None;
            let wait = self.backoff.failed(data_for, rand::random());
            self.line.say(self.feed.context.as_ref(), &why, wait, self.backoff.failures());
            // A successor that is on its way takes over where it stands.
            self.current = match self.successor.take() {
                Some(successor) => Some(successor),
                None => self.restart(wait, self.backoff),
            };
        } else if let Some(mut failed) = self.successor.take_if(|successor| successor.id == id) {
            let wait = failed.backoff.failed(data_for, rand::random());
            self.line.say(self.feed.context.as_ref(), &why, wait, failed.backoff.failures());
            self.successor = self.restart(wait, failed.backoff);
        }
        if self.current.is_some() {
            self.follow_wanted();
        }
        Ok(())
    }

    fn restart(&mut self, wait: Duration, backoff: Backoff) -> Option<Handle> {
        let anything = !self.feed.wanted.borrow().is_empty();
        anything.then(|| self.start(wait, backoff))
    }

    /// Starts a session for what is wanted now, after `delay`.
    fn start(&mut self, delay: Duration, backoff: Backoff) -> Handle {
        let id = self.next_id;
        self.next_id += 1;
        let subscriptions = Arc::clone(&self.feed.wanted.borrow());
        let retire = CancellationToken::new();
        let live = Live {
            context: Arc::clone(&self.feed.context),
            subscriptions: Arc::clone(&subscriptions),
            line: self.feed.line,
            delay,
            retire: retire.clone(),
            feed: ToFeed { id, notices: self.notices.clone() },
            talked: Arc::clone(&self.talked),
        };
        self.tasks.spawn(async move { (id, live.run().await) });
        Handle { id, subscriptions, retire, backoff }
    }
}

/// What a task returned. Its panic goes on in whoever waits for it.
fn unpanicked<T>(ended: Result<T, JoinError>) -> T {
    match ended {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The feed's line in the log about its reconnects, at most one per [`LINE_EVERY`].
#[derive(Default)]
struct Line {
    next_at: Option<Instant>,
    held_back: u64,
}

impl Line {
    fn say(&mut self, context: &Context, why: &str, wait: Duration, failures: u32) {
        let now = Instant::now();
        if self.next_at.is_some_and(|next_at| now < next_at) {
            self.held_back += 1;
            return;
        }
        let host = crate::net::connect::host_of(&context.url).unwrap_or_default();
        let wait = wait.max(context.budget.held(&host, Use::Connect));
        tracing::warn!(
            venue = context.venue.name(),
            failures,
            lines_held_back = self.held_back,
            "connection lost: {why}; next attempt in {:.1} s",
            wait.as_secs_f64(),
        );
        *self = Self { next_at: Some(now + LINE_EVERY), held_back: 0 };
    }
}

#[cfg(test)]
mod tests;
