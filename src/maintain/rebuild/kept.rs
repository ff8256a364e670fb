//! Which frames are kept: the first reading of `raw/`.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{RebuildError, Site};
use crate::model::frame::Frame;
use crate::store::fs::Fs;
use crate::store::journal::{self, JournalError, Recovery, RecoveryReport};
use crate::store::raw;
use crate::store::segment::{Ends, Frames};

/// By how much clocks may have been set, and arrivals be out of order, between two files.
const SLACK: Duration = Duration::from_mins(5);

/// The kept frames.
pub(super) struct Kept<'a> {
    site: Site<'a>,
    folders: Vec<PathBuf>,
    /// Those of the span asked for.
    pub(super) asked: Frames,
    /// All that were seen on the way.
    pub(super) held: Frames,
    report: RecoveryReport,
}

impl<'a> Kept<'a> {
    /// Looks at every frame that may be of the span; those of `more` are asked for as well.
    pub(super) fn survey(site: Site<'a>, more: &[Ends<i64>]) -> Result<Self, RebuildError> {
        let (fs, span) = (site.fs.as_ref(), site.request.span);
        let days = raw::days(fs, site.paths)?;
        let days = raw::reaching(&days, span.from().date(), span.to().date());
        let folders = days.into_iter().map(|day| site.paths.raw(day)).collect();
        let mut kept = Self {
            site,
            folders,
            asked: Frames::default(),
            held: Frames::default(),
            report: RecoveryReport::default(),
        };
        let mut recovery = kept.replay()?;
        for frame in recovery.by_ref() {
            let sequence = sequence(&frame);
            kept.held.push(sequence);
            let within = |ends: &Ends<i64>| ends.min <= sequence && sequence <= ends.max;
            if span.contains(frame.ts_recv) || more.iter().any(within) {
                kept.asked.push(sequence);
            }
        }
        kept.report = recovery.report().clone();
        Ok(kept)
    }

    /// The frames asked for, in order.
    pub(super) fn frames(&self) -> Result<impl Iterator<Item = Frame>, JournalError> {
        Ok(self.replay()?.filter(|frame| self.asked.contains(sequence(frame))))
    }

    /// Says what is not there.
    pub(super) fn tell(&self, missing: &[Range<i64>]) {
        for damage in &self.report.damaged {
            tracing::error!("raw: {damage}");
        }
        for stretch in missing {
            tracing::warn!(
                "frames {} to {} are not in raw/: their rows stay as they are",
                stretch.start,
                stretch.end - 1
            );
        }
        if self.asked.count() == 0 {
            tracing::warn!(
                "no frame of {} is in raw/: there is nothing to do",
                self.site.request.span
            );
        }
    }

    fn replay(&self) -> Result<Recovery, JournalError> {
        let fs: Arc<dyn Fs> = Arc::clone(self.site.fs);
        journal::replay_within(fs, &self.folders, self.site.request.span, SLACK)
    }
}

/// The frame's place, as the files have it.
pub(super) fn sequence(frame: &Frame) -> i64 {
    i64::try_from(frame.sequence).unwrap_or(i64::MAX)
}
