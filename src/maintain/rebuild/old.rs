//! The published parts that hold rows of the frames, and the frames that are nowhere kept.

use std::ops::Range;

use super::kept::Kept;
use super::stage::Stage;
use super::{RebuildError, Site};
use crate::ingest::buffers::PartKey;
use crate::store::segment::{self, Base, Ends, Extent, Frames, Omit, Segment, SegmentError};

/// What is published of the span.
#[derive(Default)]
pub(super) struct Old {
    /// Parts with rows of the frames only.
    whole: Vec<Segment>,
    /// Parts with rows of other frames as well.
    partly: Vec<Segment>,
    /// Frames of the span that are not kept.
    pub(super) missing: Vec<Range<i64>>,
}

/// What is in one part.
#[derive(Default)]
struct Found {
    asked: bool,
    others: bool,
    /// Frames of the span that are not kept.
    lost: Option<Ends<i64>>,
}

impl Old {
    pub(super) fn find(site: Site<'_>, kept: &Kept<'_>) -> Result<Self, RebuildError> {
        let mut old = Self::default();
        let mut known = kept.asked.ends();
        // No frame is between these, so that the span alone decides where nothing is kept.
        let ends = known.unwrap_or(Ends { min: 1, max: 0 });
        for segment in site.catalog.holding(ends, site.request.span)? {
            if !site.wants(segment.name.stream) {
                continue;
            }
            let found = look(site, kept, &segment)?;
            known = join(known, found.lost);
            match found {
                Found { asked: true, others: true, .. } => old.partly.push(segment),
                Found { asked: true, others: false, .. } => old.whole.push(segment),
                Found { asked: false, .. } => {}
            }
        }
        old.missing = known.map(|known| kept.held.holes(known)).unwrap_or_default();
        Ok(old)
    }

    /// The parts that others take the place of.
    pub(super) fn replaced(&self) -> impl Iterator<Item = &Segment> {
        self.whole.iter().chain(&self.partly)
    }

    /// Writes what else was in the parts.
    pub(super) fn split(
        &self,
        site: Site<'_>,
        asked: &Frames,
        stage: &mut Stage,
    ) -> Result<(), RebuildError> {
        for segment in &self.partly {
            let base = Base::published(segment, Omit::Frames(asked));
            stage.write(site, &key(segment), &[], &[base]).map_err(border(segment))?;
        }
        Ok(())
    }
}

/// Which file the rows of `segment` are in.
pub(super) fn key(segment: &Segment) -> PartKey {
    let name = &segment.name;
    PartKey { stream: name.stream, venue: name.venue.clone(), date: name.date }
}

/// A part that holds other rows too cannot be read.
pub(super) fn border(segment: &Segment) -> impl Fn(SegmentError) -> RebuildError {
    let (Ends { min: from, max: to }, frames) = (segment.ts_recv, segment.frames);
    move |source| match source {
        SegmentError::Disk { .. } | SegmentError::Misfit { .. } if !source.is_gone() => {
            RebuildError::Segment(source)
        }
        SegmentError::Damaged { .. } | SegmentError::Disk { .. } | SegmentError::Misfit { .. } => {
            RebuildError::Border { from, to, frames, source }
        }
    }
}

/// Reads a part only where its ends leave a doubt: one that is damaged can be replaced.
fn look(site: Site<'_>, kept: &Kept<'_>, segment: &Segment) -> Result<Found, RebuildError> {
    let (span, frames) = (site.request.span, segment.frames);
    let Ends { min, max } = segment.ts_recv;
    if kept.asked.cover(frames) {
        return Ok(Found { asked: true, ..Found::default() });
    }
    if !kept.held.touch(frames) && span.contains(min) && span.contains(max) {
        return Ok(Found { others: true, lost: Some(frames), ..Found::default() });
    }
    let may_lose = min < span.to() && max >= span.from() && !kept.held.cover(frames);
    let mut found = Found::default();
    if !kept.asked.touch(frames) && !may_lose {
        return Ok(found);
    }
    segment::scan(site.fs, site.paths, segment, Extent::Keys, |cells| {
        for row in cells.rows() {
            let frame = cells.frame(row);
            let asked = kept.asked.contains(frame);
            found.asked |= asked;
            found.others |= !asked;
            if span.contains(cells.ts_recv(row)) && !kept.held.contains(frame) {
                found.lost = join(found.lost, Some(Ends { min: frame, max: frame }));
            }
        }
    })
    .map_err(border(segment))?;
    Ok(found)
}

fn join(one: Option<Ends<i64>>, other: Option<Ends<i64>>) -> Option<Ends<i64>> {
    match (one, other) {
        (Some(one), Some(other)) => {
            Some(Ends { min: one.min.min(other.min), max: one.max.max(other.max) })
        }
        (one, other) => one.or(other),
    }
}
