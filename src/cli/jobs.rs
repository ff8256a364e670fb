//! `jobs`: work on the past, with how far it is.

use std::sync::Arc;

use anyhow::anyhow;
use clap::Subcommand;
use serde_json::{Value, json};

use super::config::Config;
use super::output::{self, Align};
use super::{Failure, Outcome, record, status};
use crate::backfill::pager::Pager;
use crate::ingest::queue::{QueueLimits, queue};
use crate::ingest::writer::Writer;
use crate::model::event::Event;
use crate::model::job::{Job, JobState};
use crate::net::clock::SystemClock;
use crate::store::catalog::Filter;
use crate::store::fs::RealFs;

#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// End jobs for good; what they brought stays.
    Cancel {
        /// Their numbers.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
    },
    /// Make jobs that failed or were cancelled go on where they were, with the next `backfill`.
    Restart {
        /// Their numbers.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
    },
}

pub(super) fn run(
    command: Option<&JobsCommand>,
    config: &Config,
    as_json: bool,
) -> Result<Outcome, Failure> {
    if let Some(command) = command {
        change(command, config)?;
    }
    let jobs = status::open(config)?.jobs(&Filter::default())?;
    if as_json {
        output::json(&json!({ "jobs": jobs.iter().map(document).collect::<Vec<Value>>() }))?;
        return Ok(Outcome::Done);
    }
    let head = [
        ("id", Align::Right),
        ("kind", Align::Left),
        ("stream", Align::Left),
        ("market", Align::Left),
        ("from", Align::Left),
        ("to", Align::Left),
        ("state", Align::Left),
        ("done", Align::Right),
        ("rows", Align::Right),
        ("calls", Align::Right),
        ("error", Align::Left),
    ];
    output::table(&head, jobs.iter().map(line).collect(), "no jobs")?;
    Ok(Outcome::Done)
}

fn document(job: &Job) -> Value {
    json!({
        "id": job.id,
        "kind": job.kind.as_str(),
        "venue": job.venue,
        "stream": job.stream.name(),
        "market": job.market,
        "from": job.span.from().to_string(),
        "to": job.span.to().to_string(),
        "state": job.state.as_str(),
        "share": share(job),
        "rows": job.rows,
        "known": job.known,
        "calls": job.calls,
        "gap": job.gap,
        "reached": job.reached.map(|reached| reached.at.to_string()),
        "error": job.error,
    })
}

fn line(job: &Job) -> Vec<String> {
    vec![
        job.id.to_string(),
        job.kind.to_string(),
        format!("{} {}", job.venue, job.stream),
        job.market.to_string(),
        job.span.from().to_string(),
        job.span.to().to_string(),
        job.state.to_string(),
        format!("{:.0} %", 100.0 * share(job)),
        output::count(job.rows),
        output::count(job.calls),
        job.error.clone().unwrap_or_default(),
    ]
}

/// How much of a job is done, of 1.
fn share(job: &Job) -> f64 {
    if job.state == JobState::Done { 1.0 } else { Pager::new(job).share() }
}

/// Changes jobs while no recorder runs: the writer alone writes to the catalog.
fn change(command: &JobsCommand, config: &Config) -> Result<(), Failure> {
    // Says so where there is no recording, before one is begun.
    drop(status::open(config)?);
    let options = record::writer_options(config);
    let writer =
        Writer::start(&config.data, Arc::new(RealFs), Arc::new(SystemClock::new()), options)?;
    let jobs = status::open(config)?.jobs(&Filter::default())?;
    let changed = changed(command, &jobs).map_err(Failure::Usage)?;
    let events = changed.len().max(1);
    let (sender, receiver) = queue(QueueLimits { events, ..QueueLimits::default() });
    for job in changed {
        sender.try_send(Event::Job(job.into()))?;
    }
    drop(sender);
    writer.run(receiver)?;
    Ok(())
}

fn changed(command: &JobsCommand, jobs: &[Job]) -> Result<Vec<Job>, anyhow::Error> {
    let (ids, state) = match command {
        JobsCommand::Cancel { ids } => (ids, JobState::Cancelled),
        JobsCommand::Restart { ids } => (ids, JobState::Planned),
    };
    let change = |id: &i64| {
        let job = jobs.iter().find(|job| job.id == *id);
        let job = job.ok_or_else(|| anyhow!("there is no job {id}; `veritape jobs` lists them"))?;
        match (state, job.state) {
            (JobState::Cancelled, now) if now.is_over() => {
                Err(anyhow!("job {id} is {now} already; it cannot be cancelled"))
            }
            (JobState::Planned, JobState::Done) => Err(anyhow!(
                "job {id} is done; `veritape backfill --force` asks for the same time again"
            )),
            _ => Ok(Job { state, error: None, ..job.clone() }),
        }
    };
    ids.iter().map(change).collect()
}
