//! `rebuild`: Parquet again from kept raw frames.

use std::sync::Arc;

use anyhow::anyhow;
use chrono::{NaiveDate, NaiveTime};
use clap::Args;
use serde_json::json;

use super::config::Config;
use super::output::{self, Align};
use super::{Failure, Outcome};
use crate::maintain::rebuild::{Request, Summary, rebuild};
use crate::model::span::Span;
use crate::model::spelling::hint;
use crate::model::subscription::Stream;
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
    let streams = args.streams.iter().map(|name| stream(name)).collect::<Result<_, _>>()?;
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

pub(super) fn stream(name: &str) -> Result<Stream, Failure> {
    let name = name.trim();
    name.parse().map_err(|_| {
        let hint = hint(name, Stream::all().map(Stream::name));
        Failure::Usage(anyhow!("there is no stream {name:?}{hint}"))
    })
}

/// A day, which begins at midnight UTC, or an instant.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let day = text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc().into());
    day.or_else(|_| text.parse()).map_err(|_: chrono::ParseError| {
        "write a day such as 2026-01-31, or an instant such as 2026-01-31T09:00:00Z".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_instants_are_read() {
        for (text, expected) in [
            ("2026-01-31", Some("2026-01-31T00:00:00Z")),
            ("2026-01-31T09:00:00Z", Some("2026-01-31T09:00:00Z")),
            ("2026-01-31T09:00:00.000001+09:00", Some("2026-01-31T00:00:00.000001Z")),
            ("2026-02-30", None),
            ("yesterday", None),
            ("2026-01-31T09:00:00", None),
        ] {
            assert_eq!(instant(text).ok().map(|at| at.to_string()).as_deref(), expected, "{text}");
        }
    }
}
