//! Live recording: what the sessions tell, and the one writer that puts it on disk.

pub mod buffers;
pub mod feed;
pub mod instruments;
pub mod merge;
pub mod plan;
pub mod presence;
pub mod progress;
pub mod queue;
pub mod stats;
pub mod supervisor;
pub mod unread;
pub mod watch;
pub mod writer;
