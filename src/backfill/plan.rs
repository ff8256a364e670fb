//! From what is wanted to jobs, and what they will cost. Pure.
//!
//! Invariants: the jobs hold all that is wanted, can be had and is not held, and little else; the
//! candle that still changes is in none of them; what cannot be had is told, never left out in
//! silence.

use std::collections::BTreeMap;
use std::time::Duration;

use super::held::Held;
use crate::model::market::Market;
use crate::model::span::{Span, Spans};
use crate::model::subscription::{CandleUnit, Stream};
use crate::model::time::{DAY, Timestamp};
use crate::venue::{PastAsk, Venue};

/// Pages that one job has at most, where all windows of its candles exist.
const PAGES_PER_JOB: u64 = 100;
/// Pages that a job should have, so that its last page, which may be nearly empty, matters little.
const PAGES_WORTH_A_JOB: u64 = 33;
/// Jobs that keep the rate used although each waits for its answers.
const JOBS_AT_ONCE: u64 = 4;
/// The most jobs of one plan.
const MOST_JOBS: usize = 100_000;
/// Trades of a market in a day, where nobody knows.
const TRADES_PER_DAY: f64 = 10_000.0;

/// What is wanted.
#[derive(Clone)]
pub struct Wish<'a> {
    /// Of which venue.
    pub venue: &'static dyn Venue,
    /// Of which streams and markets.
    pub subjects: &'a [(Stream, Market)],
    /// Which times.
    pub span: Span,
    /// What is there already, or under way.
    pub held: &'a Held,
    /// Trades of a day, of markets of which that is known.
    pub trades_per_day: &'a BTreeMap<Market, f64>,
    /// What time it is.
    pub now: Timestamp,
    /// How long after its end a candle may still change.
    pub settle: Duration,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The jobs, in the order in which to do them: of one market the newest first.
    pub jobs: Vec<Planned>,
    /// What was asked for and cannot be had.
    pub lost: Vec<Lost>,
}

/// A job to be, and its cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The stream.
    pub stream: Stream,
    /// The market.
    pub market: Market,
    /// Which times.
    pub span: Span,
    /// Pages with rows to expect.
    pub pages: u64,
    /// Requests to expect.
    pub calls: u64,
    /// Rows to expect: of candles at most so many, of trades about.
    pub rows: u64,
}

/// What cannot be had of a stream, for any market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The stream.
    pub stream: Stream,
    /// Which times.
    pub span: Span,
    /// Why.
    pub why: String,
}

/// A wish that cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    /// It would be too many jobs.
    #[error("that would be over {MOST_JOBS} jobs; ask for less at a time")]
    TooMuch,
}

/// Plans what `wish` asks for.
///
/// # Errors
///
/// When it is too much.
pub fn plan(wish: &Wish<'_>) -> Result<Plan, PastError> {
    let mut plan = Plan::default();
    let mut missing = Vec::new();
    let mut streams: BTreeMap<Stream, Option<Span>> = BTreeMap::new();
    for (stream, market) in wish.subjects {
        let clipped = streams.entry(*stream).or_insert_with(|| clip(wish, *stream, &mut plan.lost));
        let Some(span) = clipped else { continue };
        let wanted: Spans = [*span].into_iter().collect();
        let left = wanted.without(&wish.held.spans(*stream, market));
        for span in joined(wish, *stream, &left) {
            missing.push((*stream, market, span));
        }
        if missing.len() > MOST_JOBS {
            return Err(PastError::TooMuch);
        }
    }
    let pages: u64 = missing.iter().map(|(stream, _, span)| pages(wish, *stream, *span)).sum();
    for (stream, market, span) in missing {
        let pieces = match stream {
            Stream::Candle(unit) => cut(wish, unit, span, pages),
            Stream::Trade
            | Stream::Orderbook
            | Stream::Ticker
            | Stream::Instrument
            | Stream::Unread => days(span).into_iter().rev().collect(),
        };
        if plan.jobs.len() + pieces.len() > MOST_JOBS {
            return Err(PastError::TooMuch);
        }
        plan.jobs.extend(pieces.into_iter().map(|span| planned(wish, stream, market, span)));
    }
    Ok(plan)
}

/// `span` cut at every midnight UTC, the earliest first: what is kept by days is asked for by days.
#[must_use]
pub fn days(span: Span) -> Vec<Span> {
    let mut from = span.from();
    std::iter::from_fn(|| {
        let piece = Span::new(from, span.to().min(from.day().after(DAY)))?;
        from = piece.to();
        Some(piece)
    })
    .collect()
}

/// The times of `stream` that can be asked for now, on whole units.
fn clip(wish: &Wish<'_>, stream: Stream, lost: &mut Vec<Lost>) -> Option<Span> {
    let venue = wish.venue;
    let offer = venue.offers().iter().find(|offer| offer.stream == stream);
    let Some(history) = offer.and_then(|offer| offer.history) else {
        let why = format!("{} keeps no past of {stream}", venue.name());
        lost.push(Lost { stream, span: wish.span, why });
        return None;
    };
    let settled = wish.now.before(wish.settle);
    let (first, end): (fn(Stream, Timestamp) -> Timestamp, _) = (
        first_unit,
        match stream {
            Stream::Candle(unit) => unit.opening(settled),
            Stream::Trade
            | Stream::Orderbook
            | Stream::Ticker
            | Stream::Instrument
            | Stream::Unread => settled,
        },
    );
    let mut from = first(stream, wish.span.from());
    let to = first(stream, wish.span.to()).min(end);
    if let Some(earliest) = history.earliest(wish.now)
        && from < earliest
    {
        if let Some(span) = Span::new(from, to.min(earliest)) {
            let why = format!("{} keeps {stream} from {earliest} on", venue.name());
            lost.push(Lost { stream, span, why });
        }
        from = first(stream, earliest);
    }
    Span::new(from, to)
}

fn first_unit(stream: Stream, at: Timestamp) -> Timestamp {
    match stream {
        Stream::Candle(unit) => unit.opening_from(at),
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => at,
    }
}

/// The spans of `missing`, joined where asking for what is held between them costs no page more.
fn joined(wish: &Wish<'_>, stream: Stream, missing: &Spans) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for span in missing.iter() {
        let wider = spans.last().and_then(|last| Span::new(last.from(), span.to()));
        if let (Stream::Candle(_), Some(last), Some(wider)) = (stream, spans.last_mut(), wider)
            && pages(wish, stream, wider) <= pages(wish, stream, *last) + pages(wish, stream, span)
        {
            *last = wider;
            continue;
        }
        spans.push(span);
    }
    spans.reverse();
    spans
}

/// Cuts a span of candles into jobs, the newest first. `all` is how many pages the whole plan has.
fn cut(wish: &Wish<'_>, unit: CandleUnit, span: Span, all: u64) -> Vec<Span> {
    let pages = pages(wish, Stream::Candle(unit), span);
    // Enough to work side by side, but only where the plan has few others.
    let few = JOBS_AT_ONCE.saturating_mul(pages).checked_div(all).unwrap_or(1);
    let worth = pages / PAGES_WORTH_A_JOB;
    let count = few.min(worth).max(pages.div_ceil(PAGES_PER_JOB)).max(1);
    let step = span.length() / u32::try_from(count).unwrap_or(u32::MAX);
    let mut pieces = Vec::new();
    let mut from = span.from();
    while let Some(left) = Span::new(from, span.to()) {
        let to = unit.opening_from(from.after(step)).min(span.to());
        let piece = Span::new(from, to).unwrap_or(left);
        pieces.push(piece);
        from = piece.to();
    }
    pieces.reverse();
    pieces
}

fn planned(wish: &Wish<'_>, stream: Stream, market: &Market, span: Span) -> Planned {
    let rows = match stream {
        Stream::Candle(unit) => windows(unit, span),
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => {
            let rate = wish.trades_per_day.get(market).copied().unwrap_or(TRADES_PER_DAY);
            whole(rate * span.length().as_secs_f64() / DAY.as_secs_f64())
        }
    };
    let pages = rows.div_ceil(rows_per_page(wish, stream)).max(1);
    // The last page of a day of trades is one without rows.
    let end = u64::from(!matches!(stream, Stream::Candle(_)));
    Planned { stream, market: market.clone(), span, pages, calls: pages + end, rows }
}

/// Pages of a span of candles, where all of their windows exist; one where that cannot be known.
fn pages(wish: &Wish<'_>, stream: Stream, span: Span) -> u64 {
    match stream {
        Stream::Candle(unit) => windows(unit, span).div_ceil(rows_per_page(wish, stream)).max(1),
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => 1,
    }
}

fn windows(unit: CandleUnit, span: Span) -> u64 {
    let unit = unit.longest().as_micros();
    u64::try_from(span.length().as_micros().div_ceil(unit)).unwrap_or(u64::MAX)
}

fn rows_per_page(wish: &Wish<'_>, stream: Stream) -> u64 {
    let market = Market::new("");
    let ask = PastAsk { stream, market: &market, before: wish.now, id: None, now: wish.now };
    wish.venue.past("", &ask).map_or(1, |page| u64::from(page.rows.max(1)))
}

/// A number of rows; a guess that is no number is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "held to what fits, and a guess has no use for more"
)]
fn whole(guess: f64) -> u64 {
    guess.clamp(0.0, 1e15).ceil() as u64
}

#[cfg(test)]
mod tests;
