//! `compact`: the small files of a day as one, or as one for each market.

use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::config::Config;
use super::output::{self, Align};
use super::select::streams;
use super::{Failure, Outcome, status};
use crate::maintain::compact::plan::{Rule, Task};
use crate::maintain::compact::{Summary, compact, planned};
use crate::net::clock::{Clock as _, SystemClock};
use crate::store::fs::{Fs, RealFs};

#[derive(Debug, Args)]
pub(super) struct CompactArgs {
    /// Merge only files of these streams [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    streams: Vec<String>,
    /// Merge also the files of the UTC day that is not over.
    #[arg(long)]
    all: bool,
    /// Make one file for each market instead of one for all.
    #[arg(long)]
    by_market: bool,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &CompactArgs, config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    let rule = Rule { streams: streams(&args.streams)?, all: args.all, by_market: args.by_market };
    let now = SystemClock::new().now();
    if args.dry_run {
        show_plan(&planned(&status::open(config)?, now, &rule)?, as_json)?;
        return Ok(Outcome::Done);
    }
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let report = compact(&config.data, &fs, now, &rule)?;
    for (task, error) in &report.failed {
        let (what, files) = (words(task), task.sources.len());
        output::talk(&format!("veritape: the {files} files of {what} stay as they are: {error}"));
    }
    show(&report.summary, report.failed.len(), as_json)?;
    Ok(if report.failed.is_empty() { Outcome::Done } else { Outcome::Incomplete })
}

fn show(summary: &Summary, failed: usize, as_json: bool) -> std::io::Result<()> {
    let Summary { replaced, written, rows, dropped, bytes_before, bytes_after } = *summary;
    if as_json {
        return output::json(&json!({
            "replaced": replaced,
            "written": written,
            "rows": rows,
            "bytes_before": bytes_before,
            "bytes_after": bytes_after,
            "rows_dropped": dropped,
            "failed": failed,
        }));
    }
    let line = |what: &str, number: String| vec![what.to_owned(), number];
    let lines = vec![
        line("files replaced", output::count(replaced)),
        line("files written", output::count(written)),
        line("rows in them", output::count(rows)),
        line("rows that were there twice", output::count(dropped)),
        line("bytes before", output::bytes(bytes_before)),
        line("bytes after", output::bytes(bytes_after)),
    ];
    output::table(&[("what", Align::Left), ("count", Align::Right)], lines, "")
}

/// A plan knows what will be read, and not what will be written.
fn show_plan(plan: &[Task], as_json: bool) -> std::io::Result<()> {
    let rows = |task: &Task| task.sources.iter().map(|one| one.rows).sum::<u64>();
    let bytes = |task: &Task| task.sources.iter().map(|one| one.bytes).sum::<u64>();
    if as_json {
        return output::json(&json!({
            "dry_run": true,
            "replaced": plan.iter().map(|task| task.sources.len()).sum::<usize>(),
            "written": Value::Null,
            "rows": plan.iter().map(rows).sum::<u64>(),
            "bytes_before": plan.iter().map(bytes).sum::<u64>(),
            "bytes_after": Value::Null,
            "tasks": plan.iter().map(|task| json!({
                "files": task.sources.iter().map(|one| one.name.to_string()).collect::<Vec<_>>(),
                "rows": rows(task),
                "bytes": bytes(task),
                "by_market": task.by_market,
            })).collect::<Vec<Value>>(),
        }));
    }
    let head = [
        ("files of", Align::Left),
        ("become", Align::Left),
        ("files", Align::Right),
        ("rows", Align::Right),
        ("bytes", Align::Right),
    ];
    let lines = plan.iter().map(|task| {
        let become_ = if task.by_market { "one for each market" } else { "one" };
        vec![
            words(task),
            become_.to_owned(),
            task.sources.len().to_string(),
            output::count(rows(task)),
            output::bytes(bytes(task)),
        ]
    });
    output::table(&head, lines.collect(), "there is nothing to merge")
}

/// Which files.
fn words(task: &Task) -> String {
    let first = task.sources.first().map(|source| &source.name);
    first.map_or_else(String::new, |name| format!("{} {} {}", name.venue, name.stream, name.date))
}
