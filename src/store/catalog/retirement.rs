//! What a policy took away, and which files hold one market alone.

use std::collections::BTreeMap;

use rusqlite::{Row, Transaction, params};

use super::read::Clause;
use super::rows::Retirement;
use super::{Catalog, CatalogError, Filter};
use crate::model::market::Market;
use crate::model::span::Span;

impl Catalog {
    /// What policies took away, as far as `filter` asks for it, in the order it went.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn retirements(&self, filter: &Filter) -> Result<Vec<Retirement>, CatalogError> {
        let clause = Clause::of(filter, None, Some(["from_us <", "to_us >"]));
        let select = "SELECT * FROM retirements";
        let rows = self.read(|db| clause.all(db, select, "ORDER BY id", retirement))?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Every market that rows were recorded of.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn markets(&self) -> Result<Vec<Market>, CatalogError> {
        let sql = "SELECT DISTINCT market FROM hours WHERE market > '' ORDER BY market";
        self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            let rows = sql.query_map([], |row| row.get(0))?;
            rows.collect()
        })
    }

    /// The files that hold one market alone, because they were made so.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn of_one_market(&self) -> Result<BTreeMap<u64, Market>, CatalogError> {
        let sql = "SELECT number, market FROM segments WHERE market IS NOT NULL";
        self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            let rows = sql.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
    }
}

fn retirement(row: &Row<'_>) -> rusqlite::Result<Option<Retirement>> {
    let venue: String = row.get("venue")?;
    let Some(span) = Span::new(row.get("from_us")?, row.get("to_us")?) else { return Ok(None) };
    Ok(Some(Retirement {
        venue: venue.into(),
        stream: row.get("stream")?,
        span,
        files: row.get("files")?,
        rows: row.get("rows")?,
        bytes: row.get("bytes")?,
        policy: row.get("policy")?,
        at: row.get("retired_at")?,
    }))
}

/// Notes what goes.
pub(super) fn put(tx: &Transaction<'_>, one: &Retirement) -> rusqlite::Result<()> {
    let sql = "INSERT INTO retirements (venue, stream, from_us, to_us, files, rows, bytes, policy, retired_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let Retirement { venue, stream, span, files, rows, bytes, policy, at } = one;
    tx.prepare_cached(sql)?.execute(params![
        venue.as_str(),
        stream,
        span.from(),
        span.to(),
        files,
        rows,
        bytes,
        policy,
        at
    ])?;
    Ok(())
}
