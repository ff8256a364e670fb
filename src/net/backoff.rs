//! How long to wait before the next attempt: longer after each failure, never in step with others.
//!
//! Pure: the random number is given. A connection that came up is no success; only data over
//! [`SUSTAINED`] is, else a venue that accepts and drops would be asked without pause.

use std::time::Duration;

/// How long data must have come for the next failure to count as the first.
pub const SUSTAINED: Duration = Duration::from_secs(3);

/// The longest wait before the first retry.
const BASE: Duration = Duration::from_millis(250);
/// The longest wait of all.
const CAP: Duration = Duration::from_secs(30);

/// The waits of one user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// One that has seen no failure.
    #[must_use]
    pub const fn new() -> Self {
        Self { failures: 0 }
    }

    /// Notes that something failed after it had brought data for `data_for`, and says how long to
    /// wait: half of the step for certain, the other half by `random`, which lies in `0..1`.
    pub fn failed(&mut self, data_for: Duration, random: f64) -> Duration {
        if data_for >= SUSTAINED {
            self.failures = 0;
        }
        let step = BASE.saturating_mul(2_u32.saturating_pow(self.failures)).min(CAP);
        self.failures = self.failures.saturating_add(1);
        let share = if (0.0..=1.0).contains(&random) { random } else { 1.0 };
        step / 2 + (step / 2).mul_f64(share)
    }

    /// Failures since data last came for long enough.
    #[must_use]
    pub const fn failures(self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_start_again_after_sustained_data() {
        let mut backoff = Backoff::new();
        for (data_for_ms, random, wait_ms) in [
            (0, 0.0, 125),
            (0, 1.0, 500),
            (0, 0.5, 750),
            (2_999, 1.0, 2_000),
            (0, 0.0, 2_000),
            (0, 1.0, 8_000),
            (0, 1.0, 16_000),
            (0, 1.0, 30_000),
            (0, 0.0, 15_000),
            (3_000, 1.0, 250),
            (0, 1.0, 500),
        ] {
            let wait = backoff.failed(Duration::from_millis(data_for_ms), random);
            assert_eq!(wait, Duration::from_millis(wait_ms), "{backoff:?}");
        }
    }

    #[test]
    fn a_year_of_failures_does_not_overflow() {
        let mut backoff = Backoff { failures: u32::MAX - 1 };
        for _ in 0..3 {
            assert_eq!(backoff.failed(Duration::ZERO, 1.0), CAP);
        }
        assert!(backoff.failed(Duration::ZERO, f64::NAN) <= CAP);
    }
}
