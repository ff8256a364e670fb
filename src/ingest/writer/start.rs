//! Going on where an earlier run ended: lock, sweep, read the journal again, publish.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::desk::Counter;
use super::seal::Sealing;
use super::sealer::Sealer;
use super::trouble::Trouble;
use super::{Writer, WriterError, WriterOptions};
use crate::ingest::instruments::Instruments;
use crate::ingest::intake::Intake;
use crate::ingest::jobs::{Jobs, page_of};
use crate::ingest::merge::{LaneKey, Lanes};
use crate::ingest::presence::{Past, Presence};
use crate::ingest::progress::Progress;
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::net::clock::Clock;
use crate::store::catalog::{Carry, Catalog, Change, Start};
use crate::store::folder::Folder;
use crate::store::fs::Fs;
use crate::store::journal::{Damage, Journal, Recovery, RecoveryReport};
use crate::store::sweep::{Swept, sweep};
use crate::venue::{self, VENUES, Venue};

impl Writer {
    /// Takes the data folder, clears away what a crash left, and publishes the frames that the
    /// journal has and no file holds.
    ///
    /// # Errors
    ///
    /// When somebody else holds the folder, or the disk or the catalog fails.
    pub fn start(
        data: &Path,
        fs: Arc<dyn Fs>,
        clock: Arc<dyn Clock>,
        options: WriterOptions,
    ) -> Result<Self, WriterError> {
        let folder = Folder::lock(data, clock.now())?;
        let paths = folder.paths();
        let mut catalog = Catalog::open(&paths.catalog())?;
        let start = catalog.start()?;
        let (journal, recovery) = Journal::open(
            Arc::clone(&fs),
            &paths.journal(),
            &paths.quarantine(),
            start.next_frame,
            options.journal,
        )?;
        let swept = sweep(fs.as_ref(), paths, &mut catalog, recovery.first_sequence())?;
        let mut instruments = Vec::new();
        for venue in VENUES {
            instruments.extend(catalog.instruments(venue.name())?);
        }
        let mut writer = Self {
            sealer: Sealer::start(Arc::clone(&fs), data)?,
            sealing: Sealing::Idle,
            change: Change::default(),
            recovery: None,
            folder,
            fs,
            now: clock.now(),
            clock,
            catalog,
            journal,
            options,
            intake: Intake::new(
                lanes(&start.carries)?,
                Instruments::new(instruments),
                Jobs::new(start.jobs.iter().cloned()),
            ),
            next_frame: start.next_frame,
            next_segment: start.next_segment,
            next_session: start.next_session,
            presence: Presence::new(past(start), repairable),
            pending: Change::default(),
            trouble: Trouble::default(),
            looked: Timestamp::MIN,
            rolled: Timestamp::MIN,
            raw_day: None,
            told: Progress::default(),
            progress: watch::Sender::new(Progress::default()),
            jobs_told: watch::Sender::default(),
            page_waits: false,
            gauge: Arc::default(),
            counter: Counter::new(),
        };
        writer.recover(recovery, &swept)?;
        Ok(writer)
    }

    /// The markets of a venue that were listed when last seen.
    pub fn listed(&self, venue: &str) -> Vec<Market> {
        self.intake.instruments.listed(venue)
    }

    /// Reads again what no file holds. Memory is bounded: it seals as it goes.
    fn recover(&mut self, mut recovery: Recovery, swept: &Swept) -> Result<(), WriterError> {
        let started = self.now;
        let published_sessions = self.next_session;
        let mut frames = 0_u64;
        for frame in recovery.by_ref() {
            self.next_frame = frame.sequence;
            self.now = frame.ts_recv;
            let session = frame.origin.session;
            self.next_session = self.next_session.max(session.saturating_add(1));
            if page_of(&frame).is_none() {
                if session >= published_sessions {
                    self.presence.found(session, &frame.origin.venue, frame.ts_recv);
                }
                self.presence.recovered(session, frame.ts_recv);
            }
            self.read(&frame);
            self.next_frame += 1;
            frames += 1;
            if self.intake.buffers.weight() >= self.options.seal.buffer_bytes {
                self.ripen(false);
                self.persist(Self::seal)?;
            }
        }
        self.now = started;
        self.next_frame = self.next_frame.max(self.journal.next_sequence());
        self.ripen(false);
        self.presence.end_killed();
        let report = recovery.report();
        let clean = frames == 0
            && *swept == Swept::default()
            && report.torn.is_empty()
            && report.damaged.is_empty()
            && report.quarantined.is_empty();
        if !clean {
            self.told.recovered = frames;
            self.recovery = Some(document(started, frames, swept, report).to_string());
            say(frames, swept, report);
        }
        self.persist(Self::seal)
    }
}

/// What was recovered, for `status`.
fn document(at: Timestamp, frames: u64, swept: &Swept, report: &RecoveryReport) -> Value {
    let words = |damages: &[Damage]| damages.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "at": at.to_string(),
        "frames": frames,
        "journal_files": report.files,
        "journal_bytes": report.bytes,
        "torn": words(&report.torn),
        "damaged": words(&report.damaged),
        "missing_frames": report.missing.iter().map(|span| span.end - span.start).sum::<u64>(),
        "quarantined": words(&report.quarantined),
        "files_removed": swept.unpublished.len() + swept.replayed.len() + swept.retired.len(),
        "files_quarantined": swept.quarantined,
    })
}

fn say(frames: u64, swept: &Swept, report: &RecoveryReport) {
    tracing::info!("recovered {frames} frames from the journal that no file held");
    for damage in &report.torn {
        tracing::info!("journal: {damage}");
    }
    for damage in report.damaged.iter().chain(&report.quarantined) {
        tracing::error!("journal: {damage}");
    }
    for span in &report.missing {
        tracing::error!("journal: frames {} to {} are lost", span.start, span.end - 1);
    }
    for name in &swept.quarantined {
        tracing::warn!("{name} is not known to the catalog and went to quarantine/");
    }
}

fn lanes(carries: &[Carry]) -> Result<Lanes, WriterError> {
    let mut lanes = Lanes::default();
    for Carry { venue, stream, market, state } in carries {
        let lane = LaneKey { venue: venue.clone(), stream: *stream, market: market.clone() };
        lanes.restore(lane, state).map_err(|error| WriterError::State {
            lane: format!("{venue} {stream} {market}"),
            error,
        })?;
    }
    Ok(lanes)
}

fn past(start: Start) -> Past {
    let proven = start.proven.into_iter().map(|one| {
        (LaneKey { venue: one.venue, stream: one.stream, market: one.market }, one.until)
    });
    Past {
        proven: proven.collect(),
        // One that ended waits for its repair, and is not to last on.
        lasting: start.open_gaps.into_iter().filter(|(_, gap)| gap.to.is_none()).collect(),
        next_gap: start.next_gap,
        unclosed: start.unclosed,
    }
}

/// Whether the venue keeps a history of the stream, so that a repair can bring it back.
fn repairable(name: &str, stream: Stream) -> bool {
    let offers = venue::by_name(name).map(Venue::offers).unwrap_or_default();
    offers.iter().any(|offer| offer.stream == stream && offer.history.is_some())
}
