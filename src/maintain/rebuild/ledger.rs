//! Gaps of frames that nobody understood, and somebody does now.

use super::{RebuildError, Site};
use crate::model::gap::{Gap, GapCause, GapState};
use crate::store::catalog::Filter;

/// The gaps within the span that are none any more: every frame of the span was read, and those
/// that cannot be read still, told by `unread`, came at other times. Where only some streams were
/// asked for, none is judged.
pub(super) fn read_now(site: Site<'_>, unread: &[Gap]) -> Result<Vec<(i64, Gap)>, RebuildError> {
    if !site.request.streams.is_empty() {
        return Ok(Vec::new());
    }
    let span = site.request.span;
    let filter = Filter { within: Some(span), ..Filter::default() };
    let mut gaps = site.catalog.gaps(&filter)?;
    gaps.retain(|(_, gap)| {
        let ours = matches!(gap.state, GapState::Open | GapState::BeyondRepair);
        let within = gap.from >= span.from() && gap.to.is_some_and(|to| to <= span.to());
        gap.cause == GapCause::Unread && ours && within && !unread.iter().any(|one| meet(one, gap))
    });
    for (_, gap) in &mut gaps {
        gap.state = GapState::Repaired;
    }
    Ok(gaps)
}

/// Whether both may be of one frame.
fn meet(one: &Gap, other: &Gap) -> bool {
    let before = |one: &Gap, other: &Gap| one.to.is_some_and(|to| to <= other.from);
    one.venue == other.venue && !before(one, other) && !before(other, one)
}
