//! `record`: live data, until SIGINT, SIGTERM or `--for`.

mod beside;
mod repairs;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::beside::Beside;
use self::repairs::{mend, repairs};
use super::config::{Config, ConfigError, RawKeep, Secret};
use super::config_notify::{self, NotifyArgs};
use super::config_retain;
use super::http::HttpArgs;
use super::network::connector;
pub(super) use super::network::{Network, check_addresses, check_deflate, find_venue, network};
use super::reload::Origin;
use super::service::{self, Service};
use super::signals::{Hangups, Signals};
use super::steer::Steering;
use super::{
    Common, Failure, Outcome, VenueArgs, check, http as status_page, output, progress, room,
};
use crate::ingest::buffers::SealRule;
use crate::ingest::feed::Numbers;
use crate::ingest::plan::{Selection, Way};
use crate::ingest::progress::Progress;
use crate::ingest::queue::{QueueLimits, Receiver, Sender, queue};
use crate::ingest::stats::Stats;
use crate::ingest::supervisor::{self, Setup, SupervisorError, Wish};
use crate::ingest::writer::{Writer, WriterError, WriterOptions};
use crate::maintain::caretaker::{Care, Caretaker};
use crate::net::clock::{Clock, SystemClock};
use crate::serve::Sources;
use crate::store::fs::RealFs;
use crate::store::journal::{Keep, Options as JournalOptions};
use crate::store::paths::Paths;
use crate::venue::Venue;

/// How often the files are looked after.
const LOOK_EVERY: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Default, Args)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    pub(super) venue: VenueArgs,
    /// Markets: codes, patterns such as 'KRW-*', or all.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) markets: Option<Vec<String>>,
    /// Streams: trade, orderbook, ticker, candle.1s, candle.1m and so on.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) streams: Option<Vec<String>>,
    /// Stop after this time, such as 10m.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Connections that carry the same subscriptions.
    #[arg(long, value_name = "N")]
    pub(super) lines: Option<u8>,
    /// Leave gaps open: ask the REST server for nothing but the list of markets.
    #[arg(long)]
    pub(super) no_repair: bool,
    /// Ask the venue to compress what it sends.
    #[arg(long)]
    pub(super) deflate: bool,
    /// Say what would be recorded, what it takes and whether there is room; record nothing.
    #[arg(long)]
    pub(super) check: bool,
    #[command(flatten)]
    pub(super) http: HttpArgs,
    #[command(flatten)]
    pub(super) notify: NotifyArgs,
}

impl RecordArgs {
    /// Takes what is given over what the file says.
    pub(super) fn over(&self, config: &mut Config) -> Result<(), ConfigError> {
        config.take_venue(&self.venue);
        if let Some(markets) = &self.markets {
            config.markets.clone_from(markets);
        }
        if let Some(streams) = &self.streams {
            config.streams.clone_from(streams);
        }
        config.lines = self.lines.unwrap_or(config.lines);
        config.repair &= !self.no_repair;
        config.deflate |= self.deflate;
        self.http.over(config);
        self.notify.over(config);
        config.check(&|_| "the command line".to_owned())
    }
}

pub(super) fn run(
    args: &RecordArgs,
    mut config: Config,
    common: &Common,
) -> Result<Outcome, Failure> {
    args.over(&mut config).map_err(|error| Failure::Usage(error.into()))?;
    let runtime = supervisor::runtime(config.read_interval.0).context("cannot start a thread")?;
    if args.check {
        return runtime.block_on(check::run(&config, common.json));
    }
    if !config.read_interval.0.is_zero() {
        let late = humantime::format_duration(config.read_interval.0);
        tracing::info!("what comes gathers for {late} before it is read: so late ts_recv can be");
    }
    let origin = Origin { common: common.clone(), args: args.clone() };
    let recorded = runtime.block_on(record(&config, args.duration, Some(origin)));
    // Everything is sealed: a name that is still being looked up must not hold the exit.
    runtime.shutdown_background();
    let (progress, outcome) = recorded?;
    if !common.json {
        output::talk(&format!(
            "recorded {} frames into {} files: {} rows, {}",
            output::count(progress.frames),
            output::count(progress.files),
            output::count(progress.file_rows),
            output::bytes(progress.file_bytes),
        ));
        if progress.queue_waits > 0 {
            output::talk(&format!(
                "the queue was full {} times, {:.1} s in all: the sockets waited",
                output::count(progress.queue_waits),
                progress.queue_waited.as_secs_f64(),
            ));
        }
    }
    Ok(outcome)
}

/// A runtime for other commands that talk to a network.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    Ok(runtime.context("cannot start threads")?)
}

/// Checks the settings that need the venue to be judged.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    let venue = find_venue(&config.venue)?;
    check_addresses(config)?;
    check_deflate(config)?;
    if config.markets.is_empty() {
        return Ok(());
    }
    selection(config, venue).map(drop)
}

/// What is to be recorded, and from where.
fn wanted(config: &Config) -> Result<(&'static dyn Venue, Selection), Failure> {
    let venue = find_venue(&config.venue)?;
    check_addresses(config)?;
    check_deflate(config)?;
    Ok((venue, selection(config, venue)?))
}

/// What the settings ask for.
pub(super) fn selection(config: &Config, venue: &dyn Venue) -> Result<Selection, Failure> {
    Selection::parse(venue, Way::Live, &config.markets, &config.streams)
        .map_err(|error| Failure::Usage(error.into()))
}

/// Records until a signal, the end of `duration`, or a failure.
pub(super) async fn record(
    config: &Config,
    duration: Option<Duration>,
    origin: Option<Origin>,
) -> Result<(Progress, Outcome), Failure> {
    let (venue, selection) = wanted(config)?;
    let service = Arc::new(Service::of_environment());
    let (signals, hangups) = (Signals::listen()?, Hangups::listen()?);
    let bound = status_page::bind(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (watched_markets, counted) = watch::channel(Arc::default());
    let options = WriterOptions { watched: counted, ..writer_options(config) };
    let writer = Writer::start(&config.data, Arc::new(RealFs), Arc::clone(&clock), options)?;
    let (wishes, heard) = mpsc::channel(1);
    let setup = setup(config, venue, selection, &clock, heard, &writer)?;
    let (watched, told) = (writer.progress(), writer.jobs());
    let (sender, receiver) = new_queue(config);
    let (asks, asked) = mpsc::channel(1);
    let disk = watch::Sender::new(room::disk(config));
    let sources = Sources {
        data: config.data.clone(),
        clock: Arc::clone(&clock),
        progress: watched.clone(),
        stats: Arc::clone(&setup.stats),
        gauge: receiver.gauge(),
        queue: queue_limits(config),
        disk: disk.subscribe(),
        reload: Some(asks),
        token: config.http_token.as_ref().map(Secret::shown),
    };
    let notifier = config_notify::start(config, setup.connector.tls(), &sources)?;
    let _server = status_page::serve(bound, sources)?;
    let stop = CancellationToken::new();
    let caretaker = look_after(config, &writer)?;
    let writing = write_on_a_thread(writer, receiver, stop.clone())?;
    let repairs = repairs(config, &setup, &sender, told);
    let (repair, repair_wanted) = watch::channel(config.repair);
    let repairing = tokio::spawn(mend(repairs, repair_wanted, stop.clone()));
    let steering = Steering {
        origin,
        config: config.clone(),
        venue,
        wishes,
        orders: caretaker.orders(),
        repair,
        watched: watched_markets,
        disk,
        asks: asked,
        hangups,
        progress: watched.clone(),
        clock,
        room: room::Watch::default(),
        service: Arc::clone(&service),
    };
    tokio::spawn(steering.run(stop.clone()));
    let feeding = tokio::spawn(feed(setup, sender, stop.clone()));
    tracing::info!("recording into {}", config.data.display());
    let showing = tokio::spawn(progress::show(watched.clone()));
    let telling = tokio::spawn(service::keep(Arc::clone(&service), watched.clone()));
    let mut beside = Beside { caretaker, showing, telling, service, notifier };
    until_over(&signals, duration, &stop).await;
    stop.cancel();
    beside.stop();
    let ended = tokio::select! {
        ended = finish(feeding, repairing, writing) => ended.map(|done| (done, Outcome::Done)),
        () = signals.next() => {
            tracing::warn!("a second signal: giving up at once; the journal has what came");
            Ok((watched.borrow().clone(), Outcome::Interrupted))
        }
    };
    // Where the writer has not ended, what is asked of it may never be answered.
    beside.end(matches!(ended, Ok((_, Outcome::Done))));
    ended
}

/// The queue to the writer.
pub(super) fn new_queue(config: &Config) -> (Sender, Receiver) {
    queue(queue_limits(config))
}

/// How much may wait in it.
fn queue_limits(config: &Config) -> QueueLimits {
    QueueLimits {
        events: config.queue_frames,
        bytes: u32::try_from(config.queue_bytes.as_u64()).unwrap_or(u32::MAX),
    }
}

/// Looks after the files while they are recorded.
fn look_after(config: &Config, writer: &Writer) -> Result<Caretaker, Failure> {
    let retain = config_retain::policy(&config.retain)
        .map_err(|why| Failure::Usage(anyhow!("[retain] cannot be: {why}")))?;
    let care = Care {
        compact: config.compact,
        retain,
        every: LOOK_EVERY,
        min_free_bytes: config.min_free_bytes.as_u64(),
        settle: config.settle.0,
    };
    let (fs, clock) = (Arc::new(RealFs), Arc::new(SystemClock::new()));
    Ok(Caretaker::start(&config.data, fs, clock, writer.desk(), care)
        .context("cannot start a thread")?)
}

/// Everything that the sessions need.
fn setup(
    config: &Config,
    venue: &'static dyn Venue,
    selection: Selection,
    clock: &Arc<dyn Clock>,
    wishes: mpsc::Receiver<Wish>,
    writer: &Writer,
) -> Result<Setup, Failure> {
    let Network { budget, tls, http } = network(config, venue, clock)?;
    let own = venue.endpoints();
    Ok(Setup {
        venue,
        ws_url: config.ws_url.clone().unwrap_or_else(|| own.ws.to_owned()),
        rest_url: config.rest_url.clone().unwrap_or_else(|| own.rest.to_owned()),
        selection,
        lines: u32::from(config.lines),
        max_age: (config.connection_age.0 > Duration::ZERO).then_some(config.connection_age.0),
        poll_every: config.markets_poll.0,
        list_patience: supervisor::LIST_PATIENCE,
        numbers: Arc::new(Numbers::starting_at(writer.next_session())),
        fallback: writer.listed(venue.name()),
        connector: connector(config, &tls, clock)?,
        http,
        clock: Arc::clone(clock),
        budget,
        stats: Arc::new(Stats::default()),
        wishes,
    })
}

/// Runs the sessions. Their end, however it comes, asks everything else to end.
async fn feed(setup: Setup, queue: Sender, stop: CancellationToken) -> Result<(), SupervisorError> {
    let _ends_with_us = stop.clone().drop_guard();
    supervisor::run(setup, queue, stop).await
}

/// Runs the writer on a thread of its own. Its end asks everything else to end.
pub(super) fn write_on_a_thread(
    writer: Writer,
    receiver: Receiver,
    stop: CancellationToken,
) -> Result<oneshot::Receiver<Result<Progress, WriterError>>, Failure> {
    let (told, written) = oneshot::channel();
    let body = move || {
        // Dropped at the end, and when the thread panics.
        let _ends_with_us = stop.drop_guard();
        // Nobody listens any more only after a second signal.
        drop(told.send(writer.run(receiver)));
    };
    thread::Builder::new()
        .name("writer".to_owned())
        .spawn(body)
        .context("cannot start a thread")?;
    Ok(written)
}

/// Waits for the sessions to end, then for the writer to seal what they brought.
async fn finish(
    feeding: JoinHandle<Result<(), SupervisorError>>,
    repairing: JoinHandle<()>,
    writing: oneshot::Receiver<Result<Progress, WriterError>>,
) -> Result<Progress, Failure> {
    let fed = feeding.await.context("the sessions stopped working");
    repairing.await.context("repairs stopped working")?;
    let written = writing.await.context("the writer stopped working");
    // What the disk says goes first: it is the cause when both fail.
    let progress = written??;
    match fed? {
        Ok(()) => Ok(progress),
        Err(SupervisorError::Plan(error)) => Err(Failure::Usage(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// Waits until somebody or something asks for the end.
async fn until_over(signals: &Signals, duration: Option<Duration>, stop: &CancellationToken) {
    tokio::select! {
        () = signals.next() => tracing::info!("stopping: a signal asks for it"),
        () = after(duration) => tracing::info!("stopping: the time is over"),
        () = stop.cancelled() => {}
    }
}

async fn after(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

pub(super) fn writer_options(config: &Config) -> WriterOptions {
    let raw = Paths::new(&config.data).raw_root();
    WriterOptions {
        seal: SealRule {
            rotate: config.rotate.0,
            buffer_bytes: usize::try_from(config.buffer_bytes.as_u64()).unwrap_or(usize::MAX),
        },
        settle: config.settle.0,
        sync_interval: config.sync_interval.0,
        disk_full_grace: config.disk_full_grace.0,
        journal: JournalOptions { compression: config.journal.into(), ..JournalOptions::default() },
        keep: if config.raw.keep == RawKeep::Nothing { Keep::Nothing } else { Keep::Raw(raw) },
        raw_days: match config.raw.keep {
            RawKeep::Days(days) => Some(days),
            RawKeep::Nothing | RawKeep::Forever => None,
        },
        ..WriterOptions::default()
    }
}
