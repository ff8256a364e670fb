//! `retain`: removes what a policy no longer keeps, and notes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use serde_json::{Value, json};

use super::config::Config;
use super::config_retain::{self, Kept};
use super::output::{self, Align};
use super::{Failure, Outcome, status};
use crate::maintain::retain::{self, Policy, Retiree};
use crate::net::clock::{Clock as _, SystemClock};
use crate::store::catalog::Filter;
use crate::store::fs::{Fs, RealFs};

#[derive(Debug, Args)]
pub(super) struct RetainArgs {
    /// Keep so much: a stream, candle or total, then a time such as 30d or bytes such as 500GB.
    /// Goes before the configuration.
    #[arg(long, value_name = "STREAM=LIMIT", value_delimiter = ',')]
    keep: Vec<String>,
    /// Say what would go, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &RetainArgs, config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    let policy = policy(args, config)?;
    let now = SystemClock::new().now();
    let going = if args.dry_run {
        retain::plan(&status::open(config)?.segments(&Filter::default())?, &policy, now)
    } else {
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        retain::retain(&config.data, &fs, now, &policy)?
    };
    show(&going, args.dry_run, as_json)?;
    Ok(Outcome::Done)
}

/// What the command line says, or else the configuration.
fn policy(args: &RetainArgs, config: &Config) -> Result<Policy, Failure> {
    let mut kept: BTreeMap<String, Kept> = config.retain.clone();
    for text in &args.keep {
        let (name, limit) = text.split_once('=').ok_or_else(|| {
            Failure::Usage(anyhow!("--keep {text} must be such as orderbook=30d or total=500GB"))
        })?;
        let limit = limit.parse().map_err(|why| Failure::Usage(anyhow!("--keep {text}: {why}")))?;
        kept.insert(name.trim().to_owned(), limit);
    }
    if kept.is_empty() {
        return Err(Failure::Usage(anyhow!(
            "nothing says what is to be kept: give --keep, or [retain] in the configuration"
        )));
    }
    config_retain::policy(&kept).map_err(|why| Failure::Usage(anyhow!("{why}")))
}

fn show(going: &[Retiree], dry_run: bool, as_json: bool) -> std::io::Result<()> {
    if as_json {
        let days = going.iter().map(|day| {
            json!({
                "venue": day.venue,
                "stream": day.stream.name(),
                "date": day.date.to_string(),
                "files": day.files.len(),
                "rows": day.rows(),
                "bytes": day.bytes(),
                "policy": day.policy,
            })
        });
        return output::json(&json!({
            "dry_run": dry_run,
            "retired": days.collect::<Vec<Value>>(),
            "files": going.iter().map(|day| day.files.len()).sum::<usize>(),
            "rows": going.iter().map(Retiree::rows).sum::<u64>(),
            "bytes": going.iter().map(Retiree::bytes).sum::<u64>(),
        }));
    }
    let head = [
        ("stream", Align::Left),
        ("day", Align::Left),
        ("files", Align::Right),
        ("rows", Align::Right),
        ("bytes", Align::Right),
        ("because", Align::Left),
    ];
    let lines = going.iter().map(|day| {
        vec![
            format!("{} {}", day.venue, day.stream),
            day.date.to_string(),
            day.files.len().to_string(),
            output::count(day.rows()),
            output::bytes(day.bytes()),
            day.policy.clone(),
        ]
    });
    output::table(&head, lines.collect(), "everything is to be kept")
}
