//! Some rows of many parts, in order.

use std::path::Path;
use std::sync::Arc;

use super::cells::Cells;
use super::compact::{Compaction, Input, Names, discard, narrow, open};
use super::merge::{Merge, Wanted};
use super::write::Omit;
use super::{Segment, SegmentError};
use crate::store::fs::{Fs, HeldFs};
use crate::store::paths::Paths;

/// Hands the wanted rows of `sources`, parts of one stream, venue and day, to `each`, by market,
/// time and frame. Where there are more parts than can be read at once, they are merged in the
/// folder `scratch` first.
///
/// The parts may go meanwhile: then either this fails before the first row, or all rows come.
///
/// # Errors
///
/// When the disk says no, a part is damaged, or `each` fails.
pub fn select<E: From<SegmentError>>(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    sources: &[Segment],
    wanted: &Wanted,
    scratch: &Path,
    mut each: impl FnMut(&Cells<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(first) = sources.first() else { return Ok(()) };
    let (scratch, omit) = (Paths::new(scratch), Omit::AllBut(wanted));
    // Any numbers will do there, but for those of the sources.
    let first_free = sources.iter().map(|one| one.name.number).max().unwrap_or(0).saturating_add(1);
    let needed = Compaction::numbers(sources.len(), 1);
    let numbers = first_free..first_free.saturating_add(needed);
    let mut names = Names { like: first.name.clone(), numbers };
    let level = sources.iter().map(|one| Input::published(one, paths)).collect();
    let inputs = narrow(fs, &scratch, level, omit, &mut names)?;
    let held: Arc<dyn Fs> = Arc::new(HeldFs::of(Arc::clone(fs)));
    let mut merge = Merge::new(&first.name, open(&held, &scratch, &inputs, omit, &names)?);
    while let Some(batch) = merge.next()? {
        let misfit = |error| SegmentError::misfit(&first.name, &error);
        each(&Cells::of(&batch, first.name.stream).map_err(misfit)?)?;
    }
    drop(merge);
    discard(fs.as_ref(), inputs);
    Ok(())
}
