//! What a recorder has to know of the runs before it. Reads open and carried things only, through
//! their own indexes: its cost does not grow with what was recorded.

use std::collections::BTreeMap;

use rusqlite::Connection;
use smol_str::SmolStr;

#[cfg(test)]
use super::jobs::UNFINISHED;
use super::jobs::unfinished;
use super::read::{gap, session};
use super::{Carry, Catalog, CatalogError, SessionRow};
use crate::model::gap::Gap;
use crate::model::job::Job;
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// Where the run before stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The next number that neither a session nor a job has.
    pub next_session: i64,
    /// The next free segment number.
    pub next_segment: u64,
    /// Every frame below it is in published files or in `carries`.
    pub next_frame: u64,
    /// The next free gap number.
    pub next_gap: i64,
    /// The merge state of every market.
    pub carries: Vec<Carry>,
    /// The gaps that last, and those that wait for repair, by number.
    pub open_gaps: Vec<(i64, Gap)>,
    /// The jobs that are not over, by number.
    pub jobs: Vec<Job>,
    /// Up to when each market of each stream was last proven live.
    pub proven: Vec<Proven>,
    /// The sessions that were not closed: those of a process that died.
    pub unclosed: Vec<SessionRow>,
}

/// Up to when a market of a stream was proven live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The market.
    pub market: Market,
    /// The last proof. Clock: ours.
    pub until: Timestamp,
}

const NEXT_SESSION: &str = "SELECT coalesce(max(id), 0) + 1 FROM sessions";
const NEXT_JOB: &str = "SELECT coalesce(max(id), 0) + 1 FROM jobs";
const NEXT_GAP: &str = "SELECT coalesce(max(id), 0) + 1 FROM gaps";
const POSITION: &str = "SELECT value FROM meta WHERE key = ?1";
const CARRIES: &str = "SELECT venue, stream, market, state FROM carry";
const OPEN_GAPS: &str = "SELECT * FROM gaps WHERE to_us IS NULL OR state = 'open' ORDER BY id";
const UNCLOSED: &str = "SELECT * FROM sessions WHERE closed IS NULL ORDER BY id";
const PROVEN: &str = "SELECT venue, stream, market, until FROM proven";
const STILL_LIVE: &str = "SELECT live.venue, live.stream, live.market, sessions.proven_until
    FROM live JOIN sessions ON sessions.id = live.session
    WHERE live.to_us IS NULL AND sessions.proven_until IS NOT NULL";

/// All that a start asks.
#[cfg(test)]
pub(super) const QUERIES: [&str; 10] = [
    NEXT_SESSION,
    NEXT_JOB,
    NEXT_GAP,
    POSITION,
    CARRIES,
    OPEN_GAPS,
    UNCLOSED,
    PROVEN,
    STILL_LIVE,
    UNFINISHED,
];

impl Catalog {
    /// What a recorder needs to go on.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn start(&self) -> Result<Start, CatalogError> {
        self.read(|db| {
            let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
            let Position { next_segment, next_frame } = position(db)?;
            Ok(Start {
                next_session: number(NEXT_SESSION)?.max(number(NEXT_JOB)?),
                next_gap: number(NEXT_GAP)?,
                next_segment,
                next_frame,
                carries: carries(db)?,
                open_gaps: open_gaps(db)?,
                jobs: unfinished(db)?,
                proven: proven(db)?,
                unclosed: unclosed(db)?,
            })
        })
    }

    /// Up to when each market of each stream was last proven live.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub fn latest_proofs(&self) -> Result<Vec<Proven>, CatalogError> {
        self.read(proven)
    }

    /// How far it is published.
    pub(crate) fn start_position(&self) -> Result<Position, CatalogError> {
        self.read(position)
    }
}

/// How far it is published.
pub(crate) struct Position {
    /// The next free segment number.
    pub(crate) next_segment: u64,
    /// Every frame below it is in published files or carried.
    pub(crate) next_frame: u64,
}

fn position(db: &Connection) -> rusqlite::Result<Position> {
    let at = |key: &str| db.query_row(POSITION, [key], |row| row.get(0));
    Ok(Position { next_segment: at("next_segment")?, next_frame: at("next_frame")? })
}

fn carries(db: &Connection) -> rusqlite::Result<Vec<Carry>> {
    let mut sql = db.prepare(CARRIES)?;
    let rows = sql.query_map([], |row| {
        let venue: String = row.get(0)?;
        Ok(Carry {
            venue: venue.into(),
            stream: row.get(1)?,
            market: row.get(2)?,
            state: row.get(3)?,
        })
    })?;
    rows.collect()
}

fn open_gaps(db: &Connection) -> rusqlite::Result<Vec<(i64, Gap)>> {
    let mut sql = db.prepare(OPEN_GAPS)?;
    let rows = sql.query_map([], gap)?;
    rows.collect()
}

fn unclosed(db: &Connection) -> rusqlite::Result<Vec<SessionRow>> {
    let mut sql = db.prepare(UNCLOSED)?;
    let rows = sql.query_map([], session)?;
    rows.collect()
}

fn proven(db: &Connection) -> rusqlite::Result<Vec<Proven>> {
    let mut latest = BTreeMap::new();
    for sql in [PROVEN, STILL_LIVE] {
        let mut sql = db.prepare(sql)?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            let key: (String, Stream, Market) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let until: Timestamp = row.get(3)?;
            let known = latest.entry(key).or_insert(until);
            *known = until.max(*known);
        }
    }
    let proven = latest.into_iter().map(|((venue, stream, market), until)| Proven {
        venue: venue.into(),
        stream,
        market,
        until,
    });
    Ok(proven.collect())
}
