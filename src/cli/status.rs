//! `status`: what a data folder holds, and how its recorder is.
//!
//! A recorder that answers over HTTP is asked: it is found through the data folder, or by `--http`.
//! Else the folder is read as it lies.

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::Value;

use super::config::{Config, Secret};
use super::output;
use super::{Failure, Outcome, record, status_watch};
use crate::maintain::coverage;
use crate::model::gap::Gap;
use crate::serve;
use crate::store::catalog::{Catalog, Filter};
use crate::store::folder;

/// How long a recorder may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Args)]
pub(super) struct StatusArgs {
    /// Ask the recorder at this address instead of the one that --data leads to.
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// What the recorder asks for.
    #[arg(
        long = "http-token",
        value_name = "TOKEN",
        env = "VERITAPE_HTTP_TOKEN",
        hide_env_values = true
    )]
    token: Option<Secret>,
    /// Show it again and again, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// End with 0 only while a recorder runs and is well, else with 3.
    #[arg(long, conflicts_with = "watch")]
    check: bool,
    /// How often, with --watch.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    every: Duration,
}

pub(super) fn run(args: &StatusArgs, config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    if args.watch {
        return status_watch::watch(args.every, as_json, || document(args, config));
    }
    let document = document(args, config)?;
    let told = tell(&document, as_json)?;
    let healthy = document.pointer("/live/healthy").and_then(Value::as_bool);
    Ok(if args.check && healthy != Some(true) { Outcome::Incomplete } else { told })
}

/// The status of a folder that nobody records into.
pub(super) fn at_rest(config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    tell(&as_it_lies(config, false)?, as_json)
}

/// What the folder itself says; with how many hours have which condition, for which a recorder has
/// no time.
fn as_it_lies(config: &Config, recording: bool) -> Result<Value, Failure> {
    let catalog = open(config)?;
    let last = catalog.summary()?.iter().map(|holding| holding.last_event).max();
    let counts = coverage::counts(&catalog, last.unwrap_or_default())?;
    let hours: serde_json::Map<String, Value> = counts
        .into_iter()
        .map(|(condition, hours)| (condition.to_string(), hours.into()))
        .collect();
    let mut document = serve::status::held(&catalog, &config.data, recording)?;
    if let Some(document) = document.as_object_mut() {
        document.insert("hours".to_owned(), hours.into());
    }
    Ok(document)
}

fn tell(document: &Value, as_json: bool) -> Result<Outcome, Failure> {
    if as_json {
        output::json(document)?;
    } else {
        output::data(&status_watch::screen(document))?;
    }
    Ok(Outcome::Done)
}

/// What the recorder says, or what the folder says where nobody answers.
fn document(args: &StatusArgs, config: &Config) -> Result<Value, Failure> {
    let token = args.token.as_ref().or(config.http_token.as_ref());
    if let Some(url) = &args.http {
        return Ok(ask(url, token)?);
    }
    let holder = folder::held_by(&config.data)?;
    if let Some(url) = folder::announced(&config.data)? {
        match ask(&url, token) {
            Ok(document) => return Ok(document),
            Err(error) => tracing::warn!("the recorder at {url} does not say how it is: {error:#}"),
        }
    }
    as_it_lies(config, holder.is_some())
}

/// Asks a recorder.
fn ask(url: &str, token: Option<&Secret>) -> anyhow::Result<Value> {
    let url = url.strip_suffix("/status.json").unwrap_or(url).trim_end_matches('/');
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let asking = async {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        let mut request = client.get(format!("{url}/status.json"));
        if let Some(token) = token {
            request = request.bearer_auth(token.shown());
        }
        let response = request.send().await.with_context(|| format!("nobody answers at {url}"))?;
        match response.status() {
            status if status.is_success() => Ok(response.json().await?),
            reqwest::StatusCode::UNAUTHORIZED => {
                Err(anyhow!("{url} asks for a token: give it with --http-token"))
            }
            status => Err(anyhow!("{url} answers {status}")),
        }
    };
    let runtime = record::runtime().map_err(|_| anyhow!("cannot start threads"))?;
    runtime.block_on(asking)
}

/// Opens the catalog of the data folder to read.
pub(super) fn open(config: &Config) -> Result<Catalog, Failure> {
    Ok(Catalog::of_folder(&config.data)?)
}

/// Every gap, in the order in which they were found.
pub(super) fn gaps(catalog: &Catalog) -> Result<Vec<Gap>, Failure> {
    Ok(catalog.gaps(&Filter::default())?.into_iter().map(|(_, gap)| gap).collect())
}
