//! Live recording: which subscriptions over which connections, what they tell, and the one writer
//! that puts it on disk. Async up to the queue, blocking after it.

pub mod buffers;
pub mod drift;
pub mod feed;
pub mod instruments;
pub mod intake;
pub mod jobs;
pub mod listing;
pub mod merge;
pub mod plan;
pub mod presence;
pub mod progress;
pub mod pulse;
pub mod queue;
pub mod settle;
pub mod stats;
pub mod supervisor;
pub mod unread;
pub mod watch;
pub mod watched;
pub mod writer;

#[cfg(test)]
pub(crate) mod testing;
