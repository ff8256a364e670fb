//! What a person sees of a backfill: the plan, how far it is, what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Report;
use super::ground::Ground;
use crate::backfill::plan::Lost;
use crate::backfill::run::{Ended, Progress};
use crate::cli::output::{self, Align};
use crate::cli::{Failure, Outcome};
use crate::model::job::JobState;
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::venue::{PastAsk, Venue};

/// How often the bar on a terminal is renewed.
const BAR_EVERY: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// What is longer away is not known: nothing answers.
const ETA_MAX: Duration = Duration::from_hours(30 * 24);
/// The bar's length: tenths of a percent.
const BAR: u64 = 1_000;

/// Writes the plan.
pub(super) fn plan(venue: &dyn Venue, ground: &Ground, json: bool) -> Result<Outcome, Failure> {
    let costs = costs(ground);
    let rate = venue.limits().requests_per_second.max(1);
    let time = time(venue, &costs, rate);
    if json {
        let streams = costs.iter().map(|(stream, cost)| {
            json!({
                "stream": stream.name(),
                "markets": cost.markets.len(),
                "jobs": cost.jobs,
                "pages": cost.pages,
                "calls": cost.calls,
                "rows": cost.rows,
                "bytes": cost.bytes,
            })
        });
        output::json(&json!({
            "streams": streams.collect::<Vec<Value>>(),
            "seconds": time.as_secs_f64(),
            "rate": rate,
            "resumed": ground.resumed.len(),
            "lost": ground.plan.lost.iter().map(lost_document).collect::<Vec<_>>(),
            "unlisted": ground.unlisted.iter().map(|(market, _)| market).collect::<Vec<_>>(),
        }))?;
    } else {
        let head = [
            ("stream", Align::Left),
            ("markets", Align::Right),
            ("jobs", Align::Right),
            ("pages", Align::Right),
            ("calls", Align::Right),
            ("rows", Align::Right),
            ("bytes", Align::Right),
        ];
        let count = |n: usize| output::count(u64::try_from(n).unwrap_or(u64::MAX));
        let lines = costs.iter().map(|(stream, cost)| {
            vec![
                format!("{} {stream}", venue.name()),
                count(cost.markets.len()),
                count(cost.jobs),
                output::count(cost.pages),
                output::count(cost.calls),
                output::count(cost.rows),
                output::bytes(cost.bytes),
            ]
        });
        output::table(&head, lines.collect(), "nothing is missing")?;
        let seconds = Duration::from_secs(time.as_secs());
        let time = humantime::format_duration(seconds);
        output::data(&format!("at {rate} calls a second: {time}"))?;
        talk(ground);
    }
    Ok(if complete(ground) { Outcome::Done } else { Outcome::Incomplete })
}

/// Says how a run begins.
pub(super) fn begin(ground: &Ground, jobs: usize) {
    talk(ground);
    if jobs == 0 {
        tracing::info!("there is nothing to ask for");
        return;
    }
    let resumed = ground.resumed.len();
    tracing::info!("{jobs} jobs, {resumed} of them from before");
}

/// Shows how far it is until it is dropped.
pub(super) async fn progress(progress: watch::Receiver<Progress>) {
    let bar = io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new(BAR);
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} % · ETA {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar
    });
    let every = if bar.is_some() { BAR_EVERY } else { LINE_EVERY };
    let mut ticks = tokio::time::interval(every);
    ticks.tick().await;
    let started = tokio::time::Instant::now();
    let mut before = progress.borrow().clone();
    // What a run before brought says nothing of how fast this one is.
    let mut first = None;
    loop {
        ticks.tick().await;
        let now = progress.borrow().clone();
        let (share, elapsed) = (share(&now), started.elapsed());
        if now.calls == 0 || first.is_none() {
            first = Some(share);
        }
        let eta = eta(share - first.unwrap_or(share), share, elapsed);
        if let Some(bar) = &bar {
            bar.set_position(tenths(share));
            bar.set_message(format!("{eta} · {}", line(&now, now.calls, elapsed)));
        } else {
            let calls = now.calls - before.calls.min(now.calls);
            tracing::info!("{:.1} % · ETA {eta} · {}", 100.0 * share, line(&now, calls, every));
        }
        before = now;
    }
}

/// How long the rest takes, where this run `gained` so much of all within `elapsed`.
fn eta(gained: f64, share: f64, elapsed: Duration) -> String {
    let left = elapsed.as_secs_f64() * (1.0 - share).max(0.0) / gained;
    let known = Duration::try_from_secs_f64(left).ok().filter(|left| *left < ETA_MAX);
    known.map_or_else(
        || "unknown".to_owned(),
        |left| humantime::format_duration(Duration::from_secs(left.as_secs())).to_string(),
    )
}

/// Calls a second, what is asked for, and what failed.
fn line(now: &Progress, calls: u64, within: Duration) -> String {
    let calls = u32::try_from(calls).map_or(0.0, f64::from);
    let rate = calls / within.as_secs_f64().max(1e-9);
    let failed = now.ended.iter().filter(|one| one.state == JobState::Failed).count();
    let failed = if failed > 0 { format!(" · {failed} failed") } else { String::new() };
    let current = now.current.as_ref();
    let current =
        current.map_or_else(String::new, |(stream, market)| format!(" · {stream} {market}"));
    let calls = output::count(now.calls);
    format!("{rate:.1} calls/s · {calls} calls, {} again{failed}{current}", now.retries)
}

/// How much of the jobs is done, of 1.
fn share(now: &Progress) -> f64 {
    let jobs = u32::try_from(now.jobs.max(1)).map_or(f64::INFINITY, f64::from);
    (now.share / jobs).clamp(0.0, 1.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a bar, between 0 and its length"
)]
fn tenths(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 1_000.0) as u64
}

/// Writes what came of it.
pub(super) fn summary(venue: &dyn Venue, report: &Report, json: bool) -> Result<Outcome, Failure> {
    let Report { ground, progress, before, after, took } = report;
    let (mut rows, mut known) = (0, 0);
    for (id, (rows_before, known_before)) in before {
        let Some(told) = after.get(id) else { continue };
        rows += told.rows.saturating_sub(*rows_before);
        known += told.known.saturating_sub(*known_before);
    }
    let failed: Vec<&Ended> =
        progress.ended.iter().filter(|one| one.state == JobState::Failed).collect();
    let left = ground.jobs - progress.ended.len().min(ground.jobs);
    let used = progress.rate_used(venue.limits().requests_per_second);
    if json {
        let failed = failed.iter().map(|one| {
            json!({ "id": one.id, "stream": one.stream.name(), "market": one.market, "error": one.error })
        });
        output::json(&json!({
            "jobs": ground.jobs,
            "resumed": ground.resumed.len(),
            "failed": failed.collect::<Vec<Value>>(),
            "left": left,
            "rows": rows,
            "known": known,
            "pages": progress.pages,
            "calls": progress.calls,
            "retries": progress.retries,
            "seconds": took.as_secs_f64(),
            "rate_used": used,
            "lost": ground.plan.lost.iter().map(lost_document).collect::<Vec<_>>(),
            "unlisted": ground.unlisted.iter().map(|(market, _)| market).collect::<Vec<_>>(),
        }))?;
    }
    let seconds = took.as_secs_f64();
    let used = used.map(|used| format!(": {:.1} % of the allowed rate", 100.0 * used));
    output::talk(&format!(
        "{} rows new, {} already there; {} calls, {} of them again, in {seconds:.1} s{}",
        output::count(rows),
        output::count(known),
        output::count(progress.calls),
        output::count(progress.retries),
        used.unwrap_or_default(),
    ));
    let mut named: BTreeMap<(Stream, &Market, &str), usize> = BTreeMap::new();
    for one in &failed {
        let error = one.error.as_deref().unwrap_or("it did not say why");
        *named.entry((one.stream, &one.market, error)).or_default() += 1;
    }
    for ((stream, market, error), jobs) in named {
        let times = if jobs > 1 { format!(" ({jobs} jobs)") } else { String::new() };
        output::talk(&format!("failed: {stream} {market}: {error}{times}"));
    }
    if let Some(why) = &progress.gave_up {
        output::talk(&format!("gave up: {} does not answer: {why}", venue.name()));
    }
    if left > 0 {
        output::talk(&format!("{left} jobs are left; `veritape backfill` goes on with them"));
    }
    let all = failed.is_empty() && left == 0 && complete(ground);
    Ok(if all { Outcome::Done } else { Outcome::Incomplete })
}

/// Whether all that was asked for can be had.
fn complete(ground: &Ground) -> bool {
    ground.plan.lost.is_empty() && ground.unlisted.is_empty()
}

/// Names what cannot be had.
fn talk(ground: &Ground) {
    for Lost { stream, span, why } in &ground.plan.lost {
        output::talk(&format!("not to be had: {stream} of {span}: {why}"));
    }
    for (market, nearest) in &ground.unlisted {
        let hint = nearest.as_ref().map(|code| format!("; did you mean {code:?}?"));
        output::talk(&format!("the venue does not list {market}{}", hint.unwrap_or_default()));
    }
}

fn lost_document(lost: &Lost) -> Value {
    json!({
        "stream": lost.stream.name(),
        "from": lost.span.from().to_string(),
        "to": lost.span.to().to_string(),
        "why": lost.why,
    })
}

/// What one stream costs.
#[derive(Default)]
struct Cost<'a> {
    markets: BTreeSet<&'a Market>,
    jobs: usize,
    pages: u64,
    calls: u64,
    rows: u64,
    bytes: u64,
}

fn costs(ground: &Ground) -> BTreeMap<Stream, Cost<'_>> {
    let mut costs: BTreeMap<Stream, Cost<'_>> = BTreeMap::new();
    for job in &ground.plan.jobs {
        let cost = costs.entry(job.stream).or_default();
        cost.markets.insert(&job.market);
        cost.jobs += 1;
        cost.pages += job.pages;
        cost.calls += job.calls;
        cost.rows += job.rows;
    }
    for (stream, cost) in &mut costs {
        cost.bytes = whole(ground.bytes(*stream, cost.rows));
    }
    costs
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a guess, held to what fits"
)]
fn whole(guess: f64) -> u64 {
    guess.clamp(0.0, 1e15) as u64
}

/// How long the calls take at `rate`: groups of requests go side by side.
fn time(venue: &dyn Venue, costs: &BTreeMap<Stream, Cost<'_>>, rate: u32) -> Duration {
    let mut groups: BTreeMap<&str, u64> = BTreeMap::new();
    for (stream, cost) in costs {
        let market = Market::new("");
        let now = crate::model::time::Timestamp::default();
        let ask = PastAsk { stream: *stream, market: &market, before: now, id: None, now };
        let group = venue.past("", &ask).map_or("", |page| page.request.group);
        *groups.entry(group).or_default() += cost.calls;
    }
    let longest = groups.into_values().max().unwrap_or(0);
    Duration::from_secs(longest.div_ceil(u64::from(rate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_by_what_was_gained() {
        for (gained, share, seconds, expected) in [
            (0.5, 0.5, 60, "1m"),
            // Half of it was there before.
            (0.25, 0.75, 60, "1m"),
            (0.001, 0.001, 60, "16h 39m"),
            (1.0, 1.0, 60, "0s"),
            // Nothing answers.
            (0.0, 0.0, 60, "unknown"),
            (0.0, 0.9, 60, "unknown"),
            (1e-9, 1e-9, 60, "unknown"),
        ] {
            let told = eta(gained, share, Duration::from_secs(seconds));
            assert_eq!(told, expected, "{gained} {share}");
        }
    }
}
