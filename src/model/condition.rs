//! What is known of an hour: whether all of it is here.
//!
//! A condition speaks of the time that was to be recorded: live, by repair or backfill, or missing
//! with a row in the gap ledger. How much of the hour that is, `covered_s` says beside it. Time
//! that nobody asked to be recorded makes no hour worse.

use super::gap::words;

words! {
    /// The outcome of the proof of one hour of one market of a stream.
    Condition {
        /// Nothing is missing: independent records of the venue agree with the rows.
        Complete = "complete",
        /// The same, and some of it was had again after it had been missed.
        Repaired = "repaired",
        /// Something is missing or wrong, and some is here.
        Degraded = "degraded",
        /// It was to be recorded, and nothing of it is here.
        Missing = "missing",
        /// Nothing speaks against it, and not enough for it: there is nothing to compare with, or
        /// nobody has looked since it changed.
        Unproven = "unproven",
    }
}

impl Condition {
    /// Whether something is lost or damaged.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Degraded | Self::Missing)
    }

    /// What one can say of two of them together: the worse, but where nothing is here of one only,
    /// both are degraded.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::Missing | Self::Degraded, _) | (_, Self::Missing | Self::Degraded) => {
                Self::Degraded
            }
            (Self::Unproven, _) | (_, Self::Unproven) => Self::Unproven,
            _ => Self::Repaired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hours_are_as_good_as_the_worse() {
        use Condition::{Complete, Degraded, Missing, Repaired, Unproven};
        for (one, other, both) in [
            (Complete, Complete, Complete),
            (Complete, Repaired, Repaired),
            (Repaired, Unproven, Unproven),
            (Unproven, Degraded, Degraded),
            (Complete, Missing, Degraded),
            (Missing, Missing, Missing),
        ] {
            assert_eq!((one.and(other), other.and(one)), (both, both), "{one} {other}");
        }
        for condition in Condition::ALL {
            assert_eq!(condition.as_str().parse(), Ok(*condition));
        }
    }
}
