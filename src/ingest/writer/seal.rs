//! Publishing: buffered rows become files, and the catalog learns of them in one transaction.
//!
//! The files are written on a thread of their own (`sealer`), so that frames go on into the
//! journal meanwhile: a kill during a seal loses no more than at any other time. What was buffered
//! when the seal began goes together: its rows, the position they cover, and what merging needs to
//! go on from there.

use super::sealer::{BASES_AT_ONCE, Job, Outcome, PartJob, Sealed};
use super::{Writer, WriterError};
use crate::ingest::buffers::{Part, PartKey};
use crate::ingest::pulse::Bucket;
use crate::ingest::settle;
use crate::store::catalog::{Carry, Change, HourLags, LagRows, Retired};
use crate::store::segment::Segment;

/// How far a seal is.
#[derive(Debug, Default)]
pub(super) enum Sealing {
    /// None is under way.
    #[default]
    Idle,
    /// The files are being written.
    Writing,
    /// The disk said no; the files are to be written again.
    Failed(Job),
    /// The files lie there; the catalog does not know them yet.
    Written(Box<Change>),
}

impl Writer {
    /// Puts every buffered row into files and publishes them, and waits until that is done. It may
    /// be called again after an error.
    pub(super) fn seal(&mut self) -> Result<(), WriterError> {
        self.finish_seal()?;
        self.begin_seal()?;
        self.finish_seal()
    }

    /// Begins to put every buffered row into files, when no other seal is under way.
    pub(super) fn begin_seal(&mut self) -> Result<(), WriterError> {
        self.tell(true)?;
        let Sealing::Idle = self.sealing else { return Ok(()) };
        let covering = self.covering()?;
        let lanes = &self.intake.lanes;
        self.intake.jobs.begin_seal(|job| lanes.holds(job));
        let change = self.gather_sealed();
        let buffers = std::mem::take(&mut self.intake.buffers);
        let mut job: Job = Vec::with_capacity(covering.len());
        for ((key, part), covering) in buffers.parts.into_iter().zip(covering) {
            let number = self.next_segment;
            let rounds = u64::try_from(covering.len() / BASES_AT_ONCE).unwrap_or(u64::MAX);
            self.next_segment = number.saturating_add(rounds).saturating_add(1);
            job.push(PartJob { key, part, covering, number, settled: None });
        }
        self.change = change;
        self.sealing = Sealing::Failed(job);
        self.write_files();
        Ok(())
    }

    /// Goes on with a seal as far as that needs no waiting; after an error, waits for the next
    /// attempt.
    pub(super) fn poll_seal(&mut self) -> Result<(), WriterError> {
        match &self.sealing {
            Sealing::Idle => Ok(()),
            Sealing::Writing if !self.sealer.is_done() => Ok(()),
            Sealing::Writing | Sealing::Failed(_) | Sealing::Written(_) => self.finish_seal(),
        }
    }

    /// Waits for the seal that is under way, if any, and publishes it.
    pub(super) fn finish_seal(&mut self) -> Result<(), WriterError> {
        self.write_files();
        if let Sealing::Writing = self.sealing {
            match self.sealer.wait() {
                Sealed::Done(outcome) => {
                    let change = self.complete(outcome);
                    self.sealing = Sealing::Written(Box::new(change));
                }
                Sealed::Failed(job, error) => {
                    self.sealing = Sealing::Failed(job);
                    return Err(error.into());
                }
            }
        }
        if let Sealing::Written(mut change) = std::mem::take(&mut self.sealing) {
            if let Err(error) = self.publish_with_gaps(&mut change) {
                self.sealing = Sealing::Written(change);
                return Err(error);
            }
            self.intake.jobs.seal_published(&change.jobs);
            self.tell_jobs();
            self.told.sealed(&change);
            self.tidy(&change);
        }
        Ok(())
    }

    /// Publishes what readers should see at once: sessions, gaps, what is live.
    pub(super) fn tell_presence(&mut self) -> Result<(), WriterError> {
        self.tell(false)
    }

    /// Hands the files that are to be written to the sealer.
    fn write_files(&mut self) {
        self.sealing = match std::mem::take(&mut self.sealing) {
            Sealing::Failed(job) => {
                self.sealer.begin(job);
                Sealing::Writing
            }
            other @ (Sealing::Idle | Sealing::Writing | Sealing::Written(_)) => other,
        };
    }

    /// Publishes presence: what changed, or `all` of it. What it says was proven must be durable
    /// before, or a kill would leave a hole that no gap names.
    fn tell(&mut self, all: bool) -> Result<(), WriterError> {
        self.sync()?;
        let changed = self.presence.drain(all);
        for mut row in changed.sessions {
            row.tally = self.intake.sessions.get(&row.id).copied().unwrap_or(row.tally);
            if row.closed.is_some() {
                self.intake.sessions.remove(&row.id);
            }
            self.pending.sessions.push(row);
        }
        self.pending.live.extend(changed.live);
        self.pending.gaps.extend(changed.gaps);
        self.pending.at = self.now;
        self.pending.jobs = self.intake.jobs.news();
        let mut pending = std::mem::take(&mut self.pending);
        if let Err(error) = self.publish_with_gaps(&mut pending) {
            self.pending = pending;
            return Err(error);
        }
        self.intake.jobs.published(&pending.jobs);
        self.tell_jobs();
        Ok(())
    }

    /// What the catalog has to learn with a seal whose files are written.
    fn complete(&mut self, outcome: Outcome) -> Change {
        let change = std::mem::take(&mut self.change);
        for (PartKey { stream, venue, .. }, new) in outcome.found_new {
            self.intake.tallies.entry((venue, stream)).or_default().rows += new;
        }
        Change {
            segments: outcome.segments,
            retired: outcome.retired,
            hours: outcome.hours,
            jobs: self.intake.jobs.sealed(&outcome.counts),
            ..change
        }
    }

    /// What the catalog has to learn with the rows that are buffered now, but for their files.
    fn gather_sealed(&mut self) -> Change {
        let lost: Vec<_> = self.intake.unread.drain();
        let carries = self.intake.lanes.carry().into_iter().map(|(lane, state)| Carry {
            venue: lane.venue,
            stream: lane.stream,
            market: lane.market,
            state,
        });
        Change {
            at: self.now,
            next_frame: Some(self.next_frame),
            lags: self.lags(),
            carries: carries.collect(),
            instruments: self.intake.instruments.drain(),
            gaps: lost.into_iter().map(|gap| self.presence.lost(gap)).collect(),
            recovery: self.recovery.take(),
            ..Change::default()
        }
    }

    /// For each part that waits, the published files that may hold rows of it.
    fn covering(&self) -> Result<Vec<Vec<Segment>>, WriterError> {
        let one = |(key, part): (&PartKey, &Part)| match settle::ends(part) {
            Some(ends) => self.catalog.covering(&key.venue, key.stream, ends.min, ends.max),
            None => Ok(Vec::new()),
        };
        let parts = self.intake.buffers.parts.iter();
        Ok(parts.map(one).collect::<Result<_, _>>()?)
    }

    /// The lags of the hours since the last seal.
    fn lags(&mut self) -> Vec<HourLags> {
        let mut lags = Vec::new();
        for ((venue, stream), pulse) in &mut self.intake.pulses {
            for (hour, lag) in pulse.drain_hours() {
                let buckets = lag.buckets().filter(|(_, bucket)| bucket.count > 0);
                let row = |(upto_us, bucket): (Option<u64>, Bucket)| LagRows {
                    upto_us,
                    records: bucket.count,
                    max_us: bucket.max_us,
                };
                let (venue, stream) = (venue.clone(), *stream);
                lags.push(HourLags { venue, stream, hour, buckets: buckets.map(row).collect() });
            }
        }
        lags
    }

    /// Clears away what the publication made superfluous. What cannot be removed now is removed at
    /// the next start.
    fn tidy(&mut self, change: &Change) {
        match self.catalog.retired() {
            Ok(retired) if !change.retired.is_empty() => self.remove_retired(&retired),
            Ok(_) => {}
            Err(error) => tracing::warn!("cannot list replaced files: {error}"),
        }
        self.turn_raw_page();
        let below = change.next_frame.unwrap_or(0);
        if let Err(error) = self.journal.release(below, &self.options.keep) {
            tracing::warn!("the journal keeps more than it must: {error}");
        }
    }

    fn remove_retired(&mut self, retired: &[Retired]) {
        for one in retired {
            let path = self.folder.paths().absolute(&one.path);
            if let Err(error) = self.fs.remove(&path) {
                tracing::warn!("cannot remove {}, which was replaced: {error}", path.display());
                return;
            }
        }
        if let Err(error) = self.catalog.forget(retired) {
            tracing::warn!("the catalog keeps the names of replaced files: {error}");
        }
    }
}
