//! Rows that wait for their file, and the rule that says when they go.
//!
//! A file holds rows of one stream, one venue and one UTC day. All buffers are sealed together, so
//! that one position of the journal covers them all.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::NaiveDate;
use smol_str::SmolStr;

use super::merge::LaneKey;
use crate::model::market::Market;
use crate::model::record::Row;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// Which file a row belongs in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartKey {
    /// The stream.
    pub stream: Stream,
    /// The venue's name.
    pub venue: SmolStr,
    /// The UTC day of the row's own time.
    pub date: NaiveDate,
}

/// The rows of one file to be.
#[derive(Debug, Default)]
pub struct Part {
    /// In order of arrival.
    pub rows: Vec<Row>,
    /// Candles among them that an earlier file may hold: market and start of the unit.
    pub revised: HashSet<(Market, Timestamp)>,
}

impl Part {
    /// Leaves the last row only of each candle that was revised: its earlier state may wait for
    /// the same file.
    pub fn keep_last(&mut self) {
        let revised = &self.revised;
        if revised.is_empty() {
            return;
        }
        let mut seen = HashSet::new();
        let mut rows = std::mem::take(&mut self.rows);
        rows.reverse();
        rows.retain(|row| {
            let key = row.head.market.clone().map(|market| (market, row.time()));
            key.is_none_or(|key| !revised.contains(&key) || seen.insert(key))
        });
        rows.reverse();
        self.rows = rows;
    }
}

/// Rows of one market in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// How many.
    pub rows: u64,
    /// The earliest row's own time.
    pub first: Timestamp,
    /// The latest row's own time.
    pub last: Timestamp,
}

/// When to seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealRule {
    /// So long after the first row.
    pub rotate: Duration,
    /// When the rows weigh so many bytes of memory.
    pub buffer_bytes: usize,
}

/// All rows that wait.
#[derive(Debug, Default)]
pub struct Buffers {
    /// By file.
    pub parts: BTreeMap<PartKey, Part>,
    /// By market and hour.
    pub hours: BTreeMap<(LaneKey, Timestamp), Hour>,
    weight: usize,
    since: Option<Timestamp>,
}

impl Buffers {
    /// Adds a row. `revises` says that an earlier file may hold the candle.
    pub fn push(
        &mut self,
        now: Timestamp,
        venue: &SmolStr,
        stream: Stream,
        row: Row,
        revises: bool,
    ) {
        self.since.get_or_insert(now);
        self.weight += row.weight();
        let at = row.time();
        if let Some(market) = &row.head.market {
            let lane = LaneKey { venue: venue.clone(), stream, market: market.clone() };
            let hour = self.hours.entry((lane, at.hour())).or_insert(Hour {
                rows: 0,
                first: at,
                last: at,
            });
            hour.rows += u64::from(!revises);
            hour.first = hour.first.min(at);
            hour.last = hour.last.max(at);
        }
        let key = PartKey { stream, venue: venue.clone(), date: at.date() };
        let part = self.parts.entry(key).or_default();
        if revises && let Some(market) = &row.head.market {
            part.revised.insert((market.clone(), at));
        }
        part.rows.push(row);
    }

    /// Bytes of memory that the rows hold, roughly.
    pub const fn weight(&self) -> usize {
        self.weight
    }

    /// How many rows wait.
    pub fn rows(&self) -> usize {
        self.parts.values().map(|part| part.rows.len()).sum()
    }

    /// Whether it is time to seal: by age, by weight, or because the UTC day changed.
    pub fn due(&self, rule: SealRule, now: Timestamp) -> bool {
        self.since.is_some_and(|since| {
            now.since(since) >= rule.rotate
                || self.weight >= rule.buffer_bytes
                || now.date() != since.date()
        })
    }

    /// Forgets everything, once it is in files.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::market::Source;
    use crate::model::record::{Body, Head, Unread};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn seals_by_age_by_weight_and_at_midnight() {
        let rule = SealRule { rotate: Duration::from_mins(1), buffer_bytes: 10_000 };
        let row = |size: usize| Row {
            head: Head {
                market: None,
                ts_recv: at("2026-11-20T23:59:30Z"),
                source: Source::Ws,
                snapshot: false,
                session: 1,
                frame: 1,
            },
            body: Body::Unread(Unread { reason: "".into(), body: vec![0; size].into() }),
        };
        for (size, now, due) in [
            (1, "2026-11-20T23:59:30Z", false),
            (1, "2026-11-20T23:59:59.999999Z", false),
            (1, "2026-11-21T00:00:00Z", true),
            (9_999, "2026-11-20T23:59:31Z", true),
        ] {
            let mut buffers = Buffers::default();
            assert!(!buffers.due(rule, at(now)), "nothing to seal");
            buffers.push(at("2026-11-20T23:59:30Z"), &"v".into(), Stream::Unread, row(size), false);
            assert_eq!(buffers.due(rule, at(now)), due, "{size} bytes at {now}");
        }
        let mut buffers = Buffers::default();
        buffers.push(at("2026-11-20T10:00:00Z"), &"v".into(), Stream::Unread, row(1), false);
        assert!(!buffers.due(rule, at("2026-11-20T10:00:59Z")));
        assert!(buffers.due(rule, at("2026-11-20T10:01:00Z")));
        assert_eq!(
            buffers.parts.keys().next().map(|key| key.date.to_string()).as_deref(),
            Some("2026-11-20")
        );
    }
}
