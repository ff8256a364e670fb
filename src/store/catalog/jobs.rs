//! Work on the past, as the catalog keeps it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::read::{Clause, Filter, gap};
use super::{Catalog, CatalogError};
use crate::model::gap::Gap;
use crate::model::job::{Job, Reached};
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// The first condition is that of the index.
const WAITING: &str = "SELECT * FROM gaps
    WHERE (to_us IS NULL OR state = 'open') AND state = 'open' AND to_us IS NOT NULL ORDER BY id";

impl Catalog {
    /// The jobs that `filter` asks for, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn jobs(&self, filter: &Filter) -> Result<Vec<Job>, CatalogError> {
        let clause = Clause::of(filter, Some("market"), Some(["from_us <", "to_us >"]));
        self.read(|db| clause.all(db, "SELECT * FROM jobs", "ORDER BY id", job))
    }

    /// The jobs that are not over, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn unfinished_jobs(&self) -> Result<Vec<Job>, CatalogError> {
        self.read(unfinished)
    }

    /// The jobs that are to close a gap, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn jobs_of_gap(&self, gap: i64) -> Result<Vec<Job>, CatalogError> {
        let sql = "SELECT * FROM jobs WHERE gap = ?1 ORDER BY id";
        self.read(|db| db.prepare_cached(sql)?.query_map([gap], job)?.collect())
    }

    /// The gaps that ended and wait for repair, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn waiting_gaps(&self) -> Result<Vec<(i64, Gap)>, CatalogError> {
        self.read(|db| db.prepare_cached(WAITING)?.query_map([], gap)?.collect())
    }

    /// The rows of each market of a stream in the hours from `since` on.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn rows_since(
        &self,
        venue: &str,
        stream: Stream,
        since: Timestamp,
    ) -> Result<HashMap<Market, u64>, CatalogError> {
        let sql = "SELECT market, sum(rows) FROM hours
            WHERE venue = ?1 AND stream = ?2 AND hour >= ?3 GROUP BY market";
        self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            let rows =
                sql.query_map((venue, stream, since), |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
    }

    /// The gap with this number.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn gap(&self, id: i64) -> Result<Option<Gap>, CatalogError> {
        let sql = "SELECT * FROM gaps WHERE id = ?1";
        let found = self.read(|db| db.prepare_cached(sql)?.query_row([id], gap).optional())?;
        Ok(found.map(|(_, gap)| gap))
    }
}

/// The jobs that are not over.
pub(super) const UNFINISHED: &str =
    "SELECT * FROM jobs WHERE state IN ('planned', 'running') ORDER BY id";

pub(super) fn unfinished(db: &Connection) -> rusqlite::Result<Vec<Job>> {
    db.prepare_cached(UNFINISHED)?.query_map([], job)?.collect()
}

pub(super) fn put_job(tx: &Connection, job: &Job) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO jobs (id, kind, venue, stream, market, from_us, to_us, gap,
            state, rows, known, calls, error, reached_us, reached_id)
        VALUES (:id, :kind, :venue, :stream, :market, :from, :to, :gap,
            :state, :rows, :known, :calls, :error, :reached_us, :reached_id)";
    tx.prepare_cached(sql)?.execute(named_params! {
        ":id": job.id, ":kind": job.kind, ":venue": job.venue.as_str(), ":stream": job.stream,
        ":market": job.market, ":from": job.span.from(), ":to": job.span.to(), ":gap": job.gap,
        ":state": job.state, ":rows": job.rows, ":known": job.known, ":calls": job.calls,
        ":error": job.error, ":reached_us": job.reached.map(|reached| reached.at),
        ":reached_id": job.reached.and_then(|reached| reached.id),
    })?;
    Ok(())
}

pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let venue: String = row.get("venue")?;
    let (from, to): (Timestamp, Timestamp) = (row.get("from_us")?, row.get("to_us")?);
    let empty = || rusqlite::Error::IntegralValueOutOfRange(0, to.micros());
    let reached: Option<Timestamp> = row.get("reached_us")?;
    let id = row.get("reached_id")?;
    Ok(Job {
        id: row.get("id")?,
        kind: row.get("kind")?,
        venue: venue.into(),
        stream: row.get("stream")?,
        market: row.get("market")?,
        span: Span::new(from, to).ok_or_else(empty)?,
        gap: row.get("gap")?,
        state: row.get("state")?,
        rows: row.get("rows")?,
        known: row.get("known")?,
        calls: row.get("calls")?,
        error: row.get("error")?,
        reached: reached.map(|at| Reached { at, id }),
    })
}
