//! Parquet made again from kept raw frames.
//!
//! What holds:
//!
//! * The rows of the frames that are kept are replaced by what the same frames say now. Nothing
//!   else is: rows of frames that are not kept, or of streams that were not asked for, stay.
//! * Where the decoders are those of the first run, the result is the first, row for row. So a row
//!   that frames outside the span brought too is left to them (the snapshot after a reconnect, a
//!   candle that changed later), and a candle that may still change is left to the recorder.
//! * A damaged part that holds rows of other frames too is made again whole, where all its frames
//!   are kept; else nothing is changed.
//! * It is there as a whole or not at all. New parts are written under temporary names, the
//!   catalog notes the names they will get, they get them, and one transaction swaps them for the
//!   old ones; only then do these go. Until that transaction a start removes what is new.
//! * Memory is bounded: frames are read twice (which are there, then what they say), rows are
//!   sealed by weight, and parts are read a batch at a time.

mod hours;
mod kept;
mod ledger;
mod listings;
mod old;
mod replay;
mod stage;
#[cfg(test)]
mod tests;
mod twins;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::kept::Kept;
use self::old::Old;
use self::replay::{Replay, Said};
use self::stage::Stage;
use super::publisher::{Owner, OwnerError};
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::{Catalog, CatalogError, Change};
use crate::store::fs::Fs;
use crate::store::journal::JournalError;
use crate::store::paths::{PartName, Paths};
use crate::store::raw::RawError;
use crate::store::segment::{Ends, SegmentError};
use crate::store::sweep::remove_retired;

/// What to make again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Frames that arrived in it. Clock: ours.
    pub span: Span,
    /// Rows of these streams, and those of `unread`; of all where none is named.
    pub streams: Vec<Stream>,
    /// Whether everything is to stay as it is.
    pub dry_run: bool,
    /// How long after its end a candle may still change.
    pub settle: Duration,
    /// Bytes of memory that rows may hold before they go to files, roughly.
    pub buffer_bytes: usize,
}

/// What was done, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames read.
    pub frames: u64,
    /// Rows that they made.
    pub rows: u64,
    /// Files that others took the place of.
    pub replaced: u64,
    /// Files written.
    pub written: u64,
    /// Frames that are not kept, or cannot be read: their rows stayed as they were.
    pub missing_frames: u64,
}

/// Why nothing was made again. The folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The data folder cannot be had, or what an earlier run left in it cannot be cleared.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The kept frames cannot be found.
    #[error(transparent)]
    Raw(#[from] RawError),
    /// The kept frames cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A part could not be written.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// A part that holds other rows as well cannot be read.
    #[error(
        "{source}. It holds rows of frames that are not replaced as well: they arrived from {from} to {to}, \
         so give a span around that, if all its frames are kept"
    )]
    Border {
        /// When its first row arrived.
        from: Timestamp,
        /// When its last row arrived.
        to: Timestamp,
        /// The first and the last frame of its rows.
        frames: Ends<i64>,
        /// What is wrong with it.
        source: SegmentError,
    },
    /// The state of the candles that may still change cannot be read.
    #[error(
        "the catalog's merge state of {lane} cannot be read: {error}; it was made by another version"
    )]
    State {
        /// Of which market and stream.
        lane: String,
        /// Why.
        error: serde_json::Error,
    },
    /// The second reading did not give what the first had.
    #[error(
        "{first} kept frames could be read first, and {then} the second time: the disk of raw/ is failing. \
         Nothing was changed"
    )]
    Unsteady {
        /// Frames of the first reading.
        first: u64,
        /// Frames of the second.
        then: u64,
    },
}

/// What every step works on.
#[derive(Clone, Copy)]
struct Site<'a> {
    fs: &'a Arc<dyn Fs>,
    paths: &'a Paths,
    catalog: &'a Catalog,
    request: &'a Request,
}

impl Site<'_> {
    /// Whether rows of `stream` are to be made again.
    fn wants(&self, stream: Stream) -> bool {
        // A frame that can be read now is no longer unread, whatever was asked for.
        let streams = &self.request.streams;
        streams.is_empty() || stream == Stream::Unread || streams.contains(&stream)
    }
}

/// Makes the rows of kept frames again. `now` is the time for the catalog.
///
/// # Errors
///
/// When the folder is in use or holds no recording, or the disk or the catalog fails.
pub fn rebuild(
    data: &Path,
    fs: &Arc<dyn Fs>,
    now: Timestamp,
    request: &Request,
) -> Result<Summary, RebuildError> {
    let Owner { folder, mut catalog, next_segment, .. } = Owner::of(data, fs, now)?;
    let paths = folder.paths();
    let mut stage = Stage::new(next_segment);
    let site = Site { fs, paths, catalog: &catalog, request };
    match prepare_with_damaged(site, now, &mut stage) {
        Ok((summary, change)) if !request.dry_run && summary.frames > 0 => {
            publish(fs.as_ref(), paths, &mut catalog, stage, change)?;
            Ok(summary)
        }
        Ok((summary, _)) => {
            stage.discard(fs.as_ref());
            Ok(summary)
        }
        Err(error) => {
            stage.discard(fs.as_ref());
            Err(error)
        }
    }
}

/// The same as [`prepare`], where need be with more frames: all of those of damaged parts.
fn prepare_with_damaged(
    site: Site<'_>,
    now: Timestamp,
    stage: &mut Stage,
) -> Result<(Summary, Change), RebuildError> {
    let mut damaged: Vec<Ends<i64>> = Vec::new();
    loop {
        let kept = Kept::survey(site, &damaged)?;
        match prepare(site, &kept, now, stage) {
            Err(RebuildError::Border { frames, source, .. })
                if kept.held.cover(frames) && !damaged.contains(&frames) =>
            {
                tracing::info!(
                    "{source}. All of its frames are kept: it is made again with the rest"
                );
                damaged.push(frames);
                std::mem::replace(stage, Stage::new(stage.next())).discard(site.fs.as_ref());
            }
            done => return done,
        }
    }
}

/// Writes the new parts, under temporary names, and tells what is to become of the old ones.
fn prepare(
    site: Site<'_>,
    kept: &Kept<'_>,
    now: Timestamp,
    stage: &mut Stage,
) -> Result<(Summary, Change), RebuildError> {
    let old = Old::find(site, kept)?;
    kept.tell(&old.missing);
    let Said { rows, unread } = Replay::run(site, kept, stage)?;
    old.split(site, &kept.asked, stage)?;
    let missing = old.missing.iter().map(|stretch| stretch.end.abs_diff(stretch.start)).sum();
    let change = Change {
        at: now,
        retired: old.replaced().map(|segment| segment.name.number).collect(),
        recounts: hours::recount(site, &old, stage)?,
        gaps: if missing == 0 { ledger::read_now(site, &unread)? } else { Vec::new() },
        ..Change::default()
    };
    let summary = Summary {
        frames: kept.asked.count(),
        rows,
        replaced: u64::try_from(change.retired.len()).unwrap_or(u64::MAX),
        written: u64::try_from(stage.parts().len()).unwrap_or(u64::MAX),
        missing_frames: missing,
    };
    Ok((summary, change))
}

/// Swaps the old parts for the new ones.
fn publish(
    fs: &dyn Fs,
    paths: &Paths,
    catalog: &mut Catalog,
    stage: Stage,
    change: Change,
) -> Result<(), RebuildError> {
    let planned: Vec<PartName> =
        stage.parts().iter().map(|part| part.segment().name.clone()).collect();
    let noted = catalog.publish(&Change { at: change.at, planned, ..Change::default() });
    if let Err(error) = noted {
        stage.discard(fs);
        return Err(error.into());
    }
    let published = stage.publish(fs).and_then(|segments| {
        Ok::<_, RebuildError>(catalog.publish(&Change { segments, ..change })?)
    });
    // The old parts, or where that failed the new ones.
    if let Err(error) = remove_retired(fs, paths, catalog) {
        tracing::warn!("files that are not counted stay until the next start: {error}");
    }
    published
}
