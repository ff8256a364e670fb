//! Rows that wait for their file, and the rule that says when they go.
//!
//! A file holds rows of one stream, one venue and one UTC day. All buffers are sealed together, so
//! that one position of the journal covers them all.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::NaiveDate;
use foldhash::HashMap;
use smol_str::SmolStr;

use crate::model::market::Market;
use crate::model::record::{Body, Row};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::segment::Keys;

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
    /// Market and time of those among them that an earlier file may hold: see [`super::settle`].
    pub doubtful: HashSet<(Market, Timestamp)>,
    /// How many of them are new beyond doubt.
    pub sure: u64,
}

impl Part {
    /// Leaves the last row only of each candle that is doubtful: its earlier state may wait for
    /// the same file.
    pub fn keep_last(&mut self) {
        let doubtful = &self.doubtful;
        if doubtful.is_empty() {
            return;
        }
        let mut seen = HashSet::new();
        let mut rows = std::mem::take(&mut self.rows);
        rows.reverse();
        rows.retain(|row| {
            let candle = matches!(row.body, Body::Candle(_));
            let market = row.head.market.clone().filter(|_| candle);
            let key = market.map(|market| (market, row.time()));
            key.is_none_or(|key| !doubtful.contains(&key) || seen.insert(key))
        });
        rows.reverse();
        self.rows = rows;
    }

    /// Its rows by market and hour; those in `replaced` take the place of others.
    #[must_use]
    pub fn hours(&self, replaced: &Keys) -> BTreeMap<(Market, Timestamp), Hour> {
        let mut hours = HashMap::default();
        for row in &self.rows {
            let Some(market) = row.head.market.clone() else { continue };
            let at = row.time();
            let new = replaced.is_empty() || !replaced.contains(&(market.clone(), at));
            let fresh = Hour { rows: 0, first: at, last: at };
            let hour: &mut Hour = hours.entry((market, at.hour())).or_insert(fresh);
            hour.rows += u64::from(new);
            hour.first = hour.first.min(at);
            hour.last = hour.last.max(at);
        }
        hours.into_iter().collect()
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
    weight: usize,
    since: Option<Timestamp>,
}

impl Buffers {
    /// Adds a row; `doubtful` says that an earlier file may hold it.
    pub fn push(
        &mut self,
        now: Timestamp,
        venue: &SmolStr,
        stream: Stream,
        row: Row,
        doubtful: bool,
    ) {
        self.since.get_or_insert(now);
        self.weight += row.weight();
        let at = row.time();
        let key = PartKey { stream, venue: venue.clone(), date: at.date() };
        let part = self.parts.entry(key).or_default();
        part.sure += u64::from(!doubtful);
        if doubtful && let Some(market) = &row.head.market {
            part.doubtful.insert((market.clone(), at));
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
    use crate::model::record::{Head, Unread};

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
