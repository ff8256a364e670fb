//! What all parts of one running simulator have in common: time, limits, faults, and the source of
//! frames.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Options;
use super::calls::Calls;
use super::capture::Capture;
use super::faults::{Fault, Faults, What};
use super::floor::Floor;
use super::history::History;
use super::ledger::Ledger;
use super::limits::Gate;
use super::socket::Order;

/// The body of a 429.
pub(super) const TOO_MANY: &str = "Too many API requests.";
/// The body for an address that leads nowhere.
pub(super) const NO_ROUTE: &str =
    r#"{"error":{"name":"not_found","message":"no Route matched with those values"}}"#;

/// The body of a 418.
pub(super) fn blocked(seconds: i64) -> String {
    format!(
        r#"{{"error":{{"name":418,"message":"Too many API requests. Blocked for {seconds} seconds."}}}}"#
    )
}

/// Where frames come from.
#[derive(Debug)]
pub(super) enum Source {
    /// Simulated markets, and their past.
    Floor(Box<Mutex<Floor>>, History),
    /// A capture.
    Capture(Arc<Capture>),
}

impl Source {
    /// The simulated markets, if that is what is played.
    pub(super) fn floor(&self) -> Option<MutexGuard<'_, Floor>> {
        match self {
            Self::Floor(floor, _) => Some(floor.lock().unwrap_or_else(PoisonError::into_inner)),
            Self::Capture(_) => None,
        }
    }
}

/// A fault that goes on.
#[derive(Debug)]
struct Trouble {
    what: What,
    until: Option<Instant>,
    hits: Option<u32>,
}

/// One running simulator.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) source: Source,
    pub(super) ledger: Ledger,
    pub(super) calls: Calls,
    pub(super) gate: Mutex<Gate>,
    pub(super) end: CancellationToken,
    pub(super) tasks: TaskTracker,
    sockets: Mutex<BTreeMap<u64, mpsc::Sender<Order>>>,
    troubles: Mutex<Vec<Trouble>>,
    started: Instant,
}

impl Shared {
    pub(super) fn new(options: Options, source: Source, ledger: Ledger, calls: Calls) -> Self {
        Self {
            options,
            source,
            ledger,
            calls,
            gate: Mutex::default(),
            end: CancellationToken::new(),
            tasks: TaskTracker::new(),
            sockets: Mutex::default(),
            troubles: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// The venue's time. Unit: milliseconds since the epoch. It starts at `Options::start` and
    /// goes as fast as time does.
    pub(super) fn now(&self) -> i64 {
        let gone = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        (self.options.start.micros() / 1_000).saturating_add(gone)
    }

    /// A socket that faults can hit.
    pub(super) fn join(&self, number: u64, orders: mpsc::Sender<Order>) {
        self.sockets().insert(number, orders);
    }

    /// A socket that is gone.
    pub(super) fn leave(&self, number: u64) {
        self.sockets().remove(&number);
        if let Some(mut floor) = self.source.floor() {
            floor.leave(number);
        }
    }

    /// How many sockets are open.
    pub(super) fn open_sockets(&self) -> usize {
        self.sockets().len()
    }

    fn sockets(&self) -> MutexGuard<'_, BTreeMap<u64, mpsc::Sender<Order>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault of one of these kinds that goes on now, if any; it is used up by one.
    pub(super) fn trouble(&self, kinds: &[What]) -> Option<What> {
        let now = Instant::now();
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.retain(|one| {
            one.until.is_none_or(|until| now < until) && one.hits.is_none_or(|hits| hits > 0)
        });
        let found = troubles.iter_mut().find(|one| kinds.contains(&one.what))?;
        found.hits = found.hits.map(|hits| hits.saturating_sub(1));
        Some(found.what)
    }

    fn fire(&self, fault: &Fault) {
        let lasts = fault.length();
        match fault.what {
            What::Drop => self.order(fault, &Order::Close),
            What::DropWithoutClose => self.order(fault, &Order::End),
            What::Reset => self.order(fault, &Order::Reset),
            What::Error => self.order(fault, &Order::Error),
            What::Stall => self.order(fault, &Order::Stall(lasts)),
            What::Freeze => self.order(fault, &Order::Freeze(lasts)),
            What::Garbage => self.order(fault, &Order::Garbage(fault.count.unwrap_or(1))),
            What::Duplicates => self.order(fault, &Order::Duplicates(lasts)),
            What::Slow => self.order(fault, &Order::Slow(lasts)),
            What::Unserved => {
                let until = self.now().saturating_add(millis(lasts));
                if let Some(mut floor) = self.source.floor() {
                    floor.unserve(&fault.markets, until);
                }
            }
            // The markets know from the start when they are listed and when not.
            What::List | What::Delist => {}
            What::Rest418 => {
                let until = self.now().saturating_add(millis(lasts));
                self.gate.lock().unwrap_or_else(PoisonError::into_inner).block(until);
            }
            What::Handshake429
            | What::Handshake418
            | What::Rest429
            | What::Rest500
            | What::RestHtml
            | What::RestTruncated
            | What::RestSlow
            | What::RestTimeout => {
                let until = fault.lasts.map(|lasts| Instant::now() + lasts);
                let trouble = Trouble { what: fault.what, until, hits: fault.hits() };
                self.troubles.lock().unwrap_or_else(PoisonError::into_inner).push(trouble);
            }
        }
    }

    fn order(&self, fault: &Fault, order: &Order) {
        for (number, orders) in self.sockets().iter() {
            if fault.only.is_none_or(|only| only == *number) && orders.try_send(*order).is_err() {
                tracing::debug!(number, ?order, "the connection takes no more orders");
            }
        }
    }

    /// Lets the faults happen when their time comes.
    pub(super) async fn misbehave(self: Arc<Self>, faults: Faults) {
        let mut counts = vec![0_u32; faults.list.len()];
        loop {
            let next = faults
                .list
                .iter()
                .zip(&mut counts)
                .filter_map(|(fault, count)| Some((fault.firing(*count)?, fault, count)))
                .min_by_key(|(due, _, _)| *due);
            let Some((due, fault, count)) = next else { return };
            tokio::time::sleep_until(self.started + due).await;
            *count += 1;
            tracing::debug!(what = ?fault.what, "a fault happens");
            self.fire(fault);
        }
    }
}

/// A duration in milliseconds.
pub(super) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}
