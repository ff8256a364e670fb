//! From a gap to the jobs that close it. Pure.
//!
//! A gap is told by our clock, rows by the venue's, and what was sent before a connection died may
//! never have arrived. So a repair reaches back and forward by [`MARGIN`]; what was there already
//! is known for what it is when it is written.
//!
//! * Trades are asked for by UTC day, as venues keep them.
//! * A candle that came live tells all of its unit so far. So only those are missing whose unit
//!   ended while nobody listened: one that ended later was told again, as a whole.

use std::time::Duration;

use crate::backfill::plan::days;
use crate::model::gap::Gap;
use crate::model::job::{Job, JobState};
use crate::model::market::Market;
use crate::model::span::{Span, Spans};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::venue::Venue;

/// By how much a repair reaches beyond its gap. The last trade before a break was measured up to
/// 150 ms older than our last proof of life.
pub const MARGIN: Duration = Duration::from_secs(2);

/// What one job of a repair is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The market.
    pub market: Market,
    /// Which times.
    pub span: Span,
    /// How it ends without a request, and why.
    pub end: Option<(JobState, String)>,
}

/// When a gap can be closed: everything that it may lack can be asked for, and a candle changes no
/// more. None while it lasts.
#[must_use]
pub fn ready_at(gap: &Gap, settle: Duration) -> Option<Timestamp> {
    let patience = match gap.stream {
        Stream::Candle(_) => settle,
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => Duration::ZERO,
    };
    Some(gap.to?.after(MARGIN).after(patience))
}

/// What is still to be done for `markets` of a gap of `venue`, beside the jobs that it has.
#[must_use]
pub fn repairs(
    venue: &dyn Venue,
    gap: &Gap,
    markets: &[Market],
    jobs: &[Job],
    now: Timestamp,
) -> Vec<Repair> {
    let offer = venue.offers().iter().find(|offer| offer.stream == gap.stream);
    let (Some(history), Some(to)) = (offer.and_then(|offer| offer.history), gap.to) else {
        return Vec::new();
    };
    let earliest = history.earliest(now).unwrap_or(Timestamp::MIN);
    let mut repairs = Vec::new();
    for market in markets {
        let mut push = |span, end| repairs.push(Repair { market: market.clone(), span, end });
        let have: Spans =
            jobs.iter().filter(|job| job.market == *market).map(|job| job.span).collect();
        let Some(span) = wanted(gap.stream, gap.from, to) else {
            let instant = Span::new(gap.from, to.max(gap.from.after(Duration::from_micros(1))));
            if let (Some(span), true) = (instant, have.is_empty()) {
                let why = format!("no {} ended in it", gap.stream);
                push(span, Some((JobState::Done, why)));
            }
            continue;
        };
        for piece in Spans::from_iter([span]).without(&have).iter() {
            if let Some(old) = Span::new(piece.from(), piece.to().min(earliest)) {
                let why = format!("{} keeps {} from {earliest} on", venue.name(), gap.stream);
                push(old, Some((JobState::Failed, why)));
            }
            if let Some(young) = Span::new(piece.from().max(earliest), piece.to()) {
                for day in asked_by(gap.stream, young) {
                    push(day, None);
                }
            }
        }
    }
    repairs
}

/// The times of rows that a gap may lack; none where it can lack no row.
fn wanted(stream: Stream, from: Timestamp, to: Timestamp) -> Option<Span> {
    let (from, to) = (from.before(MARGIN), to.after(MARGIN));
    match stream {
        Stream::Candle(unit) => Span::new(unit.opening(from), unit.opening(to)),
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => Span::new(from, to),
    }
}

fn asked_by(stream: Stream, span: Span) -> Vec<Span> {
    match stream {
        Stream::Trade => days(span),
        Stream::Candle(_)
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => vec![span],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gap::{GapCause, GapState};
    use crate::model::job::JobKind;
    use crate::venue;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn gap(stream: &str, from: &str, to: &str) -> Gap {
        Gap {
            venue: "upbit".into(),
            stream: stream.parse().expect("a stream"),
            market: Some(Market::new("KRW-BTC")),
            from: at(from),
            to: Some(at(to)),
            cause: GapCause::Disconnect,
            state: GapState::Open,
            rows_repaired: 0,
            source: None,
            detail: String::new(),
        }
    }

    fn words(repairs: &[Repair]) -> Vec<String> {
        let one = |repair: &Repair| {
            let end = repair.end.as_ref().map(|(state, why)| format!(" {state}: {why}"));
            format!("{}{}", repair.span, end.unwrap_or_default())
        };
        repairs.iter().map(one).collect()
    }

    #[test]
    fn a_gap_is_closed_by_what_it_may_lack() {
        let now = at("2026-11-21T12:00:00Z");
        let venue = venue::by_name("upbit").expect("a venue");
        for (stream, from, to, expected) in [
            (
                "trade",
                "2026-11-21T11:00:00.5Z",
                "2026-11-21T11:00:03Z",
                &["2026-11-21T10:59:58.500Z .. 2026-11-21T11:00:05Z"][..],
            ),
            (
                "trade",
                "2026-11-20T23:59:50Z",
                "2026-11-21T00:00:10Z",
                &[
                    "2026-11-20T23:59:48Z .. 2026-11-21T00:00:00Z",
                    "2026-11-21T00:00:00Z .. 2026-11-21T00:00:12Z",
                ],
            ),
            // Days before the seventh are gone.
            (
                "trade",
                "2026-11-13T23:00:00Z",
                "2026-11-14T01:00:00Z",
                &[
                    "2026-11-13T22:59:58Z .. 2026-11-14T00:00:00Z failed: upbit keeps trade from \
                     2026-11-14T00:00:00Z on",
                    "2026-11-14T00:00:00Z .. 2026-11-14T01:00:02Z",
                ],
            ),
            (
                "candle.1m",
                "2026-11-21T11:00:10Z",
                "2026-11-21T11:00:40Z",
                &["2026-11-21T11:00:10Z .. 2026-11-21T11:00:40Z done: no candle.1m ended in it"],
            ),
            (
                "candle.1m",
                "2026-11-21T11:00:50Z",
                "2026-11-21T11:02:10Z",
                &["2026-11-21T11:00:00Z .. 2026-11-21T11:02:00Z"],
            ),
            // The last state of a candle that had just ended may not have come.
            (
                "candle.1m",
                "2026-11-21T11:01:01Z",
                "2026-11-21T11:01:30Z",
                &["2026-11-21T11:00:00Z .. 2026-11-21T11:01:00Z"],
            ),
            ("orderbook", "2026-11-21T11:00:00Z", "2026-11-21T11:00:10Z", &[]),
        ] {
            let gap = gap(stream, from, to);
            let markets: Vec<Market> = gap.market.iter().cloned().collect();
            let planned = repairs(venue, &gap, &markets, &[], now);
            assert_eq!(words(&planned), expected, "{stream} {from}");

            let jobs: Vec<Job> = planned.iter().map(|repair| job(&gap, repair)).collect();
            assert_eq!(repairs(venue, &gap, &markets, &jobs, now), [], "what has its job");
            let other = [Market::new("KRW-ETH")];
            assert_eq!(repairs(venue, &gap, &other, &jobs, now).len(), planned.len());
        }
    }

    fn job(gap: &Gap, repair: &Repair) -> Job {
        Job {
            id: 1,
            kind: JobKind::Repair,
            venue: gap.venue.clone(),
            stream: gap.stream,
            market: repair.market.clone(),
            span: repair.span,
            gap: Some(1),
            state: JobState::Running,
            rows: 0,
            known: 0,
            calls: 0,
            error: None,
            reached: None,
        }
    }

    #[test]
    fn a_candle_is_waited_for_until_it_settles() {
        let settle = Duration::from_secs(5);
        for (stream, ready) in [("trade", "11:00:05Z"), ("candle.1s", "11:00:10Z")] {
            let gap = gap(stream, "2026-11-21T11:00:00Z", "2026-11-21T11:00:03Z");
            assert_eq!(ready_at(&gap, settle), Some(at(&format!("2026-11-21T{ready}"))));
            assert_eq!(ready_at(&Gap { to: None, ..gap }, settle), None, "it lasts");
        }
    }
}
