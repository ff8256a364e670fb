//! New parts before they are published: whole and synced, under temporary names.

use super::{RebuildError, Site};
use crate::ingest::buffers::PartKey;
use crate::model::record::Row;
use crate::store::fs::Fs;
use crate::store::paths::PartName;
use crate::store::segment::{self, Base, Contents, Segment, SegmentError, Written};

/// The new parts so far.
pub(super) struct Stage {
    next: u64,
    parts: Vec<Written>,
}

impl Stage {
    /// None yet; the first gets the number `next`.
    pub(super) const fn new(next: u64) -> Self {
        Self { next, parts: Vec::new() }
    }

    /// The number that the next part gets.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// The new parts.
    pub(super) fn parts(&self) -> &[Written] {
        &self.parts
    }

    /// Writes a part.
    pub(super) fn write(
        &mut self,
        site: Site<'_>,
        key: &PartKey,
        rows: &[Row],
        bases: &[Base<'_>],
    ) -> Result<(), SegmentError> {
        let written = self.written(site, key, rows, bases)?;
        self.add(written);
        Ok(())
    }

    /// Writes a part that is not among the new ones until it is added.
    pub(super) fn written(
        &self,
        site: Site<'_>,
        key: &PartKey,
        rows: &[Row],
        bases: &[Base<'_>],
    ) -> Result<Written, SegmentError> {
        let PartKey { stream, venue, date } = key.clone();
        let name = PartName { stream, venue, date, number: self.next };
        segment::write(site.fs, site.paths, Contents { name: &name, rows, bases })
    }

    /// Adds the part that was written last.
    pub(super) fn add(&mut self, written: Written) {
        self.next += 1;
        self.parts.push(written);
    }

    /// Takes out the parts that `wanted` picks.
    pub(super) fn take(&mut self, wanted: impl FnMut(&Written) -> bool) -> Vec<Written> {
        let (taken, rest) = std::mem::take(&mut self.parts).into_iter().partition(wanted);
        self.parts = rest;
        taken
    }

    /// Gives every part its name.
    pub(super) fn publish(self, fs: &dyn Fs) -> Result<Vec<Segment>, RebuildError> {
        let mut parts = self.parts.into_iter();
        let published = parts.by_ref().map(|part| part.publish(fs)).collect::<Result<Vec<_>, _>>();
        discard(parts, fs);
        Ok(published?)
    }

    /// Gives all of them up.
    pub(super) fn discard(self, fs: &dyn Fs) {
        discard(self.parts, fs);
    }
}

/// What cannot be removed now is removed at the next start.
pub(super) fn discard(parts: impl IntoIterator<Item = Written>, fs: &dyn Fs) {
    for part in parts {
        part.discard(fs).ok();
    }
}
