//! Packing a block on a thread of its own, while frames go on into the next one.
//!
//! A thread for each block: it lives for some ten milliseconds, and only in a storm are blocks full
//! between two syncs, or so many frames wait that the writer should do nothing else. It was packing
//! that took a third of its time, and its time that trades had to wait for (perf, 2026-11-30).
//! Writing and syncing stay with the journal, in the order of the blocks.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::block::Block;
use super::pack::Packer;

/// A block, packed into the memory of the packer that comes with it, or why it is not.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) block: Block,
    pub(super) packer: Packer,
    pub(super) outcome: io::Result<()>,
}

impl Packed {
    /// Packs it here and now.
    pub(super) fn now(mut block: Block, mut packer: Packer) -> Self {
        let outcome = packer.pack(&mut block);
        Self { block, packer, outcome }
    }
}

/// A block that is being packed elsewhere.
#[derive(Debug)]
pub(super) enum Ahead {
    /// By this thread.
    By(JoinHandle<Option<Box<Packed>>>),
    /// It was packed here after all.
    Done(Option<Box<Packed>>),
}

impl Ahead {
    /// Begins. Where no thread can be had the block is packed here.
    pub(super) fn begin(block: Block, packer: Packer) -> Self {
        // A thread that is not had must not take the block with it.
        let ours = Arc::new(Mutex::new(Some((block, packer))));
        let theirs = Arc::clone(&ours);
        match thread::Builder::new().name("packer".to_owned()).spawn(move || pack(&theirs)) {
            Ok(thread) => Self::By(thread),
            Err(error) => {
                tracing::warn!("no thread to pack the journal with: {error}");
                Self::Done(pack(&ours))
            }
        }
    }

    /// Whether it is packed, so that nobody waits for it.
    pub(super) fn is_packed(&self) -> bool {
        match self {
            Self::By(thread) => thread.is_finished(),
            Self::Done(_) => true,
        }
    }

    /// Waits until it is packed. A panic in packing goes on here; there is nothing only after one.
    pub(super) fn wait(self) -> Option<Box<Packed>> {
        match self {
            Self::By(thread) => {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            Self::Done(packed) => packed,
        }
    }
}

fn pack(work: &Mutex<Option<(Block, Packer)>>) -> Option<Box<Packed>> {
    let (block, packer) = work.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    Some(Box::new(Packed::now(block, packer)))
}
