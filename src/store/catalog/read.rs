//! Questions to the catalog.

#[cfg(test)]
use rusqlite::StatementStatus;
use rusqlite::{Connection, Row, ToSql, params_from_iter};
use smol_str::SmolStr;

use super::{Catalog, CatalogError, InstrumentRow, SessionRow, SessionTally};
use crate::model::gap::Gap;
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::segment::{Ends, Segment};

/// Which rows are asked for. What is not given does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Of this venue.
    pub venue: Option<SmolStr>,
    /// Of this stream.
    pub stream: Option<Stream>,
    /// Of this market; a gap of all markets is one of this as well. No matter for files, which
    /// hold many.
    pub market: Option<Market>,
    /// Touching this span.
    pub within: Option<Span>,
}

/// What is held of one stream of one venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSummary {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// Markets that rows name.
    pub markets: u64,
    /// Files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The earliest time of a row.
    pub first_event: Timestamp,
    /// The latest time of a row.
    pub last_event: Timestamp,
}

/// A file whose rows are in other files now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// Its number.
    pub number: u64,
    /// Its path, from the data folder on.
    pub path: String,
}

impl Catalog {
    /// The files with rows that `filter` asks for, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn segments(&self, filter: &Filter) -> Result<Vec<Segment>, CatalogError> {
        let clause = Clause::of(filter, None, Some(["ts_event_min <", "ts_event_max >="]));
        self.read(|db| clause.all(db, "SELECT * FROM segments", "ORDER BY number", segment))
    }

    /// The files of `stream` that have rows of a time within `first..=last`: where a row of such a
    /// time is, if it is published.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn covering(
        &self,
        venue: &str,
        stream: Stream,
        first: Timestamp,
        last: Timestamp,
    ) -> Result<Vec<Segment>, CatalogError> {
        // A file holds one day, so the index need not be read from its beginning.
        let day = crate::model::time::HOUR_US * 24;
        let earliest = Timestamp::from_micros(first.micros() - first.micros().rem_euclid(day));
        let sql = "SELECT * FROM segments WHERE venue = ?1 AND stream = ?2
            AND ts_event_min BETWEEN ?3 AND ?5 AND ts_event_max >= ?4 ORDER BY number";
        self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            let rows = sql.query_map((venue, stream, earliest, first, last), segment)?;
            rows.collect()
        })
    }

    /// The files with rows of frames within `frames`, or with rows that arrived within `recv`, as
    /// far as their ends tell, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn holding(&self, frames: Ends<i64>, recv: Span) -> Result<Vec<Segment>, CatalogError> {
        let sql = "SELECT * FROM segments WHERE (frame_min <= ?2 AND frame_max >= ?1)
            OR (ts_recv_min < ?4 AND ts_recv_max >= ?3) ORDER BY number";
        self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            let values = (frames.min, frames.max, recv.from(), recv.to());
            let rows = sql.query_map(values, segment)?;
            rows.collect()
        })
    }

    /// Whether the file with this number and path is published.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn knows(&self, name: &crate::store::paths::PartName) -> Result<bool, CatalogError> {
        let sql = "SELECT count(*) FROM segments WHERE number = ?1 AND path = ?2";
        self.read(|db| db.prepare_cached(sql)?.query_row((name.number, name), |row| row.get(0)))
    }

    /// The files whose rows are in other files now, and which may still lie on the disk.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn retired(&self) -> Result<Vec<Retired>, CatalogError> {
        let clause = Clause::default();
        self.read(|db| {
            clause.all(db, "SELECT number, path FROM retired", "ORDER BY number", |row| {
                Ok(Retired { number: row.get(0)?, path: row.get(1)? })
            })
        })
    }

    /// Forgets retired files: they are off the disk.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn forget(&mut self, retired: &[Retired]) -> Result<(), CatalogError> {
        let fault = CatalogError::sqlite("publish to", &self.path);
        let tx = self.db.transaction().map_err(&fault)?;
        for one in retired {
            tx.execute("DELETE FROM retired WHERE number = ?1", [one.number]).map_err(&fault)?;
        }
        tx.commit().map_err(&fault)
    }

    /// What is held, by venue and stream.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn summary(&self) -> Result<Vec<StreamSummary>, CatalogError> {
        let sql = "SELECT venue, stream, count(*), sum(rows), sum(bytes), min(ts_event_min), max(ts_event_max)
            FROM segments GROUP BY venue, stream ORDER BY venue, stream";
        self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            let rows = sql.query_map([], |row| {
                let (venue, stream): (String, Stream) = (row.get(0)?, row.get(1)?);
                Ok(StreamSummary {
                    markets: markets(db, &venue, stream)?,
                    venue: venue.into(),
                    stream,
                    files: row.get(2)?,
                    rows: row.get(3)?,
                    bytes: row.get(4)?,
                    first_event: row.get(5)?,
                    last_event: row.get(6)?,
                })
            })?;
            rows.collect()
        })
    }

    /// The gaps that `filter` asks for, in the order they were written.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn gaps(&self, filter: &Filter) -> Result<Vec<(i64, Gap)>, CatalogError> {
        let market = Some("market IS NULL OR market");
        let clause = Clause::of(filter, market, Some(["from_us <", "to_us IS NULL OR to_us >"]));
        // With the sign they are put in order after they are found, and are found by their end.
        let order = if filter.within.is_some() { "ORDER BY +id" } else { "ORDER BY id" };
        self.read(|db| clause.all(db, "SELECT * FROM gaps", order, gap))
    }

    /// The sessions of `filter`'s venue that were up within its span, in the order of their
    /// numbers.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn sessions(&self, filter: &Filter) -> Result<Vec<SessionRow>, CatalogError> {
        let filter = Filter { stream: None, market: None, ..filter.clone() };
        let clause = Clause::of(&filter, None, Some(["opened <", "closed IS NULL OR closed >"]));
        self.read(|db| clause.all(db, "SELECT * FROM sessions", "ORDER BY id", session))
    }

    /// The markets of `venue`, as it last listed them.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn instruments(&self, venue: &str) -> Result<Vec<InstrumentRow>, CatalogError> {
        let filter = Filter { venue: Some(venue.into()), ..Filter::default() };
        let clause = Clause::of(&filter, None, None);
        self.read(|db| clause.all(db, "SELECT * FROM instruments", "ORDER BY market", instrument))
    }

    /// What the last start recovered, as JSON.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn recovery(&self) -> Result<Option<String>, CatalogError> {
        let sql = "SELECT max(value) FROM meta WHERE key = 'recovery'";
        self.read(|db| db.query_row(sql, [], |row| row.get(0)))
    }
}

/// Counts markets by jumping from one to the next in the index.
fn markets(db: &Connection, venue: &str, stream: Stream) -> rusqlite::Result<u64> {
    let sql = "WITH RECURSIVE found (market) AS (
            SELECT min(market) FROM hours WHERE venue = ?1 AND stream = ?2 AND market > ''
            UNION ALL
            SELECT (SELECT min(market) FROM hours WHERE venue = ?1 AND stream = ?2 AND market > found.market)
            FROM found WHERE found.market IS NOT NULL
        ) SELECT count(market) FROM found";
    db.prepare_cached(sql)?.query_row((venue, stream), |row| row.get(0))
}

#[cfg(test)]
thread_local! {
    /// How many steps the questions of this thread took.
    pub(super) static STEPS: std::cell::Cell<i32> = const { std::cell::Cell::new(0) };
}

/// A `WHERE` clause made of what a [`Filter`] gives, so that indexes serve it.
#[derive(Default)]
pub(super) struct Clause {
    conditions: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
}

impl Clause {
    /// `market` is what stands before `= ?`; `span` what stands before the end and before the
    /// beginning of the span asked for, for a row that touches it. None where the table has no such
    /// thing.
    pub(super) fn of(filter: &Filter, market: Option<&str>, span: Option<[&str; 2]>) -> Self {
        let mut clause = Self::default();
        if let Some(venue) = &filter.venue {
            clause.and("venue =", venue.to_string());
        }
        if let Some(stream) = filter.stream {
            clause.and("stream =", stream);
        }
        if let (Some(expression), Some(market)) = (market, filter.market.clone()) {
            clause.and(&format!("{expression} ="), market);
        }
        if let (Some([from, to]), Some(within)) = (span, filter.within) {
            clause.and(from, within.to());
            clause.and(to, within.from());
        }
        clause
    }

    /// One more condition: what stands before the value.
    pub(super) fn and(&mut self, expression: &str, value: impl ToSql + 'static) {
        self.values.push(Box::new(value));
        self.conditions.push(format!("({expression} ?{})", self.values.len()));
    }

    /// Every row that meets it.
    pub(super) fn all<T>(
        &self,
        db: &Connection,
        select: &str,
        order: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let only = if self.conditions.is_empty() { "" } else { "WHERE" };
        let sql = format!("{select} {only} {} {order}", self.conditions.join(" AND "));
        let mut sql = db.prepare_cached(&sql)?;
        let rows = sql.query_map(params_from_iter(&self.values), read)?.collect();
        #[cfg(test)]
        STEPS.with(|steps| steps.set(steps.get() + sql.reset_status(StatementStatus::VmStep)));
        rows
    }
}

fn segment(row: &Row<'_>) -> rusqlite::Result<Segment> {
    Ok(Segment {
        name: row.get("path")?,
        rows: row.get("rows")?,
        bytes: row.get("bytes")?,
        blake3: row.get("blake3")?,
        format_version: row.get("format_version")?,
        ts_event: Ends { min: row.get("ts_event_min")?, max: row.get("ts_event_max")? },
        ts_recv: Ends { min: row.get("ts_recv_min")?, max: row.get("ts_recv_max")? },
        frames: Ends { min: row.get("frame_min")?, max: row.get("frame_max")? },
    })
}

pub(super) fn gap(row: &Row<'_>) -> rusqlite::Result<(i64, Gap)> {
    let venue: String = row.get("venue")?;
    let gap = Gap {
        venue: venue.into(),
        stream: row.get("stream")?,
        market: row.get("market")?,
        from: row.get("from_us")?,
        to: row.get("to_us")?,
        cause: row.get("cause")?,
        state: row.get("state")?,
        rows_repaired: row.get("rows_repaired")?,
        source: row.get("source")?,
        detail: row.get("detail")?,
    };
    Ok((row.get("id")?, gap))
}

pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let venue: String = row.get("venue")?;
    Ok(SessionRow {
        id: row.get("id")?,
        venue: venue.into(),
        endpoint: row.get("endpoint")?,
        subscriptions: row.get("subscriptions")?,
        opened: row.get("opened")?,
        first_data: row.get("first_data")?,
        closed: row.get("closed")?,
        why: row.get("why")?,
        frames: row.get("frames")?,
        bytes: row.get("bytes")?,
        proven_until: row.get("proven_until")?,
        tally: SessionTally {
            records: row.get("records")?,
            duplicates: row.get("duplicates")?,
            led: row.get("led")?,
            lead_us: row.get("lead_us")?,
        },
    })
}

fn instrument(row: &Row<'_>) -> rusqlite::Result<InstrumentRow> {
    let venue: String = row.get("venue")?;
    Ok(InstrumentRow {
        venue: venue.into(),
        market: row.get("market")?,
        listed: row.get("listed")?,
        name_local: row.get("name_local")?,
        name_english: row.get("name_english")?,
        warning: row.get("warning")?,
        caution: row.get("caution")?,
        first_seen: row.get("first_seen")?,
        last_changed: row.get("last_changed")?,
    })
}
