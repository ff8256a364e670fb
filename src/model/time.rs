//! Instants and days, as they are recorded: microseconds since 1970-01-01T00:00:00Z.
//!
//! Nothing here asks what time it is; a `Timestamp` always comes from a venue or from a clock of
//! the `net` layer.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in an hour.
pub const HOUR_US: i64 = 3_600 * SECOND_US;
/// Microseconds in a day.
pub const DAY_US: i64 = 24 * HOUR_US;
/// A day.
pub const DAY: Duration = Duration::from_hours(24);

/// An instant. Unit: microseconds since the Unix epoch, UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant that [`DateTime`] can show (year -262143 rounded inwards).
    pub const MIN: Self = Self(-8_000_000_000_000_000_000);
    /// The latest instant that [`DateTime`] can show, rounded inwards.
    pub const MAX: Self = Self(8_000_000_000_000_000_000);

    /// The instant `micros` microseconds after the epoch, held within [`Self::MIN`] and
    /// [`Self::MAX`].
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::MIN.0 {
            Self::MIN
        } else if micros > Self::MAX.0 {
            Self::MAX
        } else {
            Self(micros)
        }
    }

    /// The instant `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self::from_micros(millis.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The UTC day this instant lies in.
    #[must_use]
    pub fn date(self) -> NaiveDate {
        self.datetime().date_naive()
    }

    /// The first instant of the UTC hour this instant lies in.
    #[must_use]
    pub const fn hour(self) -> Self {
        Self(self.0 - self.0.rem_euclid(HOUR_US))
    }

    /// The first instant of the UTC day this instant lies in.
    #[must_use]
    pub const fn day(self) -> Self {
        Self(self.0 - self.0.rem_euclid(DAY_US))
    }

    /// This instant, `by` later.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// This instant, `by` earlier.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_sub(micros))
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same instant as chrono has it.
    #[must_use]
    pub fn datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self::from_micros(at.timestamp_micros())
    }
}

/// RFC 3339, UTC, microseconds only where there are any: `2026-11-21T12:00:00.000001Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.datetime().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_618_678_263_010_785, "2021-04-17T16:51:03.010785Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(at.to_string(), text);
            assert_eq!(text.parse::<Timestamp>(), Ok(at));
        }
    }

    #[test]
    fn extremes_show_and_do_not_overflow() {
        for micros in [i64::MIN, i64::MAX] {
            let at = Timestamp::from_micros(micros);
            assert!(!at.to_string().is_empty());
            assert_eq!(at.date(), at.datetime().date_naive());
            assert_eq!(at.hour().micros() % HOUR_US, 0);
        }
        assert_eq!(Timestamp::MAX.after(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.before(Duration::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
    }
}
