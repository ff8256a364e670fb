//! The signs of life of one session. Pure: times are given.

use std::time::Duration;

use crate::ingest::watch::Rhythm;
use crate::model::time::Timestamp;
use crate::venue::Limits;

/// How many times `first_frame` a connection may tell nothing at all, where others before it told
/// something, and where none did.
const MUTE_TIMES: u32 = 2;
const MUTE_TIMES_UNPROVEN: u32 = 30;
/// A wait for the queue that the venue may have taken for a dead client, and how long after it a
/// lost connection is put down to it.
const LONG_WAIT: Duration = Duration::from_secs(1);
const AFTER_LONG_WAIT: Duration = Duration::from_secs(10);

/// An instant by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) monotonic: Duration,
    pub(super) wall: Timestamp,
}

impl Moment {
    /// The time from `earlier` to this moment.
    pub(super) fn since(self, earlier: Self) -> Duration {
        self.monotonic.saturating_sub(earlier.monotonic)
    }
}

/// When a session last showed what.
#[derive(Debug)]
pub(super) struct Vitals {
    opened: Moment,
    /// Whether sessions before this one brought data.
    expects_data: bool,
    rhythm: Rhythm,
    first_data: Option<Moment>,
    last_data: Option<Moment>,
    last_bytes: Moment,
    /// The end of the last long wait for the queue.
    long_wait: Option<Duration>,
}

impl Vitals {
    pub(super) const fn new(opened: Moment, expects_data: bool) -> Self {
        Self {
            opened,
            expects_data,
            rhythm: Rhythm::new(),
            first_data: None,
            last_data: None,
            last_bytes: opened,
            long_wait: None,
        }
    }

    /// Anything came.
    pub(super) const fn bytes(&mut self, now: Moment) {
        self.last_bytes = now;
    }

    /// Data came; `first`: the first of a subscription, which answers our asking.
    pub(super) fn data(&mut self, now: Moment, first: bool) {
        self.rhythm.data(now.monotonic, first);
        self.first_data.get_or_insert(now);
        self.last_data = Some(now);
    }

    /// We waited for the queue until `now` and did not read: that is not the venue's silence.
    pub(super) fn waited(&mut self, now: Duration, waited: Duration) {
        self.rhythm.resumed(now);
        self.last_bytes.monotonic = now;
        if waited >= LONG_WAIT {
            self.long_wait = Some(now);
        }
    }

    /// What is wrong with its silence at `now`, in words.
    pub(super) fn silence(&self, now: Moment, limits: &Limits) -> Option<String> {
        let patience = if self.expects_data { MUTE_TIMES } else { MUTE_TIMES_UNPROVEN };
        let age = now.since(self.opened);
        let no_bytes = now.since(self.last_bytes);
        if let Some(silence) = self.rhythm.broken(now.monotonic) {
            Some(format!("no data for {:.1} s, which is not its rate", silence.as_secs_f64()))
        } else if no_bytes >= limits.bytes_silence {
            Some(format!("no bytes for {:.1} s", no_bytes.as_secs_f64()))
        } else if self.last_data.is_none() && age >= limits.first_frame * patience {
            Some(format!("no data in its first {:.1} s", age.as_secs_f64()))
        } else {
            None
        }
    }

    /// Up to when the data is proven: by data once its rate is known, by any bytes before.
    pub(super) fn proven(&self) -> Timestamp {
        match (self.rhythm.threshold(), self.last_data) {
            (Some(_), Some(data)) => data.wall,
            (Some(_) | None, _) => self.last_bytes.wall,
        }
    }

    /// The last bytes of any kind.
    pub(super) const fn last_bytes(&self) -> Timestamp {
        self.last_bytes.wall
    }

    /// Whether it shows data, or never had to.
    pub(super) const fn speaks(&self) -> bool {
        self.last_data.is_some() || !self.expects_data
    }

    /// Whether a connection lost at `now` may be lost because we did not read.
    pub(super) fn kept_waiting(&self, now: Duration) -> bool {
        self.long_wait.is_some_and(|end| now.saturating_sub(end) < AFTER_LONG_WAIT)
    }

    /// From the first data to the last; zero where none came, and only there.
    pub(super) fn data_for(&self) -> Duration {
        match (self.first_data, self.last_data) {
            (Some(first), Some(last)) => last.since(first).max(Duration::from_micros(1)),
            (Some(_) | None, _) => Duration::ZERO,
        }
    }
}
