//! Writing a part: under a temporary name and synced first, under its own name after.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

use super::batch::{BATCH_ROWS, Batches};
use super::cells::{Cells, Extent, scan_part};
use super::frames::Frames;
use super::layout::{self, key};
use super::merge::{Keys, Merge, Source};
use super::read::Part;
use super::{Ends, FORMAT_VERSION, Segment, SegmentError, places};
use crate::model::record::Row;
use crate::model::time::Timestamp;
use crate::store::fs::{Fs, FsFile};
use crate::store::paths::{PartName, Paths};

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
    let path = paths.part(contents.name);
    let tmp = paths.unpublished(contents.name);
    let result = write_tmp(fs, paths, contents, &tmp);
    if result.is_err() {
        // What cannot be removed now is removed at the next start.
        fs.remove(&tmp).ok();
    }
    let (segment, dropped) = result?;
    Ok(Written { segment, dropped, tmp, path })
}

impl Written {
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
    tmp: &Path,
) -> Result<(Segment, u64), SegmentError> {
    let Contents { name, rows, .. } = contents;
    let mut sources = bases(fs, paths, &contents)?;
    sources.push(Source::new(Batches::sorted(name, rows), Omit::Nothing));
    let mut merge = Merge::new(name, sources);

    for folder in [tmp.parent(), paths.part(name).parent()].into_iter().flatten() {
        fs.create_folder(folder).map_err(SegmentError::disk("make", folder))?;
    }
    let file = fs.create(tmp).map_err(SegmentError::disk("create", tmp))?;
    let fault = |e| SegmentError::writing(name, tmp, e);
    let properties = layout::properties(name).map_err(fault)?;
    let mut writer =
        ArrowWriter::try_new(Hashed::new(file), layout::schema(name.stream), Some(properties))
            .map_err(fault)?;
    let mut facts = None;
    while let Some(batch) = merge.next()? {
        facts = Some(Facts::of(&batch, name)?.and(facts));
        writer.write(&batch).map_err(fault)?;
    }
    let facts = facts.ok_or_else(|| misfit(name, "it would have no row".to_owned()))?;
    facts.check(name)?;
    for (key, value) in [(key::FROM, facts.ts_event.min), (key::TO, facts.ts_event.max)] {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value.to_string()));
    }
    writer.flush().and_then(|()| Ok(writer.sync()?)).map_err(fault)?;
    let places = places::note(fs.as_ref(), tmp, writer.flushed_row_groups(), facts.rows)
        .map_err(SegmentError::disk("read", tmp))?;
    writer.append_key_value_metadata(KeyValue::new(places::KEY.to_owned(), places));
    writer.finish().map_err(fault)?;
    let file = writer.inner_mut();
    file.to.sync().map_err(SegmentError::disk("sync", tmp))?;
    let segment = Segment {
        name: name.clone(),
        rows: facts.rows,
        bytes: file.hash.count(),
        blake3: file.hash.finalize().to_hex().to_string(),
        format_version: FORMAT_VERSION,
        ts_event: facts.ts_event,
        ts_recv: facts.ts_recv,
        frames: facts.frames,
    };
    Ok((segment, merge.dropped))
}

/// The rows of the bases.
fn bases<'a>(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    contents: &Contents<'a>,
) -> Result<Vec<Source<'a>>, SegmentError> {
    let Contents { name, bases, .. } = *contents;
    let open = |base: &Base<'a>| {
        if *name == base.segment.name {
            return Err(misfit(name, "it cannot be its own base".to_owned()));
        }
        let path = base.tmp.map_or_else(|| paths.part(&base.segment.name), Path::to_path_buf);
        let part = Part::open_at(fs, path, base.segment)?;
        Ok(Source::new(part.batches(name.stream, BATCH_ROWS)?, base.omit))
    };
    bases.iter().map(open).collect()
}

fn misfit(name: &PartName, detail: String) -> SegmentError {
    SegmentError::Misfit { name: name.clone(), detail }
}

/// What is known of the rows written so far.
struct Facts {
    rows: u64,
    ts_event: Ends<Timestamp>,
    ts_recv: Ends<Timestamp>,
    frames: Ends<i64>,
}

impl Facts {
    fn of(batch: &RecordBatch, name: &PartName) -> Result<Self, SegmentError> {
        let times = |column: &str| {
            let column =
                batch.column_by_name(column)?.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some(Ends {
                min: Timestamp::from_micros(min(column)?),
                max: Timestamp::from_micros(max(column)?),
            })
        };
        let frames = || {
            let column = batch.column_by_name(layout::FRAME)?.as_primitive_opt::<Int64Type>()?;
            Some(Ends { min: min(column)?, max: max(column)? })
        };
        match (times(layout::time_column(name.stream)), times(layout::TS_RECV), frames()) {
            (Some(ts_event), Some(ts_recv), Some(frames)) => {
                Ok(Self { rows: batch.num_rows() as u64, ts_event, ts_recv, frames })
            }
            _ => Err(misfit(name, "a batch lacks its times or frames".to_owned())),
        }
    }

    fn and(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        Self {
            rows: self.rows + before.rows,
            ts_event: self.ts_event.and(before.ts_event),
            ts_recv: self.ts_recv.and(before.ts_recv),
            frames: self.frames.and(before.frames),
        }
    }

    /// Whether all rows are of the day that the path says.
    fn check(&self, name: &PartName) -> Result<(), SegmentError> {
        let Ends { min, max } = self.ts_event;
        if min.date() == name.date && max.date() == name.date {
            return Ok(());
        }
        Err(misfit(name, format!("its rows are of {min} to {max}")))
    }
}

impl<T: Ord> Ends<T> {
    fn and(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// A file whose bytes are hashed on their way.
struct Hashed {
    to: Box<dyn FsFile>,
    hash: blake3::Hasher,
}

impl Hashed {
    fn new(to: Box<dyn FsFile>) -> Self {
        Self { to, hash: blake3::Hasher::new() }
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or(bytes));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
