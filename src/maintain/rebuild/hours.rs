//! Rows by the hour, counted anew where rows were replaced: from the parts, so that whatever was
//! counted before is right after.

use std::collections::BTreeMap;
use std::time::Duration;

use super::old::{Old, border, key};
use super::stage::Stage;
use super::{RebuildError, Site};
use crate::ingest::buffers::{Hour, PartKey};
use crate::model::market::Market;
use crate::model::time::{HOUR_US, Timestamp};
use crate::store::catalog::{HourRows, Recount};
use crate::store::segment::{self, Cells, Ends, Extent, Written};

const HOUR: Duration = Duration::from_micros(HOUR_US.unsigned_abs());

/// Counts every hour that a replaced or a new part has rows of.
pub(super) fn recount(
    site: Site<'_>,
    old: &Old,
    stage: &Stage,
) -> Result<Vec<Recount>, RebuildError> {
    let mut touched: BTreeMap<PartKey, Ends<Timestamp>> = BTreeMap::new();
    for segment in old.replaced().chain(stage.parts().iter().map(Written::segment)) {
        let hours = Ends { min: segment.ts_event.min.hour(), max: segment.ts_event.max.hour() };
        let known = touched.entry(key(segment)).or_insert(hours);
        *known = Ends { min: known.min.min(hours.min), max: known.max.max(hours.max) };
    }
    touched.iter().map(|(key, hours)| count(site, old, stage, key, *hours)).collect()
}

/// Counts the rows of one stream and day in these hours, as they will be.
fn count(
    site: Site<'_>,
    old: &Old,
    stage: &Stage,
    part: &PartKey,
    hours: Ends<Timestamp>,
) -> Result<Recount, RebuildError> {
    let mut counts = Counts { hours, found: BTreeMap::new() };
    let last = hours.max.after(HOUR).before(Duration::from_micros(1));
    for segment in site.catalog.covering(&part.venue, part.stream, hours.min, last)? {
        if old.replaced().all(|replaced| replaced.name != segment.name) {
            let each = |cells: &Cells<'_>| counts.add(cells);
            segment::scan(site.fs, site.paths, &segment, Extent::Keys, each)
                .map_err(border(&segment))?;
        }
    }
    for written in stage.parts().iter().filter(|written| key(written.segment()) == *part) {
        written.scan(site.fs, Extent::Keys, |cells| counts.add(cells))?;
    }
    let rows = counts.found.into_iter().map(|((market, hour), found)| HourRows {
        venue: part.venue.clone(),
        stream: part.stream,
        market: Some(market),
        hour,
        rows: found.rows,
        first: found.first,
        last: found.last,
    });
    let (venue, stream) = (part.venue.clone(), part.stream);
    Ok(Recount { venue, stream, first: hours.min, last: hours.max, hours: rows.collect() })
}

struct Counts {
    hours: Ends<Timestamp>,
    found: BTreeMap<(Market, Timestamp), Hour>,
}

impl Counts {
    fn add(&mut self, cells: &Cells<'_>) {
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
}
