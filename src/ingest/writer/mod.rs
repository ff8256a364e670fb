//! The one writer: takes events in one order, journals frames, reads them, merges, seals.
//!
//! Plain blocking code on a thread of its own. The order of disk operations is that of the store's
//! README:
//!
//! 1. a frame is appended to the journal before anybody tries to understand it;
//! 2. the journal is synced every `sync_interval`, or sooner when much waits;
//! 3. rows go into files: written, synced, renamed, their folder synced;
//! 4. one transaction of the catalog publishes the files, the position they cover, and what merging
//!    needs to go on from there;
//! 5. the journal lets go of what is published.
//!
//! When the disk says no the writer takes nothing more from its queue, so the sessions wait and
//! then the venue does, and tries again until `disk_full_grace` is over. Nothing is forgotten
//! before the step that puts it on disk has succeeded.
//!
//! The writer ends when all senders of its queue are gone.

mod desk;
mod error;
mod gaps;
mod options;
mod raw;
mod seal;
mod sealer;
mod start;
#[cfg(test)]
mod tests;
mod trouble;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chrono::NaiveDate;
use tokio::sync::watch;

use self::desk::Counter;
pub use self::desk::{Desk, DeskError};
pub use self::error::WriterError;
pub use self::options::WriterOptions;
use self::seal::Sealing;
use self::sealer::Sealer;
use self::trouble::Trouble;
use super::intake::Intake;
use super::jobs::{Told, page_of};
use super::presence::{Presence, Roll};
use super::progress::Progress;
use super::queue::{Gauge, Receiver};
use crate::model::event::Event;
use crate::model::frame::Frame;
use crate::model::time::Timestamp;
use crate::net::clock::Clock;
use crate::store::catalog::{Catalog, Change};
use crate::store::folder::Folder;
use crate::store::fs::Fs;
use crate::store::journal::Journal;

/// Events that are taken from the queue at once.
const BATCH: usize = 1_024;

/// With fewer events in the queue the writer lets more come before it takes them; with more, it has
/// the journal packed elsewhere.
const GATHER_BELOW: u64 = 256;

/// How often candles are looked through for those that are over, and progress is told.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A tick that is so much before the writer's time tells that the clock was set back.
const SET_BACK: Duration = Duration::from_secs(1);
/// How often it is told who is there.
const ROLL_EVERY: Duration = Duration::from_secs(1);

/// The writer.
#[derive(Debug)]
pub struct Writer {
    folder: Folder,
    fs: Arc<dyn Fs>,
    clock: Arc<dyn Clock>,
    catalog: Catalog,
    journal: Journal,
    options: WriterOptions,
    intake: Intake,
    presence: Presence,
    /// Presence that no transaction has taken yet.
    pending: Change,
    /// What the start recovered, for the next publication.
    recovery: Option<String>,
    sealer: Sealer,
    sealing: Sealing,
    /// What the catalog has to learn with the files that are being written.
    change: Change,
    trouble: Trouble,
    /// The latest time that an event told.
    now: Timestamp,
    /// When candles were last looked through, and progress told.
    looked: Timestamp,
    /// When it was last told who is there.
    rolled: Timestamp,
    /// The day whose raw frames are being kept.
    raw_day: Option<NaiveDate>,
    next_frame: u64,
    next_segment: u64,
    next_session: i64,
    told: Progress,
    progress: watch::Sender<Progress>,
    jobs_told: watch::Sender<Arc<Told>>,
    /// Whether a page of a job waits to be durable.
    page_waits: bool,
    gauge: Arc<Gauge>,
    counter: Counter,
}

impl Writer {
    /// The first number that no session and no job had yet.
    pub const fn next_session(&self) -> i64 {
        self.next_session
    }

    /// What the writer has done so far, as it changes.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// What became of the pages of jobs, as it changes.
    pub fn jobs(&self) -> watch::Receiver<Arc<Told>> {
        self.jobs_told.subscribe()
    }

    /// Takes events until all senders are gone, then seals everything.
    ///
    /// # Errors
    ///
    /// When the disk or the catalog fails.
    pub fn run(mut self, mut queue: Receiver) -> Result<Progress, WriterError> {
        let mut batch = Vec::with_capacity(BATCH);
        self.gauge = queue.gauge();
        let gather = self.options.gather();
        // A small queue would be full meanwhile.
        let gathers = queue.limit() >= 16 * GATHER_BELOW;
        while queue.recv_batch(&mut batch, BATCH) {
            for event in batch.drain(..) {
                self.take(event)?;
            }
            let somebody_waits = self.page_waits;
            self.catch_up()?;
            if gathers && !somebody_waits && self.gauge.events() < GATHER_BELOW {
                thread::sleep(gather);
            }
        }
        self.end()
    }

    /// Takes these events and ends, waiting for every seal: what it leaves depends on the events
    /// alone.
    #[cfg(test)]
    pub(crate) fn play(
        mut self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Progress, WriterError> {
        for event in events {
            self.take(event)?;
            self.catch_up()?;
            self.finish_seal()?;
        }
        self.end()
    }

    /// Seals everything there is.
    fn end(mut self) -> Result<Progress, WriterError> {
        self.ripen(true);
        self.persist(Self::sync)?;
        // Its last file holds nothing that is not published after this: it can go as well.
        self.journal.roll();
        self.persist(Self::seal)?;
        self.show();
        Ok(self.told)
    }

    fn take(&mut self, event: Event) -> Result<(), WriterError> {
        match event {
            Event::Frame(frame) => self.take_frame(frame)?,
            Event::SessionOpened(event) => {
                self.reach(event.at);
                self.presence.opened(event);
            }
            Event::Served { session, stream, market, at } => {
                self.reach(at);
                self.presence.served(session, stream, &market, at);
                // Told at the next look: somebody may wait until all are there.
                self.rolled = Timestamp::MIN;
            }
            Event::Unserved { session, stream, market, at } => {
                self.reach(at);
                self.presence.unserved(session, stream, &market);
            }
            Event::Alive { session, until, frames, bytes } => {
                self.presence.alive(session, until, frames, bytes);
            }
            Event::SessionClosed(mut event) => {
                self.reach(event.at);
                event.cause = self.trouble.blame(event.cause, event.proven_until);
                self.presence.closed(&event);
            }
            Event::Wanted(wanted) => {
                self.reach(wanted.at);
                self.presence.wanted(&wanted);
            }
            Event::Job(job) => self.intake.jobs.take(*job, self.now),
            Event::Tick(at) => self.tick(at)?,
            Event::ClockStepped(step) => self.pending.clock_steps.push(step),
        }
        Ok(())
    }

    /// Every frame before a tick in the queue was read before it. One that came from later was
    /// stamped by a clock that has been set back since: then time goes on from here, and what was
    /// to be done after some time is done now.
    fn tick(&mut self, at: Timestamp) -> Result<(), WriterError> {
        if self.now.since(at) < SET_BACK {
            self.reach(at);
            return Ok(());
        }
        (self.now, self.looked, self.rolled) = (at, at, at);
        self.persist(Self::finish_seal)?;
        self.persist(Self::begin_seal)
    }

    fn reach(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
    }

    /// Journals a frame, then reads it.
    fn take_frame(&mut self, mut frame: Frame) -> Result<(), WriterError> {
        self.reach(frame.ts_recv);
        let job = page_of(&frame);
        // A start has to know the job of every page that it finds.
        if job.is_some_and(|job| self.intake.jobs.is_unknown(job)) {
            self.persist(Self::tell_presence)?;
        }
        frame.sequence = self.next_frame;
        if self.journal.sync_due() {
            self.persist(|writer| Ok(writer.journal.sync_ahead()?))?;
        }
        self.journal.append(&frame)?;
        self.page_waits |= job.is_some();
        self.next_frame += 1;
        self.told.frames += 1;
        self.told.bytes += u64::try_from(frame.body.len()).unwrap_or(u64::MAX);
        self.read(&frame);
        Ok(())
    }

    /// Does what is due: syncs the journal, seals, or tells readers of the catalog what is new.
    fn catch_up(&mut self) -> Result<(), WriterError> {
        let storm = self.gauge.events() >= GATHER_BELOW;
        let patience = self.options.patience(!storm);
        let due =
            self.journal.unsynced_since().is_some_and(|since| self.now.since(since) >= patience);
        // Whoever asks for the pages of a job waits for each of them.
        if self.page_waits || (due && !storm) {
            self.persist(Self::sync)?;
        } else if due {
            self.persist(|writer| Ok(writer.journal.sync_on()?))?;
        }
        let mut jobs_have_news = false;
        if self.now.since(self.looked) >= LOOK_EVERY {
            self.looked = self.now;
            self.ripen(false);
            let Self { presence, intake, now, .. } = self;
            presence.gone(*now, |venue, market| intake.instruments.is_gone(venue, market));
            self.show();
            // Not for each change of each of many jobs: frames would wait for the disk.
            jobs_have_news = self.intake.jobs.has_news();
        }
        if !matches!(self.sealing, Sealing::Idle) {
            self.persist(Self::poll_seal)?;
        }
        if matches!(self.sealing, Sealing::Idle) {
            self.attend_desk();
        }
        if self.seal_is_due() {
            self.persist(Self::finish_seal)?;
            self.persist(Self::begin_seal)?;
        } else if self.presence.has_news() || jobs_have_news || !self.pending.clock_steps.is_empty()
        {
            self.persist(Self::tell_presence)?;
        }
        Ok(())
    }

    fn read(&mut self, frame: &Frame) {
        let Self { intake, presence, now, .. } = self;
        intake.read(*now, frame, |session| presence.subscriptions(session));
    }

    fn ripen(&mut self, ending: bool) {
        self.intake.ripen(self.now, self.options.settle, ending);
    }

    /// Whether a seal has to begin. While another is under way only because too much waits.
    fn seal_is_due(&self) -> bool {
        let (buffers, rule) = (&self.intake.buffers, self.options.seal);
        let idle = matches!(self.sealing, Sealing::Idle);
        let lanes = &self.intake.lanes;
        let ends = idle && self.intake.jobs.due(self.now, rule.rotate, |job| lanes.holds(job));
        ends || buffers.due(rule, self.now) && (idle || buffers.weight() >= rule.buffer_bytes)
    }

    fn sync(&mut self) -> Result<(), WriterError> {
        self.journal.sync()?;
        self.page_waits = false;
        self.intake.jobs.synced();
        self.tell_jobs();
        Ok(())
    }

    /// Tells whoever runs jobs what became of their pages.
    fn tell_jobs(&mut self) {
        if let Some(told) = self.intake.jobs.told() {
            self.jobs_told.send_replace(told);
        }
    }

    fn show(&mut self) {
        self.told.queued = self.gauge.events();
        self.told.queue_waits = self.gauge.waits();
        self.told.queue_waited = self.gauge.waited();
        self.told.at = self.now;
        self.told.unread = self.intake.unread_frames;
        self.told.streams.clone_from(&self.intake.tallies);
        self.told.pulses.clone_from(&self.intake.pulses);
        if self.now.since(self.rolled) >= ROLL_EVERY {
            self.rolled = self.now;
            self.told.roll = Arc::new(self.roll());
        }
        self.told.waiting_rows = self.intake.buffers.rows();
        self.told.waiting_bytes = self.intake.buffers.weight();
        self.progress.send_replace(self.told.clone());
    }

    /// Who is there now.
    fn roll(&mut self) -> Roll {
        let watched = Arc::clone(&self.options.watched.borrow_and_update());
        self.intake.watched.follow(watched);
        let mut roll = self.presence.roll();
        roll.markets = self.intake.watched.counts().clone();
        for one in &mut roll.connections {
            if let Some(tally) = self.intake.sessions.get(&one.row.id) {
                one.row.tally = *tally;
            }
        }
        roll
    }
}
