//! Going on where an earlier run ended: lock, sweep, read the journal again, publish.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;

use super::trouble::Trouble;
use super::{Writer, WriterError, WriterOptions};
use crate::ingest::buffers::Buffers;
use crate::ingest::instruments::Instruments;
use crate::ingest::merge::{LaneKey, Lanes};
use crate::ingest::presence::{Past, Presence};
use crate::ingest::progress::Progress;
use crate::ingest::unread::UnreadSpans;
use crate::model::subscription::Stream;
use crate::net::clock::Clock;
use crate::store::catalog::{Carry, Catalog, Change, Start};
use crate::store::folder::Folder;
use crate::store::fs::Fs;
use crate::store::journal::{Journal, Recovery};
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
        let (journal, recovery) = Journal::open(
            Arc::clone(&fs),
            &paths.journal(),
            &paths.quarantine(),
            options.journal,
        )?;
        let swept = sweep(fs.as_ref(), paths, &mut catalog, recovery.first_sequence())?;
        let start = catalog.start()?;
        let mut instruments = Vec::new();
        for venue in VENUES {
            instruments.extend(catalog.instruments(venue.name())?);
        }
        let mut writer = Self {
            folder,
            fs,
            now: clock.now(),
            clock,
            catalog,
            journal,
            options,
            lanes: lanes(start.carries.as_slice())?,
            buffers: Buffers::default(),
            instruments: Instruments::new(instruments),
            next_frame: start.next_frame,
            next_segment: start.next_segment,
            next_session: start.next_session,
            presence: Presence::new(past(start), repairable),
            unread: UnreadSpans::default(),
            pending: Change::default(),
            trouble: Trouble::default(),
            unsynced_since: None,
            scratch: Vec::new(),
            told: Progress::default(),
            progress: watch::Sender::new(Progress::default()),
        };
        writer.recover(recovery, &swept)?;
        Ok(writer)
    }

    /// The markets of a venue that were listed when last seen.
    pub fn listed(&self, venue: &str) -> Vec<crate::model::market::Market> {
        self.instruments.listed(venue)
    }

    /// Reads again what no file holds. Memory is bounded: it seals as it goes.
    fn recover(&mut self, mut recovery: Recovery, swept: &Swept) -> Result<(), WriterError> {
        let clock_now = self.now;
        let mut frames = 0_u64;
        while let Some(frame) = recovery.next() {
            let frame = frame?;
            if frame.sequence < self.next_frame {
                continue;
            }
            self.next_frame = frame.sequence;
            self.now = frame.ts_recv;
            self.presence.recovered(frame.origin.session, frame.ts_recv);
            self.read(&frame);
            self.next_frame += 1;
            frames += 1;
            if self.buffers.weight() >= self.options.seal.buffer_bytes {
                self.ripen(false);
                self.persist(Self::seal)?;
            }
        }
        self.now = clock_now;
        self.next_frame = self.next_frame.max(recovery.next_sequence());
        self.ripen(false);
        self.presence.end_killed();
        let report = recovery.report();
        if frames > 0 || !report.is_clean() || *swept != Swept::default() {
            let rows = self.buffers.rows();
            self.pending.recovery = Some(
                json!({
                    "at": clock_now.to_string(),
                    "frames": frames,
                    "rows": rows,
                    "files_removed": swept.unpublished.len() + swept.replayed.len() + swept.retired.len(),
                    "files_quarantined": swept.quarantined,
                    "journal": report.document(),
                })
                .to_string(),
            );
            tracing::info!("recovered {frames} frames ({rows} rows) that an earlier run had not published");
            for line in report.lines() {
                tracing::warn!("{line}");
            }
        }
        self.persist(Self::seal)
    }
}

fn lanes(carries: &[Carry]) -> Result<Lanes, WriterError> {
    let mut lanes = Lanes::default();
    for Carry { venue, stream, market, state } in carries {
        let lane =
            LaneKey { venue: venue.clone(), stream: *stream, market: market.clone() };
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
        lasting: start.open_gaps,
        next_gap: start.next_gap,
        unclosed: start.unclosed,
    }
}

/// Whether the venue keeps a history of the stream, so that a repair can bring it back.
fn repairable(name: &str, stream: Stream) -> bool {
    let offers = venue::by_name(name).map(Venue::offers).unwrap_or_default();
    offers.iter().any(|offer| offer.stream == stream && offer.history.is_some())
}
