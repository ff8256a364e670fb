//! Rows by the hour, counted anew where rows were replaced.

use std::collections::BTreeMap;
use std::time::Duration;

use super::old::{Old, border, key};
use super::stage::Stage;
use super::{RebuildError, Site};
use crate::ingest::buffers::PartKey;
use crate::maintain::counts::Counts;
use crate::model::time::{HOUR_US, Timestamp};
use crate::store::catalog::Recount;
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
    let mut counts = Counts::of(hours);
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
    Ok(counts.recount(part))
}
