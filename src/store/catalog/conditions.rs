//! Whether all of an hour is here: what `verify` found, with what it saw.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::params;
use smol_str::SmolStr;

use super::coverage::Subject;
use super::read::{Clause, Filter};
use super::{Catalog, CatalogError};
use crate::model::condition::Condition;
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// The condition of one hour of one market of a stream, and what it was found from: it says nothing
/// any more once the catalog says something else of the hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionRow {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The market.
    pub market: Market,
    /// The hour's first instant.
    pub hour: Timestamp,
    /// The outcome.
    pub condition: Condition,
    /// Rows that the catalog counted in the hour.
    pub rows: u64,
    /// How much of the hour was proven live. Unit: microseconds.
    pub covered_us: u64,
    /// What the rows were compared with.
    pub evidence: Vec<Stream>,
    /// Rows that the catalog counted of that.
    pub evidence_rows: u64,
    /// A number for the gaps of the stream and of the evidence that lie in the hour.
    pub ledger: i64,
    /// The numbers that decided it, as JSON.
    pub numbers: String,
    /// When it was found. Clock: ours.
    pub checked_at: Timestamp,
}

/// Jobs that are done, and whether they took more than [`SHORT`], as their index tells them.
const DONE: &str = "SELECT * FROM (SELECT venue, stream, market, from_us, to_us,
    to_us - from_us > 172800000000 AS long FROM jobs WHERE state = 'done')";
/// A job of so much at most ends so soon after anything that it touches.
const SHORT: Duration = Duration::from_hours(48);

impl Catalog {
    /// The conditions that `filter` asks for, by venue, stream, market and hour.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn conditions(&self, filter: &Filter) -> Result<Vec<ConditionRow>, CatalogError> {
        let clause = Clause::of(filter, Some("market"), Some(["hour <", "hour >="]));
        let order = "ORDER BY venue, stream, market, hour";
        self.read(|db| clause.all(db, "SELECT * FROM conditions", order, condition))
    }

    /// Stores conditions; what is known of the same hour is replaced.
    ///
    /// # Errors
    ///
    /// When SQLite says no. None of them is stored then.
    pub fn put_conditions(&mut self, rows: &[ConditionRow]) -> Result<(), CatalogError> {
        let fault = CatalogError::sqlite("publish to", &self.path);
        let tx = self.db.transaction().map_err(&fault)?;
        for row in rows {
            put(&tx, row).map_err(&fault)?;
        }
        tx.commit().map_err(&fault)
    }

    /// The spans of finished work on the past: what was asked for by REST, and is here as far as the
    /// venue has it.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn asked_again(&self, filter: &Filter) -> Result<Vec<(Subject, Span)>, CatalogError> {
        let mut found = Vec::new();
        for long in [0, 1] {
            let mut clause = Clause::of(filter, Some("market"), Some(["from_us <", "to_us >"]));
            clause.and("long =", long);
            if let (0, Some(within)) = (long, filter.within) {
                clause.and("to_us <=", within.to().after(SHORT));
            }
            found.extend(self.read(|db| {
                clause.all(db, DONE, "", |row| {
                    let subject = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(Span::new(row.get(3)?, row.get(4)?).map(|span| (subject, span)))
                })
            })?);
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Up to when everything that arrived from each venue is published: what came later may wait
    /// in the journal.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn arrived(&self) -> Result<BTreeMap<SmolStr, Timestamp>, CatalogError> {
        let sql = "SELECT venue, max(ts_recv_max) FROM segments GROUP BY venue";
        self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            let rows =
                sql.query_map([], |row| Ok((row.get::<_, String>(0)?.into(), row.get(1)?)))?;
            rows.collect()
        })
    }
}

fn put(tx: &rusqlite::Connection, row: &ConditionRow) -> rusqlite::Result<()> {
    let sql = "INSERT INTO conditions (venue, stream, market, hour, condition, rows, covered_us,
            evidence, evidence_rows, ledger, numbers, checked_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
        ON CONFLICT (venue, stream, market, hour) DO UPDATE SET condition = excluded.condition,
            rows = excluded.rows, covered_us = excluded.covered_us, evidence = excluded.evidence,
            evidence_rows = excluded.evidence_rows, ledger = excluded.ledger,
            numbers = excluded.numbers, checked_at = excluded.checked_at";
    let evidence: Vec<&str> = row.evidence.iter().map(|stream| stream.name()).collect();
    tx.prepare_cached(sql)?.execute(params![
        row.venue.as_str(),
        row.stream,
        row.market,
        row.hour,
        row.condition,
        row.rows,
        row.covered_us,
        evidence.join(","),
        row.evidence_rows,
        row.ledger,
        row.numbers,
        row.checked_at,
    ])?;
    Ok(())
}

fn condition(row: &rusqlite::Row<'_>) -> rusqlite::Result<ConditionRow> {
    let (venue, evidence): (String, String) = (row.get("venue")?, row.get("evidence")?);
    Ok(ConditionRow {
        venue: venue.into(),
        stream: row.get("stream")?,
        market: row.get("market")?,
        hour: row.get("hour")?,
        condition: row.get("condition")?,
        rows: row.get("rows")?,
        covered_us: row.get("covered_us")?,
        evidence: evidence.split(',').filter_map(|name| name.parse().ok()).collect(),
        evidence_rows: row.get("evidence_rows")?,
        ledger: row.get("ledger")?,
        numbers: row.get("numbers")?,
        checked_at: row.get("checked_at")?,
    })
}
