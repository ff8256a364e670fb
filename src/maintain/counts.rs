//! Rows by market and hour, counted anew from files, so that whatever was counted before is right
//! after.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ingest::buffers::{Hour, PartKey};
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::time::{HOUR_US, Timestamp};
use crate::store::catalog::{HourRows, Recount};
use crate::store::segment::{Cells, Ends};

/// The rows of one stream in some hours.
pub(super) struct Counts {
    hours: Ends<Timestamp>,
    found: BTreeMap<(Market, Timestamp), Hour>,
}

impl Counts {
    /// None yet; rows of other hours than these do not count.
    pub(super) const fn of(hours: Ends<Timestamp>) -> Self {
        Self { hours, found: BTreeMap::new() }
    }

    /// Counts these as well.
    pub(super) fn add(&mut self, cells: &Cells<'_>) {
        for row in cells.rows() {
            let at = cells.time(row);
            let hour = at.hour();
            // Rows that name no market are counted nowhere.
            let Some(market) = cells.market(row) else { continue };
            if hour < self.hours.min || hour > self.hours.max {
                continue;
            }
            let known = self.found.entry((Market::new(market), hour)).or_insert(Hour {
                rows: 0,
                first: at,
                last: at,
            });
            known.rows += 1;
            known.first = known.first.min(at);
            known.last = known.last.max(at);
        }
    }

    /// The hours that are counted, as one span.
    pub(super) fn span(&self) -> Option<Span> {
        let hour = Duration::from_micros(HOUR_US.unsigned_abs());
        Span::new(self.hours.min, self.hours.max.after(hour))
    }

    /// How many rows there are of a market in an hour.
    pub(super) fn rows(&self, market: &Market, hour: Timestamp) -> u64 {
        self.found.get(&(market.clone(), hour)).map_or(0, |found| found.rows)
    }

    /// All of it, for the catalog.
    pub(super) fn recount(self, part: &PartKey) -> Recount {
        let (venue, stream, hours) = (part.venue.clone(), part.stream, self.hours);
        let rows = self.found.into_iter().map(|((market, hour), found)| HourRows {
            venue: venue.clone(),
            stream,
            market: Some(market),
            hour,
            rows: found.rows,
            first: found.first,
            last: found.last,
        });
        let rows = rows.collect();
        Recount { venue, stream, first: hours.min, last: hours.max, hours: rows }
    }
}
