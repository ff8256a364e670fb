//! `export`: a selection of rows as one file, or on standard output.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use globset::{Glob, GlobSet, GlobSetBuilder};

use super::config::Config;
use super::select::{instant, streams};
use super::{Failure, Outcome, output, status};
use crate::maintain::export::{ExportError, Format, Request, export};
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::time::Timestamp;
use crate::store::fs::{Fs, RealFs};
use crate::store::segment::Wanted;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Rows of these streams; `candle` is all units [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    streams: Vec<String>,
    /// Rows of these markets: codes, or patterns such as 'KRW-*' [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    markets: Vec<String>,
    /// Rows of this day or instant (UTC) and later, such as 2026-01-31 or 2026-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<Timestamp>,
    /// Rows before this day or instant.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<Timestamp>,
    /// The format [default: what the name of the output ends in, else csv].
    #[arg(long, value_enum)]
    format: Option<FormatName>,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if there is one.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Parquet.
    Parquet,
    /// Comma-separated values.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

pub(super) fn run(args: &ExportArgs, config: &Config) -> Result<Outcome, Failure> {
    let request = request(args, config)?;
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let done = match args.output.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => to_file(args, config, &fs, &request, path)?,
        None => export(&config.data, &fs, &request, io::stdout()).map(|(_, rows)| rows),
    };
    match done {
        Ok(rows) => output::talk(&format!("exported {} rows", output::count(rows))),
        // A reader that went away has what it wanted.
        Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Outcome::Done)
}

/// Writes beside the file first, so that it is there whole or not at all.
fn to_file(
    args: &ExportArgs,
    config: &Config,
    fs: &Arc<dyn Fs>,
    request: &Request,
    path: &Path,
) -> Result<Result<u64, ExportError>, Failure> {
    if path.exists() && !args.force {
        let path = path.display();
        return Err(Failure::Usage(anyhow!("there is a file {path} already; --force replaces it")));
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let tmp = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let file = fs.create(&tmp).with_context(|| format!("cannot write {}", tmp.display()))?;
    let done = export(&config.data, fs, request, file).and_then(|(mut file, rows)| {
        file.sync()?;
        drop(file);
        fs.publish(&tmp, path)?;
        Ok(rows)
    });
    if done.is_err() {
        // The error is what matters.
        drop(fs.remove(&tmp));
    }
    Ok(done)
}

fn request(args: &ExportArgs, config: &Config) -> Result<Request, Failure> {
    let (from, to) = (args.from.unwrap_or(Timestamp::MIN), args.to.unwrap_or(Timestamp::MAX));
    let span = Span::new(from, to)
        .ok_or_else(|| Failure::Usage(anyhow!("--from {from} must be before --to {to}")))?;
    let within = (args.from.is_some() || args.to.is_some()).then_some(span);
    let scratch = format!("veritape-export-{}", std::process::id());
    Ok(Request {
        streams: streams(&args.streams)?,
        wanted: Wanted { markets: markets(&args.markets, config)?, within },
        format: format(args),
        scratch: std::env::temp_dir().join(scratch),
    })
}

fn format(args: &ExportArgs) -> Format {
    let extension = args.output.as_deref().and_then(Path::extension).and_then(|one| one.to_str());
    match (args.format, extension) {
        (Some(FormatName::Parquet), _) | (None, Some("parquet")) => Format::Parquet,
        (Some(FormatName::Jsonl), _) | (None, Some("jsonl" | "ndjson")) => Format::JsonLines,
        (Some(FormatName::Csv) | None, _) => Format::Csv,
    }
}

/// The markets of the folder that are asked for.
fn markets(asked: &[String], config: &Config) -> Result<Option<HashSet<Market>>, Failure> {
    if asked.is_empty() || asked.iter().any(|one| one == "all") {
        return Ok(None);
    }
    let patterns = patterns(asked)?;
    let held = status::open(config)?.markets()?;
    let mut wanted: HashSet<Market> =
        held.into_iter().filter(|one| patterns.is_match(one.as_str())).collect();
    if wanted.is_empty() {
        output::talk(&format!("no row is of {}", asked.join(", ")));
    }
    // What is not held can be asked for: there are no rows of it.
    wanted.extend(asked.iter().map(|one| Market::new(one.as_str())));
    Ok(Some(wanted))
}

fn patterns(asked: &[String]) -> Result<GlobSet, Failure> {
    let mut patterns = GlobSetBuilder::new();
    for one in asked {
        let glob = Glob::new(one).map_err(|error| Failure::Usage(anyhow!("{one:?}: {error}")))?;
        patterns.add(glob);
    }
    Ok(patterns.build()?)
}
