//! New parts in the place of old ones: all of them, in one transaction, or none.
//!
//! 1. the catalog notes the names that the new parts will get: from here on a start removes them;
//! 2. they get them;
//! 3. one transaction publishes them, and retires the old ones;
//! 4. the old ones are removed. Who has them open reads on.
//!
//! Whoever calls this owns the folder, and publishes nothing else meanwhile.

use std::path::PathBuf;

use super::catalog::{Catalog, CatalogError, Change};
use super::fs::Fs;
use super::paths::{PartName, Paths};
use super::segment::{Segment, SegmentError, Written};
use super::sweep::remove_retired;
use crate::model::market::Market;

/// What takes the place of what.
#[derive(Debug, Default)]
pub struct Swap {
    /// The new parts, each with its only market where it was made for one.
    pub parts: Vec<(Written, Option<Market>)>,
    /// The old ones.
    pub sources: Vec<PartName>,
    /// What else the catalog has to learn.
    pub change: Change,
}

impl Swap {
    /// Where the new parts lie until they have their names.
    #[must_use]
    pub fn unpublished(&self, paths: &Paths) -> Vec<PathBuf> {
        self.parts.iter().map(|(part, _)| paths.unpublished(&part.segment().name)).collect()
    }
}

/// Why the old parts stayed.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// An old part is not published any more.
    #[error("{0} was replaced meanwhile; the same can be tried again with what is there now")]
    Gone(PartName),
    /// The catalog said no.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A new part could not get its name.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// Swaps parts.
///
/// # Errors
///
/// When an old part is gone, or the disk or the catalog says no. Nothing was changed then.
pub fn swap(
    fs: &dyn Fs,
    paths: &Paths,
    catalog: &mut Catalog,
    swap: Swap,
) -> Result<Vec<Segment>, SwapError> {
    let tmp = swap.unpublished(paths);
    let result = attempt(fs, catalog, swap);
    if result.is_err() {
        for path in &tmp {
            // What cannot be removed now is removed at the next start.
            fs.remove(path).ok();
        }
    }
    // The old parts, or where that failed the new ones.
    if let Err(error) = remove_retired(fs, paths, catalog) {
        tracing::warn!("files that are not counted stay until the next start: {error}");
    }
    result
}

fn attempt(fs: &dyn Fs, catalog: &mut Catalog, swap: Swap) -> Result<Vec<Segment>, SwapError> {
    let Swap { parts, sources, change } = swap;
    for name in &sources {
        if !catalog.knows(name)? {
            return Err(SwapError::Gone(name.clone()));
        }
    }
    if !parts.is_empty() {
        let planned = parts.iter().map(|(part, _)| part.segment().name.clone()).collect();
        catalog.publish(&Change { at: change.at, planned, ..Change::default() })?;
    }
    let (mut segments, mut of_market) = (Vec::new(), Vec::new());
    for (part, market) in parts {
        let segment = part.publish(fs)?;
        of_market.extend(market.map(|market| (segment.name.number, market)));
        segments.push(segment);
    }
    let retired = sources.iter().map(|name| name.number).collect();
    let change = Change { segments: segments.clone(), of_market, retired, ..change };
    catalog.publish(&change)?;
    Ok(segments)
}
