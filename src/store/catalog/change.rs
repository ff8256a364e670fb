//! What the writer publishes, and how it gets into the tables.

use rusqlite::{Connection, OptionalExtension, Transaction, named_params, params};

use super::jobs::put_job;
use super::retirement;
use super::rows::{
    Carry, HourLags, HourRows, InstrumentRow, LiveSpan, Recount, Retirement, SessionRow,
};
use crate::model::event::ClockStep;
use crate::model::gap::Gap;
use crate::model::job::Job;
use crate::model::market::Market;
use crate::model::time::Timestamp;
use crate::store::paths::PartName;
use crate::store::segment::Segment;

/// What is published together. Empty parts change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// When. Clock: ours.
    pub at: Timestamp,
    /// New files; each lies under its own name, synced.
    pub segments: Vec<Segment>,
    /// Numbers of files whose rows are in `segments` now. They stay on disk until they are
    /// removed, by the caller or at the next start.
    pub retired: Vec<u64>,
    /// Numbers of files that are damaged or lost: the catalog forgets them. What is left of them is
    /// moved to `quarantine/`, by the caller or at the next start.
    pub lost: Vec<u64>,
    /// Files that are about to get their names, to be published by a later change: until then a
    /// start removes them.
    pub planned: Vec<PartName>,
    /// Files of one market alone, by number: they are among `segments`.
    pub of_market: Vec<(u64, Market)>,
    /// Days that a policy takes away; their files are among `retired`.
    pub retirements: Vec<Retirement>,
    /// Hours that were counted anew; what is known of them is replaced, and what was found of their
    /// condition is forgotten. Goes before `hours`.
    pub recounts: Vec<Recount>,
    /// Rows recorded; added to those known of the hour.
    pub hours: Vec<HourRows>,
    /// Rows that had been counted and are no more, because they were there twice.
    pub uncounted: Vec<HourRows>,
    /// Lags of live messages; added to those known of the hour.
    pub lags: Vec<HourLags>,
    /// Sessions, whole: what is known of one is replaced. One that is closed closes its live
    /// spans.
    pub sessions: Vec<SessionRow>,
    /// Spans proven live; what is known of the same subscription of the session is replaced.
    pub live: Vec<LiveSpan>,
    /// Gaps by their number; what is known of one is replaced.
    pub gaps: Vec<(i64, Gap)>,
    /// Jobs; what is known of one is replaced.
    pub jobs: Vec<Job>,
    /// Markets; what is known of one is replaced, but for when it was first seen.
    pub instruments: Vec<InstrumentRow>,
    /// Merge state; what is known is replaced, an empty state removed.
    pub carries: Vec<Carry>,
    /// Steps of the wall clock.
    pub clock_steps: Vec<ClockStep>,
    /// From now on every frame below it is in published files or in `carries`.
    pub next_frame: Option<u64>,
    /// What a start recovered, as JSON.
    pub recovery: Option<String>,
}

/// Why a change is not taken.
pub(super) enum Refusal {
    Sqlite(rusqlite::Error),
    Contradiction(String),
}

impl From<rusqlite::Error> for Refusal {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

/// Writes `change` within `tx`.
pub(super) fn apply(tx: &Transaction<'_>, change: &Change) -> Result<(), Refusal> {
    for name in &change.planned {
        let sql = "INSERT INTO retired (number, path, retired_at) VALUES (?1, ?2, ?3)";
        tx.prepare_cached(sql)?.execute(params![name.number, name, change.at])?;
    }
    for segment in &change.segments {
        add_segment(tx, segment, change.at)?;
    }
    for number in &change.retired {
        retire(tx, *number, change.at)?;
    }
    for number in &change.lost {
        forget(tx, *number)?;
    }
    for (number, market) in &change.of_market {
        let sql = "UPDATE segments SET market = ?2 WHERE number = ?1";
        tx.prepare_cached(sql)?.execute(params![number, market])?;
    }
    for one in &change.retirements {
        retirement::put(tx, one)?;
    }
    for session in &change.sessions {
        put_session(tx, session)?;
    }
    for span in &change.live {
        put_live(tx, span)?;
    }
    for session in change.sessions.iter().filter(|session| session.closed.is_some()) {
        close_spans(tx, session.id)?;
    }
    for Recount { venue, stream, first, last, .. } in &change.recounts {
        let sql = "DELETE FROM hours WHERE venue = ?1 AND stream = ?2 AND hour BETWEEN ?3 AND ?4";
        tx.prepare_cached(sql)?.execute(params![venue.as_str(), stream, first, last])?;
        // Other rows, even where they are as many: what was found of these hours is of the past.
        let sql = "DELETE FROM conditions WHERE venue = ?1 AND hour BETWEEN ?2 AND ?3";
        tx.prepare_cached(sql)?.execute(params![venue.as_str(), first, last])?;
    }
    let counted = change.recounts.iter().flat_map(|recount| &recount.hours);
    for hour in counted.chain(&change.hours) {
        add_hour(tx, hour)?;
    }
    for hour in &change.uncounted {
        take_from_hour(tx, hour)?;
    }
    for lags in &change.lags {
        add_lags(tx, lags)?;
    }
    for (id, gap) in &change.gaps {
        put_gap(tx, *id, gap)?;
    }
    for job in &change.jobs {
        put_job(tx, job)?;
    }
    for instrument in &change.instruments {
        put_instrument(tx, instrument)?;
    }
    for carry in &change.carries {
        put_carry(tx, carry)?;
    }
    for ClockStep { at, by_us } in &change.clock_steps {
        let sql = "INSERT INTO clock_steps (at, by_us) VALUES (?1, ?2)";
        tx.prepare_cached(sql)?.execute(params![at, by_us])?;
    }
    if let Some(next) = change.next_frame {
        advance(tx, "next_frame", next)?;
    }
    if let Some(recovery) = &change.recovery {
        let sql = "INSERT INTO meta (key, value) VALUES ('recovery', ?1)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        tx.prepare_cached(sql)?.execute([recovery])?;
    }
    Ok(())
}

/// Sets a position, which may not go back.
fn advance(tx: &Connection, key: &str, next: u64) -> Result<(), Refusal> {
    let before: u64 = tx
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))?;
    if next < before {
        return Err(Refusal::Contradiction(format!("{key} would go back from {before} to {next}")));
    }
    tx.prepare_cached("UPDATE meta SET value = ?2 WHERE key = ?1")?.execute(params![key, next])?;
    Ok(())
}

fn add_segment(tx: &Connection, segment: &Segment, at: Timestamp) -> Result<(), Refusal> {
    let sql = "INSERT INTO segments (number, path, stream, venue, date, rows, bytes, blake3, format_version,
            ts_event_min, ts_event_max, ts_recv_min, ts_recv_max, frame_min, frame_max, published_at)
        VALUES (:number, :path, :stream, :venue, :date, :rows, :bytes, :blake3, :format_version,
            :event_min, :event_max, :recv_min, :recv_max, :frame_min, :frame_max, :at)";
    tx.prepare_cached(sql)?.execute(named_params! {
        ":number": segment.name.number, ":path": segment.name, ":stream": segment.name.stream,
        ":venue": segment.name.venue.as_str(), ":date": segment.name.date.to_string(),
        ":rows": segment.rows, ":bytes": segment.bytes, ":blake3": segment.blake3,
        ":format_version": segment.format_version,
        ":event_min": segment.ts_event.min, ":event_max": segment.ts_event.max,
        ":recv_min": segment.ts_recv.min, ":recv_max": segment.ts_recv.max,
        ":frame_min": segment.frames.min, ":frame_max": segment.frames.max, ":at": at,
    })?;
    let sql = "DELETE FROM retired WHERE number = ?1";
    tx.prepare_cached(sql)?.execute([segment.name.number])?;
    let next = segment.name.number.saturating_add(1);
    let sql = "UPDATE meta SET value = max(value, ?1) WHERE key = 'next_segment'";
    tx.prepare_cached(sql)?.execute([next])?;
    Ok(())
}

/// Takes a file out, and tells its path.
fn forget(tx: &Connection, number: u64) -> Result<String, Refusal> {
    let sql = "DELETE FROM segments WHERE number = ?1 RETURNING path";
    let path: Option<String> =
        tx.prepare_cached(sql)?.query_row([number], |row| row.get(0)).optional()?;
    path.ok_or_else(|| Refusal::Contradiction(format!("there is no segment {number} to retire")))
}

fn retire(tx: &Connection, number: u64, at: Timestamp) -> Result<(), Refusal> {
    let path = forget(tx, number)?;
    let sql = "INSERT INTO retired (number, path, retired_at) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(sql)?.execute(params![number, path, at])?;
    Ok(())
}

fn put_session(tx: &Connection, session: &SessionRow) -> Result<(), Refusal> {
    let sql =
        "INSERT INTO sessions (id, venue, endpoint, subscriptions, opened, first_data, closed, why,
            frames, bytes, proven_until, records, duplicates, led, lead_us)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
        ON CONFLICT (id) DO UPDATE SET venue = excluded.venue, endpoint = excluded.endpoint,
            subscriptions = excluded.subscriptions, opened = excluded.opened,
            first_data = excluded.first_data, closed = excluded.closed, why = excluded.why,
            frames = excluded.frames, bytes = excluded.bytes, proven_until = excluded.proven_until,
            records = excluded.records, duplicates = excluded.duplicates, led = excluded.led,
            lead_us = excluded.lead_us";
    tx.prepare_cached(sql)?.execute(params![
        session.id,
        session.venue.as_str(),
        session.endpoint,
        session.subscriptions,
        session.opened,
        session.first_data,
        session.closed,
        session.why,
        session.frames,
        session.bytes,
        session.proven_until,
        session.tally.records,
        session.tally.duplicates,
        session.tally.led,
        session.tally.lead_us,
    ])?;
    Ok(())
}

fn put_live(tx: &Connection, span: &LiveSpan) -> Result<(), Refusal> {
    let sql = "INSERT INTO live (session, venue, stream, market, from_us, to_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (session, stream, market) DO UPDATE SET venue = excluded.venue,
            from_us = excluded.from_us, to_us = excluded.to_us";
    let LiveSpan { session, venue, stream, market, from, to } = span;
    tx.prepare_cached(sql)?.execute(params![session, venue.as_str(), stream, market, from, to])?;
    if let Some(to) = to {
        let sql = "INSERT INTO proven (venue, stream, market, until) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (venue, stream, market) DO UPDATE SET until = max(until, excluded.until)";
        tx.prepare_cached(sql)?.execute(params![venue.as_str(), stream, market, to])?;
    }
    Ok(())
}

/// Ends the open spans of a closed session where it is proven to have lived last.
fn close_spans(tx: &Connection, session: i64) -> Result<(), Refusal> {
    let sql = "INSERT INTO proven (venue, stream, market, until)
        SELECT venue, stream, market, to_us FROM spans WHERE session = ?1 AND to_us IS NOT NULL
        ON CONFLICT (venue, stream, market) DO UPDATE SET until = max(until, excluded.until)";
    tx.prepare_cached(sql)?.execute([session])?;
    let sql = "UPDATE live SET to_us = coalesce((SELECT proven_until FROM sessions WHERE id = ?1), from_us)
        WHERE session = ?1 AND to_us IS NULL";
    tx.prepare_cached(sql)?.execute([session])?;
    Ok(())
}

fn add_hour(tx: &Connection, hour: &HourRows) -> Result<(), Refusal> {
    let sql = "INSERT INTO hours (venue, stream, market, hour, rows, first, last) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (venue, stream, market, hour) DO UPDATE SET rows = rows + excluded.rows,
            first = min(first, excluded.first), last = max(last, excluded.last)";
    let HourRows { venue, stream, market, hour, rows, first, last } = hour;
    let market = market.as_ref().map_or("", Market::as_str);
    tx.prepare_cached(sql)?.execute(params![
        venue.as_str(),
        stream,
        market,
        hour,
        rows,
        first,
        last
    ])?;
    Ok(())
}

/// Rows that are no more, and the hour with them where it had no others.
fn take_from_hour(tx: &Connection, hour: &HourRows) -> Result<(), Refusal> {
    let HourRows { venue, stream, market, hour, rows, .. } = hour;
    let market = market.as_ref().map_or("", Market::as_str);
    let sql = "UPDATE hours SET rows = max(rows - ?5, 0)
        WHERE venue = ?1 AND stream = ?2 AND market = ?3 AND hour = ?4";
    let values = params![venue.as_str(), stream, market, hour, rows];
    tx.prepare_cached(sql)?.execute(values)?;
    let sql = "DELETE FROM hours
        WHERE venue = ?1 AND stream = ?2 AND market = ?3 AND hour = ?4 AND rows = 0";
    tx.prepare_cached(sql)?.execute(params![venue.as_str(), stream, market, hour])?;
    Ok(())
}

fn add_lags(tx: &Connection, lags: &HourLags) -> Result<(), Refusal> {
    let sql = "INSERT INTO lags (venue, stream, hour, upto_us, records, max_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (venue, stream, hour, upto_us) DO UPDATE SET records = records + excluded.records,
            max_us = max(max_us, excluded.max_us)";
    let HourLags { venue, stream, hour, buckets } = lags;
    let mut sql = tx.prepare_cached(sql)?;
    for one in buckets {
        let upto = one.upto_us.map_or(i64::MAX, |us| i64::try_from(us).unwrap_or(i64::MAX));
        let max = i64::try_from(one.max_us).unwrap_or(i64::MAX);
        sql.execute(params![venue.as_str(), stream, hour, upto, one.records, max])?;
    }
    Ok(())
}

fn put_gap(tx: &Connection, id: i64, gap: &Gap) -> Result<(), Refusal> {
    let sql = "INSERT INTO gaps (id, venue, stream, market, from_us, to_us, cause, state, rows_repaired, source,
            detail)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
        ON CONFLICT (id) DO UPDATE SET venue = excluded.venue, stream = excluded.stream,
            market = excluded.market, from_us = excluded.from_us, to_us = excluded.to_us,
            cause = excluded.cause, state = excluded.state, rows_repaired = excluded.rows_repaired,
            source = excluded.source, detail = excluded.detail";
    let Gap { venue, stream, market, from, to, cause, state, rows_repaired, source, detail } = gap;
    let venue = venue.as_str();
    tx.prepare_cached(sql)?.execute(params![
        id,
        venue,
        stream,
        market,
        from,
        to,
        cause,
        state,
        rows_repaired,
        source,
        detail
    ])?;
    Ok(())
}

fn put_instrument(tx: &Connection, one: &InstrumentRow) -> Result<(), Refusal> {
    let sql = "INSERT INTO instruments (venue, market, listed, name_local, name_english, warning, caution,
            first_seen, last_changed)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT (venue, market) DO UPDATE SET listed = excluded.listed,
            name_local = excluded.name_local, name_english = excluded.name_english,
            warning = excluded.warning, caution = excluded.caution,
            first_seen = min(first_seen, excluded.first_seen), last_changed = excluded.last_changed";
    tx.prepare_cached(sql)?.execute(params![
        one.venue.as_str(),
        one.market,
        one.listed,
        one.name_local,
        one.name_english,
        one.warning,
        one.caution,
        one.first_seen,
        one.last_changed,
    ])?;
    Ok(())
}

fn put_carry(tx: &Connection, carry: &Carry) -> Result<(), Refusal> {
    let Carry { venue, stream, market, state } = carry;
    if state.is_empty() {
        let sql = "DELETE FROM carry WHERE venue = ?1 AND stream = ?2 AND market = ?3";
        tx.prepare_cached(sql)?.execute(params![venue.as_str(), stream, market])?;
        return Ok(());
    }
    let sql = "INSERT INTO carry (venue, stream, market, state) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (venue, stream, market) DO UPDATE SET state = excluded.state";
    tx.prepare_cached(sql)?.execute(params![venue.as_str(), stream, market, state])?;
    Ok(())
}
