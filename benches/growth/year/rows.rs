//! What a day leaves of each hour and market, and its files.

use std::error::Error;
use std::fs;
use std::time::Duration;

use veritape::maintain::proof::Numbers;
use veritape::maintain::proof::ledger::{Due, fingerprint};
use veritape::model::condition::Condition;
use veritape::model::gap::Gap;
use veritape::model::market::Market;
use veritape::model::span::{Span, Spans};
use veritape::model::subscription::Stream;
use veritape::model::time::{DAY, Timestamp};
use veritape::store::catalog::{
    Change, ConditionRow, Filter, HourLags, HourRows, LagRows, Retirement,
};
use veritape::store::paths::PartName;
use veritape::store::segment::{Ends, FORMAT_VERSION, Segment};

use super::{BOOKS_DAYS, CANDLES, STREAMS, VENUE, Year};

const HOUR: Duration = Duration::from_hours(1);
/// The buckets of lags that an hour has. Unit: microseconds.
const LAGS: [u64; 6] = [5_000, 10_000, 20_000, 50_000, 100_000, 500_000];

/// The hours of the day that begins at `midnight`.
fn hours(midnight: Timestamp) -> impl Iterator<Item = (u32, Timestamp)> {
    (0..24).map(move |hour| (hour, midnight.after(HOUR * hour)))
}

/// Rows of a market in an hour: of trades and candles none in one of three.
fn count(stream: Stream, market: usize, hour: u32) -> u64 {
    let place = u64::try_from(market).unwrap_or_default() + u64::from(hour);
    if stream == Stream::Orderbook {
        3_000 + place
    } else if place.is_multiple_of(3) {
        0
    } else {
        100 + place
    }
}

/// A file of a day.
pub(crate) fn segment(stream: Stream, number: u64, ends: Ends<Timestamp>, rows: u64) -> Segment {
    let name = PartName { stream, venue: VENUE.into(), date: ends.min.date(), number };
    Segment {
        name,
        rows,
        bytes: rows * 60,
        blake3: format!("{number:064x}"),
        format_version: FORMAT_VERSION,
        ts_event: ends,
        ts_recv: ends,
        frames: Ends { min: 1, max: 2 },
    }
}

impl Year {
    /// The merged file of each stream; and one that a policy takes away.
    pub(super) fn files(
        &mut self,
        change: &mut Change,
        midnight: Timestamp,
    ) -> Result<(), Box<dyn Error>> {
        let ends =
            Ends { min: midnight, max: midnight.after(DAY).before(Duration::from_micros(1)) };
        for stream in STREAMS {
            let segment = segment(stream, self.next_segment, ends, 20_000_000);
            self.next_segment += 1;
            let path = self.paths.part(&segment.name);
            fs::create_dir_all(path.parent().ok_or("a file in no folder")?)?;
            fs::write(path, "")?;
            change.segments.push(segment);
        }
        if self.days <= BOOKS_DAYS {
            return Ok(());
        }
        let old = midnight.before(DAY * u32::try_from(BOOKS_DAYS)?);
        let span = Span::new(old, old.after(DAY)).ok_or("a day is no span")?;
        let filter = Filter {
            venue: Some(VENUE.into()),
            stream: Some(Stream::Orderbook),
            within: Some(span),
            ..Filter::default()
        };
        for gone in self.catalog.segments(&filter)? {
            change.retired.push(gone.name.number);
            change.retirements.push(Retirement {
                venue: VENUE.into(),
                stream: Stream::Orderbook,
                span,
                files: 1,
                rows: gone.rows,
                bytes: gone.bytes,
                policy: "orderbook older than 90days".to_owned(),
                at: change.at,
            });
        }
        Ok(())
    }

    pub(super) fn rows(&self, change: &mut Change, midnight: Timestamp) {
        for stream in STREAMS {
            for (place, market) in self.markets.iter().enumerate() {
                let rows = hours(midnight).map(|(hour, at)| (at, count(stream, place, hour)));
                change.hours.extend(rows.filter(|(_, rows)| *rows > 0).map(|(hour, rows)| {
                    HourRows {
                        venue: VENUE.into(),
                        stream,
                        market: Some(market.clone()),
                        hour,
                        rows,
                        first: hour.after(Duration::from_millis(40)),
                        last: hour.after(Duration::from_secs(3_599)),
                    }
                }));
            }
            change.lags.extend(hours(midnight).map(|(_, hour)| {
                HourLags {
                    venue: VENUE.into(),
                    stream,
                    hour,
                    buckets: LAGS
                        .map(|upto| LagRows { upto_us: Some(upto), records: 5_000, max_us: upto })
                        .to_vec(),
                }
            }));
        }
    }

    /// What `verify` finds of the hours of trades: it holds, as the catalog says the same of them.
    pub(super) fn conditions(&self, midnight: Timestamp) -> Vec<ConditionRow> {
        let mut found = Vec::new();
        let numbers = serde_json::to_string(&Numbers::default()).unwrap_or_default();
        for (hour, at) in hours(midnight) {
            let Some(span) = Span::new(at, at.after(HOUR)) else { continue };
            let covered = self.lives.length_within(span);
            let of =
                |stream| Due { covered, judged: Spans::new(), gaps: self.gaps_of(stream, span) };
            let ledger = fingerprint([&of(Stream::Trade), &of(CANDLES)]);
            let one = |(place, market): (usize, &Market)| ConditionRow {
                venue: VENUE.into(),
                stream: Stream::Trade,
                market: market.clone(),
                hour: at,
                condition: Condition::Complete,
                rows: count(Stream::Trade, place, hour),
                covered_us: u64::try_from(covered.as_micros()).unwrap_or(u64::MAX),
                evidence: vec![CANDLES],
                evidence_rows: count(CANDLES, place, hour),
                ledger,
                numbers: numbers.clone(),
                checked_at: at,
            };
            found.extend(self.markets.iter().enumerate().map(one));
        }
        found
    }

    fn gaps_of(&self, stream: Stream, span: Span) -> Vec<(i64, &Gap)> {
        let of = self.gaps.iter().filter(|(_, gap)| gap.stream == stream);
        let touching = of.filter(|(_, gap)| {
            gap.to.and_then(|to| Span::new(gap.from, to)?.intersect(span)).is_some()
        });
        touching.map(|(id, gap)| (*id, gap)).collect()
    }
}
