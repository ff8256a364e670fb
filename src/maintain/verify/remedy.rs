//! The command that mends a file: made again from kept frames, else asked of the venue again.

use std::time::Duration;

use super::{FaultKind, Site};
use crate::model::time::Timestamp;
use crate::store::raw;
use crate::store::segment::Segment;
use crate::venue::by_name;

/// What can be done about a file.
pub(super) fn remedy(site: Site<'_>, segment: &Segment, kind: FaultKind) -> Option<String> {
    match kind {
        FaultKind::Unknown | FaultKind::Count => None,
        FaultKind::Missing
        | FaultKind::Unreadable
        | FaultKind::Size
        | FaultKind::Checksum
        | FaultKind::Format
        | FaultKind::Rows
        | FaultKind::Span
        | FaultKind::Order
        | FaultKind::Key => rebuild(site, segment).or_else(|| backfill(site, segment)),
    }
}

/// From raw frames, where the days on which its rows arrived are kept.
fn rebuild(site: Site<'_>, segment: &Segment) -> Option<String> {
    let (first, last) = (segment.ts_recv.min, segment.ts_recv.max);
    let days = raw::days(site.fs.as_ref(), site.paths).ok()?;
    if raw::reaching(&days, first.date(), last.date()).is_empty() {
        return None;
    }
    let (data, stream) = (site.paths.data().display(), segment.name.stream);
    let to = after(last);
    Some(format!("veritape rebuild --data {data} --from {first} --to {to} --streams {stream}"))
}

/// From the venue, as far as its history reaches.
fn backfill(site: Site<'_>, segment: &Segment) -> Option<String> {
    let (venue, stream) = (segment.name.venue.as_str(), segment.name.stream);
    let offer = by_name(venue)?.offers().iter().find(|offer| offer.stream == stream)?;
    let (from, to) = (segment.ts_event.min, after(segment.ts_event.max));
    if offer.history?.earliest(site.now).is_some_and(|earliest| from < earliest) {
        return None;
    }
    let data = site.paths.data().display();
    Some(format!(
        "veritape backfill --data {data} --venue {venue} --streams {stream} --markets all --from {from} --to {to}"
    ))
}

fn after(at: Timestamp) -> Timestamp {
    at.after(Duration::from_micros(1))
}
