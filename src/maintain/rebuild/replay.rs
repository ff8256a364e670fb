//! What the frames say: the second reading of `raw/`, through the same intake as the first run.

use std::sync::Arc;
use std::time::Duration;

use super::kept::{Kept, sequence};
use super::listings::Listings;
use super::old::key;
use super::stage::{Stage, discard};
use super::twins::Twins;
use super::{RebuildError, Site};
use crate::ingest::buffers::{Part, PartKey};
use crate::ingest::instruments::Instruments;
use crate::ingest::intake::Intake;
use crate::ingest::jobs::Jobs;
use crate::ingest::merge::Lanes;
use crate::ingest::settle::Doubts;
use crate::model::gap::Gap;
use crate::model::time::Timestamp;
use crate::store::catalog::Filter;
use crate::store::segment::{Base, Omit};

/// How often, in the time of the frames, candles are looked through for those that are over.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Frames on their way into new parts.
pub(super) struct Replay<'a> {
    site: Site<'a>,
    twins: Twins<'a>,
    intake: Intake,
    rows: u64,
}

/// What the frames said.
pub(super) struct Said {
    /// Rows in new parts.
    pub(super) rows: u64,
    /// Where frames came that nobody understands still.
    pub(super) unread: Vec<Gap>,
}

impl<'a> Replay<'a> {
    /// Reads the frames into new parts.
    pub(super) fn run(
        site: Site<'a>,
        kept: &'a Kept<'_>,
        stage: &mut Stage,
    ) -> Result<Said, RebuildError> {
        let mut listings = Listings::read(site, &kept.asked)?;
        let twins = Twins::new(site, &kept.asked)?;
        let jobs = Jobs::new(site.catalog.jobs(&Filter::default())?);
        let intake = Intake::new(Lanes::default(), Instruments::default(), jobs);
        let mut replay = Self { site, twins, intake, rows: 0 };
        let mut looked = Timestamp::MIN;
        let mut now = Timestamp::MIN;
        let mut frames = 0_u64;
        for frame in kept.frames()? {
            frames += 1;
            now = now.max(frame.ts_recv);
            listings.until(sequence(&frame), &mut replay.intake.instruments);
            replay.intake.read(now, &frame, |_| Arc::from([]));
            if now.since(looked) >= LOOK_EVERY {
                looked = now;
                replay.intake.ripen(now, site.request.settle, false);
            }
            if replay.intake.buffers.weight() >= site.request.buffer_bytes {
                replay.seal(stage)?;
            }
        }
        if frames != kept.asked.count() {
            return Err(RebuildError::Unsteady { first: kept.asked.count(), then: frames });
        }
        // What may really still change is known to the catalog; the rest was over when a later
        // frame came, or the first run ended.
        replay.intake.ripen(Timestamp::MAX, Duration::ZERO, true);
        replay.seal(stage)?;
        Ok(Said { rows: replay.rows, unread: replay.intake.unread.drain() })
    }

    fn seal(&mut self, stage: &mut Stage) -> Result<(), RebuildError> {
        let parts = std::mem::take(&mut self.intake.buffers.parts);
        self.intake.buffers.clear();
        for (key, mut part) in parts {
            if !self.site.wants(key.stream) {
                continue;
            }
            self.twins.sift(&key, &mut part)?;
            self.write(stage, &key, part)?;
        }
        Ok(())
    }

    /// Writes a part. What an earlier new part holds too is settled with it: a trade stays there, a
    /// later state of a candle takes its place.
    fn write(
        &mut self,
        stage: &mut Stage,
        part_key: &PartKey,
        mut part: Part,
    ) -> Result<(), RebuildError> {
        let mut doubts = Doubts::new(part_key.stream, &part);
        for written in stage.parts() {
            let segment = written.segment();
            if key(segment) == *part_key && doubts.may_lie_in(segment.ts_event) {
                let (number, extent) = (segment.name.number, doubts.extent());
                written.scan(self.site.fs, extent, |cells| doubts.look(number, cells))?;
            }
        }
        let settled = doubts.settle();
        settled.apply(&mut part);
        if part.rows.is_empty() {
            return Ok(());
        }
        let holds = |number: &u64| settled.holders.contains_key(number);
        let before = stage.take(|written| holds(&written.segment().name.number));
        let omit = Omit::Keys(&settled.replaced);
        let bases: Vec<Base<'_>> = before.iter().map(|part| Base::written(part, omit)).collect();
        let written = stage.written(self.site, part_key, &part.rows, &bases);
        match written {
            Ok(written) => {
                let dropped = written.dropped();
                self.rows += u64::try_from(part.rows.len()).unwrap_or(u64::MAX);
                self.rows = self.rows.saturating_sub(dropped);
                stage.add(written);
                discard(before, self.site.fs.as_ref());
                Ok(())
            }
            Err(error) => {
                discard(before, self.site.fs.as_ref());
                Err(error.into())
            }
        }
    }
}
