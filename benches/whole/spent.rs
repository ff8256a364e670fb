//! What was spent on a processor.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// By this thread.
pub(crate) fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// By all threads of this process, those that ended too.
pub(crate) fn process_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    // It is never below zero.
    clock_gettime(clock).try_into().unwrap_or_default()
}
