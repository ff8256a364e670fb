//! Publishing: buffered rows become files, and the catalog learns of them in one transaction.

use std::collections::BTreeMap;

use super::{Writer, WriterError};
use crate::ingest::buffers::{Hour, Part, PartKey};
use crate::ingest::merge::LaneKey;
use crate::model::time::Timestamp;
use crate::store::catalog::{Carry, Change, HourRows, Retired};
use crate::store::paths::PartName;
use crate::store::segment::{self, Base, Contents, Omit, Segment};

/// Files that one candle revision may take up: all are open at once.
const BASES_LIMIT: usize = 24;

impl Writer {
    /// Puts every buffered row into files and publishes them: all of it or none. It may be called
    /// again after an error.
    pub(super) fn seal(&mut self) -> Result<(), WriterError> {
        self.sync()?;
        self.gather(true);
        let mut change = std::mem::take(&mut self.pending);
        let mut parts = std::mem::take(&mut self.intake.buffers.parts);
        parts.values_mut().for_each(Part::keep_last);
        let sealed = self.seal_parts(&parts, &mut change);
        self.intake.buffers.parts = parts;
        let published = sealed.and_then(|()| Ok(self.catalog.publish(&change)?));
        if let Err(error) = published {
            self.pending = back(change);
            return Err(error);
        }
        self.next_segment += u64::try_from(change.segments.len()).unwrap_or(u64::MAX);
        self.intake.buffers.clear();
        self.told.sealed(&change);
        self.tidy(&change);
        Ok(())
    }

    /// Publishes what readers should see at once: sessions, gaps, what is live. What it says was
    /// proven must be durable before, or a kill would leave a hole that no gap names.
    pub(super) fn tell_presence(&mut self) -> Result<(), WriterError> {
        self.sync()?;
        self.gather(false);
        self.pending.at = self.now;
        let change = std::mem::take(&mut self.pending);
        if let Err(error) = self.catalog.publish(&change) {
            self.pending = change;
            return Err(error.into());
        }
        Ok(())
    }

    /// Adds what changed to what waits for the catalog.
    fn gather(&mut self, sealing: bool) {
        if sealing {
            for gap in self.intake.unread.drain() {
                self.presence.lost(gap);
            }
            self.pending.instruments.extend(self.intake.instruments.drain());
            let carries = self.intake.lanes.carry().into_iter().map(|(lane, state)| Carry {
                venue: lane.venue,
                stream: lane.stream,
                market: lane.market,
                state,
            });
            self.pending.carries.extend(carries);
        }
        let changed = self.presence.drain(sealing);
        for mut row in changed.sessions {
            row.tally = self.intake.sessions.get(&row.id).copied().unwrap_or(row.tally);
            if row.closed.is_some() {
                self.intake.sessions.remove(&row.id);
            }
            self.pending.sessions.push(row);
        }
        self.pending.live.extend(changed.live);
        self.pending.gaps.extend(changed.gaps);
    }

    /// Writes each part and gives it its name.
    fn seal_parts(
        &self,
        parts: &BTreeMap<PartKey, Part>,
        change: &mut Change,
    ) -> Result<(), WriterError> {
        change.at = self.now;
        change.next_frame = Some(self.next_frame);
        change.hours = self.hours();
        for (number, (key, part)) in (self.next_segment..).zip(parts) {
            let revised = self.revised(key, part)?;
            let omit = Omit::Keys(&part.revised);
            let bases: Vec<Base<'_>> =
                revised.iter().map(|segment| Base::published(segment, omit)).collect();
            let name =
                PartName { stream: key.stream, venue: key.venue.clone(), date: key.date, number };
            let contents = Contents { name: &name, rows: &part.rows, bases: &bases };
            let written = segment::write(&self.fs, self.folder.paths(), contents)?;
            change.segments.push(written.publish(self.fs.as_ref())?);
            change.retired.extend(revised.iter().map(|segment| segment.name.number));
        }
        Ok(())
    }

    /// The published files that may hold an earlier state of the part's revised candles.
    fn revised(&self, key: &PartKey, part: &Part) -> Result<Vec<Segment>, WriterError> {
        let mut segments: Vec<Segment> = Vec::new();
        for (_, at) in &part.revised {
            for segment in self.catalog.covering(&key.venue, key.stream, *at, *at)? {
                if !segments.contains(&segment) && segments.len() < BASES_LIMIT {
                    segments.push(segment);
                }
            }
        }
        segments.sort_by_key(|segment| segment.name.number);
        Ok(segments)
    }

    fn hours(&self) -> Vec<HourRows> {
        let row = |((lane, hour), rows): (&(LaneKey, Timestamp), &Hour)| HourRows {
            venue: lane.venue.clone(),
            stream: lane.stream,
            market: Some(lane.market.clone()),
            hour: *hour,
            rows: rows.rows,
            first: rows.first,
            last: rows.last,
        };
        self.intake.buffers.hours.iter().map(row).collect()
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
        if let Err(error) = self.journal.release(self.next_frame, &self.options.keep) {
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

/// What of a change is not made anew by the next attempt.
fn back(change: Change) -> Change {
    Change {
        segments: Vec::new(),
        retired: Vec::new(),
        hours: Vec::new(),
        next_frame: None,
        ..change
    }
}
