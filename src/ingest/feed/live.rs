//! One session from the wish to its end: what happened over it, told as events.
//!
//! Order of events: `SessionOpened`; for each subscription `Served` right before the frame that
//! was its first; `Frame`s in the order they were read; `Unserved` for each subscription that
//! showed nothing within the venue's `first_frame`, and a later `Served` where it comes after all;
//! `Alive` about once a second while there is new proof; `SessionClosed`, always, and last.
//!
//! What `Alive` tells is never taken back: once the rate of the data is known, only data proves
//! anything, because a connection can answer pings and be dead.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use smol_str::SmolStr;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::vitals::{Moment, Vitals};
use super::{Context, Notice, ToFeed, address};
use crate::ingest::queue::NoWriter;
use crate::ingest::watch::FirstFrames;
use crate::model::event::{Event, SessionClosed, SessionOpened};
use crate::model::frame::{Frame, Origin};
use crate::model::gap::GapCause;
use crate::model::market::Source;
use crate::model::subscription::Subscription;
use crate::model::time::Timestamp;
use crate::net::budget::{Answer, Urgency, Use};
use crate::net::connect::{ConnectError, host_of};
use crate::net::session::{Incoming, Session, Why};
use crate::venue::Control;

/// How often the silence rules are asked.
const CHECK_EVERY: Duration = Duration::from_millis(250);
/// How often a session is told as alive.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
/// A session to be.
pub(super) struct Live {
    pub(super) context: Arc<Context>,
    pub(super) subscriptions: Arc<[Subscription]>,
    /// Which of the connections that carry the same.
    pub(super) line: u32,
    /// How long to wait before the attempt.
    pub(super) delay: Duration,
    /// Closes the session for good.
    pub(super) retire: CancellationToken,
    /// Takes what the feed has to know.
    pub(super) feed: ToFeed,
    /// Whether any session of the feed ever brought data.
    pub(super) talked: Arc<AtomicBool>,
}

/// How it ended.
pub(super) enum End {
    /// On purpose.
    Retired,
    /// There was no connection.
    NotOpened(ConnectError),
    /// The connection was lost, or given up.
    Broken {
        /// In words.
        why: String,
        /// From the first data frame to the last.
        data_for: Duration,
    },
    /// Nobody takes events any more.
    NoWriter,
}

impl Live {
    pub(super) async fn run(self) -> End {
        let opened = tokio::select! {
            biased;
            () = self.retire.cancelled() => return End::Retired,
            opened = self.open() => opened,
        };
        let session = match opened {
            Ok(session) => session,
            Err(error) => return End::NotOpened(error),
        };
        let (context, feed) = (Arc::clone(&self.context), self.feed.clone());
        let watch = address::watch(&context, session.peer(), || feed.tell(Notice::Moved));
        tokio::select! {
            biased;
            end = Run::new(self, session).run() => end,
            never = watch => match never {},
        }
    }

    async fn open(&self) -> Result<Session, ConnectError> {
        let Context { venue, url, connector, budget, .. } = self.context.as_ref();
        let host = host_of(url)?;
        tokio::time::sleep(self.delay).await;
        budget.wait(&host, Use::Connect, Urgency::Now).await;
        let opening = venue.open(url, &ticket(), &self.subscriptions);
        let opened = connector.open(&opening).await;
        match &opened {
            Ok(_) => budget.answered(&host, Use::Connect, Answer::Served { remaining: None }),
            Err(ConnectError::TooMany { told, .. }) => {
                budget.answered(&host, Use::Connect, Answer::TooMany { told: *told });
            }
            Err(ConnectError::Blocked { told, .. }) => {
                budget.answered(&host, Use::Connect, Answer::Blocked { told: *told });
            }
            Err(_) => {}
        }
        opened
    }
}

/// A name for one connection, different for each.
fn ticket() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

/// Why a session ends, and what that leaves.
struct Ending {
    cause: Option<GapCause>,
    why: String,
    at: Timestamp,
    proven_until: Timestamp,
}

/// A session that is open.
struct Run {
    live: Live,
    session: Session,
    number: i64,
    origin: Arc<Origin>,
    first: FirstFrames,
    settled: bool,
    /// Whether the time for first frames is over.
    waited_for_first: bool,
    opened: Moment,
    vitals: Vitals,
    /// The last `Alive`: when it was told.
    told_alive: Duration,
    /// The last `Alive`: up to when it reached.
    alive_until: Timestamp,
    frames: u64,
    bytes: u64,
}

impl Run {
    fn new(live: Live, session: Session) -> Self {
        let context = live.context.as_ref();
        let number = context.numbers.next();
        let opened = Moment { monotonic: context.clock.monotonic(), wall: session.opened_at() };
        Self {
            origin: Arc::new(Origin {
                venue: SmolStr::new_static(context.venue.name()),
                session: number,
                source: Source::Ws,
                stream: None,
                market: None,
            }),
            first: FirstFrames::of(&live.subscriptions),
            settled: false,
            waited_for_first: false,
            opened,
            vitals: Vitals::new(opened, live.talked.load(Ordering::Relaxed)),
            told_alive: opened.monotonic,
            alive_until: opened.wall,
            frames: 0,
            bytes: 0,
            live,
            session,
            number,
        }
    }

    async fn run(mut self) -> End {
        self.live.context.stats.opened();
        let followed = self.follow().await;
        let by_us = followed.as_ref().is_ok_and(|ending| ending.cause.is_none());
        self.live.context.stats.closed(by_us);
        let Ok(Ending { cause, why, at, proven_until }) = followed else { return End::NoWriter };
        let retired = cause.is_none();
        let closed = Event::SessionClosed(SessionClosed {
            session: self.number,
            at,
            proven_until,
            cause,
            why: why.clone(),
            frames: self.frames,
            bytes: self.bytes,
        });
        let data_for = self.vitals.data_for();
        // A successor is there already, or nothing follows: there is time for a polite end.
        let told = self.live.context.queue.send(closed).await;
        if retired {
            self.session.close().await;
        } else {
            self.session.leave().await;
        }
        match told {
            Err(NoWriter) => End::NoWriter,
            Ok(_) if retired => End::Retired,
            Ok(_) => End::Broken { why, data_for },
        }
    }

    /// Tells what happens until the session ends.
    async fn follow(&mut self) -> Result<Ending, NoWriter> {
        self.tell(Event::SessionOpened(SessionOpened {
            session: self.number,
            venue: self.origin.venue.clone(),
            endpoint: self.live.context.url.clone(),
            subscriptions: Arc::clone(&self.live.subscriptions),
            line: self.live.line,
            at: self.opened.wall,
        }))
        .await?;
        tracing::info!(
            venue = self.live.context.venue.name(),
            session = self.number,
            subscriptions = self.live.subscriptions.len(),
            "connected",
        );
        // Made once: to make it for each frame costs more than reading one.
        let mut retired = pin!(self.live.retire.clone().cancelled_owned());
        let mut check = tokio::time::interval(CHECK_EVERY);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ending = tokio::select! {
                // Data last: a venue that never pauses must not keep the rules from their turn.
                biased;
                () = &mut retired => Some(self.retired()),
                _ = check.tick() => self.check().await?,
                incoming = self.session.next() => match incoming {
                    Incoming::Data { ts_recv, body } => self.message(ts_recv, body).await?,
                    Incoming::Proof { at } => {
                        self.vitals.bytes(self.moment(at));
                        None
                    }
                    Incoming::Closed { at, why } => Some(self.lost(at, &why)),
                },
            };
            if let Some(ending) = ending {
                return Ok(ending);
            }
        }
    }

    async fn message(
        &mut self,
        ts_recv: Timestamp,
        body: Bytes,
    ) -> Result<Option<Ending>, NoWriter> {
        let venue = self.live.context.venue;
        let now = self.moment(ts_recv);
        self.vitals.bytes(now);
        match venue.control(&body) {
            Some(Control::Heartbeat) => return Ok(None),
            Some(Control::Refusal { name, message }) => {
                return Ok(Some(self.ending(
                    GapCause::Refused,
                    format!("the venue said {name}: {message}"),
                    ts_recv,
                )));
            }
            None => {}
        }
        let first = self.first_frame(&body, ts_recv).await?;
        self.vitals.data(now, first);
        self.live.talked.store(true, Ordering::Relaxed);
        let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
        self.frames += 1;
        self.bytes += bytes;
        self.live.context.stats.frame(bytes, ts_recv);
        self.tell(Event::Frame(Frame::arrived(ts_recv, Arc::clone(&self.origin), body))).await?;
        if self.first.complete() || self.waited_for_first {
            self.settle();
        }
        Ok(None)
    }

    /// Whether this is the first frame of a subscription; tells so before the frame goes out.
    async fn first_frame(&mut self, body: &[u8], at: Timestamp) -> Result<bool, NoWriter> {
        if self.first.complete() {
            return Ok(false);
        }
        let Some(sniff) = self.live.context.venue.sniff(body) else { return Ok(false) };
        if !self.first.seen(sniff.stream, &sniff.market) {
            return Ok(false);
        }
        let (stream, market) = (sniff.stream, sniff.market);
        self.tell(Event::Served { session: self.number, stream, market, at }).await?;
        Ok(true)
    }

    /// Asks the rules that only time decides.
    async fn check(&mut self) -> Result<Option<Ending>, NoWriter> {
        let limits = self.live.context.venue.limits();
        let now = self.moment(self.live.context.clock.now());
        if !self.waited_for_first && now.since(self.opened) >= limits.first_frame {
            self.waited_for_first = true;
            self.unserved(now.wall).await?;
            // One that tells nothing at all must not take over from one that does.
            if self.vitals.speaks() {
                self.settle();
            }
        }
        if let Some(why) = self.vitals.silence(now, &limits) {
            return Ok(Some(self.ending(GapCause::Silence, why, now.wall)));
        }
        self.tell_alive(now.monotonic).await?;
        Ok(None)
    }

    async fn tell_alive(&mut self, now: Duration) -> Result<(), NoWriter> {
        let until = self.vitals.proven();
        if now.saturating_sub(self.told_alive) < ALIVE_EVERY || until <= self.alive_until {
            return Ok(());
        }
        (self.told_alive, self.alive_until) = (now, until);
        let (session, frames, bytes) = (self.number, self.frames, self.bytes);
        self.tell(Event::Alive { session, until, frames, bytes }).await
    }

    async fn unserved(&mut self, at: Timestamp) -> Result<(), NoWriter> {
        let missing = self.first.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<String> =
            missing.iter().take(20).map(|(stream, market)| format!("{stream} {market}")).collect();
        tracing::warn!(
            venue = self.live.context.venue.name(),
            session = self.number,
            count = missing.len(),
            "the venue shows nothing of {}{}; are they delisted, or misspelled?",
            names.join(", "),
            if missing.len() > names.len() { ", …" } else { "" },
        );
        for (stream, market) in missing {
            self.live.context.stats.unserved();
            self.tell(Event::Unserved { session: self.number, stream, market, at }).await?;
        }
        Ok(())
    }

    /// Puts an event into the queue. Where that took time we did not read, which is not the
    /// venue's silence.
    async fn tell(&mut self, event: Event) -> Result<(), NoWriter> {
        let waited = tokio::select! {
            biased;
            sent = self.live.context.queue.send(event) => sent?,
            // A venue that is not read must not take us for dead as well.
            never = self.session.only_ping() => match never {},
        };
        if waited.is_zero() {
            return Ok(());
        }
        self.vitals.waited(self.live.context.clock.monotonic(), waited);
        Ok(())
    }

    fn settle(&mut self) {
        if !std::mem::replace(&mut self.settled, true) {
            self.live.feed.tell(Notice::Settled);
        }
    }

    fn retired(&self) -> Ending {
        Ending {
            cause: None,
            why: "closed by us".to_owned(),
            at: self.live.context.clock.now(),
            proven_until: self.vitals.last_bytes(),
        }
    }

    fn lost(&self, at: Timestamp, why: &Why) -> Ending {
        let waited = self.vitals.kept_waiting(self.live.context.clock.monotonic());
        let cause = if waited { GapCause::Overflow } else { GapCause::Disconnect };
        self.ending(cause, why.to_string(), at)
    }

    fn ending(&self, cause: GapCause, why: String, at: Timestamp) -> Ending {
        let proven_until = match cause {
            GapCause::Silence => self.vitals.proven(),
            GapCause::Stopped
            | GapCause::Disconnect
            | GapCause::Refused
            | GapCause::Overflow
            | GapCause::Disk
            | GapCause::Unread
            | GapCause::Damaged => self.vitals.last_bytes(),
        };
        Ending { cause: Some(cause), why, at, proven_until }
    }

    fn moment(&self, wall: Timestamp) -> Moment {
        Moment { monotonic: self.live.context.clock.monotonic(), wall }
    }
}
