//! Live recording: which subscriptions, over which connections, and what happened to them. Async
//! up to the queue.

pub mod feed;
pub mod listing;
pub mod plan;
pub mod queue;
pub mod stats;
pub mod supervisor;
pub mod watch;

#[cfg(test)]
pub(crate) mod testing;
