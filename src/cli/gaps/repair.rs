//! `gaps repair`: the repairs that a recorder would do, done now and waited for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::backfill::repair::{self, RepairError};
use crate::backfill::run;
use crate::cli::config::Config;
use crate::cli::record::{self, Network};
use crate::cli::signals::Signals;
use crate::cli::{Failure, Outcome, VenueArgs, output, status};
use crate::ingest::drift::{self, Drift};
use crate::ingest::feed::Numbers;
use crate::ingest::progress::Progress;
use crate::ingest::writer::{Writer, WriterError};
use crate::model::gap::{Gap, GapState};
use crate::net::clock::{Clock, SystemClock};
use crate::store::catalog::Filter;
use crate::store::folder::FolderError;
use crate::store::fs::RealFs;

/// How long nothing at all may succeed before the rest is left for later.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
pub(in crate::cli) struct RepairArgs {
    #[command(flatten)]
    venue: VenueArgs,
}

pub(super) fn run(
    args: &RepairArgs,
    mut config: Config,
    as_json: bool,
) -> Result<Outcome, Failure> {
    config.take_venue(&args.venue);
    config
        .check(&|_| "the command line".to_owned())
        .map_err(|error| Failure::Usage(error.into()))?;
    record::find_venue(&config.venue)?;
    record::check_addresses(&config)?;
    let waited: BTreeSet<i64> = repair::waiting(&status::open(&config)?, &config.venue)?
        .into_iter()
        .map(|one| one.0)
        .collect();
    let runtime = record::runtime()?;
    let done = runtime.block_on(mend(&config));
    // Everything is sealed: a name that is still being looked up must not hold the exit.
    runtime.shutdown_background();
    let Some(progress) = done? else { return Ok(Outcome::Interrupted) };
    if let Some(why) = &progress.gave_up {
        output::talk(&format!("gaps stay open, nothing was had for {PATIENCE:?}: {why}"));
    }
    let gaps: Vec<Gap> = status::open(&config)?
        .gaps(&Filter::default())?
        .into_iter()
        .filter(|(id, _)| waited.contains(id))
        .map(|(_, gap)| gap)
        .collect();
    super::show(&gaps, as_json)?;
    let lacks = |gap: &Gap| matches!(gap.state, GapState::Open | GapState::Partial);
    Ok(if gaps.iter().any(lacks) { Outcome::Incomplete } else { Outcome::Done })
}

/// Repairs what can be; none where a second signal gave up.
async fn mend(config: &Config) -> Result<Option<run::Progress>, Failure> {
    let signals = Signals::listen()?;
    let venue = record::find_venue(&config.venue)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let writer = start(config, &clock)?;
    let numbers = Arc::new(Numbers::starting_at(writer.next_session()));
    let told = writer.jobs();
    let Network { http, .. } = record::network(config, venue, &clock)?;
    let (queue, receiver) = record::new_queue(config);
    let stop = CancellationToken::new();
    let writing = record::write_on_a_thread(writer, receiver, stop.clone())?;
    let setup = repair::Setup {
        run: run::Setup {
            venue,
            rest_url: config.rest_url.clone().unwrap_or_else(|| venue.endpoints().rest.to_owned()),
            http,
            clock: Arc::clone(&clock),
            queue: queue.clone(),
            told,
            effort: repair::effort(Some(PATIENCE)),
        },
        data: config.data.clone(),
        numbers,
        settle: config.settle.0,
    };
    let ticking = CancellationToken::new();
    let ticks = tokio::spawn(drift::tick(Drift::of(clock), queue, ticking.clone()));
    let (progress, watched) = watch::channel(run::Progress::default());
    let work = async {
        let repaired = repair::all(setup, progress, stop.clone()).await;
        ticking.cancel();
        drop(ticks.await);
        finish(repaired, writing).await
    };
    let stopped = async {
        signals.next().await;
        tracing::info!("stopping: a signal asks for it; the rest stays for later");
        stop.cancel();
        signals.next().await;
    };
    tokio::select! {
        done = work => done.map(|()| Some(watched.borrow().clone())),
        () = stopped => {
            tracing::warn!("a second signal: giving up at once; the journal has what came");
            Ok(None)
        }
    }
}

fn start(config: &Config, clock: &Arc<dyn Clock>) -> Result<Writer, Failure> {
    let options = record::writer_options(config);
    let started = Writer::start(&config.data, Arc::new(RealFs), Arc::clone(clock), options);
    started.map_err(|error| {
        let WriterError::Folder(FolderError::Held { data, holder }) = &error else {
            return error.into();
        };
        Failure::Failed(anyhow!(
            "{} is in use by {holder}. A recorder closes gaps by itself, unless it was started \
             with --no-repair; `veritape jobs` shows how far it is",
            data.display()
        ))
    })
}

/// Waits for the writer to seal what came.
async fn finish(
    repaired: Result<(), RepairError>,
    writing: oneshot::Receiver<Result<Progress, WriterError>>,
) -> Result<(), Failure> {
    let written = writing.await.context("the writer stopped working");
    // What the disk says goes first: it is the cause when both fail.
    written??;
    Ok(repaired?)
}
