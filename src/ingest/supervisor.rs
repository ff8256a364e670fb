//! Starts what a run of recording needs, keeps it in line with the venue's list of markets, and
//! ends it in order.
//!
//! Invariants: [`run`] returns only after every feed has told the end of its sessions; a task that
//! panics ends the run with an error; when `run` has returned, every sender it had is gone, so the
//! writer sees the end of the queue as soon as the caller's own are gone too.

mod news;

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::news::Wish;
use self::news::{News, poll};
use super::drift::{Drift, tick};
use super::feed::{Context, Feed, Numbers, Rotation};
use super::listing::{Listing, ListingError, Requests, first_list};
use super::plan::{Listed, PlanError, Selection, spread};
use super::queue::{NoWriter, Sender};
use super::stats::Stats;
use crate::model::event::{Event, Wanted};
use crate::model::frame::Origin;
use crate::model::market::Market;
use crate::model::subscription::Subscription;
use crate::net::budget::Budget;
use crate::net::clock::Clock;
use crate::net::connect::Connector;
use crate::net::http::Http;
use crate::venue::Venue;

/// How often the list of markets is asked for, where the configuration does not say.
pub const POLL_EVERY: Duration = Duration::from_mins(1);
/// How long the first list may take, all tries together, where the configuration does not say.
pub const LIST_PATIENCE: Duration = Duration::from_secs(5);

/// What a run needs.
pub struct Setup {
    /// The venue.
    pub venue: &'static dyn Venue,
    /// Where its websocket is.
    pub ws_url: String,
    /// Where its REST server is.
    pub rest_url: String,
    /// What was asked for.
    pub selection: Selection,
    /// How many connections carry each subscription; at least one.
    pub lines: u32,
    /// How old a connection may become; any age where none is given.
    pub max_age: Option<Duration>,
    /// How often the list of markets is asked for.
    pub poll_every: Duration,
    /// How long the first list may take, all tries together.
    pub list_patience: Duration,
    /// Numbers for sessions.
    pub numbers: Arc<Numbers>,
    /// The markets known from before, for when there is no list.
    pub fallback: Vec<Market>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Opens websockets.
    pub connector: Connector,
    /// Makes requests.
    pub http: Http,
    /// The rates that both keep to.
    pub budget: Arc<Budget>,
    /// Live counters.
    pub stats: Arc<Stats>,
    /// What somebody wants otherwise, while it runs.
    pub wishes: mpsc::Receiver<Wish>,
}

/// Why a run could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// What was asked for cannot be had: wrong usage.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A pattern needs the list of markets, and there is none.
    #[error("{plan}: {source}")]
    NoList {
        /// What needs it.
        plan: Box<PlanError>,
        /// Why there is none.
        source: Box<ListingError>,
    },
    /// The writer has ended.
    #[error(transparent)]
    NoWriter(#[from] NoWriter),
    /// A task panicked.
    #[error("a task of the recorder failed: {0}; this is a fault of the program")]
    Panicked(String),
}

/// The one thread that waits for the sockets of a recorder. What takes long has threads of its own,
/// and two that wait in turns find their caches cold (at 1,000 frames a second 7.9 instead of 8.7 %
/// of a core, and as many frames as fast as they are taken; measured 2026-11-30).
///
/// Whenever it has done all there is to do, it lets things come for `read_interval` before it looks
/// again: waking for a message costs several times what is done with it. What comes meanwhile, comes
/// so much later for us.
///
/// # Errors
///
/// When the system gives no thread.
pub fn runtime(read_interval: Duration) -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if !read_interval.is_zero() {
        builder.on_thread_park(move || std::thread::sleep(read_interval));
    }
    builder.worker_threads(1).enable_all().build()
}

/// Records until `stop` is cancelled.
///
/// # Errors
///
/// When it cannot start, when the writer is gone, or when a task panicked.
pub async fn run(
    setup: Setup,
    queue: Sender,
    stop: CancellationToken,
) -> Result<(), SupervisorError> {
    let numbers = Arc::clone(&setup.numbers);
    let clock = setup.clock.as_ref();
    let requests =
        Requests::open(setup.venue, &setup.rest_url, clock, &queue, numbers.next()).await?;
    let ticking = CancellationToken::new();
    let drift = Drift::from_now(Arc::clone(&setup.clock), Arc::clone(&setup.stats));
    let ticks = tokio::spawn(tick(drift, queue.clone(), ticking.clone()));
    let clock = Arc::clone(&setup.clock);
    // A child: what goes wrong in here ends this run, and not what else the caller stops by it.
    let stop = stop.child_token();
    let recorded = record(setup, &queue, numbers, requests.origin(), stop).await;
    let closed = requests.close(&queue, clock.as_ref()).await;
    ticking.cancel();
    let ticked = ticks.await.map_err(panicked);
    recorded.and(ticked).and(Ok(closed?))
}

async fn record(
    mut setup: Setup,
    queue: &Sender,
    numbers: Arc<Numbers>,
    origin: Arc<Origin>,
    stop: CancellationToken,
) -> Result<(), SupervisorError> {
    let mut listing = Listing {
        venue: setup.venue,
        rest_url: setup.rest_url.clone(),
        http: setup.http.clone(),
        origin,
        queue: queue.clone(),
        last: None,
    };
    let wanted = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        wanted = first_wanted(&setup, &mut listing) => wanted?,
    };
    let (wanted, listed) = wanted;
    // Nobody sends to this one: what is wished for is taken where the list is asked for.
    let wishes = std::mem::replace(&mut setup.wishes, mpsc::channel(1).1);
    let (news, heard) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    tasks.spawn(poll(listing, setup.poll_every, wishes, news, stop.clone()));
    let context = Arc::new(Context {
        venue: setup.venue,
        url: setup.ws_url.clone(),
        clock: Arc::clone(&setup.clock),
        connector: setup.connector.clone(),
        budget: Arc::clone(&setup.budget),
        numbers,
        queue: queue.clone(),
        stats: Arc::clone(&setup.stats),
    });
    let mut feeds = Feeds { setup, context, groups: Vec::new(), listed, tasks, stop };
    feeds.want(&wanted, "").await?;
    feeds.run(heard).await
}

/// What to record from the start on, and what the venue is known to list.
async fn first_wanted(
    setup: &Setup,
    listing: &mut Listing,
) -> Result<(Vec<Subscription>, Option<Vec<Market>>), SupervisorError> {
    let selection = &setup.selection;
    let without = match first_list(listing, setup.list_patience, selection.names_codes_only()).await
    {
        Ok(markets) => {
            let wanted = selection.resolve(setup.venue, Listed::Fresh(&markets))?;
            return Ok((wanted, Some(markets)));
        }
        Err(ListingError::NoWriter(error)) => return Err(error.into()),
        Err(error) => error,
    };
    let known = (!setup.fallback.is_empty()).then(|| setup.fallback.clone());
    match selection.resolve(setup.venue, as_known(known.as_ref())) {
        Ok(wanted) => {
            tracing::warn!(
                venue = setup.venue.name(),
                "no list of markets: {without}; recording what is known without it",
            );
            Ok((wanted, known))
        }
        Err(plan @ PlanError::NoList { .. }) => {
            Err(SupervisorError::NoList { plan: plan.into(), source: without.into() })
        }
        Err(plan) => Err(plan.into()),
    }
}

fn as_known(markets: Option<&Vec<Market>>) -> Listed<'_> {
    markets.map_or(Listed::Unknown, |markets| Listed::Known(markets))
}

/// One group of subscriptions, carried by one connection per line.
struct Group {
    subscriptions: Vec<Subscription>,
    wanted: watch::Sender<Arc<[Subscription]>>,
}

struct Feeds {
    setup: Setup,
    context: Arc<Context>,
    groups: Vec<Group>,
    /// What the venue is known to list.
    listed: Option<Vec<Market>>,
    tasks: JoinSet<Result<(), NoWriter>>,
    stop: CancellationToken,
}

impl Feeds {
    async fn run(&mut self, mut heard: mpsc::Receiver<News>) -> Result<(), SupervisorError> {
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                biased;
                ended = self.tasks.join_next() => {
                    let Some(ended) = ended else { return outcome };
                    let ended = ended.map_err(panicked).and_then(|told| Ok(told?));
                    if ended.is_err() {
                        self.stop.cancel();
                        outcome = outcome.and(ended);
                    }
                }
                Some(news) = heard.recv() => {
                    let followed = self.follow(news).await;
                    if followed.is_err() {
                        self.stop.cancel();
                        outcome = outcome.and(followed.map_err(SupervisorError::from));
                    }
                }
            }
        }
    }

    /// Brings the feeds in line with a new list, or with another wish.
    async fn follow(&mut self, news: News) -> Result<(), NoWriter> {
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let News { markets, wish } = news;
        let fresh = markets.is_some();
        self.listed = markets.or(self.listed.take());
        let wished = wish.as_ref().and_then(|wish| wish.selection.as_ref());
        let listed = match &self.listed {
            // What somebody has just written down is held against what there is, as at the start.
            Some(markets) if fresh && wished.is_some() => Listed::Fresh(markets),
            known => as_known(known.as_ref()),
        };
        let selection = wished.unwrap_or(&self.setup.selection);
        let resolved = selection.resolve(self.setup.venue, listed);
        let wanted = match (resolved, wish) {
            (Ok(wanted), None) => wanted,
            (Ok(wanted), Some(Wish { selection, reply, .. })) => {
                if let Some(selection) = selection {
                    self.setup.selection = selection;
                    self.want(&wanted, "what is to be recorded has changed").await?;
                }
                // Whoever asked may be gone.
                drop(reply.send(Ok(wanted.len())));
                return Ok(());
            }
            (Err(error), Some(Wish { selection: Some(_), reply, .. })) => {
                drop(reply.send(Err(error)));
                return Ok(());
            }
            (Err(error), wish) => {
                tracing::warn!("the list of markets has changed: {error}; going on as before");
                drop(wish.map(|wish| wish.reply.send(Ok(0))));
                return Ok(());
            }
        };
        self.want(&wanted, "the venue's markets have changed").await
    }

    /// Brings the feeds in line with what is wanted; `why` is told with what that changes.
    async fn want(&mut self, wanted: &[Subscription], why: &str) -> Result<(), NoWriter> {
        let before: Vec<_> = self.groups.iter().map(|group| group.subscriptions.clone()).collect();
        let limit = self.setup.venue.limits().subscriptions_per_connection;
        let groups = spread(&before, wanted, limit);
        if groups == before {
            return Ok(());
        }
        let event = Wanted {
            venue: SmolStr::new_static(self.setup.venue.name()),
            subscriptions: Arc::from(wanted),
            at: self.setup.clock.now(),
        };
        self.context.queue.send(Event::Wanted(event)).await?;
        for (at, subscriptions) in groups.into_iter().enumerate() {
            match self.groups.get_mut(at) {
                Some(group) if group.subscriptions == subscriptions => {}
                Some(group) => {
                    tracing::info!(
                        venue = self.setup.venue.name(),
                        before = group.subscriptions.len(),
                        now = subscriptions.len(),
                        "{why}",
                    );
                    group.wanted.send_replace(subscriptions.clone().into());
                    group.subscriptions = subscriptions;
                }
                None => self.start(subscriptions),
            }
        }
        Ok(())
    }

    fn start(&mut self, subscriptions: Vec<Subscription>) {
        let (wanted, _) = watch::channel(Arc::from(subscriptions.as_slice()));
        let lines = self.setup.lines.max(1);
        for line in 1..=lines {
            let feed = Feed {
                context: Arc::clone(&self.context),
                wanted: wanted.subscribe(),
                line,
                // Each line at another time, so that there is always one that is not changing.
                rotation: self
                    .setup
                    .max_age
                    .map(|every| Rotation { first: every / lines * line, every }),
                stop: self.stop.clone(),
            };
            self.tasks.spawn(feed.run());
        }
        self.groups.push(Group { subscriptions, wanted });
    }
}

fn panicked(error: JoinError) -> SupervisorError {
    let words = match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(|words| (*words).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without words".to_owned()),
        Err(error) => error.to_string(),
    };
    SupervisorError::Panicked(words)
}

#[cfg(test)]
mod tests;
