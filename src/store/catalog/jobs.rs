//! Work on the past, as the catalog keeps it.

use rusqlite::{Connection, Row, named_params};

use super::read::{Clause, Filter};
use super::{Catalog, CatalogError};
use crate::model::job::{Job, Reached};
use crate::model::span::Span;
use crate::model::time::Timestamp;

impl Catalog {
    /// The jobs that `filter` asks for, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn jobs(&self, filter: &Filter) -> Result<Vec<Job>, CatalogError> {
        let clause = Clause::of(filter, Some("market"), Some(["from_us", "to_us"]));
        self.read(|db| clause.all(db, "SELECT * FROM jobs", "ORDER BY id", job))
    }
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
