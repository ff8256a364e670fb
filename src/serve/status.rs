//! The status document: what a data folder holds, and how its recorder is. The same for
//! `/status.json` and for `status --json` of a folder at rest, which has no `live` part.
//!
//! A contract, described by `schemas/status.schema.json`: new keys may come, none is renamed.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::health::Problem;
use super::now::Now;
use super::routes::Shared;
use crate::ingest::presence::{Attendance, Connection};
use crate::ingest::pulse::{Lag, Pulse};
use crate::model::event::ClockStep;
use crate::model::gap::GapState;
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::{Catalog, CatalogError, SessionRow, StreamSummary};

/// Sessions that are told of at most.
const SESSIONS: u32 = 20;

/// Steps of the clock that are told of at most.
const CLOCK_STEPS: u32 = 10;

/// What a data folder holds.
///
/// # Errors
///
/// When the catalog cannot be read.
pub fn held(catalog: &Catalog, data: &Path, recording: bool) -> Result<Value, CatalogError> {
    let counts = catalog.gap_counts()?;
    let gaps = GapState::ALL
        .iter()
        .map(|state| (state.to_string(), json!(counts.get(state).copied().unwrap_or_default())));
    let recovered: Value = catalog
        .recovery()?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_else(|| json!({}));
    Ok(json!({
        "data": data,
        "recording": recording,
        "streams": catalog.summary()?.iter().map(holding).collect::<Vec<Value>>(),
        "gaps": gaps.collect::<Map<String, Value>>(),
        "recovered": recovered,
        "clock_steps": catalog.clock_steps(CLOCK_STEPS)?.iter().map(step).collect::<Vec<Value>>(),
        "sessions": catalog.newest_sessions(SESSIONS)?.iter().map(session).collect::<Vec<Value>>(),
    }))
}

/// How the recorder is: the `live` part.
pub(super) fn live(shared: &Shared, now: &Now) -> Value {
    let (progress, queue) = (&now.progress, shared.sources.queue);
    let streams =
        progress.roll.streams.iter().filter(|(_, one)| one.asked > 0 || one.away.is_some());
    let connections = progress.roll.connections.iter().filter(|one| one.subscriptions > 0);
    json!({
        "at": now.at.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "started": now.started.to_string(),
        "uptime_s": seconds(now.at.since(now.started)),
        "healthy": now.problems.is_empty(),
        "ready": now.ready,
        "problems": now.problems.iter().map(problem).collect::<Vec<Value>>(),
        "streams": streams.map(|(key, one)| stream(now, key, one)).collect::<Vec<Value>>(),
        "connections":
            connections.map(|one| connection(now.at, one)).collect::<Vec<Value>>(),
        "sessions_opened": now.stats.sessions_opened,
        "sessions_lost": now.stats.reconnects,
        "queue": {
            "events": now.queued_events,
            "bytes": now.queued_bytes,
            "limit_events": queue.events,
            "limit_bytes": queue.bytes,
            "waits": progress.queue_waits,
            "waited_s": seconds(progress.queue_waited),
        },
        "writer": {
            "at": progress.at.to_string(),
            "behind_s": seconds(now.at.since(progress.at.max(now.started))),
            "frames": progress.frames,
            "bytes": progress.bytes,
            "recovered": progress.recovered,
            "unread": progress.unread,
            "waiting_rows": progress.waiting_rows,
            "waiting_bytes": progress.waiting_bytes,
            "files": progress.files,
            "file_rows": progress.file_rows,
            "file_bytes": progress.file_bytes,
        },
        "clock": { "drift_s": micros(now.stats.drift_us) },
        "disk": {
            "free_bytes": now.free_bytes,
            "min_free_bytes": now.disk.min_free_bytes,
            "bytes_per_day": now.disk.bytes_per_day,
            "days_left": now.days_left(),
        },
    })
}

/// What is wrong, for `/healthz` and the status.
pub(super) fn problem(problem: &Problem) -> Value {
    let stream = problem.stream.as_ref();
    json!({
        "what": problem.what.as_str(),
        "venue": stream.map(|(venue, _)| venue),
        "stream": stream.map(|(_, stream)| stream.name()),
        "detail": problem.detail,
    })
}

fn stream(now: &Now, key: &(smol_str::SmolStr, Stream), attendance: &Attendance) -> Value {
    let tally = now.progress.streams.get(key).copied().unwrap_or_default();
    let pulse = now.progress.pulses.get(key);
    let last = tally.last_recv;
    json!({
        "venue": key.0,
        "stream": key.1.name(),
        "asked": attendance.asked,
        "served": attendance.served,
        "refused": attendance.refused.0,
        "refused_markets": names(&attendance.refused.1),
        "awaited": attendance.awaited.0,
        "awaited_markets": names(&attendance.awaited.1),
        "records": tally.told,
        "rows": tally.rows,
        "duplicates": tally.duplicates,
        "records_per_s": now.rates.get(key).copied().unwrap_or_default(),
        "last_receive": last.map(|at| at.to_string()),
        "age_s": last.map(|at| seconds(now.at.since(at))),
        "silent_after_s": pulse.and_then(Pulse::threshold).map(seconds),
        "lag": pulse.map_or(Value::Null, |pulse| lag(&pulse.recent(now.progress.at))),
    })
}

/// A lag in numbers; null where nothing live came.
pub(super) fn lag(lag: &Lag) -> Value {
    let millis = |at: Option<Duration>| {
        at.and_then(|at| u32::try_from(at.as_micros()).ok()).map(|us| f64::from(us) / 1_000.0)
    };
    match lag.count() {
        0 => Value::Null,
        count => json!({
            "records": count,
            "p50_ms": millis(lag.percentile(50)),
            "p99_ms": millis(lag.percentile(99)),
            "max_ms": millis(lag.max()),
        }),
    }
}

fn connection(now: Timestamp, one: &Connection) -> Value {
    let mut document = session(&one.row);
    if let Some(document) = document.as_object_mut() {
        document.insert("line".to_owned(), json!(one.line));
        document.insert("subscriptions".to_owned(), json!(one.subscriptions));
        document.insert("uptime_s".to_owned(), json!(seconds(now.since(one.row.opened))));
    }
    document
}

/// A session: what it carried, and how often and by how much it was before the others.
fn session(row: &SessionRow) -> Value {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": row.id,
        "venue": row.venue,
        "endpoint": row.endpoint,
        "opened": row.opened.to_string(),
        "first_data": text(row.first_data),
        "proven_until": text(row.proven_until),
        "closed": text(row.closed),
        "why": row.why,
        "frames": row.frames,
        "bytes": row.bytes,
        "records": row.tally.records,
        "duplicates": row.tally.duplicates,
        "led": row.tally.led,
        "lead_us": row.tally.lead_us,
    })
}

fn holding(holding: &StreamSummary) -> Value {
    json!({
        "venue": holding.venue,
        "stream": holding.stream.name(),
        "markets": holding.markets,
        "files": holding.files,
        "rows": holding.rows,
        "bytes": holding.bytes,
        "first_event": holding.first_event.to_string(),
        "last_event": holding.last_event.to_string(),
    })
}

fn step(step: &ClockStep) -> Value {
    json!({ "at": step.at.to_string(), "by_s": micros(step.by_us) })
}

/// Seconds of microseconds, with their sign.
pub(super) fn micros(us: i64) -> f64 {
    let length = Duration::from_micros(us.unsigned_abs()).as_secs_f64();
    if us < 0 { -length } else { length }
}

fn names(markets: &[Market]) -> Vec<&str> {
    markets.iter().map(Market::as_str).collect()
}

fn seconds(length: Duration) -> f64 {
    length.as_secs_f64()
}
