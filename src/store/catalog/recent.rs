//! Questions of whoever watches: the newest rows, and no more of them than fit a page.

use std::collections::{BTreeMap, BTreeSet};

use super::read::{gap, session};
use super::{Catalog, CatalogError, HourLags, LagRows, SessionRow};
use crate::model::event::ClockStep;
use crate::model::gap::{Gap, GapState};
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// How many gaps there are of each state.
pub type GapCounts = BTreeMap<GapState, u64>;

impl Catalog {
    /// The gaps that began last, newest first, `limit` of them at most.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn newest_gaps(&self, limit: u32) -> Result<Vec<(i64, Gap)>, CatalogError> {
        let sql = "SELECT * FROM gaps ORDER BY id DESC LIMIT ?1";
        self.read(|db| db.prepare_cached(sql)?.query_map([limit], gap)?.collect())
    }

    /// The gaps with a number above `known`, in the order of their numbers, `limit` of them at most.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn gaps_after(&self, known: i64, limit: u32) -> Result<Vec<(i64, Gap)>, CatalogError> {
        let sql = "SELECT * FROM gaps WHERE id > ?1 ORDER BY id LIMIT ?2";
        self.read(|db| db.prepare_cached(sql)?.query_map((known, limit), gap)?.collect())
    }

    /// The highest number of a gap, 0 where there is none; and the numbers of those that last.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn lasting_gaps(&self) -> Result<(i64, BTreeSet<i64>), CatalogError> {
        self.read(|db| {
            let highest = "SELECT coalesce(max(id), 0) FROM gaps";
            let highest = db.prepare_cached(highest)?.query_row([], |row| row.get(0))?;
            let mut lasting = db.prepare_cached("SELECT id FROM gaps WHERE to_us IS NULL")?;
            let lasting = lasting.query_map([], |row| row.get(0))?;
            Ok((highest, lasting.collect::<rusqlite::Result<_>>()?))
        })
    }

    /// How many gaps there are of each state; a state without any is told as 0.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn gap_counts(&self) -> Result<GapCounts, CatalogError> {
        let mut counts: GapCounts = GapState::ALL.iter().map(|state| (*state, 0)).collect();
        let sql = "SELECT state, count(*) FROM gaps GROUP BY state";
        self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            let rows = sql.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            for row in rows {
                let (state, count) = row?;
                counts.insert(state, count);
            }
            Ok(counts)
        })
    }

    /// The sessions that were opened last, oldest first, `limit` of them at most.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn newest_sessions(&self, limit: u32) -> Result<Vec<SessionRow>, CatalogError> {
        let sql = "SELECT * FROM (SELECT * FROM sessions ORDER BY id DESC LIMIT ?1) ORDER BY id";
        self.read(|db| db.prepare_cached(sql)?.query_map([limit], session)?.collect())
    }

    /// The latest steps of the wall clock, newest first, `limit` of them at most.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn clock_steps(&self, limit: u32) -> Result<Vec<ClockStep>, CatalogError> {
        let sql = "SELECT at, by_us FROM clock_steps ORDER BY id DESC LIMIT ?1";
        let step = |row: &rusqlite::Row<'_>| {
            Ok(ClockStep { at: row.get("at")?, by_us: row.get("by_us")? })
        };
        self.read(|db| db.prepare_cached(sql)?.query_map([limit], step)?.collect())
    }

    /// How long the messages of a stream were on their way in one hour of arrival, by bucket.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn lags(
        &self,
        venue: &str,
        stream: Stream,
        hour: Timestamp,
    ) -> Result<Vec<LagRows>, CatalogError> {
        let sql = "SELECT upto_us, records, max_us FROM lags
            WHERE venue = ?1 AND stream = ?2 AND hour = ?3 ORDER BY upto_us";
        self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            let rows = sql.query_map((venue, stream, hour), |row| {
                let upto: i64 = row.get(0)?;
                let bounded = (upto != i64::MAX).then(|| u64::try_from(upto).unwrap_or(0));
                Ok(LagRows { upto_us: bounded, records: row.get(1)?, max_us: row.get(2)? })
            })?;
            rows.collect()
        })
    }

    /// How long the messages of every stream were on their way in the hours of arrival from `since`
    /// on, by venue, stream and hour.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn lags_since(&self, since: Timestamp) -> Result<Vec<HourLags>, CatalogError> {
        let sql = "SELECT DISTINCT venue, stream, hour FROM lags WHERE hour >= ?1
            ORDER BY venue, stream, hour";
        let hours: Vec<(String, Stream, Timestamp)> = self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            let rows = sql.query_map([since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect()
        })?;
        let each = hours.into_iter().map(|(venue, stream, hour)| {
            let buckets = self.lags(&venue, stream, hour)?;
            Ok(HourLags { venue: venue.into(), stream, hour, buckets })
        });
        each.collect()
    }

    /// The markets that rows of a stream name, in order, `limit` of them at most.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn markets_of(
        &self,
        venue: &str,
        stream: Stream,
        limit: u32,
    ) -> Result<Vec<Market>, CatalogError> {
        // From one market to the next in the index.
        let sql = "WITH RECURSIVE found (market) AS (
                SELECT min(market) FROM hours WHERE venue = ?1 AND stream = ?2 AND market > ''
                UNION ALL
                SELECT (SELECT min(market) FROM hours WHERE venue = ?1 AND stream = ?2 AND market > found.market)
                FROM found WHERE found.market IS NOT NULL
            ) SELECT market FROM found WHERE market IS NOT NULL LIMIT ?3";
        self.read(|db| {
            let mut sql = db.prepare_cached(sql)?;
            sql.query_map((venue, stream, limit), |row| row.get(0))?.collect()
        })
    }

    /// The time of the last row of a market; none where there is no row.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn last_row(
        &self,
        venue: &str,
        stream: Stream,
        market: &Market,
    ) -> Result<Option<Timestamp>, CatalogError> {
        let sql = "SELECT max(last) FROM hours WHERE venue = ?1 AND stream = ?2 AND market = ?3";
        self.read(|db| db.prepare_cached(sql)?.query_row((venue, stream, market), |row| row.get(0)))
    }
}
