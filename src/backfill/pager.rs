//! One job, page by page, backwards in time. Pure.
//!
//! Invariants: each page that is taken leads further back, but for the first page of trades, which
//! may have only later ones, as the venue reads whole seconds; a window or an hour without rows is
//! not the end, which only a page without any row is, or one that reaches before the span; an
//! answer with a row of another market, stream or day is not taken.

use crate::model::job::Job;
use crate::model::market::Market;
use crate::model::record::{Body, Record};
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::venue::{PastAsk, PastPage, Venue};

/// Where a job stands.
#[derive(Debug, Clone)]
pub struct Pager {
    stream: Stream,
    market: Market,
    span: Span,
    /// Everything from here on is had.
    before: Timestamp,
    /// Of what happened at `before`, that which follows this.
    id: Option<i64>,
}

/// Why an answer cannot be the page that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPage {
    /// A row of something else.
    #[error("a row of {stream} {market} came where {asked} was asked for")]
    Other {
        /// The stream and market asked for.
        asked: String,
        /// The row's stream.
        stream: Stream,
        /// The row's market.
        market: Market,
    },
    /// A row of another time; around midnight the venue may mean another day than we do.
    #[error("a row of {at} came where {within} was asked for")]
    Time {
        /// The row's time.
        at: Timestamp,
        /// The times that the page can have.
        within: Span,
    },
    /// The page is where we are already.
    #[error("the page does not lead further back than {before}")]
    Still {
        /// Where we are.
        before: Timestamp,
    },
}

impl Pager {
    /// Goes on where the job is.
    #[must_use]
    pub fn new(job: &Job) -> Self {
        let (before, id) =
            job.reached.map_or((job.span.to(), None), |reached| (reached.at, reached.id));
        let (stream, market) = (job.stream, job.market.clone());
        Self { stream, market, span: job.span, before, id }
    }

    /// Whether all of the span is had.
    #[must_use]
    pub fn is_done(&self) -> bool {
        // Several trades can share the instant of the last one.
        self.before < self.span.from() || (self.id.is_none() && self.before == self.span.from())
    }

    /// How much of the span is had, of 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        let whole = self.span.length().as_secs_f64();
        let done = self.span.to().since(self.before.max(self.span.from()));
        (done.as_secs_f64() / whole).clamp(0.0, 1.0)
    }

    /// Where it stands: everything from there on is had.
    #[must_use]
    pub const fn before(&self) -> Timestamp {
        self.before
    }

    /// The next page; none where the venue does not have it any more.
    #[must_use]
    pub fn ask(&self, venue: &dyn Venue, base: &str, now: Timestamp) -> Option<PastPage> {
        let Self { stream, market, before, id, .. } = self;
        venue.past(base, &PastAsk { stream: *stream, market, before: *before, id: *id, now })
    }

    /// Goes on behind the records of `page`.
    ///
    /// # Errors
    ///
    /// When they cannot be those of `page`; nothing has changed then.
    pub fn take(&mut self, page: &PastPage, records: &[Record]) -> Result<(), BadPage> {
        let mut earliest: Option<(Timestamp, Option<i64>)> = None;
        for record in records {
            let Some((at, id)) = self.place(record) else {
                return Err(BadPage::Other {
                    asked: format!("{} {}", self.stream, self.market),
                    stream: record.stream,
                    market: record.market.clone(),
                });
            };
            if !page.within.contains(at) {
                return Err(BadPage::Time { at, within: page.within });
            }
            // Ids are no order: of rows of one instant the last on the page is the earliest.
            if earliest.is_none_or(|(before, _)| at <= before) {
                earliest = Some((at, id));
            }
        }
        let Some((at, id)) = earliest else {
            (self.before, self.id) = (page.within.from(), None);
            return Ok(());
        };
        let further = match (self.id, id) {
            // Asked for by the second: it may hold what came later in it alone. Its id leads back.
            (None, Some(_)) => true,
            (Some(had), Some(id)) => at < self.before || (at == self.before && id != had),
            (_, None) => at < self.before,
        };
        if !further {
            return Err(BadPage::Still { before: self.before });
        }
        (self.before, self.id) = (at, id);
        Ok(())
    }

    /// The time and the id of a record, where it is of this job's kind.
    fn place(&self, record: &Record) -> Option<(Timestamp, Option<i64>)> {
        if record.stream != self.stream || record.market != self.market {
            return None;
        }
        match &record.body {
            Body::Trade(trade) => Some((trade.ts_event, Some(trade.id))),
            Body::Candle(candle) => Some((candle.ts_open, None)),
            Body::Orderbook(_) | Body::Ticker(_) | Body::Instrument(_) | Body::Unread(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
