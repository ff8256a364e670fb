//! `gaps`: what is missing.

mod repair;

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::config::Config;
use super::output::{self, Align};
use super::{Failure, Outcome, status};
use crate::model::gap::{Gap, GapState};
use crate::model::market::Source;

#[derive(Debug, Subcommand)]
pub(super) enum GapsCommand {
    /// Close the gaps that can be closed, by REST, and say what became of each.
    Repair(repair::RepairArgs),
}

pub(super) fn run(
    command: Option<&GapsCommand>,
    config: Config,
    as_json: bool,
) -> Result<Outcome, Failure> {
    if let Some(GapsCommand::Repair(args)) = command {
        return repair::run(args, config, as_json);
    }
    let gaps = status::gaps(&status::open(&config)?)?;
    show(&gaps, as_json)?;
    let open = gaps.iter().any(|gap| gap.state == GapState::Open);
    Ok(if open { Outcome::Incomplete } else { Outcome::Done })
}

/// Prints gaps.
fn show(gaps: &[Gap], as_json: bool) -> Result<(), Failure> {
    if as_json {
        output::json(&json!({ "gaps": gaps.iter().map(document).collect::<Vec<Value>>() }))?;
    } else {
        let head = [
            ("stream", Align::Left),
            ("market", Align::Left),
            ("from", Align::Left),
            ("lasts", Align::Right),
            ("cause", Align::Left),
            ("state", Align::Left),
            ("rows", Align::Right),
            ("detail", Align::Left),
        ];
        output::table(&head, gaps.iter().map(line).collect(), "no gaps")?;
    }
    Ok(())
}

fn document(gap: &Gap) -> Value {
    json!({
        "venue": gap.venue,
        "stream": gap.stream.name(),
        "market": gap.market,
        "from": gap.from.to_string(),
        "to": gap.to.map(|to| to.to_string()),
        "cause": gap.cause.as_str(),
        "state": gap.state.as_str(),
        "rows_repaired": gap.rows_repaired,
        "source": gap.source.map(Source::as_str),
        "duration_s": gap.to.map(|to| to.since(gap.from).as_secs_f64()),
        "detail": gap.detail,
    })
}

fn line(gap: &Gap) -> Vec<String> {
    let lasts = gap.to.map_or_else(
        || "still".to_owned(),
        |to| {
            let millis = u64::try_from(to.since(gap.from).as_millis()).unwrap_or(u64::MAX);
            humantime::format_duration(Duration::from_millis(millis)).to_string()
        },
    );
    vec![
        format!("{} {}", gap.venue, gap.stream),
        gap.market.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string),
        gap.from.to_string(),
        lasts,
        gap.cause.to_string(),
        gap.state.to_string(),
        output::count(gap.rows_repaired),
        gap.detail.clone(),
    ]
}
