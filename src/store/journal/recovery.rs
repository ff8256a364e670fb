//! Reading the frames of segment files again. Nothing here changes a file.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::JournalError;
use super::block::Frames;
use super::format::{BLOCK_HEADER_BYTES, FileHeader};
use super::survey::{Segment, Survey, segments_of};
use super::walk::{Fault, Found, Walk};
use crate::model::frame::Frame;
use crate::model::span::Span;
use crate::model::time::Timestamp;
use crate::store::fs::Fs;

/// Damages listed in a report; more are counted only.
const LISTED_MAX: usize = 1_000;

/// A stretch of a segment file that holds no frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// How long.
    pub bytes: u64,
    /// Frames that were in it, where that is known.
    pub frames: Option<u32>,
    /// What is wrong. None: the end of the file was never written (a write was under way when
    /// the machine stopped); nothing that a sync had promised was in it.
    pub fault: Option<Fault>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, bytes, frames, fault } = self;
        write!(f, "{} from byte {offset}, {bytes} bytes", file.display())?;
        if let Some(frames) = frames {
            write!(f, " ({frames} frames)")?;
        }
        match fault {
            Some(fault) => write!(f, ": {fault}"),
            None => f.write_str(": a write that was cut off"),
        }
    }
}

/// What a recovery found. Whole once the recovery has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segment files found.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Blocks read.
    pub blocks: u64,
    /// Frames given.
    pub frames: u64,
    /// Torn ends that were cut off.
    pub torn: Vec<Damage>,
    /// Damaged stretches that were passed over, at most the first 1,000.
    pub damaged: Vec<Damage>,
    /// Damaged stretches beyond those.
    pub damaged_more: u64,
    /// Sequences between the first asked for and the last known that no file gave, at most the
    /// first 1,000 stretches: the frames that were lost, where any were.
    pub missing: Vec<Range<u64>>,
    /// Files that could not be read at all, where they are now.
    pub quarantined: Vec<Damage>,
}

impl RecoveryReport {
    fn damage(&mut self, damage: Damage) {
        if self.damaged.len() < LISTED_MAX {
            self.damaged.push(damage);
        } else {
            self.damaged_more += 1;
        }
    }
}

/// The frames of segment files, in order, each once.
///
/// Memory is bounded by one block and one window of 64 KiB, whatever the journal holds. A frame's
/// bytes share the buffer of their block: whoever keeps frames for long copies them.
pub struct Recovery {
    fs: Arc<dyn Fs>,
    files: VecDeque<Segment>,
    walk: Option<(Segment, Walk<'static>)>,
    frames: Option<Frames>,
    /// The next sequence to give; lower ones were given, or not asked for.
    next: u64,
    /// Where the known sequences end.
    end: u64,
    whole_from: Option<u64>,
    report: RecoveryReport,
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Recovery {
    pub(super) fn over(fs: Arc<dyn Fs>, survey: Survey, from: u64) -> Self {
        let end = survey.segments.iter().map(|segment| segment.end).max().unwrap_or(0);
        let whole_from = survey.whole_from();
        Self {
            fs,
            files: survey.segments.into(),
            walk: None,
            frames: None,
            next: from,
            end,
            whole_from,
            report: survey.report,
        }
    }

    /// The sequence from which on its files can give every frame up to the last; none where they
    /// cannot, or where there is doubt: what only they could give again must then not be removed.
    #[must_use]
    pub const fn first_sequence(&self) -> Option<u64> {
        self.whole_from
    }

    /// What was found so far.
    #[must_use]
    pub const fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// The frames of the next block that has any asked for.
    fn next_block(&mut self) -> Option<Frames> {
        loop {
            if self.walk.is_none() {
                let segment = self.files.pop_front()?;
                self.walk = self.begin(&segment).map(|walk| (segment, walk));
                continue;
            }
            let (segment, walk) = self.walk.as_mut()?;
            match walk.next() {
                None => self.walk = None,
                Some(Found::Block { header, .. }) if header.end() <= self.next => {}
                Some(Found::Block { offset, header }) => match walk.frames(offset, &header) {
                    Ok(frames) => {
                        self.report.blocks += 1;
                        return Some(frames);
                    }
                    Err(fault) => {
                        let offset = offset + BLOCK_HEADER_BYTES as u64;
                        let (bytes, frames) = (u64::from(header.stored), Some(header.frames));
                        note(&mut self.report, segment, offset, bytes, frames, fault);
                    }
                },
                Some(Found::Damaged { offset, bytes, fault }) => {
                    note(&mut self.report, segment, offset, bytes, None, fault);
                }
                // Cut off at start; in files that are only read, as good as not there.
                Some(Found::Torn { .. }) => {}
            }
        }
    }

    fn begin(&mut self, segment: &Segment) -> Option<Walk<'static>> {
        let (fs, path) = (Arc::clone(&self.fs), segment.path.clone());
        let read = Box::new(move |offset, length| -> io::Result<Vec<u8>> {
            fs.read(&path, offset, length)
        });
        let (walk, header) = Walk::begin(read, segment.bytes, segment.first)?;
        if let Err(fault) = header {
            note(&mut self.report, segment, 0, 0, None, fault);
        }
        Some(walk)
    }

    fn miss(&mut self, until: u64) {
        if self.next < until && self.report.missing.len() < LISTED_MAX {
            self.report.missing.push(self.next..until);
        }
        self.next = self.next.max(until);
    }
}

impl Iterator for Recovery {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        loop {
            let Some(frame) = self.frames.as_mut().and_then(Iterator::next) else {
                self.frames = self.next_block();
                if self.frames.is_none() {
                    self.miss(self.end);
                    return None;
                }
                continue;
            };
            // A write that failed is done again elsewhere, though it may have reached the disk.
            if frame.sequence < self.next {
                continue;
            }
            self.miss(frame.sequence);
            self.next = frame.sequence.saturating_add(1);
            self.report.frames += 1;
            return Some(frame);
        }
    }
}

/// The frames of the segment files in `folders`, from sequence `from` on, for reading only: what
/// is kept of released segments, by day.
///
/// # Errors
///
/// When a folder cannot be listed.
pub fn replay(fs: Arc<dyn Fs>, folders: &[PathBuf], from: u64) -> Result<Recovery, JournalError> {
    let mut survey = Survey::default();
    for folder in folders {
        survey.segments.extend(segments_of(&*fs, folder)?);
    }
    survey.segments.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
    survey.report.files = survey.segments.iter().map(|_| 1).sum();
    survey.report.bytes = survey.segments.iter().map(|segment| segment.bytes).sum();
    Ok(Recovery::over(fs, survey, from))
}

/// The same, without the files that hold nothing of `span` as far as the arrival of their first
/// frames tells. Clocks are set and several sessions share a file, so it is told with `slack`:
/// frames that arrived outside of `span` are given too.
///
/// # Errors
///
/// When a folder cannot be listed.
pub fn replay_within(
    fs: Arc<dyn Fs>,
    folders: &[PathBuf],
    span: Span,
    slack: Duration,
) -> Result<Recovery, JournalError> {
    let mut recovery = replay(fs, folders, 1)?;
    let fs = Arc::clone(&recovery.fs);
    let (from, to) = (span.from().before(slack), span.to().after(slack));
    let files = Vec::from(std::mem::take(&mut recovery.files));
    let begin: Vec<Option<Timestamp>> = files.iter().map(|one| begins(&*fs, one)).collect();
    let next = begin.iter().skip(1).copied().chain([None]);
    let told = files.into_iter().zip(&begin).zip(next);
    recovery.files = told
        .filter(|((_, begin), next)| {
            begin.is_none_or(|begin| begin < to) && next.is_none_or(|next| next >= from)
        })
        .map(|((file, _), _)| file)
        .collect();
    // What comes before the first file is no loss.
    recovery.next = recovery.files.front().map_or(1, |file| file.first);
    Ok(recovery)
}

/// When the first frame of a file arrived, where its header tells.
fn begins(fs: &dyn Fs, segment: &Segment) -> Option<Timestamp> {
    let read = Box::new(|offset, length| fs.read(&segment.path, offset, length));
    let (_, header) = Walk::begin(read, segment.bytes, segment.first)?;
    header.ok().map(|header| header.created)
}

/// The frames in the bytes of one segment file, whatever these are, and what is wrong with them.
#[must_use]
pub fn read_all(bytes: &[u8]) -> (Vec<Frame>, Vec<Fault>) {
    let (mut frames, mut faults) = (Vec::new(), Vec::new());
    let read = Box::new(|offset: u64, length: usize| {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.get(from..).unwrap_or_default();
        Ok(rest.get(..length).unwrap_or(rest).to_vec())
    });
    let first = FileHeader::decode(bytes).map_or(1, |header| header.first);
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let Some((mut walk, header)) = Walk::begin(read, length, first) else {
        return (frames, faults);
    };
    faults.extend(header.err());
    while let Some(found) = walk.next() {
        match found {
            Found::Block { offset, header } => match walk.frames(offset, &header) {
                Ok(block) => frames.extend(block),
                Err(fault) => faults.push(fault),
            },
            Found::Damaged { fault, .. } => faults.push(fault),
            Found::Torn { .. } => {}
        }
    }
    (frames, faults)
}

fn note(
    report: &mut RecoveryReport,
    segment: &Segment,
    offset: u64,
    bytes: u64,
    frames: Option<u32>,
    fault: Fault,
) {
    segment.damaged.store(true, Ordering::Relaxed);
    let file = segment.path.clone();
    report.damage(Damage { file, offset, bytes, frames, fault: Some(fault) });
}
