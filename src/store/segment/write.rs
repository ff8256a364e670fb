//! Writing a part: under a temporary name and synced first, under its own name after.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::Batches;
use super::cells::{Cells, Extent, scan_part};
use super::frames::Frames;
use super::layout::Effort;
use super::merge::{Keys, Merge, Source, Wanted};
use super::output::Output;
use super::read::Part;
use super::{Segment, SegmentError};
use crate::model::record::Row;
use crate::store::fs::Fs;
use crate::store::paths::{PartName, Paths};

/// Rows read at once of a part that goes into another: many of them are open together.
const SOURCE_ROWS: usize = 256;

/// What goes into a part.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The part to be written.
    pub name: &'a PartName,
    /// New rows, in any order.
    pub rows: &'a [Row],
    /// Parts whose rows go into this one as well. All are open at once: take a few dozen at most.
    pub bases: &'a [Base<'a>],
}

/// A part whose rows go into another, which then takes its place.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// A file that is not this any more is not taken.
    segment: &'a Segment,
    omit: Omit<'a>,
    /// Where it lies; none where it has its own name.
    tmp: Option<&'a Path>,
}

/// Rows of a base to leave out.
#[derive(Debug, Clone, Copy)]
pub enum Omit<'a> {
    /// None.
    Nothing,
    /// By market and time.
    Keys(&'a Keys),
    /// By the frames they came in.
    Frames(&'a Frames),
    /// All but these.
    AllBut(&'a Wanted),
}

impl<'a> Base<'a> {
    /// A published part, as the catalog has it.
    #[must_use]
    pub const fn published(segment: &'a Segment, omit: Omit<'a>) -> Self {
        Self { segment, omit, tmp: None }
    }

    /// A part that is not published yet.
    #[must_use]
    pub fn written(part: &'a Written, omit: Omit<'a>) -> Self {
        Self { segment: &part.segment, omit, tmp: Some(part.tmp.as_path()) }
    }

    /// A published part that lies at `path`.
    pub(super) const fn lying_at(segment: &'a Segment, omit: Omit<'a>, path: &'a Path) -> Self {
        Self { segment, omit, tmp: Some(path) }
    }

    /// Its rows, on their way to the part `name`.
    pub(super) fn open(
        &self,
        fs: &Arc<dyn Fs>,
        paths: &Paths,
        name: &PartName,
    ) -> Result<Source<'a>, SegmentError> {
        if *name == self.segment.name {
            return Err(misfit(name, "it cannot be its own base".to_owned()));
        }
        let path = self.tmp.map_or_else(|| paths.part(&self.segment.name), Path::to_path_buf);
        let mut part = Part::open_at(fs, path, self.segment)?;
        if let Omit::AllBut(Wanted { markets: Some(markets), .. }) = self.omit {
            let names = || markets.iter().map(|market| market.as_str().as_bytes());
            part.only_groups(|min, max| names().any(|name| min <= name && name <= max));
        }
        Ok(Source::new(part.batches(name.stream, SOURCE_ROWS)?, self.omit))
    }
}

/// A part that is complete and synced, under its temporary name.
#[derive(Debug)]
#[must_use = "a part that is not published is removed at the next start"]
pub struct Written {
    segment: Segment,
    dropped: u64,
    tmp: PathBuf,
    path: PathBuf,
}

/// Writes a part and syncs it. It is not there for readers until [`Written::publish`].
///
/// # Errors
///
/// When the disk says no, a base is damaged, or the rows are not of the part's stream and day.
/// Nothing of it is left then, if the disk lets it be removed.
pub fn write(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    contents: Contents<'_>,
) -> Result<Written, SegmentError> {
    let written = write_some(fs, paths, contents)?;
    written.ok_or_else(|| misfit(contents.name, "it would have no row".to_owned()))
}

/// The same, where there may be no row to write: then there is no part.
pub(super) fn write_some(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    contents: Contents<'_>,
) -> Result<Option<Written>, SegmentError> {
    let tmp = paths.unpublished(contents.name);
    let result = write_tmp(fs, paths, contents);
    if !matches!(result, Ok(Some(_))) {
        // What cannot be removed now is removed at the next start.
        fs.remove(&tmp).ok();
    }
    Ok(result?.map(|(segment, dropped)| Written::new(paths, segment, dropped)))
}

impl Written {
    /// The part `segment`, which lies under its temporary name.
    pub(super) fn new(paths: &Paths, segment: Segment, dropped: u64) -> Self {
        let (tmp, path) = (paths.unpublished(&segment.name), paths.part(&segment.name));
        Self { segment, dropped, tmp, path }
    }

    /// Gives the part its own name, where readers find it.
    ///
    /// # Errors
    ///
    /// When the disk says no.
    pub fn publish(self, fs: &dyn Fs) -> Result<Segment, SegmentError> {
        fs.publish(&self.tmp, &self.path).map_err(SegmentError::disk("publish", &self.path))?;
        Ok(self.segment)
    }

    /// Gives it up.
    ///
    /// # Errors
    ///
    /// When the disk says no: then the next start removes it.
    pub fn discard(self, fs: &dyn Fs) -> Result<(), SegmentError> {
        fs.remove(&self.tmp).map_err(SegmentError::disk("remove", &self.tmp))
    }

    /// Hands all rows to `each`, some at a time, before they are there for readers.
    ///
    /// # Errors
    ///
    /// When the disk says no.
    pub fn scan(
        &self,
        fs: &Arc<dyn Fs>,
        extent: Extent,
        each: impl FnMut(&Cells<'_>),
    ) -> Result<(), SegmentError> {
        let part = Part::open_at(fs, self.tmp.clone(), &self.segment)?;
        scan_part(part, &self.segment, extent, each)
    }

    /// What the catalog will say of it.
    #[must_use]
    pub const fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Rows of the bases that were left out.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

fn write_tmp(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    contents: Contents<'_>,
) -> Result<Option<(Segment, u64)>, SegmentError> {
    let Contents { name, rows, .. } = contents;
    let mut sources = bases(fs, paths, &contents)?;
    sources.push(Source::new(Batches::sorted(name, rows), Omit::Nothing));
    let mut merge = Merge::new(name, sources);
    let mut output = Output::create(fs.as_ref(), paths, name, Effort::Quick)?;
    while let Some(batch) = merge.next()? {
        output.write(&batch)?;
    }
    Ok(output.finish(fs.as_ref())?.map(|segment| (segment, merge.dropped)))
}

/// The rows of the bases.
fn bases<'a>(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    contents: &Contents<'a>,
) -> Result<Vec<Source<'a>>, SegmentError> {
    let Contents { name, bases, .. } = *contents;
    bases.iter().map(|base| base.open(fs, paths, name)).collect()
}

pub(super) fn misfit(name: &PartName, detail: String) -> SegmentError {
    SegmentError::Misfit { name: name.clone(), detail }
}
