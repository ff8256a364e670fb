//! What a request asks for, and the ways in which the venue says that it cannot be had.

use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use chrono::{DateTime, NaiveDateTime, NaiveTime, Timelike};

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fail {
    /// A market does not exist; one is enough to fail a request for many.
    NoMarket,
    /// A parameter is missing.
    Missing,
    /// A parameter is not a number where it must be one.
    Type,
    /// A parameter has a value that makes no sense.
    Value,
}

impl Fail {
    pub(super) const fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::NoMarket => (StatusCode::NOT_FOUND, "Code not found"),
            Self::Missing => (
                StatusCode::BAD_REQUEST,
                "Missing request parameter error. Check the required parameters!",
            ),
            Self::Type => {
                (StatusCode::BAD_REQUEST, "Type mismatch error. Check the parameters type!")
            }
            Self::Value => (StatusCode::BAD_REQUEST, "Invalid parameter. Check the given value!"),
        }
    }
}

/// The parameters of a request.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(uri: &Uri) -> Result<Self, Fail> {
        let Query(pairs) = Query::try_from_uri(uri).map_err(|_| Fail::Value)?;
        Ok(Self(pairs))
    }

    /// A parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The market codes of `name`, in upper case, which the venue does itself over REST.
    pub(super) fn codes(&self, name: &str) -> Result<Vec<String>, Fail> {
        let text = self.get(name).ok_or(Fail::Missing)?;
        Ok(text.split(',').map(|code| code.trim().to_ascii_uppercase()).collect())
    }

    /// `count`, 1 where it is not given, cut to `most` in silence.
    pub(super) fn count(&self, most: usize) -> Result<usize, Fail> {
        let Some(text) = self.get("count") else { return Ok(1) };
        let count: i64 = text.parse().map_err(|_| Fail::Type)?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count > 0)
            .map(|n| n.min(most))
            .ok_or(Fail::Value)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Fail> {
        self.get(name).map(|text| text.parse().map_err(|_| Fail::Type)).transpose()
    }
}

/// An instant as the candle pages take it, in UTC where it names no offset. Unit: milliseconds.
pub(super) fn instant(text: &str) -> Result<i64, Fail> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.timestamp_millis());
    }
    ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|at| at.and_utc().timestamp_millis())
        .ok_or(Fail::Value)
}

/// A time of day as the tick pages take it. Unit: milliseconds since midnight.
pub(super) fn time_of_day(text: &str) -> Result<i64, Fail> {
    ["%H:%M:%S", "%H%M%S"]
        .into_iter()
        .find_map(|format| NaiveTime::parse_from_str(text, format).ok())
        .map(|time| i64::from(time.num_seconds_from_midnight()) * 1_000)
        .ok_or(Fail::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_in_all_the_ways_the_venue_takes() {
        let wanted = Ok(1_750_741_013_000);
        for text in [
            "2025-06-24T04:56:53Z",
            "2025-06-24T04:56:53",
            "2025-06-24 04:56:53",
            "2025-06-24T13:56:53+09:00",
        ] {
            assert_eq!(instant(text), wanted, "{text}");
        }
        // An offset whose plus sign was not encoded.
        assert_eq!(instant("2025-06-24T13:56:53 09:00"), Err(Fail::Value));
        assert_eq!(time_of_day("013000"), Ok(5_400_000));
        assert_eq!(time_of_day("01:30:00"), Ok(5_400_000));
        assert_eq!(time_of_day("25:00:00"), Err(Fail::Value));
    }
}
