//! What the writer has done so far, for whoever watches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use super::presence::Roll;
use super::pulse::Pulse;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::Change;

/// A picture of the writer at one instant.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// When the picture was taken. Clock: ours.
    pub at: Timestamp,
    /// Frames taken.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// Frames that an earlier run had journalled and not published.
    pub recovered: u64,
    /// Frames that no decoder understood.
    pub unread: u64,
    /// Files published.
    pub files: u64,
    /// Bytes of those files.
    pub file_bytes: u64,
    /// Rows in those files.
    pub file_rows: u64,
    /// Events that wait in the queue.
    pub queued: u64,
    /// How often a session had to wait for room in the queue.
    pub queue_waits: u64,
    /// How long those waits were, summed.
    pub queue_waited: Duration,
    /// Rows that wait for a file.
    pub waiting_rows: usize,
    /// Bytes of memory that those rows hold, roughly.
    pub waiting_bytes: usize,
    /// By venue and stream.
    pub streams: BTreeMap<(SmolStr, Stream), Tally>,
    /// How the data of each came: its rhythm and its lag.
    pub pulses: BTreeMap<(SmolStr, Stream), Pulse>,
    /// Who is there: connections, subscriptions, and gaps that last. About a second old at most.
    pub roll: Arc<Roll>,
}

/// One stream's part of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that the venue told.
    pub told: u64,
    /// Those that became a row.
    pub rows: u64,
    /// Those that had been told before.
    pub duplicates: u64,
    /// The latest event. Clock: the venue's.
    pub last: Option<Timestamp>,
    /// The latest arrival. Clock: ours.
    pub last_recv: Option<Timestamp>,
}

impl Progress {
    /// Counts what was published.
    pub fn sealed(&mut self, change: &Change) {
        for segment in &change.segments {
            self.files += 1;
            self.file_bytes += segment.bytes;
            self.file_rows += segment.rows;
        }
    }
}
