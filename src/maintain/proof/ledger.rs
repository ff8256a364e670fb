//! What was to be recorded, by the catalog: spans proven live, gaps, and what was had again.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use xxhash_rust::xxh3::Xxh3;

use super::EDGE_BEFORE;
use crate::model::condition::Condition;
use crate::model::gap::{Gap, GapState};
use crate::model::market::Market;
use crate::model::span::{Span, Spans};
use crate::model::subscription::Stream;
use crate::model::time::{HOUR_US, Timestamp};
use crate::store::catalog::{Catalog, CatalogError, Filter};

/// One market of one stream of one venue.
pub type Lane = (SmolStr, Stream, Market);

/// By how much the end of a live span and the start of the gap behind it may differ.
const JOINT: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_micros(HOUR_US.unsigned_abs());

/// What was to be recorded.
#[derive(Debug, Default)]
pub struct Ledger {
    lanes: BTreeMap<Lane, Asked>,
}

/// What was to be recorded of one lane.
#[derive(Debug, Default)]
struct Asked {
    live: Spans,
    /// Where everything has to be here.
    judged: Spans,
    /// By their start.
    gaps: Vec<Missed>,
}

/// A gap of a lane.
#[derive(Debug, Clone)]
struct Missed {
    id: i64,
    /// With the end that it is taken to have.
    span: Span,
    gap: Arc<Gap>,
    /// The latest end of it and of all that began before.
    reach: Timestamp,
}

/// What was to be recorded of one lane in one hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Due<'a> {
    /// How much of the hour was proven live.
    pub covered: Duration,
    /// Where everything has to be here: the edges are left out.
    pub judged: Spans,
    /// The gaps in the hour, with their numbers.
    pub gaps: Vec<(i64, &'a Gap)>,
}

impl Ledger {
    /// Reads what the catalog has of `filter`'s venue and market: of all streams, since one explains
    /// another. With a span, what is said of the hours that it touches is the same as without one,
    /// and no more than that is read. `edge_after` is how long after a second its stream has to be
    /// live for the second to be judged.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn load(
        catalog: &Catalog,
        filter: &Filter,
        edge_after: Duration,
    ) -> Result<Self, CatalogError> {
        let about = filter.within.map(whole_hours);
        let filter = &Filter { stream: None, within: about, ..filter.clone() };
        // What lies beside the span decides where its first and its last second can be judged.
        let beside = EDGE_BEFORE + edge_after + JOINT * 2;
        let wide = &Filter { within: about.map(|span| wider(span, beside)), ..filter.clone() };
        let mut ledger = Self::default();
        ledger.live(catalog, wide)?;
        let gaps = catalog.gaps(wide)?;
        ledger.live_before(catalog, wide, &gaps)?;
        let latest = latest(catalog, filter, &gaps)?;
        for (id, gap) in gaps {
            let last = latest.get(&gap.venue).copied().unwrap_or(gap.from);
            let Some(span) = Span::new(gap.from, gap.to.unwrap_or(last)) else { continue };
            ledger.insert(&Missed { id, span, gap: Arc::new(gap), reach: span.to() }, filter);
        }
        ledger.sort();
        ledger.judge(edge_after, &catalog.arrived()?);
        let mut gone: BTreeMap<(SmolStr, Stream), Spans> = BTreeMap::new();
        for one in catalog.retirements(filter)? {
            gone.entry((one.venue, one.stream)).or_default().insert(one.span);
        }
        ledger.forget(&gone);
        for ((venue, stream, market), span) in catalog.asked_again(filter)? {
            let Some(market) = market else { continue };
            ledger.lanes.entry((venue.into(), stream, market)).or_default().judged.insert(span);
        }
        Ok(ledger)
    }

    fn live(&mut self, catalog: &Catalog, filter: &Filter) -> Result<(), CatalogError> {
        for ((venue, stream, market), live) in catalog.live(filter)? {
            let Some(market) = market else { continue };
            let known = &mut self.lanes.entry((venue.into(), stream, market)).or_default().live;
            if known.is_empty() {
                *known = live;
            } else {
                live.iter().for_each(|span| known.insert(span));
            }
        }
        Ok(())
    }

    /// Adds what was live when a gap of all markets began, where that is before the span read.
    fn live_before(
        &mut self,
        catalog: &Catalog,
        filter: &Filter,
        gaps: &[(i64, Gap)],
    ) -> Result<(), CatalogError> {
        let Some(within) = filter.within else { return Ok(()) };
        let early = gaps.iter().map(|(_, gap)| gap);
        let early =
            early.filter(|gap| gap.market.is_none() && gap.from.before(JOINT) <= within.from());
        let begins: BTreeSet<_> = early.map(|gap| (&gap.venue, gap.stream, gap.from)).collect();
        for (venue, stream, from) in begins {
            let about = Span::new(from.before(JOINT * 2), from.after(JOINT));
            let (venue, stream) = (Some(venue.clone()), Some(stream));
            self.live(catalog, &Filter { venue, stream, within: about, ..filter.clone() })?;
        }
        Ok(())
    }

    /// What a policy removed need not be here any more.
    fn forget(&mut self, gone: &BTreeMap<(SmolStr, Stream), Spans>) {
        for ((venue, stream, _), asked) in &mut self.lanes {
            let Some(gone) = gone.get(&(venue.clone(), *stream)) else { continue };
            asked.live = std::mem::take(&mut asked.live).without(gone);
            asked.judged = std::mem::take(&mut asked.judged).without(gone);
            asked.gaps.retain(|missed| {
                let around = gone.begun_by(missed.span.from());
                around.is_none_or(|around| around.to() < missed.span.to())
            });
        }
        self.sort();
    }

    /// Puts the gaps of each lane in the order of their start.
    fn sort(&mut self) {
        for asked in self.lanes.values_mut() {
            asked.gaps.sort_by_key(|missed| (missed.span.from(), missed.id));
            let mut reach = Timestamp::MIN;
            for missed in &mut asked.gaps {
                reach = reach.max(missed.span.to());
                missed.reach = reach;
            }
        }
    }

    /// The lanes of a stream of a venue.
    pub fn lanes<'a>(&'a self, venue: &'a str, stream: Stream) -> impl Iterator<Item = &'a Lane> {
        self.lanes.keys().filter(move |(of, is, _)| of == venue && *is == stream)
    }

    /// Every lane.
    pub fn all(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.keys()
    }

    /// The hours in which anything of a lane was to be recorded, as far as they touch `within`.
    #[must_use]
    pub fn hours(&self, lane: &Lane, within: Option<Span>) -> BTreeSet<Timestamp> {
        let Some(asked) = self.lanes.get(lane) else { return BTreeSet::new() };
        let all = within.or_else(|| Span::new(Timestamp::MIN, Timestamp::MAX));
        let Some(all) = all else { return BTreeSet::new() };
        let (live, judged) = (asked.live.within(all), asked.judged.within(all));
        let gaps = asked.gaps_in(all).filter_map(|missed| missed.span.intersect(all));
        live.iter().chain(judged.iter()).chain(gaps).flat_map(hours_of).collect()
    }

    /// What was to be recorded of a lane in the hour that starts at `hour`.
    #[must_use]
    pub fn due(&self, lane: &Lane, hour: Timestamp) -> Due<'_> {
        let asked = self.lanes.get(lane).zip(Span::new(hour, hour.after(HOUR)));
        let Some((asked, span)) = asked else {
            return Due { covered: Duration::ZERO, judged: Spans::new(), gaps: Vec::new() };
        };
        let mut gaps: Vec<(i64, &Gap)> =
            asked.gaps_in(span).map(|missed| (missed.id, missed.gap.as_ref())).collect();
        gaps.sort_unstable_by_key(|(id, _)| *id);
        Due { covered: asked.live.length_within(span), judged: asked.judged.within(span), gaps }
    }

    /// Gives a gap to its lanes. One of all markets is one of those that were live when it began.
    fn insert(&mut self, missed: &Missed, filter: &Filter) {
        let gap = &missed.gap;
        if let Some(market) = &gap.market {
            let lane = (gap.venue.clone(), gap.stream, market.clone());
            self.lanes.entry(lane).or_default().gaps.push(missed.clone());
            return;
        }
        let first = (gap.venue.clone(), gap.stream, Market::new(""));
        let lanes = self.lanes.range_mut(first..);
        let same = |lane: &Lane| lane.0 == gap.venue && lane.1 == gap.stream;
        for ((_, _, market), asked) in lanes.take_while(|(lane, _)| same(lane)) {
            let wanted = filter.market.as_ref().is_none_or(|only| only == market);
            let before = asked.live.begun_by(gap.from);
            if wanted && before.is_some_and(|live| live.to().after(JOINT) >= gap.from) {
                asked.gaps.push(missed.clone());
            }
        }
    }

    /// Says where everything has to be here: live or had again, and published, but for the edges.
    fn judge(&mut self, edge_after: Duration, arrived: &BTreeMap<SmolStr, Timestamp>) {
        for ((venue, ..), asked) in &mut self.lanes {
            let Some(arrived) = arrived.get(venue) else { continue };
            let mut whole = asked.live.clone();
            for missed in &asked.gaps {
                match missed.gap.state {
                    GapState::Repaired => whole.insert(missed.span),
                    GapState::Open | GapState::Partial | GapState::BeyondRepair => {}
                }
            }
            let inner = whole.iter().filter_map(|span| {
                let end = span.to().min(*arrived).before(edge_after);
                Span::new(span.from().after(EDGE_BEFORE), end)
            });
            asked.judged = inner.collect();
        }
    }
}

impl Asked {
    /// The gaps that touch `within`, latest start first.
    fn gaps_in(&self, within: Span) -> impl Iterator<Item = &Missed> {
        let begun = self.gaps.partition_point(|missed| missed.span.from() < within.to());
        let begun = self.gaps.iter().take(begun).rev();
        let may_touch = begun.take_while(move |missed| missed.reach > within.from());
        may_touch.filter(move |missed| missed.span.intersect(within).is_some())
    }
}

impl Due<'_> {
    /// Whether anything of the hour was to be recorded.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !(self.covered.is_zero() && self.judged.is_empty() && self.gaps.is_empty())
    }

    /// Whether some of it is missing, and was not had again.
    #[must_use]
    pub fn lost(&self) -> bool {
        self.gaps.iter().any(|(_, gap)| gap.state != GapState::Repaired)
    }

    /// Whether some of it was had again.
    #[must_use]
    pub fn repaired(&self) -> bool {
        self.gaps.iter().any(|(_, gap)| gap.state == GapState::Repaired)
    }

    /// What can be said of the hour without a look at its rows.
    #[must_use]
    pub fn condition(&self, rows: u64) -> Condition {
        match (self.lost(), rows == 0 && self.covered.is_zero()) {
            (true, true) => Condition::Missing,
            (true, false) => Condition::Degraded,
            (false, _) => Condition::Unproven,
        }
    }
}

/// A number for the state of gaps: another one when any of them changed.
#[must_use]
pub fn fingerprint<'a>(dues: impl IntoIterator<Item = &'a Due<'a>>) -> i64 {
    let mut hash = Xxh3::new();
    for due in dues {
        for (id, gap) in &due.gaps {
            let to = gap.to.map_or(i64::MAX, Timestamp::micros);
            for number in [*id, gap.from.micros(), to, gap.rows_repaired.cast_signed()] {
                hash.update(&number.to_le_bytes());
            }
            hash.update(gap.state.as_str().as_bytes());
        }
        hash.update(b";");
    }
    hash.digest().cast_signed()
}

/// The last instant at which anything of a venue was live, of the venue and market of `filter`: it is
/// asked for where a gap lasts.
fn latest(
    catalog: &Catalog,
    filter: &Filter,
    gaps: &[(i64, Gap)],
) -> Result<BTreeMap<SmolStr, Timestamp>, CatalogError> {
    let mut latest = BTreeMap::new();
    if gaps.iter().all(|(_, gap)| gap.to.is_some()) {
        return Ok(latest);
    }
    for one in catalog.latest_proofs()? {
        if filter.market.as_ref().is_none_or(|only| *only == one.market) {
            let known = latest.entry(one.venue).or_insert(one.until);
            *known = one.until.max(*known);
        }
    }
    Ok(latest)
}

fn wider(span: Span, by: Duration) -> Span {
    Span::new(span.from().before(by), span.to().after(by)).unwrap_or(span)
}

/// The hours that `span` touches, as one span.
fn whole_hours(span: Span) -> Span {
    let last = span.to().before(Duration::from_micros(1)).hour();
    Span::new(span.from().hour(), last.after(HOUR)).unwrap_or(span)
}

/// The hours that `span` touches, by their first instants.
fn hours_of(span: Span) -> impl Iterator<Item = Timestamp> {
    let mut next = span.from().hour();
    std::iter::from_fn(move || {
        let hour = next;
        next = hour.after(HOUR);
        (hour < span.to()).then_some(hour)
    })
}
