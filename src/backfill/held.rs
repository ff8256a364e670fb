//! What need not be asked for: times that were recorded live, and those that jobs brought.

use std::collections::BTreeMap;

use crate::model::gap::{Gap, GapCause, GapState};
use crate::model::job::{Job, JobState};
use crate::model::market::Market;
use crate::model::span::{Span, Spans};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::{Catalog, CatalogError, Filter};

/// What is held of one venue.
#[derive(Debug, Clone, Default)]
pub struct Held(BTreeMap<(Stream, Market), Spans>);

impl Held {
    /// What the catalog says of `venue` within `span`.
    ///
    /// # Errors
    ///
    /// When the catalog cannot be read.
    pub fn read(catalog: &Catalog, venue: &str, span: Span) -> Result<Self, CatalogError> {
        let filter = Filter { venue: Some(venue.into()), within: Some(span), ..Filter::default() };
        let mut live = catalog.proven(&filter)?;
        let gaps = catalog.gaps(&filter)?;
        for (_, gap) in &gaps {
            let to = gap.to.unwrap_or(Timestamp::MAX);
            let (Some(hole), true) = (Span::new(gap.from, to), gap.state != GapState::Repaired)
            else {
                continue;
            };
            for ((stream, market), spans) in &mut live {
                if *stream == gap.stream && gap.market.as_ref().is_none_or(|of| of == market) {
                    spans.remove(hole);
                }
            }
        }
        Ok(Self::of(live, &catalog.jobs(&filter)?, &gaps))
    }

    /// What was `live`, and what `jobs` brought, but for what was lost again with its file.
    #[must_use]
    pub fn of(live: BTreeMap<(Stream, Market), Spans>, jobs: &[Job], gaps: &[(i64, Gap)]) -> Self {
        let mut held: BTreeMap<(Stream, Market), Spans> = BTreeMap::new();
        for ((stream, market), spans) in live {
            let whole = spans.iter().filter_map(|span| whole_units(stream, span)).collect();
            held.insert((stream, market), whole);
        }
        for job in jobs {
            let brought = Spans::from_iter(brought(job)).without(&lost(job, gaps));
            let spans = held.entry((job.stream, job.market.clone())).or_default();
            brought.iter().for_each(|span| spans.insert(span));
        }
        Self(held)
    }

    /// Counts `span` as held.
    pub fn insert(&mut self, stream: Stream, market: &Market, span: Span) {
        self.0.entry((stream, market.clone())).or_default().insert(span);
    }

    /// What is held of one market of one stream.
    #[must_use]
    pub fn spans(&self, stream: Stream, market: &Market) -> Spans {
        self.0.get(&(stream, market.clone())).cloned().unwrap_or_default()
    }
}

/// The part of `span` in which candles lie as a whole. The first of them open at its beginning.
fn whole_units(stream: Stream, span: Span) -> Option<Span> {
    match stream {
        Stream::Candle(unit) => Span::new(unit.opening_from(span.from()), unit.opening(span.to())),
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => Some(span),
    }
}

/// What a job brought, as far as it came.
fn brought(job: &Job) -> Option<Span> {
    if job.state == JobState::Done {
        return Some(job.span);
    }
    let reached = job.reached?;
    // Another trade can share the instant of the last one.
    let from = match reached.id {
        Some(_) => Timestamp::from_micros(reached.at.micros() + 1),
        None => reached.at,
    };
    Span::new(from.max(job.span.from()), job.span.to())
}

/// What a job may have brought and a damaged file took away: all that was, and was not had again,
/// but by the jobs that were to close the gap.
fn lost(job: &Job, gaps: &[(i64, Gap)]) -> Spans {
    let took = |(id, gap): &&(i64, Gap)| {
        gap.cause == GapCause::Damaged
            && gap.state != GapState::Repaired
            && gap.stream == job.stream
            && gap.market.as_ref().is_none_or(|market| *market == job.market)
            && job.gap != Some(*id)
    };
    gaps.iter().filter(took).filter_map(|(_, gap)| Span::new(gap.from, gap.to?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::{JobKind, Reached};
    use crate::model::subscription::CandleUnit;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn job(state: JobState, stream: Stream, reached: Option<Reached>) -> Job {
        Job {
            id: 1,
            kind: JobKind::Backfill,
            venue: "toy".into(),
            stream,
            market: Market::new("A-B"),
            span: Span::new(at(600), at(1_200)).unwrap(),
            gap: None,
            state,
            rows: 0,
            known: 0,
            calls: 0,
            error: None,
            reached,
        }
    }

    fn check(stream: Stream, live: &[(i64, i64)], jobs: &[Job], expected: &str) {
        let spans = live.iter().filter_map(|(from, to)| Span::new(at(*from), at(*to))).collect();
        let key = (stream, Market::new("A-B"));
        let held = Held::of([(key, spans)].into(), jobs, &[]).spans(stream, &Market::new("A-B"));
        let text = |at: Timestamp| at.since(Timestamp::default()).as_secs_f64().to_string();
        let found: Vec<String> =
            held.iter().map(|span| format!("{}-{}", text(span.from()), text(span.to()))).collect();
        assert_eq!(found.join(" "), expected, "{stream} {live:?} {jobs:?}");
    }

    #[test]
    fn only_whole_windows_and_what_was_reached_are_held() {
        let minute = Stream::Candle(CandleUnit::M1);
        let reached = |second, id| Some(Reached { at: at(second), id });
        check(minute, &[(0, 120), (130, 179), (190, 400)], &[], "0-120 240-360");
        check(Stream::Trade, &[(0, 120), (130, 179)], &[], "0-120 130-179");
        for (state, reached, candles, trades) in [
            (JobState::Done, None, "600-1200", "600-1200"),
            (JobState::Planned, None, "", ""),
            (JobState::Running, reached(900, None), "900-1200", "900-1200"),
            (JobState::Failed, reached(540, None), "600-1200", "600-1200"),
            (JobState::Cancelled, reached(900, Some(7)), "900.000001-1200", "900.000001-1200"),
        ] {
            check(minute, &[], &[job(state, minute, reached)], candles);
            check(Stream::Trade, &[], &[job(state, Stream::Trade, reached)], trades);
        }
    }
}
