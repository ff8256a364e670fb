//! How the writer works: what it may hold, how long, and when it gives up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::ingest::buffers::SealRule;
use crate::ingest::watched::Watched;
use crate::store::journal::{Keep, Options as JournalOptions};

/// How long frames may gather before the writer takes them: waking for each of them costs more than
/// all it does with one. At 1,000 books a second a tenth less of a processor than with 25 ms, and
/// as long until they are durable (measured 2026-12-01).
const GATHER: Duration = Duration::from_millis(75);

/// How the writer works.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// When files are made.
    pub seal: SealRule,
    /// How long after its end a candle may still change.
    pub settle: Duration,
    /// How long a frame may wait until it is durable.
    pub sync_interval: Duration,
    /// How the journal is written.
    pub journal: JournalOptions,
    /// What becomes of journal files whose frames are published.
    pub keep: Keep,
    /// For how many days they are kept, where they are; none: for ever.
    pub raw_days: Option<u16>,
    /// How long a disk that says no is tried again before the writer gives up.
    pub disk_full_grace: Duration,
    /// How long to wait between two tries.
    pub retry_every: Duration,
    /// The markets that are counted one by one.
    pub watched: watch::Receiver<Arc<Watched>>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            seal: SealRule { rotate: Duration::from_mins(1), buffer_bytes: 64 << 20 },
            settle: Duration::from_secs(5),
            sync_interval: Duration::from_millis(100),
            journal: JournalOptions::default(),
            keep: Keep::Nothing,
            raw_days: None,
            disk_full_grace: Duration::from_mins(1),
            retry_every: Duration::from_millis(500),
            watched: watch::channel(Arc::default()).1,
        }
    }
}

impl WriterOptions {
    /// How long frames may gather: the rest of `sync_interval` is for making them durable.
    pub(super) fn gather(&self) -> Duration {
        GATHER.min(self.sync_interval.mul_f32(0.75))
    }

    /// How old a frame may be that is not durable yet, where the writer lets frames `gather` next.
    pub(super) fn patience(&self, gather: bool) -> Duration {
        let whole = self.sync_interval.mul_f32(0.9);
        if gather { whole.saturating_sub(self.gather()) } else { whole }
    }
}
