//! Live counters, for progress lines and status: shared, without a lock, and of about the same
//! moment.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::model::time::Timestamp;

/// What the sessions of a run did so far.
#[derive(Debug, Default)]
pub struct Stats {
    sessions_up: AtomicU64,
    sessions_opened: AtomicU64,
    reconnects: AtomicU64,
    frames: AtomicU64,
    bytes: AtomicU64,
    unserved: AtomicU64,
    last_data_us: AtomicI64,
    drift_us: AtomicI64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Connections that are open.
    pub sessions_up: u64,
    /// Connections that were opened.
    pub sessions_opened: u64,
    /// Connections that ended without our will.
    pub reconnects: u64,
    /// Data frames.
    pub frames: u64,
    /// Bytes of data frames.
    pub bytes: u64,
    /// Subscriptions that showed nothing in time, summed over all connections.
    pub unserved: u64,
    /// When the last data frame came; none where none came yet. Clock: ours.
    pub last_data: Option<Timestamp>,
    /// How far the wall clock went beside the monotonic one since the start. Unit: microseconds.
    pub drift_us: i64,
}

impl Stats {
    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let last_data = self.last_data_us.load(Ordering::Relaxed);
        Snapshot {
            sessions_up: self.sessions_up.load(Ordering::Relaxed),
            sessions_opened: self.sessions_opened.load(Ordering::Relaxed),
            reconnects: self.reconnects.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            unserved: self.unserved.load(Ordering::Relaxed),
            last_data: (last_data != 0).then(|| Timestamp::from_micros(last_data)),
            drift_us: self.drift_us.load(Ordering::Relaxed),
        }
    }

    pub(super) fn opened(&self) {
        self.sessions_up.fetch_add(1, Ordering::Relaxed);
        self.sessions_opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self, by_us: bool) {
        self.sessions_up.fetch_sub(1, Ordering::Relaxed);
        if !by_us {
            self.reconnects.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn frame(&self, bytes: u64, at: Timestamp) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.last_data_us.fetch_max(at.micros(), Ordering::Relaxed);
    }

    pub(super) fn drifted(&self, us: i64) {
        self.drift_us.store(us, Ordering::Relaxed);
    }

    pub(super) fn unserved(&self) {
        self.unserved.fetch_add(1, Ordering::Relaxed);
    }
}
