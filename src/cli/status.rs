//! `status`: what a data folder holds, and whether somebody records into it.

use std::time::Duration;

use serde_json::{Value, json};

use super::config::Config;
use super::output::{self, Align};
use super::{Failure, Outcome};
use crate::maintain::coverage::hours;
use crate::model::condition::Condition;
use crate::model::gap::{Gap, GapState};
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::{Catalog, Filter, SessionRow, StreamSummary};
use crate::store::folder;

/// Sessions that are told of at most.
const SESSIONS: usize = 20;
/// Days before the last event whose hours are counted.
const DAYS: u64 = 7;

pub(super) fn run(config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    let catalog = open(config)?;
    let (holdings, gaps) = (catalog.summary()?, gaps(&catalog)?);
    let recovered = catalog.recovery()?;
    let recovered: Value =
        recovered.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(json!({}));
    let conditions = conditions(&catalog, &holdings)?;
    let holder = folder::held_by(&config.data)?;
    if as_json {
        output::json(&json!({
            "data": config.data,
            "recording": holder.is_some(),
            "streams": holdings.iter().map(document).collect::<Vec<Value>>(),
            "gaps": GapState::ALL
                .iter()
                .map(|state| (state.to_string(), json!(count(&gaps, *state))))
                .collect::<serde_json::Map<String, Value>>(),
            "recovered": recovered,
            "hours": conditions
                .iter()
                .map(|(condition, hours)| (condition.to_string(), json!(hours)))
                .collect::<serde_json::Map<String, Value>>(),
            "sessions": sessions(&catalog)?,
        }))?;
        return Ok(Outcome::Done);
    }
    let recording =
        holder.map_or_else(|| "nobody records".to_owned(), |who| format!("recording: {who}"));
    output::data(&format!("{} ({recording})", config.data.display()))?;
    show(&holdings)?;
    let states: Vec<String> =
        GapState::ALL.iter().map(|state| format!("{} {state}", count(&gaps, *state))).collect();
    output::data(&format!("gaps: {}", states.join(", ")))?;
    let hours: Vec<String> =
        conditions.iter().map(|(condition, hours)| format!("{hours} {condition}")).collect();
    output::data(&format!("hours of trades in the last {DAYS} days: {}", hours.join(", ")))?;
    Ok(Outcome::Done)
}

/// How many hours of trades of the last days have each condition.
fn conditions(
    catalog: &Catalog,
    holdings: &[StreamSummary],
) -> Result<Vec<(Condition, usize)>, Failure> {
    let last = holdings.iter().map(|holding| holding.last_event).max().unwrap_or_default();
    let from = last.before(Duration::from_hours(24 * DAYS)).hour();
    let within = Span::new(from, last.after(Duration::from_micros(1)));
    let stream = Some(Stream::Trade);
    let hours = hours(catalog, &Filter { stream, within, ..Filter::default() })?;
    // The last trade before a subscription says nothing of its own hour.
    let due: Vec<_> = hours
        .iter()
        .filter(|hour| hour.condition.is_bad() || !hour.held.covered.is_zero())
        .collect();
    let count = |condition| due.iter().filter(|hour| hour.condition == condition).count();
    Ok(Condition::ALL.iter().map(|condition| (*condition, count(*condition))).collect())
}

/// The latest sessions, oldest first: what each carried, and how often and by how much it was
/// before the others.
fn sessions(catalog: &Catalog) -> Result<Vec<Value>, Failure> {
    let sessions = catalog.sessions(&Filter::default())?;
    let latest = sessions.get(sessions.len().saturating_sub(SESSIONS)..).unwrap_or_default();
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let document = |row: &SessionRow| {
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
    };
    Ok(latest.iter().map(document).collect())
}

/// Opens the catalog of the data folder to read.
pub(super) fn open(config: &Config) -> Result<Catalog, Failure> {
    Ok(Catalog::of_folder(&config.data)?)
}

/// Every gap, in the order in which they were found.
pub(super) fn gaps(catalog: &Catalog) -> Result<Vec<Gap>, Failure> {
    Ok(catalog.gaps(&Filter::default())?.into_iter().map(|(_, gap)| gap).collect())
}

/// Writes a table of what is held.
pub(super) fn show(holdings: &[StreamSummary]) -> Result<(), Failure> {
    let head = [
        ("venue", Align::Left),
        ("stream", Align::Left),
        ("markets", Align::Right),
        ("files", Align::Right),
        ("rows", Align::Right),
        ("bytes", Align::Right),
        ("first event", Align::Left),
        ("last event", Align::Left),
    ];
    let line = |holding: &StreamSummary| {
        vec![
            holding.venue.to_string(),
            holding.stream.to_string(),
            output::count(holding.markets),
            output::count(holding.files),
            output::count(holding.rows),
            output::bytes(holding.bytes),
            holding.first_event.to_string(),
            holding.last_event.to_string(),
        ]
    };
    output::table(&head, holdings.iter().map(line).collect(), "no files yet")?;
    Ok(())
}

fn document(holding: &StreamSummary) -> Value {
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

fn count(gaps: &[Gap], state: GapState) -> usize {
    gaps.iter().filter(|gap| gap.state == state).count()
}
