//! What a start does with the segment files it finds: it cuts off torn ends, makes what is left
//! durable, and moves away what cannot be read at all.
//!
//! Each of these can be done again after a crash in the middle of it, and none takes a frame away
//! that a reader could have had.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::JournalError;
use super::format::{BlockHeader, FileHeader};
use super::names::{EXTENSION, first_sequence, move_into};
use super::recovery::{Damage, RecoveryReport};
use super::walk::{Fault, Found, Walk};
use crate::model::time::Timestamp;
use crate::store::fs::Fs;

/// A segment file that is no longer written to.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// The sequence of its first frame, as its name says.
    pub(super) first: u64,
    /// The sequence behind its last frame.
    pub(super) end: u64,
    /// When its first frame arrived, where that can be read.
    pub(super) created: Option<Timestamp>,
    /// Set where something in it could not be read: then it is never deleted.
    pub(super) damaged: Arc<AtomicBool>,
}

/// What is in a journal folder at start, after it was put in order.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) segments: Vec<Segment>,
    /// No file holds, or may have held, this sequence or a later one.
    pub(super) next: u64,
    pub(super) report: RecoveryReport,
}

/// Puts `folder` in order: what it keeps is durable after this, for a process that was killed may
/// have left bytes and names which no sync has reached.
pub(super) fn survey(fs: &dyn Fs, folder: &Path, aside: &Path) -> Result<Survey, JournalError> {
    let mut survey = Survey { next: 1, ..Survey::default() };
    let mut files = Vec::new();
    for path in fs.list(folder).map_err(JournalError::disk("list", folder))? {
        match first_sequence(&path) {
            Some(first) => files.push((first, path)),
            None if path.extension().is_some_and(|it| it == EXTENSION) => {
                let length = length_of(fs, &path)?;
                survey.put_aside(fs, &path, aside, length, Fault::Name)?;
            }
            None => {}
        }
    }
    // By number, whatever order the disk lists them in.
    files.sort();
    for (first, path) in files {
        survey.look_through(fs, path, first, aside)?;
    }
    fs.sync_folder(folder).map_err(JournalError::disk("sync", folder))?;
    Ok(survey)
}

/// The segment files of `folder`, as they are.
pub(super) fn segments_of(fs: &dyn Fs, folder: &Path) -> Result<Vec<Segment>, JournalError> {
    let mut segments = Vec::new();
    for path in fs.list(folder).map_err(JournalError::disk("list", folder))? {
        if let Some(first) = first_sequence(&path) {
            let bytes = length_of(fs, &path)?;
            let damaged = Arc::default();
            segments.push(Segment { path, bytes, first, end: first, created: None, damaged });
        }
    }
    Ok(segments)
}

/// The sequence from which on the files of the journal in `folder` can give every frame up to the
/// last, as a start would find: see [`Recovery::first_sequence`]. Changes nothing.
///
/// [`Recovery::first_sequence`]: super::Recovery::first_sequence
///
/// # Errors
///
/// When the folder cannot be listed.
pub fn whole_from(fs: &dyn Fs, folder: &Path) -> Result<Option<u64>, JournalError> {
    let files = fs.list(folder).map_err(JournalError::disk("list", folder))?;
    let strange = |path: &PathBuf| path.extension().is_some_and(|it| it == EXTENSION);
    if files.iter().filter(|path| strange(path)).any(|path| first_sequence(path).is_none()) {
        return Ok(None);
    }
    let mut survey = Survey::default();
    for mut segment in segments_of(fs, folder)? {
        let looked = Looked::through(fs, &segment.path, segment.bytes, segment.first);
        let damaged = looked.fault.is_some();
        if looked.blocks > 0 || damaged {
            segment.end = looked.end;
            segment.damaged = Arc::new(AtomicBool::new(damaged));
            survey.segments.push(segment);
        }
    }
    survey.segments.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
    Ok(survey.whole_from())
}

fn length_of(fs: &dyn Fs, path: &Path) -> Result<u64, JournalError> {
    fs.length(path).map_err(JournalError::disk("measure", path))
}

impl Survey {
    /// Where the files begin that follow each other up to the last without a gap, if nothing at
    /// all is damaged.
    pub(super) fn whole_from(&self) -> Option<u64> {
        let damaged = |segment: &Segment| segment.damaged.load(Ordering::Relaxed);
        if !self.report.quarantined.is_empty() || self.segments.iter().any(damaged) {
            return None;
        }
        let mut run: Option<(u64, u64)> = None;
        for segment in &self.segments {
            run = Some(match run {
                Some((first, end)) if segment.first <= end => (first, end.max(segment.end)),
                Some(_) | None => (segment.first, segment.end),
            });
        }
        run.map(|(first, _)| first)
    }

    fn look_through(
        &mut self,
        fs: &dyn Fs,
        path: PathBuf,
        first: u64,
        aside: &Path,
    ) -> Result<(), JournalError> {
        let length = length_of(fs, &path)?;
        self.report.files += 1;
        self.report.bytes += length;
        let looked = Looked::through(fs, &path, length, first);
        if let Some(offset) = looked.torn {
            let (file, bytes) = (path.clone(), length - offset);
            self.report.torn.push(Damage { file, offset, bytes, frames: None, fault: None });
        }
        if looked.blocks == 0 {
            return match looked.fault {
                // Made, and nothing promised in it yet.
                None => fs.remove(&path).map_err(JournalError::disk("remove", &path)),
                Some(fault) => {
                    // None of the sequences that it may have held is given again.
                    self.next = self.next.max(first.saturating_add(length));
                    self.put_aside(fs, &path, aside, length, fault)
                }
            };
        }
        // Cuts a torn end, and otherwise syncs what a killed process has not.
        let bytes = looked.torn.unwrap_or(length);
        fs.truncate(&path, bytes).map_err(JournalError::disk("cut", &path))?;
        self.next = self.next.max(looked.end.saturating_add(looked.unknown));
        let damaged = Arc::new(AtomicBool::new(looked.fault.is_some()));
        let (end, created) = (looked.end, looked.created);
        self.segments.push(Segment { path, bytes, first, end, created, damaged });
        Ok(())
    }

    fn put_aside(
        &mut self,
        fs: &dyn Fs,
        path: &Path,
        aside: &Path,
        bytes: u64,
        fault: Fault,
    ) -> Result<(), JournalError> {
        let file = move_into(fs, path, aside)?;
        let damage = Damage { file, offset: 0, bytes, frames: None, fault: Some(fault) };
        self.report.quarantined.push(damage);
        Ok(())
    }
}

/// What a walk through one file comes to.
#[derive(Default)]
struct Looked {
    /// Blocks whose header is good.
    blocks: u64,
    /// The sequence behind the last of them.
    end: u64,
    /// Bytes behind the last of them that may have been blocks: at least as many as frames in
    /// them, for each takes 16 bytes before it is packed, and many more in practice.
    unknown: u64,
    /// The last of them, and where it begins.
    last: Option<(u64, BlockHeader)>,
    /// Where the end begins that was never written, in a file that is whole up to there. What is
    /// damaged could look like such an end itself once nothing followed it: such a file stays as
    /// it is.
    torn: Option<u64>,
    /// The first thing that is wrong with it.
    fault: Option<Fault>,
    created: Option<Timestamp>,
}

impl Looked {
    fn through(fs: &dyn Fs, path: &Path, length: u64, first: u64) -> Self {
        let mut looked = Self { end: first, ..Self::default() };
        let read = Box::new(|offset, length| fs.read(path, offset, length));
        let Some((mut walk, header)) = Walk::begin(read, length, first) else {
            looked.torn = Some(0);
            return looked;
        };
        match header {
            Ok(FileHeader { created, .. }) => looked.created = Some(created),
            Err(fault) => looked.fault = Some(fault),
        }
        while let Some(found) = walk.next() {
            looked.add(&mut walk, found);
        }
        looked
    }

    fn add(&mut self, walk: &mut Walk<'_>, found: Found) {
        match found {
            Found::Block { offset, header } => {
                self.blocks += 1;
                self.end = header.end();
                self.unknown = 0;
                self.last = Some((offset, header));
                if self.created.is_none() {
                    let frames = walk.frames(offset, &header);
                    self.created = frames.ok().and_then(|mut it| it.next()).map(|it| it.ts_recv);
                }
            }
            Found::Damaged { bytes, fault, .. } => {
                self.unknown += bytes;
                self.fault.get_or_insert(fault);
            }
            Found::Torn { offset } => {
                if let (None, Some((at, header))) = (&self.fault, self.last) {
                    self.fault = walk.frames(at, &header).err();
                }
                self.torn = self.fault.is_none().then_some(offset);
            }
        }
    }
}
