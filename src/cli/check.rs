//! `record --check`: what these settings would record, what that takes, and whether there is room.
//! Nothing is recorded, and no folder is made; the venue is asked for its list of markets alone.
//!
//! What a stream takes is what it took here on the last full days, where the folder has them; else
//! what the venue is known to send.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use rustix::fs::{Access, access};
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};
use smol_str::SmolStr;

use super::config::{Config, RawKeep};
use super::output::{self, Align};
use super::record::{
    Network, check_addresses, check_deflate, find_venue, network, new_queue, selection,
};
use super::{Failure, Outcome};
use crate::ingest::listing::{Listing, first_list};
use crate::ingest::plan::{Listed, Selection, spread};
use crate::ingest::supervisor::LIST_PATIENCE;
use crate::maintain::room::{Room, days_left};
use crate::model::frame::Origin;
use crate::model::market::{Market, Source};
use crate::model::subscription::{Stream, Subscription};
use crate::net::clock::{Clock, SystemClock};
use crate::store::catalog::Catalog;
use crate::store::folder;
use crate::store::fs::free_bytes;
use crate::store::paths::Paths;
use crate::venue::Venue;

const DAY_S: u64 = 86_400;
/// Open files besides connections: 64 connections to the status page, the catalog with its log for
/// each of several readers, the journal, files that are made, merged and read, the runtime's own.
const OPEN_FILES: u64 = 192;
/// What zstd leaves of a hundred bytes of raw frames in the journal's blocks, seen of real books.
const RAW_PERCENT: u64 = 23;

/// What would be recorded.
struct Plan {
    venue: &'static str,
    lines: usize,
    /// How many subscriptions each connection of one line carries.
    connections: Vec<usize>,
    streams: Vec<StreamPlan>,
    markets: usize,
}

/// One stream of it.
struct StreamPlan {
    stream: Stream,
    markets: u64,
    /// Of all lines together.
    frames_per_day: Option<u64>,
    bytes_per_day: Option<u64>,
    raw_per_day: u64,
    basis: Basis,
}

/// What a figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basis {
    /// The folder's last full days.
    History,
    /// What the venue is known to send.
    Typical,
    /// Nothing is known.
    Unknown,
}

impl Basis {
    const fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Typical => "typical",
            Self::Unknown => "unknown",
        }
    }
}

/// What there is.
struct Ground {
    free_bytes: u64,
    min_free_bytes: u64,
    /// Bytes a day that policies remove.
    retired: u64,
    warn_days: u16,
    keeps_raw: bool,
    files_limit: Option<u64>,
    held_by: Option<String>,
}

pub(super) async fn run(config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    let venue = find_venue(&config.venue)?;
    check_addresses(config)?;
    check_deflate(config)?;
    let asked = selection(config, venue)?;
    let folder = existing(&config.data)?;
    access(&folder, Access::WRITE_OK | Access::EXEC_OK)
        .with_context(|| format!("nobody could record into {}", folder.display()))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let catalog = Paths::new(&config.data).catalog();
    let catalog = catalog.is_file().then(|| Catalog::of_folder(&config.data)).transpose()?;
    let wanted = wanted(config, venue, &asked, catalog.as_ref(), &clock).await?;
    let room = catalog.as_ref().map(|catalog| Room::of(catalog, clock.now())).transpose()?;
    let room = room.unwrap_or_default();
    let plan = Plan::of(venue, &wanted, config.lines, &room.streams);
    let ground = Ground {
        free_bytes: free_bytes(&folder)
            .with_context(|| format!("{} does not say what is free", folder.display()))?,
        min_free_bytes: config.min_free_bytes.as_u64(),
        retired: room.retired,
        warn_days: config.warn_days,
        keeps_raw: config.raw.keep != RawKeep::Nothing,
        files_limit: getrlimit(Resource::Nofile).current,
        held_by: folder::held_by(&config.data)?,
    };
    let document = document(config, &plan, &ground);
    if as_json {
        output::json(&document)?;
    } else {
        show(&plan, &ground)?;
    }
    let enough = ground.problems(&plan).is_empty();
    Ok(if enough { Outcome::Done } else { Outcome::Incomplete })
}

/// The folder itself, or what it would be made in.
fn existing(data: &Path) -> Result<PathBuf, Failure> {
    let path = std::path::absolute(data).with_context(|| data.display().to_string())?;
    let found = path.ancestors().find(|path| path.exists());
    Ok(found.ok_or_else(|| anyhow!("{} leads nowhere", data.display()))?.to_owned())
}

/// The subscriptions that would be asked for: as a recorder finds them.
async fn wanted(
    config: &Config,
    venue: &'static dyn Venue,
    asked: &Selection,
    catalog: Option<&Catalog>,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Subscription>, Failure> {
    let Network { http, .. } = network(config, venue, clock)?;
    let origin = Origin {
        venue: SmolStr::new_static(venue.name()),
        session: 0,
        source: Source::Rest,
        stream: Some(Stream::Instrument),
        market: None,
    };
    // The page goes nowhere.
    let (queue, _unread) = new_queue(config);
    let rest = config.rest_url.clone().unwrap_or_else(|| venue.endpoints().rest.to_owned());
    let mut listing =
        Listing { venue, rest_url: rest, http, origin: Arc::new(origin), queue, last: None };
    let usage = |error: crate::ingest::plan::PlanError| Failure::Usage(error.into());
    let first = first_list(&mut listing, LIST_PATIENCE, asked.names_codes_only()).await;
    let why = match first {
        Ok(markets) => return asked.resolve(venue, Listed::Fresh(&markets)).map_err(usage),
        Err(why) => why,
    };
    let known = catalog.map(|catalog| catalog.instruments(venue.name())).transpose()?;
    let known = known.unwrap_or_default().into_iter().filter(|row| row.listed);
    let known: Vec<Market> = known.map(|row| row.market).collect();
    if known.is_empty() && !asked.names_codes_only() {
        return Err(why.into());
    }
    output::talk(&format!("no list of markets, going by what is known without it: {why}"));
    asked.resolve(venue, Listed::Known(&known)).map_err(usage)
}

impl Plan {
    fn of(
        venue: &'static dyn Venue,
        wanted: &[Subscription],
        lines: u8,
        history: &BTreeMap<(SmolStr, Stream), u64>,
    ) -> Self {
        let limit = venue.limits().subscriptions_per_connection;
        let mut counts: BTreeMap<Stream, u64> = BTreeMap::new();
        for one in wanted {
            *counts.entry(one.stream).or_default() += 1;
        }
        let streams = counts.iter().map(|(stream, markets)| {
            let key = (SmolStr::new_static(venue.name()), *stream);
            let held = history.get(&key).copied();
            StreamPlan::of(venue, *stream, *markets, lines, held)
        });
        let mut markets: Vec<&Market> = wanted.iter().map(|one| &one.market).collect();
        markets.sort_unstable();
        markets.dedup();
        Self {
            venue: venue.name(),
            lines: usize::from(lines),
            connections: spread(&[], wanted, limit).iter().map(Vec::len).collect(),
            streams: streams.collect(),
            markets: markets.len(),
        }
    }

    fn connections(&self) -> usize {
        self.connections.len() * self.lines
    }

    /// Bytes a day of files, and of raw frames where they are kept; none where a stream is unknown.
    fn bytes_per_day(&self, keeps_raw: bool) -> Option<u64> {
        let raw = |one: &StreamPlan| if keeps_raw { one.raw_per_day } else { 0 };
        self.streams.iter().map(|one| Some(one.bytes_per_day? + raw(one))).sum()
    }

    fn files_needed(&self) -> u64 {
        OPEN_FILES + u64::try_from(self.connections()).unwrap_or(u64::MAX / 2)
    }
}

impl StreamPlan {
    fn of(venue: &dyn Venue, stream: Stream, markets: u64, lines: u8, held: Option<u64>) -> Self {
        let typical = venue.typical(stream);
        let bytes = typical.map(|one| one.rows * one.row_bytes * markets);
        let frames = typical.map(|one| one.frames * markets * u64::from(lines));
        let raw = typical.zip(frames).map(|(one, frames)| frames * one.frame_bytes);
        Self {
            stream,
            markets,
            frames_per_day: frames,
            bytes_per_day: held.or(bytes),
            raw_per_day: raw.unwrap_or_default() / 100 * RAW_PERCENT,
            basis: match (held, bytes) {
                (Some(_), _) => Basis::History,
                (None, Some(_)) => Basis::Typical,
                (None, None) => Basis::Unknown,
            },
        }
    }

    fn frames_per_s(&self) -> Option<f64> {
        let tenths = u32::try_from(self.frames_per_day? * 10 / DAY_S).unwrap_or(u32::MAX);
        Some(f64::from(tenths) / 10.0)
    }
}

impl Ground {
    /// For how many days there is room; none where that is not known, or very long.
    fn days_left(&self, plan: &Plan) -> Option<f64> {
        let grows = plan.bytes_per_day(self.keeps_raw)?.saturating_sub(self.retired);
        days_left(self.free_bytes.saturating_sub(self.min_free_bytes), grows)
    }

    /// What is too small: what it is, and by how much.
    fn problems(&self, plan: &Plan) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let (free, least) = (self.free_bytes, self.min_free_bytes);
        if free < least {
            let (free, least) = (output::bytes(free), output::bytes(least));
            problems.push(("disk", format!("{free} are free, less than min_free_bytes = {least}")));
        } else if let Some(days) =
            self.days_left(plan).filter(|days| *days < f64::from(self.warn_days))
        {
            let detail = format!("there is room for {days:.1} days, less than {}", self.warn_days);
            problems.push(("disk", detail));
        }
        let needed = plan.files_needed();
        if let Some(limit) = self.files_limit.filter(|limit| *limit < needed) {
            let detail = format!(
                "{limit} files may be open and {needed} may be needed: raise it, ulimit -n"
            );
            problems.push(("open_files", detail));
        }
        problems
    }
}

fn document(config: &Config, plan: &Plan, ground: &Ground) -> Value {
    let streams = plan.streams.iter().map(|one| {
        json!({
            "stream": one.stream.name(),
            "markets": one.markets,
            "frames_per_s": one.frames_per_s(),
            "bytes_per_day": one.bytes_per_day,
            "raw_bytes_per_day": ground.keeps_raw.then_some(one.raw_per_day),
            "basis": one.basis.as_str(),
        })
    });
    let problems = ground.problems(plan);
    let problems = problems.iter().map(|(what, detail)| json!({ "what": what, "detail": detail }));
    json!({
        "venue": plan.venue,
        "data": config.data,
        "held_by": ground.held_by,
        "markets": plan.markets,
        "subscriptions": plan.connections.iter().sum::<usize>(),
        "lines": plan.lines,
        "connections": plan.connections(),
        "subscriptions_per_connection": plan.connections,
        "streams": streams.collect::<Vec<Value>>(),
        "bytes_per_day": plan.bytes_per_day(ground.keeps_raw),
        "retired_bytes_per_day": ground.retired,
        "disk": {
            "free_bytes": ground.free_bytes,
            "min_free_bytes": ground.min_free_bytes,
            "days_left": ground.days_left(plan),
            "warn_days": ground.warn_days,
        },
        "open_files": { "limit": ground.files_limit, "needed": plan.files_needed() },
        "problems": problems.collect::<Vec<Value>>(),
    })
}

fn show(plan: &Plan, ground: &Ground) -> Result<(), Failure> {
    let unknown = || "?".to_owned();
    let rows = plan.streams.iter().map(|one| {
        vec![
            format!("{} {}", plan.venue, one.stream),
            output::count(one.markets),
            one.frames_per_s().map_or_else(unknown, |frames| format!("{frames:.1}")),
            one.bytes_per_day.map_or_else(unknown, output::bytes),
            one.basis.as_str().to_owned(),
        ]
    });
    let head = [
        ("stream", Align::Left),
        ("markets", Align::Right),
        ("frames/s", Align::Right),
        ("a day", Align::Right),
        ("by", Align::Left),
    ];
    output::table(&head, rows.collect(), "nothing")?;
    let subscriptions = plan.connections.iter().sum::<usize>();
    let mut lines = vec![String::new()];
    let connections = plan.connections();
    lines.push(format!(
        "connections: {connections}, each line carries {subscriptions} subscriptions"
    ));
    let a_day = plan.bytes_per_day(ground.keeps_raw).map_or_else(unknown, output::bytes);
    let raw = if ground.keeps_raw { ", raw frames with them" } else { "" };
    let days = match ground.days_left(plan) {
        Some(days) => format!("room for {days:.1} days"),
        None => "room for longer than anybody looks ahead, or unknown".to_owned(),
    };
    let free = output::bytes(ground.free_bytes);
    lines.push(format!("{a_day} a day{raw}; {free} free: {days}"));
    let limit = ground.files_limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    lines.push(format!("open files: {} may be needed, limit {limit}", plan.files_needed()));
    if let Some(holder) = &ground.held_by {
        lines.push(format!("the folder is in use by {holder}"));
    }
    lines.extend(
        ground.problems(plan).into_iter().map(|(_, detail)| format!("too small: {detail}")),
    );
    Ok(output::data(&lines.join("\n"))?)
}

#[cfg(test)]
mod tests;
