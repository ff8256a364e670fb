//! `verify`: whether everything that was recorded is still there, and complete.

use std::io::{self, IsTerminal};
use std::num::NonZero;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::config::Config;
use super::output::{self, Align};
use super::select::{instant, stream};
use super::{Failure, Outcome};
use crate::maintain::proof::{Disagreement, Numbers};
use crate::maintain::quarantine::{Quarantined, quarantine};
use crate::maintain::verify::{Fault, Progress, Report, Request, numbers, verify};
use crate::model::condition::Condition;
use crate::model::span::Span;
use crate::model::time::Timestamp;
use crate::net::clock::{Clock as _, SystemClock};
use crate::store::catalog::ConditionRow;
use crate::store::folder::held_by;
use crate::store::fs::{Fs, RealFs};

/// Hours that are told of in words.
const HOURS: usize = 50;
/// Seconds of each of them.
const SECONDS: usize = 3;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Look at sizes and footers only: no byte of the rows is read, and no hour is proven.
    #[arg(long)]
    quick: bool,
    /// Take damaged files whose rows are nowhere else out of the catalog, and move them to
    /// quarantine/: what is lost with them is a gap then, for repairs to close. Needs a folder that
    /// nobody records into.
    #[arg(long, conflicts_with = "quick")]
    quarantine: bool,
    /// Only these streams [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    streams: Vec<String>,
    /// Only files and hours from this day or instant on (UTC), such as 2026-01-31.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<Timestamp>,
    /// Only files and hours before this day or instant.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<Timestamp>,
    /// How many threads work [default: one for each core].
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
}

pub(super) fn run(args: &VerifyArgs, config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let request = Request {
        streams: args.streams.iter().map(|name| stream(name)).collect::<Result<_, _>>()?,
        within: within(args.from, args.to)?,
        quick: args.quick,
        settle: config.settle.0,
        threads: args.threads.map_or(cores, NonZero::get),
    };
    if args.quarantine
        && let Some(holder) = held_by(&config.data).ok().flatten()
    {
        let data = config.data.display();
        return Err(Failure::Failed(anyhow!("{data} is in use by {holder}: stop it first")));
    }
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let bar = Bar::new();
    let progress =
        Progress { begin: &|step, total| bar.begin(step, total), done: &|more| bar.0.inc(more) };
    let report = verify(&config.data, &fs, SystemClock::new().now(), &request, progress);
    bar.0.finish_and_clear();
    let report = report?;
    let gone = args
        .quarantine
        .then(|| quarantine(&config.data, &fs, SystemClock::new().now(), &report.lost))
        .transpose()?;
    if as_json {
        output::json(&document(&report, gone.as_ref()))?;
    } else {
        show(&report, request.quick, gone.as_ref())?;
    }
    Ok(if report.is_good() { Outcome::Done } else { Outcome::Incomplete })
}

/// The span between two instants, either of which may be left out.
pub(super) fn within(
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<Option<Span>, Failure> {
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    let (from, to) = (from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX));
    let span = Span::new(from, to);
    span.map(Some).ok_or_else(|| Failure::Usage(anyhow!("--from {from} must be before --to {to}")))
}

/// A bar on a terminal, and nothing elsewhere.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar =
            if io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template(
            "{msg:6} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        );
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn begin(&self, step: &'static str, total: u64) {
        self.0.reset();
        self.0.set_length(total);
        self.0.set_message(step);
    }
}

fn document(report: &Report, gone: Option<&Quarantined>) -> Value {
    let hours = Condition::ALL.iter().map(|one| (one.to_string(), json!(report.count(*one))));
    let odd = report.hours.iter().filter(|hour| hour.condition.is_bad());
    json!({
        "files": report.files,
        "rows": report.rows,
        "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
        "hours": hours.collect::<Map<_, _>>(),
        "incomplete": odd.map(hour).collect::<Vec<_>>(),
        "remedies": remedies(report, gone),
        "quarantined": gone.map(|gone| &gone.files),
        "replaced": report.replaced,
        "leftovers": report.leftovers,
        "not_stored": report.not_stored,
    })
}

fn fault(fault: &Fault) -> Value {
    json!({
        "path": fault.path,
        "fault": fault.fault.as_str(),
        "detail": fault.detail,
        "remedy": (!fault.remedy.is_empty()).then(|| fault.remedy.join("; ")),
    })
}

fn hour(row: &ConditionRow) -> Value {
    json!({
        "venue": row.venue,
        "stream": row.stream.name(),
        "market": row.market,
        "hour": row.hour.to_string(),
        "condition": row.condition.as_str(),
        "numbers": numbers(row),
    })
}

fn show(report: &Report, quick: bool, gone: Option<&Quarantined>) -> io::Result<()> {
    let head = [("file", Align::Left), ("fault", Align::Left), ("detail", Align::Left)];
    let line = |one: &Fault| vec![one.path.clone(), one.fault.to_string(), one.detail.clone()];
    let whole = format!(
        "{} files with {} rows are what was published",
        output::count(report.files),
        output::count(report.rows)
    );
    output::table(&head, report.faults.iter().map(line).collect(), &whole)?;
    if let Some(Quarantined { files, rows, gaps }) = gone.filter(|gone| !gone.files.is_empty()) {
        let (files, gaps) = (count(files.len()), count(gaps.len()));
        let [files, rows, gaps] = [files, *rows, gaps].map(output::count);
        output::data(&format!("{files} files with {rows} rows went to quarantine/: {gaps} gaps"))?;
    }
    for remedy in remedies(report, gone) {
        output::data(&format!("mend it with: {remedy}"))?;
    }
    let bad = report.hours.iter().filter(|hour| hour.condition.is_bad());
    for row in bad.clone().take(HOURS) {
        output::data(&words(row))?;
    }
    if let Some(more) = bad.count().checked_sub(HOURS).filter(|more| *more > 0) {
        output::data(&format!("and {more} more hours that are not complete: --json tells them"))?;
    }
    if !quick {
        let counts = Condition::ALL.iter().map(|one| format!("{} {one}", report.count(*one)));
        output::data(&format!("hours: {}", counts.collect::<Vec<_>>().join(", ")))?;
    }
    if let Some(why) = &report.not_stored {
        output::talk(&format!("the conditions are not stored: {why}"));
    }
    for (count, what) in [
        (report.replaced, "files were replaced meanwhile, and not looked at"),
        (report.leftovers, "files that do not count wait for the next start, which removes them"),
    ] {
        if count > 0 {
            output::talk(&format!("{} {what}", output::count(count)));
        }
    }
    Ok(())
}

/// The commands that are still to be given.
fn remedies<'a>(report: &'a Report, gone: Option<&Quarantined>) -> Vec<&'a str> {
    let done = |remedy: &&str| gone.is_some() && remedy.ends_with("--quarantine");
    report.remedies.iter().map(String::as_str).filter(|remedy| !done(remedy)).collect()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// An hour that is not complete, and why.
fn words(row: &ConditionRow) -> String {
    let Numbers { rows, read, lost, disagreeing, disagreements, .. } = numbers(row);
    let mut parts = Vec::new();
    if lost {
        parts.push("some of it is in the gap ledger".to_owned());
    }
    if rows != read {
        parts.push(format!("{read} of {rows} rows can be read"));
    }
    parts.extend(disagreements.iter().take(SECONDS).map(|one| {
        let Disagreement { at, with, what } = one;
        format!("{at} against {with}: {what}")
    }));
    let told = u64::try_from(disagreements.len().min(SECONDS)).unwrap_or(u64::MAX);
    if disagreeing > told {
        parts.push(format!("and {} more disagree", disagreeing - told));
    }
    let ConditionRow { venue, stream, market, hour, condition, .. } = row;
    format!("{venue} {stream} {market} {hour} is {condition}: {}", parts.join("\n  "))
}
