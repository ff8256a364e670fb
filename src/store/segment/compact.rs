//! Many parts of one stream, venue and day as one, or as one for each market.
//!
//! Memory: a batch and an open page of each of [`FAN_IN`] parts, however many there are: more are
//! first merged in groups, into parts that never get a name.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::layout::{self, Effort};
use super::merge::{KeyColumns, Merge, Source};
use super::output::Output;
use super::unique::{Dropped, Unique};
use super::write::{Base, Contents, Omit, Written, misfit, write_some};
use super::{Segment, SegmentError};
use crate::model::market::Market;
use crate::store::fs::Fs;
use crate::store::paths::{PartName, Paths};

/// Parts that are read at once. Each column of each takes a decompressor of 100 kB beside its page,
/// so 24 of them took 110 MB, and take a quarter of the time less. Few in tests, so that few files
/// are many.
const FAN_IN: usize = if cfg!(test) { 3 } else { 8 };

/// What is to become one.
#[derive(Debug, Clone)]
pub struct Compaction<'a> {
    /// Published parts of one stream, venue and day.
    pub sources: &'a [Segment],
    /// Free numbers: see [`Compaction::numbers`].
    pub numbers: Range<u64>,
    /// Whether each market gets a part of its own.
    pub by_market: bool,
}

/// What became of them: complete and synced, under temporary names.
#[derive(Debug)]
pub struct Compacted {
    /// The parts, each with its only market where every market has its own.
    pub parts: Vec<(Written, Option<Market>)>,
    /// Rows that were there twice.
    pub dropped: Dropped,
}

impl Compaction<'_> {
    /// How many numbers it takes to make `parts` parts of `sources`.
    #[must_use]
    pub fn numbers(sources: usize, parts: usize) -> u64 {
        let (mut level, mut numbers) = (sources, parts);
        while level > FAN_IN {
            level = level.div_ceil(FAN_IN);
            numbers += level;
        }
        u64::try_from(numbers).unwrap_or(u64::MAX)
    }
}

/// Merges parts. Of what is there twice only one stays: the last state of a candle, the first row
/// of a trade.
///
/// # Errors
///
/// When the disk says no, or a source is damaged. Nothing of it is left then, if the disk lets it
/// be removed.
pub fn compact(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    compaction: &Compaction<'_>,
) -> Result<Compacted, SegmentError> {
    let Some(first) = compaction.sources.first() else {
        return Ok(Compacted { parts: Vec::new(), dropped: Dropped::default() });
    };
    let name = PartName { number: compaction.numbers.start, ..first.name.clone() };
    let mut names = Names { like: name, numbers: compaction.numbers.clone() };
    let result = merged(fs, paths, compaction, &mut names);
    if result.is_err() {
        for number in compaction.numbers.start..names.numbers.start {
            // What cannot be removed now is removed at the next start.
            fs.remove(&paths.unpublished(&PartName { number, ..names.like.clone() })).ok();
        }
    }
    result
}

fn merged(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    compaction: &Compaction<'_>,
    names: &mut Names,
) -> Result<Compacted, SegmentError> {
    let sources = compaction.sources.iter().map(|one| Input::published(one, paths)).collect();
    let inputs = narrow(fs, paths, sources, Omit::Nothing, names)?;
    let stream = names.like.stream;
    let name = names.like.clone();
    let sources = open(fs, paths, &inputs, Omit::Nothing, names)?;
    let mut merge = Merge::new(&name, sources);
    let mut unique = Unique::new(stream);
    let mut outputs = Outputs {
        fs,
        paths,
        names,
        by_market: compaction.by_market,
        open: None,
        parts: Vec::new(),
    };
    let fault = |e| SegmentError::misfit(&name, &e);
    while let Some(batch) = merge.next()? {
        outputs.write(&unique.sift(batch).map_err(fault)?)?;
    }
    if let Some(batch) = unique.rest() {
        outputs.write(&batch)?;
    }
    outputs.close()?;
    let parts = outputs.parts;
    drop(merge);
    discard(fs.as_ref(), inputs);
    Ok(Compacted { parts, dropped: unique.dropped })
}

/// A part on its way into another.
pub(super) enum Input<'a> {
    /// One that others read as well, and where it lies.
    Published(&'a Segment, PathBuf),
    /// One that was made on the way.
    Between(Written),
}

impl<'s> Input<'s> {
    /// A part of the folder of `paths`.
    pub(super) fn published(segment: &'s Segment, paths: &Paths) -> Self {
        Self::Published(segment, paths.part(&segment.name))
    }

    fn base<'a>(&'a self, omit: Omit<'a>) -> Base<'a> {
        match self {
            Self::Published(segment, path) => Base::lying_at(segment, omit, path),
            // What was to be left out was left out on its way here.
            Self::Between(written) => Base::written(written, Omit::Nothing),
        }
    }
}

/// At most [`FAN_IN`] parts with the rows of `level`, but for those to omit. What is made for that
/// goes to the folder of `paths`.
pub(super) fn narrow<'s>(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    mut level: Vec<Input<'s>>,
    omit: Omit<'_>,
    names: &mut Names,
) -> Result<Vec<Input<'s>>, SegmentError> {
    while level.len() > FAN_IN {
        let mut next = Vec::new();
        let mut inputs = level.into_iter();
        loop {
            let group: Vec<Input<'s>> = inputs.by_ref().take(FAN_IN).collect();
            if group.is_empty() {
                break;
            }
            let bases: Vec<Base<'_>> = group.iter().map(|one| one.base(omit)).collect();
            let contents = Contents { name: &names.next()?, rows: &[], bases: &bases };
            next.extend(write_some(fs, paths, contents)?.map(Input::Between));
            drop(bases);
            discard(fs.as_ref(), group);
        }
        level = next;
    }
    Ok(level)
}

/// Opens them, on their way into one.
pub(super) fn open<'a>(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    inputs: &'a [Input<'_>],
    omit: Omit<'a>,
    names: &Names,
) -> Result<Vec<Source<'a>>, SegmentError> {
    // Of another number than any source.
    let name = PartName { number: u64::MAX, ..names.like.clone() };
    inputs.iter().map(|one| one.base(omit).open(fs, paths, &name)).collect()
}

/// Removes what was made on the way. What cannot be removed now is removed at the next start.
pub(super) fn discard(fs: &dyn Fs, inputs: Vec<Input<'_>>) {
    for input in inputs {
        if let Input::Between(written) = input {
            written.discard(fs).ok();
        }
    }
}

/// Free names.
pub(super) struct Names {
    pub(super) like: PartName,
    pub(super) numbers: Range<u64>,
}

impl Names {
    pub(super) fn next(&mut self) -> Result<PartName, SegmentError> {
        let number = self.numbers.next();
        let number = number.ok_or_else(|| misfit(&self.like, "too few numbers".to_owned()))?;
        Ok(PartName { number, ..self.like.clone() })
    }
}

/// The parts that are being made.
struct Outputs<'a> {
    fs: &'a Arc<dyn Fs>,
    paths: &'a Paths,
    names: &'a mut Names,
    by_market: bool,
    open: Option<(Output, Option<Market>)>,
    parts: Vec<(Written, Option<Market>)>,
}

impl Outputs<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SegmentError> {
        if !self.by_market {
            return self.put(batch, None);
        }
        let mut from = 0;
        for (until, market) in runs(batch, &self.names.like)? {
            self.put(&batch.slice(from, until - from), market)?;
            from = until;
        }
        Ok(())
    }

    /// Writes rows into the part of `market`, which are the last of it or not the first.
    fn put(&mut self, batch: &RecordBatch, market: Option<Market>) -> Result<(), SegmentError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.open.as_ref().is_some_and(|(_, open)| *open != market) {
            self.close()?;
        }
        let (mut output, market) = if let Some(open) = self.open.take() {
            open
        } else {
            let (fs, name) = (self.fs.as_ref(), self.names.next()?);
            (Output::create(fs, self.paths, &name, Effort::Thorough)?, market)
        };
        output.write(batch)?;
        self.open = Some((output, market));
        Ok(())
    }

    fn close(&mut self) -> Result<(), SegmentError> {
        let Some((output, market)) = self.open.take() else { return Ok(()) };
        if let Some(segment) = output.finish(self.fs.as_ref())? {
            self.parts.push((Written::new(self.paths, segment, 0), market));
        }
        Ok(())
    }
}

/// Where the rows of each market end.
fn runs(
    batch: &RecordBatch,
    name: &PartName,
) -> Result<Vec<(usize, Option<Market>)>, SegmentError> {
    let keys = KeyColumns::of(batch, layout::time_column(name.stream))
        .map_err(|e| SegmentError::misfit(name, &e))?;
    let mut runs: Vec<(usize, Option<Market>)> = Vec::new();
    for row in 0..batch.num_rows() {
        let market = keys.row(row).0;
        match runs.last_mut() {
            Some((until, last)) if last.as_ref().map(Market::as_str) == market => *until = row + 1,
            _ => runs.push((row + 1, market.map(Market::new))),
        }
    }
    Ok(runs)
}
