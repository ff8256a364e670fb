//! The queue between the sessions, which are async, and the writer, which is not.
//!
//! Invariants: at most `events` events and `bytes` bytes of frames wait in it, both at once;
//! nothing is dropped: a sender waits, and its wait is counted; order is kept per sender; the
//! receiver learns that it is over when all senders are gone and all they sent was taken. A frame
//! beyond the limit of bytes passes alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use crate::model::event::Event;

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Events.
    pub events: usize,
    /// Bytes of frames.
    pub bytes: u32,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { events: 65_536, bytes: 64 * 1024 * 1024 }
    }
}

/// A queue with nothing in it.
#[must_use]
pub fn queue(limits: QueueLimits) -> (Sender, Receiver) {
    let limits = QueueLimits { events: limits.events.max(1), bytes: limits.bytes.max(1) };
    let (items, waiting) = mpsc::channel(limits.events);
    let gauge = Arc::new(Gauge::default());
    let room = Arc::new(Semaphore::new(usize::try_from(limits.bytes).unwrap_or(usize::MAX >> 4)));
    let sender = Sender { items, room, limit: limits.bytes, gauge: Arc::clone(&gauge) };
    (sender, Receiver { waiting, gauge, taken: Vec::new() })
}

/// The receiver is gone: nobody writes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the writer has ended; nothing can be recorded any more")]
pub struct NoWriter;

/// The end that sessions hold.
#[derive(Debug, Clone)]
pub struct Sender {
    items: mpsc::Sender<Item>,
    room: Arc<Semaphore>,
    limit: u32,
    gauge: Arc<Gauge>,
}

impl Sender {
    /// Puts `event` into the queue as soon as there is room, and says how long that took.
    ///
    /// # Errors
    ///
    /// When the receiver is gone.
    pub async fn send(&self, event: Event) -> Result<Duration, NoWriter> {
        let Err(refused) = self.put_now(event) else { return Ok(Duration::ZERO) };
        let event = refused.ok_or(NoWriter)?;
        let since = Instant::now();
        let permits = self.weight(&event);
        let room =
            Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| NoWriter)?;
        let slot = self.items.reserve().await.map_err(|_| NoWriter)?;
        self.gauge.put(permits);
        slot.send(Item { event, room });
        let waited = since.elapsed();
        self.gauge.waits.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.gauge.waited_us.fetch_add(micros, Ordering::Relaxed);
        Ok(waited.max(Duration::from_micros(1)))
    }

    /// Puts `event` into the queue if there is room at once; says whether it did. For what may be
    /// left out, such as the time.
    ///
    /// # Errors
    ///
    /// When the receiver is gone.
    pub fn try_send(&self, event: Event) -> Result<bool, NoWriter> {
        match self.put_now(event) {
            Ok(()) => Ok(true),
            Err(Some(_)) => Ok(false),
            Err(None) => Err(NoWriter),
        }
    }

    /// What is in the queue, for whoever watches; it does not keep the queue open.
    #[must_use]
    pub fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    /// The event comes back where there is no room, and does not where nobody would take it.
    fn put_now(&self, event: Event) -> Result<(), Option<Event>> {
        let permits = self.weight(&event);
        let slot = match self.items.try_reserve() {
            Ok(slot) => slot,
            Err(mpsc::error::TrySendError::Full(())) => return Err(Some(event)),
            Err(mpsc::error::TrySendError::Closed(())) => return Err(None),
        };
        match Arc::clone(&self.room).try_acquire_many_owned(permits) {
            Ok(room) => {
                self.gauge.put(permits);
                slot.send(Item { event, room });
                Ok(())
            }
            Err(_) => Err(Some(event)),
        }
    }

    fn weight(&self, event: &Event) -> u32 {
        let bytes = match event {
            Event::Frame(frame) => frame.body.len(),
            Event::SessionOpened(_)
            | Event::Served { .. }
            | Event::Unserved { .. }
            | Event::Alive { .. }
            | Event::SessionClosed(_)
            | Event::Wanted(_)
            | Event::Job(_)
            | Event::Tick(_)
            | Event::ClockStepped(_) => 0,
        };
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.limit)
    }
}

/// The end that the writer holds.
#[derive(Debug)]
pub struct Receiver {
    waiting: mpsc::Receiver<Item>,
    gauge: Arc<Gauge>,
    taken: Vec<Item>,
}

impl Receiver {
    /// Waits for events and puts up to `max` of those that are there into `out`, in order; false
    /// when all senders are gone and nothing is left. For a thread of its own: it must not be
    /// called from async code.
    pub fn recv_batch(&mut self, out: &mut Vec<Event>, max: usize) -> bool {
        let count = self.waiting.blocking_recv_many(&mut self.taken, max.max(1));
        self.hand_over(out);
        count > 0
    }

    /// The same for async code.
    pub async fn recv_batch_async(&mut self, out: &mut Vec<Event>, max: usize) -> bool {
        let count = self.waiting.recv_many(&mut self.taken, max.max(1)).await;
        self.hand_over(out);
        count > 0
    }

    /// How many events may wait in the queue.
    #[must_use]
    pub fn limit(&self) -> u64 {
        u64::try_from(self.waiting.max_capacity()).unwrap_or(u64::MAX)
    }

    /// What is in the queue, for whoever watches.
    #[must_use]
    pub fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    fn hand_over(&mut self, out: &mut Vec<Event>) {
        for Item { event, room } in self.taken.drain(..) {
            self.gauge.take(room.num_permits());
            out.push(event);
        }
    }
}

/// What is in a queue, and how often senders waited for it. Read without a lock: the numbers are
/// of about the same moment.
#[derive(Debug, Default)]
pub struct Gauge {
    events: AtomicU64,
    bytes: AtomicU64,
    waits: AtomicU64,
    waited_us: AtomicU64,
}

impl Gauge {
    /// Events that wait.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Bytes of frames that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How often a sender had to wait for room.
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// How long senders waited for room, all together.
    pub fn waited(&self) -> Duration {
        Duration::from_micros(self.waited_us.load(Ordering::Relaxed))
    }

    fn put(&self, bytes: u32) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(u64::from(bytes), Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) {
        self.events.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }
}

/// An event and the room that it takes: the room is free again when the event is taken.
#[derive(Debug)]
struct Item {
    event: Event,
    room: OwnedSemaphorePermit,
}

#[cfg(test)]
mod tests;
