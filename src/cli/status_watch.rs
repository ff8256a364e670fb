//! The status as one screen for a terminal, once or again and again.

use std::io::{self, IsTerminal};
use std::time::Duration;

use serde_json::Value;

use super::output::{self, Align, columns};
use super::signals::Signals;
use super::{Failure, Outcome, record};
use crate::maintain::coverage::COUNTED_DAYS;

/// The shortest time between two looks.
const OFTENEST: Duration = Duration::from_millis(200);
/// To the top left corner, and everything below gone.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Shows what `look` finds until a signal comes. What cannot be had now is said and tried again.
pub(super) fn watch(
    every: Duration,
    as_json: bool,
    mut look: impl FnMut() -> Result<Value, Failure>,
) -> Result<Outcome, Failure> {
    let runtime = record::runtime()?;
    let signals = runtime.block_on(async { Signals::listen() })?;
    let clear = io::stdout().is_terminal() && !as_json;
    loop {
        let text = match look() {
            Ok(document) if as_json => serde_json::to_string(&document)?,
            Ok(document) => screen(&document),
            Err(Failure::Failed(error)) => format!("{error:#}"),
            Err(usage @ Failure::Usage(_)) => return Err(usage),
        };
        output::data(&if clear { format!("{CLEAR}{text}") } else { text })?;
        let asked_to_end = runtime.block_on(async {
            tokio::select! {
                () = signals.next() => true,
                () = tokio::time::sleep(every.max(OFTENEST)) => false,
            }
        });
        if asked_to_end {
            return Ok(Outcome::Done);
        }
    }
}

/// The document for people.
pub(super) fn screen(document: &Value) -> String {
    let live = document.get("live");
    let mut parts = vec![headline(document, live)];
    if let Some(live) = live {
        parts.extend(list(live, "problems").map(|one| {
            let stream = text(one, "stream");
            format!("  {} {stream}: {}", text(one, "what"), text(one, "detail"))
        }));
        parts.push(String::new());
        parts.push(streams(live));
        parts.push(String::new());
        parts.push(flow(live));
        parts.push(String::new());
        parts.push(connections(live));
        parts.push(String::new());
    }
    parts.push(holdings(document));
    let gaps = document.get("gaps").and_then(Value::as_object).into_iter().flatten();
    let gaps: Vec<String> = gaps.map(|(state, count)| format!("{count} {state}")).collect();
    parts.push(format!("gaps: {}", gaps.join(", ")));
    if let Some(hours) = document.get("hours").and_then(Value::as_object) {
        let hours: Vec<String> =
            hours.iter().map(|(condition, count)| format!("{count} {condition}")).collect();
        parts
            .push(format!("hours of trades in the last {COUNTED_DAYS} days: {}", hours.join(", ")));
    }
    parts.join("\n")
}

fn headline(document: &Value, live: Option<&Value>) -> String {
    let recording = document.get("recording").and_then(Value::as_bool).unwrap_or_default();
    let how = match live {
        Some(live) => {
            let healthy = live.get("healthy").and_then(Value::as_bool).unwrap_or_default();
            let uptime = length(live, "uptime_s");
            format!("recording for {uptime}: {}", if healthy { "all is well" } else { "not well" })
        }
        None if recording => "recording".to_owned(),
        None => "nobody records".to_owned(),
    };
    format!("{} ({how})", text(document, "data"))
}

fn streams(live: &Value) -> String {
    let head = [
        ("stream", Align::Left),
        ("markets", Align::Right),
        ("per s", Align::Right),
        ("last", Align::Right),
        ("lag p50", Align::Right),
        ("p99", Align::Right),
        ("max", Align::Right),
        ("rows", Align::Right),
    ];
    let rows = list(live, "streams").map(|one| {
        let lag = one.get("lag");
        let lag = |key: &str| {
            let ms = lag.and_then(|lag| lag.get(key)).and_then(Value::as_f64);
            ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"))
        };
        vec![
            format!("{} {}", text(one, "venue"), text(one, "stream")),
            format!("{}/{}", number(one, "served"), number(one, "asked")),
            format!("{:.1}", one.get("records_per_s").and_then(Value::as_f64).unwrap_or_default()),
            length(one, "age_s"),
            lag("p50_ms"),
            lag("p99_ms"),
            lag("max_ms"),
            output::count(number(one, "rows")),
        ]
    });
    columns(&head, rows.collect(), "nothing is asked for yet")
}

fn flow(live: &Value) -> String {
    let part = |name: &str| live.get(name).unwrap_or(&Value::Null);
    let (queue, writer, disk) = (part("queue"), part("writer"), part("disk"));
    format!(
        "queue {} of {} · writer {} behind, {} rows wait, {} files, {} · disk {} free{}",
        output::count(number(queue, "events")),
        output::count(number(queue, "limit_events")),
        length(writer, "behind_s"),
        output::count(number(writer, "waiting_rows")),
        output::count(number(writer, "files")),
        output::bytes(number(writer, "file_bytes")),
        output::bytes(number(disk, "free_bytes")),
        lasting(disk),
    )
}

/// How long the free space lasts, where that is known and anybody's business.
fn lasting(disk: &Value) -> String {
    match disk.get("days_left").and_then(Value::as_f64) {
        Some(days) if days < 1_000.0 => format!(", for {days:.0} days"),
        Some(_) | None => String::new(),
    }
}

fn connections(live: &Value) -> String {
    let head = [
        ("session", Align::Right),
        ("line", Align::Right),
        ("up", Align::Right),
        ("subscriptions", Align::Right),
        ("frames", Align::Right),
        ("first", Align::Right),
        ("lead", Align::Right),
    ];
    let rows = list(live, "connections").map(|one| {
        let first = number(one, "led");
        let by = number(one, "lead_us").checked_div(first).map(|us| format!("{us} µs"));
        vec![
            number(one, "id").to_string(),
            number(one, "line").to_string(),
            length(one, "uptime_s"),
            output::count(number(one, "subscriptions")),
            output::count(number(one, "frames")),
            output::count(first),
            by.unwrap_or_else(|| "-".to_owned()),
        ]
    });
    columns(&head, rows.collect(), "no connection is up")
}

/// What is held, of the document.
pub(super) fn holdings(document: &Value) -> String {
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
    let rows = list(document, "streams").map(|one| {
        vec![
            text(one, "venue").to_owned(),
            text(one, "stream").to_owned(),
            output::count(number(one, "markets")),
            output::count(number(one, "files")),
            output::count(number(one, "rows")),
            output::bytes(number(one, "bytes")),
            text(one, "first_event").to_owned(),
            text(one, "last_event").to_owned(),
        ]
    });
    columns(&head, rows.collect(), "no files yet")
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

/// A length of time in its two greatest units.
fn length(value: &Value, key: &str) -> String {
    let Some(seconds) = value.get(key).and_then(Value::as_f64) else { return "-".to_owned() };
    let length = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    if length < Duration::from_secs(10) {
        return format!("{:.1} s", length.as_secs_f64());
    }
    humantime::format_duration(Duration::from_secs(length.as_secs()))
        .to_string()
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_folder_at_rest_and_a_recorder_fit_one_screen() {
        let mut document = json!({
            "data": "./data", "recording": false, "streams": [],
            "gaps": { "open": 1, "repaired": 0 }, "recovered": {}, "sessions": [],
        });
        let rest = screen(&document);
        assert_eq!(rest, "./data (nobody records)\nno files yet\ngaps: 1 open, 0 repaired");
        document["live"] = json!({
            "healthy": false, "uptime_s": 3_725.5,
            "problems": [{ "what": "stream", "stream": "trade", "detail": "no data for 9.1 s" }],
            "streams": [{
                "venue": "v", "stream": "trade", "served": 2, "asked": 3, "records_per_s": 12.345,
                "age_s": 9.1, "rows": 12_000, "lag": { "p50_ms": 4.2, "p99_ms": 80.0, "max_ms": 99.9 },
            }],
            "queue": { "events": 5, "limit_events": 65_536 }, "writer": { "behind_s": 0.2 },
            "disk": { "free_bytes": 1_u64 << 30, "days_left": 6.7 },
            "connections": [{ "id": 7, "uptime_s": 61.0, "led": 4, "lead_us": 1_000 }],
        });
        let live = screen(&document);
        for words in [
            "./data (recording for 1h 2m: not well)",
            "stream trade: no data for 9.1 s",
            "2/3",
            "12.3",
            "4 ms",
            "queue 5 of 65,536",
            "1.0 GiB free, for 7 days",
            "250 µs",
            "1m 1s",
        ] {
            assert!(live.contains(words), "{words:?} is not in\n{live}");
        }
    }
}
