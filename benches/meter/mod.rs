//! What a process holds, from `/proc`.

use std::fs;
/// A line of `/proc/self/status`, in bytes: `VmHWM` is the most memory that was resident, `VmRSS`
/// what is now.
pub(crate) fn memory(name: &str) -> u64 {
    let read = || {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    read().map_or(0, |kib| kib * 1_024)
}

/// A count as a double. Nothing here counts beyond 2^53.
#[expect(clippy::cast_precision_loss, reason = "for a ratio that is shown with three digits")]
pub(crate) const fn real(count: u64) -> f64 {
    count as f64
}
