//! `coverage`: what is held, and how much of each hour was proven live.

use serde_json::{Value, json};

use super::config::Config;
use super::output::{self, Align};
use super::{Failure, Outcome, status};
use crate::model::market::Market;
use crate::store::catalog::{CoveredHour, Filter, Retirement};

/// The outcome of an hour whose completeness nobody has proven.
const UNPROVEN: &str = "unproven";
/// That of an hour whose files a policy removed: it is not missing.
const RETIRED: &str = "retired";

pub(super) fn run(config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    let catalog = status::open(config)?;
    let hours = catalog.coverage(&Filter::default())?;
    let retired = catalog.retirements(&Filter::default())?;
    let condition = |hour: &CoveredHour| {
        let is_of = |one: &Retirement| {
            one.venue == hour.venue && one.stream == hour.stream && one.span.contains(hour.hour)
        };
        if retired.iter().any(is_of) { RETIRED } else { UNPROVEN }
    };
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
                    "condition": condition(hour),
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
