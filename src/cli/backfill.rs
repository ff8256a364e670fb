//! `backfill`: what is missing of a range, asked of a venue's REST server.
//!
//! The same arguments again go on where an earlier call stopped; none at all go on with whatever
//! is left.

mod ground;
mod show;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::ground::{Ground, Wanted};
use super::config::Config;
use super::record::{self, Network};
use super::signals::Signals;
use super::{Failure, Outcome, VenueArgs, when};
use crate::backfill::run::{self, Effort, Progress};
use crate::ingest::drift::{self, Drift};
use crate::ingest::feed::Numbers;
use crate::ingest::jobs::JobTold;
use crate::ingest::listing::{Listing, Requests, first_list};
use crate::ingest::plan::{Listed, Selection, Way};
use crate::ingest::queue::Sender;
use crate::ingest::supervisor;
use crate::ingest::writer::Writer;
use crate::model::event::Event;
use crate::model::job::{Job, JobKind, JobState};
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::time::{SECOND_US, Timestamp};
use crate::net::clock::{Clock, SystemClock};
use crate::net::http::Http;
use crate::store::catalog::Catalog;
use crate::store::fs::RealFs;
use crate::venue::Venue;

/// Jobs on their way from the plan to the run.
const HANDED_OVER: usize = 256;

#[derive(Debug, Args)]
pub(super) struct BackfillArgs {
    #[command(flatten)]
    venue: VenueArgs,
    /// Markets: codes, patterns such as 'KRW-*', or all.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    markets: Option<Vec<String>>,
    /// Streams: trade, candle.1s, candle.1m to candle.240m, candle.1d, candle.1w, candle.1mo,
    /// candle.1y.
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "from")]
    streams: Vec<String>,
    /// From this time on: a day, an instant, or how long ago, such as 2026-01-31,
    /// 2026-01-31T09:00:00Z or 3d. Without it, what earlier calls left to do is done.
    #[arg(long, value_name = "TIME", requires = "streams")]
    from: Option<String>,
    /// Up to this time, which is not part of it.
    #[arg(long, value_name = "TIME", default_value = "now")]
    to: String,
    /// The zone of times that name none: UTC, KST, or an offset such as +09:00.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
    /// Say what it would take, and ask for nothing.
    #[arg(long, requires = "from")]
    dry_run: bool,
    /// Ask again for what is there already.
    #[arg(long, requires = "from")]
    force: bool,
    /// Cancel what an earlier call left to do of this, and plan anew.
    #[arg(long, requires = "from")]
    restart: bool,
}

/// What came of a call.
#[derive(Debug, Default)]
pub(super) struct Report {
    ground: Ground,
    progress: Progress,
    /// What the writer said of the jobs, before and after.
    before: BTreeMap<i64, (u64, u64)>,
    after: Arc<BTreeMap<i64, JobTold>>,
    took: Duration,
}

pub(super) fn run(args: &BackfillArgs, mut config: Config, json: bool) -> Result<Outcome, Failure> {
    config.take_venue(&args.venue);
    if let Some(markets) = &args.markets {
        config.markets.clone_from(markets);
    }
    config
        .check(&|_| "the command line".to_owned())
        .map_err(|error| Failure::Usage(error.into()))?;
    let venue = record::find_venue(&config.venue)?;
    record::check_addresses(&config)?;
    let wanted = wanted(args, &config, venue, SystemClock::new().now())?;
    let runtime = record::runtime()?;
    if args.dry_run {
        let ground = runtime.block_on(preview(&config, venue, wanted));
        runtime.shutdown_background();
        return show::plan(venue, &ground?, json);
    }
    let done = runtime.block_on(backfill(config, venue, wanted));
    // Everything is sealed: a name that is still being looked up must not hold the exit.
    runtime.shutdown_background();
    match done? {
        Some(report) => show::summary(venue, &report, json),
        None => Ok(Outcome::Interrupted),
    }
}

/// What the arguments ask for; none where that is to go on.
fn wanted(
    args: &BackfillArgs,
    config: &Config,
    venue: &dyn Venue,
    now: Timestamp,
) -> Result<Option<Wanted>, Failure> {
    let Some(from) = &args.from else { return Ok(None) };
    let usage =
        |option: &'static str| move |words: String| Failure::Usage(anyhow!("{option} {words}"));
    let zone = when::zone(&args.timezone).map_err(usage("--timezone"))?;
    let from = when::instant(from, zone, now).map_err(usage("--from"))?;
    let to = when::instant(&args.to, zone, now).map_err(usage("--to"))?;
    let span = Span::new(from, to).ok_or_else(|| {
        Failure::Usage(anyhow!("--from {from} must be before --to {to}, which is not part of it"))
    })?;
    let selection = Selection::parse(venue, Way::Past, &config.markets, &args.streams)
        .map_err(|error| Failure::Usage(error.into()))?;
    Ok(Some(Wanted { selection, span, force: args.force, restart: args.restart }))
}

/// What a call would do.
async fn preview(
    config: &Config,
    venue: &'static dyn Venue,
    wanted: Option<Wanted>,
) -> Result<Ground, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let Network { http, .. } = record::network(config, venue, &clock)?;
    // Nothing is recorded: what comes of the list of markets stays in the queue.
    let (queue, _kept) = record::new_queue(config);
    let now = clock.now();
    let asking = Asking { config: config.clone(), venue, http, clock, known: Vec::new() };
    let requests =
        Requests::open(venue, &asking.rest_url(), asking.clock.as_ref(), &queue, 0).await?;
    let markets = asking.list(&queue, &requests, wanted.as_ref()).await;
    let catalog = Catalog::of_folder(&config.data).ok();
    ground::ground(config, venue, wanted.as_ref(), markets.as_deref(), catalog.as_ref(), now)
}

/// Does it; nothing to report where a second signal gave up.
async fn backfill(
    config: Config,
    venue: &'static dyn Venue,
    wanted: Option<Wanted>,
) -> Result<Option<Report>, Failure> {
    let signals = Signals::listen()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let started = clock.monotonic();
    let options = record::writer_options(&config);
    let writer = Writer::start(&config.data, Arc::new(RealFs), Arc::clone(&clock), options)?;
    let numbers = Numbers::starting_at(writer.next_session());
    let (told, known) = (writer.jobs(), writer.listed(venue.name()));
    let Network { http, .. } = record::network(&config, venue, &clock)?;
    let (queue, receiver) = record::new_queue(&config);
    let stop = CancellationToken::new();
    let writing = record::write_on_a_thread(writer, receiver, stop.clone())?;
    let ticking = CancellationToken::new();
    let ticks = drift::tick(Drift::of(Arc::clone(&clock)), queue.clone(), ticking.clone());
    let ticks = tokio::spawn(ticks);
    let asking = Asking { config, venue, http, clock: Arc::clone(&clock), known };
    let (progress, watched) = watch::channel(Progress::default());
    let showing = tokio::spawn(show::progress(watched.clone()));
    let asked = asking.ask(wanted, numbers, queue, told.clone(), progress, stop.clone());
    let mut asked = tokio::spawn(asked);
    let finish = async {
        let first = tokio::select! {
            ended = &mut asked => Some(ended),
            () = signals.next() => None,
        };
        let ended = if let Some(ended) = first {
            ended
        } else {
            tracing::info!("stopping: a signal asks for it; pages on their way are taken in");
            stop.cancel();
            asked.await
        };
        ticking.cancel();
        drop(ticks.await);
        let ended = ended.context("asking stopped working");
        let written = writing.await.context("the writer stopped working");
        // What the disk says goes first: it is the cause when both fail.
        written??;
        let (ground, before) = ended??;
        let after = told.borrow().clone();
        let took = clock.monotonic().saturating_sub(started);
        Ok(Some(Report { ground, progress: watched.borrow().clone(), before, after, took }))
    };
    let done = tokio::select! {
        done = finish => done,
        () = second(&signals, &stop) => {
            tracing::warn!("a second signal: giving up at once; the journal has what came");
            Ok(None)
        }
    };
    showing.abort();
    done
}

/// Waits for the signal after the one that stopped it.
async fn second(signals: &Signals, stop: &CancellationToken) {
    stop.cancelled().await;
    signals.next().await;
}

/// What it takes to ask.
struct Asking {
    config: Config,
    venue: &'static dyn Venue,
    http: Http,
    clock: Arc<dyn Clock>,
    /// The markets known from before.
    known: Vec<Market>,
}

impl Asking {
    fn rest_url(&self) -> String {
        let own = || self.venue.endpoints().rest.to_owned();
        self.config.rest_url.clone().unwrap_or_else(own)
    }

    /// The markets that the venue lists; none where it does not say and nobody knows.
    async fn list(
        &self,
        queue: &Sender,
        requests: &Requests,
        wanted: Option<&Wanted>,
    ) -> Option<Vec<Market>> {
        let wanted = wanted?;
        let mut listing = Listing {
            venue: self.venue,
            rest_url: self.rest_url(),
            http: self.http.clone(),
            origin: requests.origin(),
            queue: queue.clone(),
            last: None,
        };
        let once = wanted.selection.names_codes_only();
        match first_list(&mut listing, supervisor::LIST_PATIENCE, once).await {
            Ok(markets) => Some(markets),
            Err(error) => {
                tracing::warn!("no list of markets: {error}");
                (!self.known.is_empty()).then(|| self.known.clone())
            }
        }
    }

    /// Plans, and works off the plan. Gives it back, with the rows that its jobs had before.
    async fn ask(
        self,
        wanted: Option<Wanted>,
        numbers: Numbers,
        queue: Sender,
        told: watch::Receiver<Arc<BTreeMap<i64, JobTold>>>,
        progress: watch::Sender<Progress>,
        stop: CancellationToken,
    ) -> Result<(Ground, BTreeMap<i64, (u64, u64)>), Failure> {
        let (clock, rest_url) = (self.clock.as_ref(), self.rest_url());
        let requests = Requests::open(self.venue, &rest_url, clock, &queue, numbers.next()).await?;
        let listed = self.list(&queue, &requests, wanted.as_ref()).await;
        let catalog = Catalog::of_folder(&self.config.data)?;
        let (config, venue, now) = (&self.config, self.venue, clock.now());
        let ground = wanted.as_ref();
        let mut ground =
            ground::ground(config, venue, ground, listed.as_deref(), Some(&catalog), now)?;
        for job in &ground.dropped {
            let job = Job { state: JobState::Cancelled, ..job.clone() };
            queue.send(Event::Job(job.into())).await?;
        }
        let jobs = jobs(venue, &ground, &numbers);
        show::begin(&ground, jobs.len());
        let before = jobs.iter().map(|job| (job.id, (job.rows, job.known))).collect();
        ground.jobs = jobs.len();
        let setup = run::Setup {
            venue,
            rest_url: rest_url.clone(),
            http: self.http.clone(),
            clock: Arc::clone(&self.clock),
            queue: queue.clone(),
            told,
            effort: Effort::default(),
        };
        tokio::time::sleep(next_second(self.clock.now())).await;
        let (handing, handed) = mpsc::channel(HANDED_OVER);
        let hand_over = async move {
            for job in jobs {
                // It takes no more once it stops.
                if handing.send(job).await.is_err() {
                    return;
                }
            }
        };
        let (ran, ()) = tokio::join!(run::run(setup, handed, progress, stop), hand_over);
        requests.close(&queue, clock).await?;
        ran?;
        Ok((ground, before))
    }
}

/// The jobs of a call: those that an earlier one left, then new ones.
fn jobs(venue: &dyn Venue, ground: &Ground, numbers: &Numbers) -> Vec<Job> {
    let planned = ground.plan.jobs.iter().map(|planned| Job {
        id: numbers.next(),
        kind: JobKind::Backfill,
        venue: venue.name().into(),
        stream: planned.stream,
        market: planned.market.clone(),
        span: planned.span,
        gap: None,
        state: JobState::Planned,
        rows: 0,
        known: 0,
        calls: 0,
        error: None,
        reached: None,
    });
    ground.resumed.iter().cloned().chain(planned).collect()
}

/// How long the current second lasts. A call that was killed in it may have used up its rate.
fn next_second(now: Timestamp) -> Duration {
    let into = now.micros().rem_euclid(SECOND_US);
    Duration::from_micros(u64::try_from(SECOND_US - into).unwrap_or(0))
}

/// The list of markets, as far as it can be trusted: what it lacks may still have a past.
fn trusted(listed: Option<&[Market]>) -> Listed<'_> {
    listed.map_or(Listed::Unknown, Listed::Known)
}
