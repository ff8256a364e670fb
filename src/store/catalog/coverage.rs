//! What is held of each hour: rows, and for how long it was proven that we listened.

use std::collections::BTreeMap;
use std::time::Duration;

use smol_str::SmolStr;

use super::read::{Clause, Filter};
use super::{Catalog, CatalogError};
use crate::model::market::Market;
use crate::model::span::{Span, Spans};
use crate::model::subscription::Stream;
use crate::model::time::{HOUR_US, Timestamp};

/// One hour of one market of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveredHour {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The market; none where rows name none.
    pub market: Option<Market>,
    /// Its first instant.
    pub hour: Timestamp,
    /// Rows whose time lies in it.
    pub rows: u64,
    /// How much of it some session was proven to carry the market.
    pub covered: Duration,
}

/// Venue, stream and market, in the order of the answer; no market where rows name none.
pub type Subject = (String, Stream, Option<Market>);

impl Catalog {
    /// The hours with rows or with proof, as far as `filter` asks for them, by venue, stream,
    /// market and time. An hour that touches the span asked for is told whole.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn coverage(&self, filter: &Filter) -> Result<Vec<CoveredHour>, CatalogError> {
        let filter = Filter { within: filter.within.and_then(whole_hours), ..filter.clone() };
        let mut hours: BTreeMap<(Subject, Timestamp), (u64, Duration)> = BTreeMap::new();
        for (subject, spans) in self.live(&filter)? {
            for span in spans.iter().filter_map(|span| match filter.within {
                Some(within) => span.intersect(within),
                None => Some(span),
            }) {
                for (hour, covered) in cut(span) {
                    hours.entry((subject.clone(), hour)).or_default().1 += covered;
                }
            }
        }
        for (subject, hour, rows) in self.recorded(&filter)? {
            hours.entry((subject, hour)).or_default().0 += rows;
        }
        let told = hours.into_iter().map(|(((venue, stream, market), hour), (rows, covered))| {
            CoveredHour { venue: venue.into(), stream, market, hour, rows, covered }
        });
        Ok(told.collect())
    }

    /// The spans of `filter`'s venue in which its markets were proven live, united over sessions.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn proven(
        &self,
        filter: &Filter,
    ) -> Result<BTreeMap<(Stream, Market), Spans>, CatalogError> {
        let live = self.live(filter)?.into_iter();
        Ok(live
            .filter_map(|((_, stream, market), spans)| Some(((stream, market?), spans)))
            .collect())
    }

    /// The spans proven live, united over sessions.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn live(&self, filter: &Filter) -> Result<BTreeMap<Subject, Spans>, CatalogError> {
        let mut clause = Clause::of(filter, Some("market"), Some(["from_us <", "to_us >"]));
        let found = self.read(|db| {
            let select = match filter.within {
                Some(within) => {
                    let apart = apart(db)?;
                    clause.and("opened <", within.to().after(apart));
                    clause.and("proven_until >", within.from().before(apart));
                    LIVE_ABOUT
                }
                None => "SELECT venue, stream, market, from_us, to_us FROM spans",
            };
            clause.all(db, select, "", |row| {
                let to: Option<Timestamp> = row.get(4)?;
                let span = to.and_then(|to| Some(Span::new(row.get(3).ok()?, to))).flatten();
                Ok(((row.get(0)?, row.get(1)?, row.get(2)?), span))
            })
        })?;
        let mut live: BTreeMap<Subject, Spans> = BTreeMap::new();
        for (subject, span) in found {
            let Some(span) = span else { continue };
            live.entry(subject).or_default().insert(span);
        }
        Ok(live)
    }

    /// From the first to the last instant of which anything is known: rows, proof or gaps; none in an
    /// empty catalog.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn extent(&self) -> Result<Option<Span>, CatalogError> {
        let sql = "SELECT (SELECT min(hour) FROM hours), (SELECT max(hour) FROM hours),
            (SELECT min(opened) FROM sessions), (SELECT min(from_us) FROM gaps),
            (SELECT max(from_us) FROM gaps), (SELECT max(to_us) FROM gaps)";
        let mut known: Vec<Timestamp> = self.read(|db| {
            let ends = db.query_row(sql, [], |row| {
                (0..6)
                    .map(|place| row.get::<_, Option<Timestamp>>(place))
                    .collect::<rusqlite::Result<Vec<_>>>()
            })?;
            Ok(ends.into_iter().flatten().collect())
        })?;
        known.extend(self.latest_proofs()?.into_iter().map(|one| one.until));
        let (first, last) = (known.iter().min(), known.iter().max());
        let apart = self.read(apart)?;
        Ok(first.zip(last).and_then(|(first, last)| {
            Span::new(first.before(apart).hour(), last.after(apart).hour().after(HOUR))
        }))
    }

    /// The rows of each hour that has some.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn recorded(
        &self,
        filter: &Filter,
    ) -> Result<Vec<(Subject, Timestamp, u64)>, CatalogError> {
        let clause = Clause::of(filter, Some("market"), Some(["hour <", "hour >="]));
        let select = "SELECT venue, stream, nullif(market, ''), hour, rows FROM hours";
        self.read(|db| {
            clause.all(db, select, "", |row| {
                Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?, row.get(4)?))
            })
        })
    }
}

/// How far the ends of a session and those of its spans may lie apart: both are stamped by the same
/// clock, but for as much as that was set in between.
fn apart(db: &rusqlite::Connection) -> rusqlite::Result<Duration> {
    let sql = "SELECT total(abs(by_us)) FROM clock_steps";
    let set: f64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(SLACK.saturating_add(Duration::try_from_secs_f64(set / 1e6).unwrap_or(Duration::MAX)))
}

/// The hours that `span` touches, as one span.
fn whole_hours(span: Span) -> Option<Span> {
    let last = span.to().before(Duration::from_micros(1)).hour();
    Span::new(span.from().hour(), last.after(HOUR))
}

/// By how much a span may begin before its session, or end after it, with a clock that nobody set.
const SLACK: Duration = Duration::from_hours(1);
/// The spans by the sessions that were up at a time: the times of sessions are in an index.
const LIVE_ABOUT: &str = "SELECT venue, stream, market, from_us, to_us FROM (
        SELECT live.venue, live.stream, live.market, live.from_us, up.opened, up.proven_until,
            coalesce(live.to_us, up.proven_until) AS to_us
        FROM sessions AS up CROSS JOIN live ON live.session = up.id)";
const HOUR: Duration = Duration::from_micros(HOUR_US.unsigned_abs());

/// The hours of `span`, and how much of each lies in it.
fn cut(span: Span) -> impl Iterator<Item = (Timestamp, Duration)> {
    let mut from = span.from();
    std::iter::from_fn(move || {
        let piece = Span::new(from, span.to().min(from.hour().after(HOUR)))?;
        from = piece.to();
        Some((piece.from().hour(), piece.length()))
    })
}
