//! What a command is about: streams and instants, as they are written on the command line.

use anyhow::anyhow;
use chrono::{NaiveDate, NaiveTime};

use super::Failure;
use crate::model::spelling::hint;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// The streams called `names`; `candle` is all of its units.
pub(super) fn streams(names: &[String]) -> Result<Vec<Stream>, Failure> {
    let mut streams = Vec::new();
    for name in names {
        if name.trim() == "candle" {
            streams.extend(Stream::all().filter(|stream| matches!(stream, Stream::Candle(_))));
        } else {
            streams.push(stream(name)?);
        }
    }
    Ok(streams)
}

/// The stream called `name`.
pub(super) fn stream(name: &str) -> Result<Stream, Failure> {
    let name = name.trim();
    name.parse().map_err(|_| {
        let hint = hint(name, Stream::all().map(Stream::name));
        Failure::Usage(anyhow!("there is no stream {name:?}{hint}"))
    })
}

/// A day, which begins at midnight UTC, or an instant.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let day = text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc().into());
    day.or_else(|_| text.parse()).map_err(|_: chrono::ParseError| {
        "write a day such as 2026-01-31, or an instant such as 2026-01-31T09:00:00Z".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_instants_are_read() {
        for (text, expected) in [
            ("2026-01-31", Some("2026-01-31T00:00:00Z")),
            ("2026-01-31T09:00:00Z", Some("2026-01-31T09:00:00Z")),
            ("2026-01-31T09:00:00.000001+09:00", Some("2026-01-31T00:00:00.000001Z")),
            ("2026-02-30", None),
            ("yesterday", None),
            ("2026-01-31T09:00:00", None),
        ] {
            assert_eq!(instant(text).ok().map(|at| at.to_string()).as_deref(), expected, "{text}");
        }
    }
}
