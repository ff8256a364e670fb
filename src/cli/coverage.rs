//! `coverage`: what is held, and how much of each hour was proven live.

use serde_json::{Value, json};

use super::config::Config;
use super::output::{self, Align};
use super::{Failure, Outcome, status};
use crate::model::market::Market;
use crate::store::catalog::Filter;

/// The outcome of an hour whose completeness nobody has proven.
const UNPROVEN: &str = "unproven";

pub(super) fn run(config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    let hours = status::open(config)?.coverage(&Filter::default())?;
    if as_json {
        let hours: Vec<Value> = hours
            .iter()
            .map(|hour| {
                json!({
                    "venue": hour.venue,
                    "stream": hour.stream.name(),
                    "market": hour.market,
                    "hour": hour.hour.to_string(),
                    "rows": hour.rows,
                    "covered_s": hour.covered.as_secs_f64(),
                    "condition": UNPROVEN,
                })
            })
            .collect();
        output::json(&json!({ "coverage": hours }))?;
        return Ok(Outcome::Done);
    }
    let head = [
        ("stream", Align::Left),
        ("market", Align::Left),
        ("hour", Align::Left),
        ("rows", Align::Right),
        ("covered", Align::Right),
    ];
    let lines = hours.iter().map(|hour| {
        vec![
            format!("{} {}", hour.venue, hour.stream),
            hour.market.as_ref().map_or_else(String::new, Market::to_string),
            hour.hour.to_string(),
            output::count(hour.rows),
            format!("{:.1} s", hour.covered.as_secs_f64()),
        ]
    });
    output::table(&head, lines.collect(), "nothing is held")?;
    Ok(Outcome::Done)
}
