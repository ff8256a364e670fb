//! What was to be recorded, by the catalog: spans proven live, gaps, and what was had again.

use std::collections::{BTreeMap, BTreeSet};
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
    /// By their start, with their number and the end they are taken to have.
    gaps: Vec<(i64, Span, Gap)>,
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
    /// Reads what the catalog has of `filter`'s venue and market: of all streams and times, since
    /// one explains another. `edge_after` is how long after a second its stream has to be live for
    /// the second to be judged.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn load(
        catalog: &Catalog,
        filter: &Filter,
        edge_after: Duration,
    ) -> Result<Self, CatalogError> {
        let filter = &Filter { stream: None, within: None, ..filter.clone() };
        let mut ledger = Self::default();
        for ((venue, stream, market), live) in catalog.live(filter)? {
            let Some(market) = market else { continue };
            ledger.lanes.entry((venue.into(), stream, market)).or_default().live = live;
        }
        let latest = ledger.latest();
        for (id, gap) in catalog.gaps(filter)? {
            let last = latest.get(&gap.venue).copied().unwrap_or(gap.from);
            let Some(span) = Span::new(gap.from, gap.to.unwrap_or(last)) else { continue };
            ledger.insert(id, span, &gap, filter);
        }
        ledger.judge(edge_after, &catalog.arrived()?);
        for gone in catalog.retirements(filter)? {
            ledger.forget(&gone.venue, gone.stream, gone.span);
        }
        for ((venue, stream, market), span) in catalog.asked_again(filter)? {
            let Some(market) = market else { continue };
            ledger.lanes.entry((venue.into(), stream, market)).or_default().judged.insert(span);
        }
        Ok(ledger)
    }

    /// What a policy removed need not be here any more.
    fn forget(&mut self, venue: &str, stream: Stream, span: Span) {
        let lanes = self.lanes.iter_mut().filter(|((of, is, _), _)| of == venue && *is == stream);
        for (_, asked) in lanes {
            asked.live.remove(span);
            asked.judged.remove(span);
            asked.gaps.retain(|(_, gap, _)| gap.intersect(span) != Some(*gap));
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
        let gaps = asked.gaps.iter().map(|(_, span, _)| *span);
        let spans = asked.live.iter().chain(asked.judged.iter()).chain(gaps);
        let spans = spans.filter_map(|span| match within {
            Some(within) => span.intersect(within),
            None => Some(span),
        });
        spans.flat_map(hours_of).collect()
    }

    /// What was to be recorded of a lane in the hour that starts at `hour`.
    #[must_use]
    pub fn due(&self, lane: &Lane, hour: Timestamp) -> Due<'_> {
        let asked = self.lanes.get(lane).zip(Span::new(hour, hour.after(HOUR)));
        let Some((asked, span)) = asked else {
            return Due { covered: Duration::ZERO, judged: Spans::new(), gaps: Vec::new() };
        };
        let gaps = asked.gaps.iter().filter(|(_, gap, _)| gap.intersect(span).is_some());
        Due {
            covered: asked.live.length_within(span),
            judged: asked.judged.within(span),
            gaps: gaps.map(|(id, _, gap)| (*id, gap)).collect(),
        }
    }

    /// The last instant at which anything of a venue was live.
    fn latest(&self) -> BTreeMap<SmolStr, Timestamp> {
        let mut latest = BTreeMap::new();
        for ((venue, ..), asked) in &self.lanes {
            let Some(last) = asked.live.iter().last() else { continue };
            let known = latest.entry(venue.clone()).or_insert(last.to());
            *known = last.to().max(*known);
        }
        latest
    }

    /// Gives a gap to its lanes. One of all markets is one of those that were live when it began.
    fn insert(&mut self, id: i64, span: Span, gap: &Gap, filter: &Filter) {
        let row = || (id, span, gap.clone());
        if let Some(market) = &gap.market {
            let lane = (gap.venue.clone(), gap.stream, market.clone());
            self.lanes.entry(lane).or_default().gaps.push(row());
            return;
        }
        for ((venue, stream, market), asked) in &mut self.lanes {
            let wanted = filter.market.as_ref().is_none_or(|only| only == market);
            let before = asked.live.iter().take_while(|live| live.from() <= gap.from).last();
            let was_live = before.is_some_and(|live| live.to().after(JOINT) >= gap.from);
            if wanted && was_live && *venue == gap.venue && *stream == gap.stream {
                asked.gaps.push(row());
            }
        }
    }

    /// Says where everything has to be here: live or had again, and published, but for the edges.
    fn judge(&mut self, edge_after: Duration, arrived: &BTreeMap<SmolStr, Timestamp>) {
        for ((venue, ..), asked) in &mut self.lanes {
            let Some(arrived) = arrived.get(venue) else { continue };
            let mut whole = asked.live.clone();
            for (_, span, gap) in &asked.gaps {
                match gap.state {
                    GapState::Repaired => whole.insert(*span),
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

/// The hours that `span` touches, by their first instants.
fn hours_of(span: Span) -> impl Iterator<Item = Timestamp> {
    let mut next = span.from().hour();
    std::iter::from_fn(move || {
        let hour = next;
        next = hour.after(HOUR);
        (hour < span.to()).then_some(hour)
    })
}
