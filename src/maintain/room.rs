//! How long the free space lasts, by how much was written lately. Pure, but for one question to the
//! catalog.
//!
//! What a stream takes a day is the mean of its last full days, up to [`DAYS`] of them; before there
//! is one, that of the day that lasts. A day counts by the time between its first and its last
//! arrival, so that a recorder that ran for some hours of it is not taken for a slow one. Days that
//! were had by REST afterwards are no sign of what comes: a file counts if its first row arrived
//! before its day was over.
//!
//! What a policy takes away makes room again: [`Room::growth`] is what is left of the one without
//! the other.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime};
use smol_str::SmolStr;

use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::{DAY, DAY_US, Timestamp};
use crate::store::catalog::{Catalog, CatalogError, Filter, Retirement};
use crate::store::segment::{Ends, Segment};

/// Full days that are looked at, at most.
pub const DAYS: u32 = 7;
/// With less than so much of a day nothing is said: a start is no rule.
const ENOUGH: Duration = Duration::from_mins(10);
/// Longer than this nobody looks ahead. Unit: days.
const FAR: f64 = 100_000.0;

/// What is written in a day, and what policies remove.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Room {
    /// Bytes of files a day, by venue and stream.
    pub streams: BTreeMap<(SmolStr, Stream), u64>,
    /// Bytes a day that policies removed in the last [`DAYS`] days.
    pub retired: u64,
}

impl Room {
    /// What the catalog's own history says at `now`.
    ///
    /// # Errors
    ///
    /// When the catalog cannot be read.
    pub fn of(catalog: &Catalog, now: Timestamp) -> Result<Self, CatalogError> {
        // Today and the full days before it. A row of the catalog says when it went, not of when it
        // was, so that all of them are asked for; there is one for each day of a stream.
        let since = now.day().before(DAY * DAYS);
        let within = Span::new(since, Timestamp::MAX);
        let segments = catalog.segments(&Filter { within, ..Filter::default() })?;
        let retirements = catalog.retirements(&Filter::default())?;
        Ok(Self {
            streams: bytes_per_day(&segments, now),
            retired: retired_per_day(&retirements, now),
        })
    }

    /// Bytes a day by which the folder grows: what the streams that `counts` picks bring, without
    /// what policies remove.
    #[must_use]
    pub fn growth(&self, counts: impl Fn(&(SmolStr, Stream)) -> bool) -> u64 {
        let brought = self.streams.iter().filter(|(key, _)| counts(key)).map(|(_, bytes)| *bytes);
        brought.fold(0, u64::saturating_add).saturating_sub(self.retired)
    }
}

/// For how many days `free_bytes` last where `bytes_per_day` are written, to a hundredth; none where
/// nothing is written, or so little that nobody needs to look so far ahead.
#[must_use]
pub fn days_left(free_bytes: u64, bytes_per_day: u64) -> Option<f64> {
    let hundredths = (u128::from(free_bytes) * 100).checked_div(u128::from(bytes_per_day))?;
    let days = f64::from(u32::try_from(hundredths).ok()?) / 100.0;
    (days < FAR).then_some(days)
}

/// What each stream of each venue takes a day, by its files; a stream of which too little is known
/// is left out.
#[must_use]
pub fn bytes_per_day(segments: &[Segment], now: Timestamp) -> BTreeMap<(SmolStr, Stream), u64> {
    let (today, since) = (now.date(), now.day().before(DAY * DAYS).date());
    let mut days: BTreeMap<(SmolStr, Stream), BTreeMap<NaiveDate, Day>> = BTreeMap::new();
    for one in segments {
        let date = one.name.date;
        let over = Timestamp::from(date.and_time(NaiveTime::MIN).and_utc()).after(DAY);
        if date < since || date > today || one.ts_recv.min >= over {
            continue;
        }
        let of_stream = days.entry((one.name.venue.clone(), one.name.stream)).or_default();
        of_stream.entry(date).or_default().add(one.bytes, one.ts_recv, over);
    }
    let each = days.into_iter().filter_map(|(key, mut days)| {
        let lasting = days.remove(&today).unwrap_or_default();
        let full = days.values().fold(Day::default(), Day::and);
        let known = if full.length() < ENOUGH { full.and(&lasting) } else { full };
        Some((key, known.bytes_per_day()?))
    });
    each.collect()
}

/// What policies removed of late, a day.
#[must_use]
pub fn retired_per_day(retirements: &[Retirement], now: Timestamp) -> u64 {
    let since = now.before(DAY * DAYS);
    let late = retirements.iter().filter(|one| one.at > since && one.at <= now);
    late.map(|one| one.bytes).fold(0, u64::saturating_add) / u64::from(DAYS)
}

/// What came on one day of a stream, or on several.
#[derive(Debug, Clone, Copy, Default)]
struct Day {
    bytes: u64,
    /// The first and the last arrival of one day.
    arrivals: Option<Ends<Timestamp>>,
    /// The time between those of days before.
    before: Duration,
}

impl Day {
    /// What arrived after the end of the day belongs to it, and says nothing of its length.
    fn add(&mut self, bytes: u64, recv: Ends<Timestamp>, over: Timestamp) {
        self.bytes = self.bytes.saturating_add(bytes);
        let (min, max) = (recv.min.max(over.before(DAY)), recv.max.min(over));
        self.arrivals = Some(match self.arrivals {
            Some(known) => Ends { min: known.min.min(min), max: known.max.max(max) },
            None => Ends { min, max },
        });
    }

    fn and(self, other: &Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            arrivals: None,
            before: self.length() + other.length(),
        }
    }

    fn length(&self) -> Duration {
        self.before + self.arrivals.map_or(Duration::ZERO, |ends| ends.max.since(ends.min))
    }

    fn bytes_per_day(&self) -> Option<u64> {
        let length = self.length();
        if length < ENOUGH {
            return None;
        }
        let day = u128::from(DAY_US.unsigned_abs());
        let bytes = (u128::from(self.bytes) * day).checked_div(length.as_micros())?;
        Some(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::paths::PartName;

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    /// A file of a day (`21`), with so many bytes, whose rows arrived between two times
    /// (`21T10:00:00Z`).
    fn file((stream, day, bytes, first, last): (Stream, &str, u64, &str, &str)) -> Segment {
        let ends =
            Ends { min: at(&format!("2026-11-{first}")), max: at(&format!("2026-11-{last}")) };
        let date = format!("2026-11-{day}").parse().expect("a date");
        Segment {
            name: PartName { stream, venue: "v".into(), date, number: 1 },
            rows: 1,
            bytes,
            blake3: String::new(),
            format_version: 1,
            ts_event: ends,
            ts_recv: ends,
            frames: Ends { min: 1, max: 1 },
        }
    }

    #[test]
    fn a_day_takes_what_the_last_full_ones_took() {
        type File<'a> = (Stream, &'a str, u64, &'a str, &'a str);
        let (trade, book) = (Stream::Trade, Stream::Orderbook);
        let check = |now: &str, files: &[File<'_>], expected: &[(Stream, u64)]| {
            let files: Vec<Segment> = files.iter().copied().map(file).collect();
            let told = bytes_per_day(&files, at(&format!("2026-11-{now}")));
            let told: Vec<_> =
                told.into_iter().map(|((_, stream), bytes)| (stream, bytes)).collect();
            assert_eq!(told, expected, "{now}: {files:#?}");
        };
        let full = |stream, day, bytes| -> (Stream, &str, u64, &str, &str) {
            match day {
                "19" => (stream, day, bytes, "19T00:00:00Z", "20T00:00:00Z"),
                _ => (stream, day, bytes, "20T00:00:00Z", "21T00:00:00Z"),
            }
        };
        check("21T12:00:00Z", &[], &[]);
        // The mean of full days; the one that lasts does not matter beside them.
        let lasting = (trade, "21", 9_000, "21T00:00:00Z", "21T12:00:00Z");
        let days = [full(trade, "19", 100), full(trade, "20", 300), lasting, full(book, "20", 50)];
        check("21T12:00:00Z", &days, &[(trade, 200), (book, 50)]);
        // Alone it does, by its length; too short a time says nothing.
        check("21T12:00:00Z", &[lasting], &[(trade, 18_000)]);
        let start = (trade, "21", 9_000, "21T00:00:00Z", "21T00:09:00Z");
        check("21T00:09:00Z", &[start], &[]);
        // Some hours of a day are not a whole one, and several files of them are one time.
        let hours = [
            (trade, "20", 10, "20T06:00:00Z", "20T10:00:00Z"),
            (trade, "20", 20, "20T08:00:00Z", "20T12:00:00Z"),
        ];
        check("21T12:00:00Z", &hours, &[(trade, 120)]);
        // What was had afterwards is no sign of what comes, and nor is what is long over.
        let afterwards = (trade, "20", 5_000, "21T01:00:00Z", "21T02:00:00Z");
        check("21T12:00:00Z", &[full(trade, "20", 100), afterwards], &[(trade, 100)]);
        check("28T12:00:00Z", &[full(trade, "20", 100)], &[]);
        check("27T12:00:00Z", &[full(trade, "20", 100)], &[(trade, 100)]);
        // Late rows of a day do not make it longer.
        let late = (trade, "20", 100, "20T00:00:00Z", "22T00:00:00Z");
        check("22T12:00:00Z", &[late], &[(trade, 100)]);
    }

    #[test]
    fn free_bytes_last_until_they_are_written() {
        for (free, per_day, expected) in [
            (0, 0, None),
            (1_000, 0, None),
            (0, 10, Some("0")),
            (1_000, 100, Some("10")),
            (1_000, 300, Some("3.33")),
            (u64::MAX, 1, None),
            (u64::MAX, u64::MAX, Some("1")),
        ] {
            let told = days_left(free, per_day).map(|days| days.to_string());
            assert_eq!(told.as_deref(), expected, "{free} bytes, {per_day} a day");
        }
    }

    #[test]
    fn what_policies_remove_makes_room() {
        let gone = |day: &str, bytes| Retirement {
            venue: "v".into(),
            stream: Stream::Trade,
            span: Span::new(Timestamp::default(), Timestamp::MAX).expect("not empty"),
            files: 1,
            rows: 1,
            bytes,
            policy: String::new(),
            at: at(&format!("2026-11-{day}T00:00:01Z")),
        };
        let gone = [gone("01", 1 << 40), gone("19", 350), gone("20", 350)];
        let retired = retired_per_day(&gone, at("2026-11-21T00:00:00Z"));
        assert_eq!(retired, 100);
        let streams = [(Stream::Trade, 70), (Stream::Orderbook, 50)];
        let streams = streams.map(|(stream, bytes)| (("v".into(), stream), bytes)).into();
        let room = Room { streams, retired };
        assert_eq!(room.growth(|_| true), 20);
        assert_eq!(room.growth(|(_, stream)| *stream == Stream::Trade), 0);
    }
}
