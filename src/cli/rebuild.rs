//! `rebuild`: Parquet again from kept raw frames.

use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::config::Config;
use super::output::{self, Align};
use super::select::{instant, streams};
use super::{Failure, Outcome};
use crate::maintain::rebuild::{Request, Summary, rebuild};
use crate::model::span::Span;
use crate::model::time::Timestamp;
use crate::net::clock::{Clock as _, SystemClock};
use crate::store::fs::{Fs, RealFs};

#[derive(Debug, Args)]
pub(super) struct RebuildArgs {
    /// Take frames that arrived from this day or instant on (UTC), such as 2026-01-31 or
    /// 2026-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Timestamp,
    /// Take frames that arrived before this day or instant.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Timestamp,
    /// Make only these streams again [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    streams: Vec<String>,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &RebuildArgs, config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    let span = Span::new(args.from, args.to).ok_or_else(|| {
        Failure::Usage(anyhow!("--from {} must be before --to {}", args.from, args.to))
    })?;
    let streams = streams(&args.streams)?;
    let request = Request {
        span,
        streams,
        dry_run: args.dry_run,
        settle: config.settle.0,
        buffer_bytes: usize::try_from(config.buffer_bytes.as_u64()).unwrap_or(usize::MAX),
    };
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let summary = rebuild(&config.data, &fs, SystemClock::new().now(), &request)?;
    show(&summary, as_json)?;
    let complete = summary.missing_frames == 0;
    Ok(if complete { Outcome::Done } else { Outcome::Incomplete })
}

fn show(summary: &Summary, as_json: bool) -> std::io::Result<()> {
    let Summary { frames, rows, replaced, written, missing_frames } = *summary;
    if as_json {
        return output::json(&json!({
            "frames": frames,
            "rows": rows,
            "replaced": replaced,
            "written": written,
            "missing_frames": missing_frames,
        }));
    }
    let line = |what: &str, number| vec![what.to_owned(), output::count(number)];
    let lines = vec![
        line("frames read again", frames),
        line("rows they made", rows),
        line("files replaced", replaced),
        line("files written", written),
        line("frames not kept", missing_frames),
    ];
    output::table(&[("what", Align::Left), ("count", Align::Right)], lines, "")
}
