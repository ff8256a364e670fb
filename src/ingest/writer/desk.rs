//! Where those who look after files at rest ask the writer: it alone gives out numbers, and it alone
//! publishes.
//!
//! Files at rest are read and written by others, at their leisure; what they bring is complete and
//! synced. The writer looks at its desk between two batches, when no seal is under way: then no
//! file that it reads or is about to publish can be among those that go.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::Writer;
use crate::store::catalog::{CatalogError, ConditionRow};
use crate::store::segment::Segment;
use crate::store::swap::{Swap, SwapError, swap};

/// Asks the writer. Each question waits for its answer.
#[derive(Debug, Clone)]
pub struct Desk {
    requests: SyncSender<Request>,
}

/// Why the writer did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// It has ended.
    #[error("the recorder has ended")]
    Ended,
    /// It cannot be done.
    #[error(transparent)]
    Swap(#[from] SwapError),
    /// It cannot be stored.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// The writer's side.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) ask: SyncSender<Request>,
    requests: Receiver<Request>,
}

/// A question, and where its answer goes.
#[derive(Debug)]
pub(super) enum Request {
    /// For numbers.
    Reserve { count: u64, reply: SyncSender<Range<u64>> },
    /// For a publication.
    Swap { swap: Box<Swap>, reply: SyncSender<Result<Vec<Segment>, SwapError>> },
    /// For conditions of hours to be stored.
    Conditions { rows: Vec<ConditionRow>, reply: SyncSender<Result<(), CatalogError>> },
}

impl Desk {
    /// Numbers that nobody else gets.
    ///
    /// # Errors
    ///
    /// When the writer has ended.
    pub fn reserve(&self, count: u64) -> Result<Range<u64>, DeskError> {
        let (reply, answer) = sync_channel(1);
        let sent = self.requests.send(Request::Reserve { count, reply });
        sent.ok().and_then(|()| answer.recv().ok()).ok_or(DeskError::Ended)
    }

    /// Puts new parts in the place of old ones.
    ///
    /// # Errors
    ///
    /// When the writer has ended, an old part is gone, or the disk or the catalog says no.
    pub fn swap(&self, swap: Swap) -> Result<Vec<Segment>, DeskError> {
        let (reply, answer) = sync_channel(1);
        let sent = self.requests.send(Request::Swap { swap: Box::new(swap), reply });
        let answer = sent.ok().and_then(|()| answer.recv().ok()).ok_or(DeskError::Ended)?;
        Ok(answer?)
    }

    /// Stores conditions of hours; what is known of the same hour is replaced. A few thousand at a
    /// time: frames wait meanwhile.
    ///
    /// # Errors
    ///
    /// When the writer has ended, or the catalog says no.
    pub fn put_conditions(&self, rows: Vec<ConditionRow>) -> Result<(), DeskError> {
        let (reply, answer) = sync_channel(1);
        let sent = self.requests.send(Request::Conditions { rows, reply });
        let answer = sent.ok().and_then(|()| answer.recv().ok()).ok_or(DeskError::Ended)?;
        Ok(answer?)
    }
}

impl Counter {
    pub(super) fn new() -> Self {
        let (ask, requests) = sync_channel(1);
        Self { ask, requests }
    }
}

impl Writer {
    /// Where others ask it.
    pub fn desk(&self) -> Desk {
        Desk { requests: self.counter.ask.clone() }
    }

    /// Answers one question, if there is one. What the disk says is for whoever asked: it can be
    /// tried again.
    pub(super) fn attend_desk(&mut self) {
        // Whoever asked may be gone: then nobody needs the answer.
        match self.counter.requests.try_recv() {
            Ok(Request::Reserve { count, reply }) => {
                let first = self.next_segment;
                self.next_segment = first.saturating_add(count);
                drop(reply.send(first..self.next_segment));
            }
            Ok(Request::Swap { swap: wanted, reply }) => {
                let (fs, paths) = (self.fs.as_ref(), self.folder.paths());
                drop(reply.send(swap(fs, paths, &mut self.catalog, *wanted)));
            }
            Ok(Request::Conditions { rows, reply }) => {
                drop(reply.send(self.catalog.put_conditions(&rows)));
            }
            Err(_) => {}
        }
    }
}
