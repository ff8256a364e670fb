//! Steers a recorder while it runs: reads its settings again when asked, and keeps an eye on the room
//! of its disk.
//!
//! What a bad file says changes nothing: everything that may be wrong is looked at before anything is
//! done. Nothing here can end the recording.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::config_retain;
use super::reload::{Changes, Origin, key_of_plan, taking};
use super::room::{self, Word};
use super::service::Service;
use super::signals::Hangups;
use super::{output, telemetry};
use crate::ingest::plan::{PlanError, Selection, Way};
use crate::ingest::progress::Progress;
use crate::ingest::supervisor::Wish;
use crate::ingest::watched::Watched;
use crate::maintain::caretaker::Orders;
use crate::maintain::retain::Policy;
use crate::net::clock::Clock;
use crate::serve::Disk;
use crate::serve::reload::{Ask, Reloaded};
use crate::venue::Venue;

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After so many looks the catalog is asked how much comes: 10 minutes, and 30 s while it does not
/// know.
const ASK_EVERY: u32 = 120;
const ASK_UNKNOWN_EVERY: u32 = 6;

/// Everything that can be steered.
pub(super) struct Steering {
    /// Where the settings came from; none where nobody can read them again.
    pub(super) origin: Option<Origin>,
    /// The settings that hold.
    pub(super) config: Config,
    pub(super) venue: &'static dyn Venue,
    pub(super) wishes: mpsc::Sender<Wish>,
    pub(super) orders: Orders,
    pub(super) repair: watch::Sender<bool>,
    pub(super) watched: watch::Sender<Arc<Watched>>,
    pub(super) disk: watch::Sender<Disk>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) hangups: Hangups,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) room: room::Watch,
    pub(super) service: Arc<Option<Service>>,
}

impl Steering {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        if let Ok(watched) = Watched::parse(&self.config.metrics_markets) {
            self.watched.send_replace(Arc::new(watched));
        }
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = 0_u32;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.hangups.next() => {
                    self.service.iter().for_each(Service::reloading);
                    telemetry::reopen();
                    tell(&self.reload().await);
                    self.service.iter().for_each(Service::reloaded);
                }
                Some(ask) = self.asks.recv() => {
                    let reloaded = self.reload().await;
                    tell(&reloaded);
                    // Whoever asked may be gone.
                    drop(ask.reply.send(reloaded));
                }
                _ = look.tick() => {
                    let known = self.disk.borrow().bytes_per_day.is_some();
                    let every = if known { ASK_EVERY } else { ASK_UNKNOWN_EVERY };
                    self.look(looks.is_multiple_of(every)).await;
                    looks = looks.wrapping_add(1);
                }
            }
        }
    }

    /// Reads the settings again, and has those hold that can.
    async fn reload(&mut self) -> Reloaded {
        let Some(origin) = &self.origin else {
            return Reloaded::failed("this recorder has no configuration file".to_owned());
        };
        let after = match origin.again() {
            Ok(after) => after,
            Err(why) => return Reloaded::failed(why),
        };
        let changes = Changes::of(&self.config, &after);
        let next = taking(&self.config, after);
        let parsed = config_retain::policy(&next.retain)
            .and_then(|retain| Ok((retain, Watched::parse(&next.metrics_markets)?)));
        let (retain, watched) = match parsed {
            Ok(parsed) => parsed,
            Err(why) => return Reloaded::failed(why),
        };
        if changes.touch(&["markets", "streams", "markets_poll"])
            && let Err(why) = self.wish(&next, changes.touch(&["markets", "streams"])).await
        {
            return Reloaded::failed(why);
        }
        self.take(next, retain, watched);
        Reloaded { applied: changes.live, refused: changes.refused, error: None }
    }

    /// Has the sessions follow other settings.
    async fn wish(&self, next: &Config, other: bool) -> Result<(), String> {
        let about = |error: PlanError| match &self.origin {
            Some(origin) => origin.about(key_of_plan(&error), &error.to_string()),
            None => error.to_string(),
        };
        let selection = Selection::parse(self.venue, Way::Live, &next.markets, &next.streams);
        let selection = other.then_some(selection.map_err(about)?);
        let (reply, answer) = oneshot::channel();
        let wish = Wish { selection, poll_every: next.markets_poll.0, reply };
        let ending = || "the recorder is ending".to_owned();
        self.wishes.send(wish).await.map_err(|_| ending())?;
        let followed = answer.await.map_err(|_| ending())?;
        followed.map(drop).map_err(about)
    }

    /// What needs nobody's consent.
    fn take(&mut self, next: Config, retain: Policy, watched: Watched) {
        self.config = next;
        let (compact, min_free_bytes) = (self.config.compact, self.config.min_free_bytes.as_u64());
        self.orders.change(|care| {
            (care.compact, care.retain, care.min_free_bytes) = (compact, retain, min_free_bytes);
        });
        self.watched.send_replace(Arc::new(watched));
        self.disk.send_modify(|disk| disk.min_free_bytes = min_free_bytes);
        self.mend();
        telemetry::level(self.config.log_level);
    }

    /// Gaps are closed where that is wanted, and there is room for it.
    fn mend(&self) {
        let wanted = self.config.repair && !self.room.is_low();
        self.repair.send_if_modified(|now| std::mem::replace(now, wanted) != wanted);
    }

    /// Looks at the room of the disk, and does what has to be done about it.
    async fn look(&mut self, ask: bool) {
        if ask {
            self.ask().await;
        }
        let data = self.config.data.clone();
        let free = tokio::task::spawn_blocking(move || crate::store::fs::free_bytes(&data)).await;
        let Ok(Ok(free)) = free else { return };
        let (disk, warn_days) = (*self.disk.borrow(), self.config.warn_days);
        for word in self.room.look(self.clock.monotonic(), free, disk, warn_days) {
            self.act(word, free);
        }
    }

    /// Asks the catalog by how much the folder grows.
    async fn ask(&self) {
        let (data, now) = (self.config.data.clone(), self.clock.now());
        let asked: Vec<_> = self.progress.borrow().roll.streams.keys().cloned().collect();
        let keep = self.config.raw.keep;
        let growth = move || room::growth(&data, &asked, keep, now);
        match tokio::task::spawn_blocking(growth).await {
            Ok(Ok(bytes)) => self.disk.send_modify(|disk| disk.bytes_per_day = bytes),
            Ok(Err(error)) => tracing::debug!("how much comes is not known: {error}"),
            Err(error) => tracing::debug!("how much comes is not known: {error}"),
        }
    }

    fn act(&self, word: Word, free: u64) {
        let (data, free) = (self.config.data.display(), output::bytes(free));
        match word {
            Word::Low => {
                tracing::error!(
                    "only {free} are free for {data}, less than min_free_bytes: files are not \
                     merged and gaps wait, and what [retain] does not keep goes now; recording goes \
                     on in what is left. Make room"
                );
                // It looks at once.
                self.orders.change(|_| {});
                self.mend();
            }
            Word::Enough => {
                tracing::info!("{free} are free for {data} again: all goes on as before");
                self.orders.change(|_| {});
                self.mend();
            }
            Word::Scarce(days) => tracing::warn!(
                "{free} are free for {data}, which last {days:.1} days at the rate of late: make \
                 room, or let [retain] remove what is old"
            ),
        }
    }
}

/// Tells the log what became of it.
fn tell(reloaded: &Reloaded) {
    let Reloaded { applied, refused, error } = reloaded;
    if let Some(why) = error {
        return tracing::error!("the settings stay as they are: {why}");
    }
    for one in refused {
        tracing::warn!("the setting {} stays as it is: its change {}", one.key, one.reason);
    }
    if applied.is_empty() {
        tracing::info!("the settings were read again: nothing else holds now");
    } else {
        tracing::info!("the settings were read again; what holds now: {}", applied.join(", "));
    }
}
