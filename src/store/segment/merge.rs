//! Sorted batches from several places as one sorted stream of batches.
//!
//! Memory: one batch of each source, whatever the files' size. Rows with equal keys keep the order
//! of the sources.

use std::collections::HashSet;

use arrow::array::{AsArray, BooleanArray, DictionaryArray, RecordBatch, StringArray};
use arrow::compute::{filter_record_batch, interleave_record_batch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;

use super::batch::BATCH_ROWS;
use super::write::Omit;
use super::{SegmentError, layout};
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::time::Timestamp;
use crate::store::paths::PartName;

/// Rows by market and time.
pub type Keys = HashSet<(Market, Timestamp)>;

/// Rows by market and span. What is not given does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Of these markets.
    pub markets: Option<HashSet<Market>>,
    /// Of a time within it.
    pub within: Option<Span>,
}

impl Wanted {
    fn has(&self, market: Option<&str>, at: Timestamp) -> bool {
        let market = || market.map(Market::new);
        self.within.is_none_or(|span| span.contains(at))
            && self
                .markets
                .as_ref()
                .is_none_or(|all| market().is_some_and(|one| all.contains(&one)))
    }
}

/// Where sorted rows come from.
pub(super) struct Source<'a> {
    batches: Box<dyn Iterator<Item = Result<RecordBatch, SegmentError>> + 'a>,
    omit: Omit<'a>,
    held: Option<Held>,
}

/// One batch, and how far it was taken.
struct Held {
    batch: RecordBatch,
    at: usize,
}

impl<'a> Source<'a> {
    /// The rows of `batches`, but for those in `omit`.
    pub(super) fn new(
        batches: impl Iterator<Item = Result<RecordBatch, SegmentError>> + 'a,
        omit: Omit<'a>,
    ) -> Self {
        Self { batches: Box::new(batches), omit, held: None }
    }
}

/// The merged batches of `sources`.
pub(super) struct Merge<'a> {
    name: &'a PartName,
    sources: Vec<Source<'a>>,
    /// Rows left out so far.
    pub(super) dropped: u64,
}

impl<'a> Merge<'a> {
    pub(super) fn new(name: &'a PartName, sources: Vec<Source<'a>>) -> Self {
        Self { name, sources, dropped: 0 }
    }

    /// The next batch; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, SegmentError> {
        self.fill()?;
        let batch = match self.sources.as_mut_slice() {
            [] => return Ok(None),
            [only] => only
                .held
                .take()
                .map(|held| held.batch.slice(held.at, held.batch.num_rows() - held.at)),
            several => Some(
                interleave(several, self.name.stream)
                    .map_err(|e| SegmentError::misfit(self.name, &e))?,
            ),
        };
        Ok(batch)
    }

    /// Sees to it that every source that is left holds a row that was not taken.
    fn fill(&mut self) -> Result<(), SegmentError> {
        for source in &mut self.sources {
            while source.held.as_ref().is_none_or(|held| held.at == held.batch.num_rows()) {
                let Some(batch) = source.batches.next().transpose()? else {
                    source.held = None;
                    break;
                };
                let kept = without(&batch, source.omit, self.name)
                    .map_err(|e| SegmentError::misfit(self.name, &e))?;
                self.dropped += (batch.num_rows() - kept.num_rows()) as u64;
                source.held = Some(Held { batch: kept, at: 0 });
            }
        }
        self.sources.retain(|source| source.held.is_some());
        Ok(())
    }
}

/// Takes rows in order until one source has to be filled again, or the batch is full.
fn interleave(
    sources: &mut [Source<'_>],
    stream: crate::model::subscription::Stream,
) -> Result<RecordBatch, ArrowError> {
    let held: Vec<&mut Held> =
        sources.iter_mut().filter_map(|source| source.held.as_mut()).collect();
    let batches: Vec<RecordBatch> = held.iter().map(|held| held.batch.clone()).collect();
    let keys = batches
        .iter()
        .map(|batch| KeyColumns::of(batch, layout::time_column(stream)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut at: Vec<usize> = held.iter().map(|held| held.at).collect();
    let mut taken = Vec::with_capacity(BATCH_ROWS);
    while taken.len() < BATCH_ROWS {
        let heads = keys.iter().zip(&at).enumerate();
        let least = heads.map(|(source, (keys, row))| (keys.row(*row), source)).min();
        let Some((_, source)) = least else { break };
        let (Some(row), Some(batch)) = (at.get_mut(source), batches.get(source)) else { break };
        taken.push((source, *row));
        *row += 1;
        if *row == batch.num_rows() {
            break;
        }
    }
    for (held, at) in held.into_iter().zip(at) {
        held.at = at;
    }
    interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &taken)
}

/// `batch` without the rows in `omit`.
fn without(
    batch: &RecordBatch,
    omit: Omit<'_>,
    name: &PartName,
) -> Result<RecordBatch, ArrowError> {
    let columns = KeyColumns::of(batch, layout::time_column(name.stream))?;
    let rows = 0..batch.num_rows();
    let keep: BooleanArray = match omit {
        Omit::Nothing => return Ok(batch.clone()),
        Omit::Keys(keys) if keys.is_empty() => return Ok(batch.clone()),
        Omit::Keys(keys) => rows
            .map(|row| {
                let (market, time, _) = columns.row(row);
                let key = market.map(|market| (Market::new(market), Timestamp::from_micros(time)));
                Some(key.is_none_or(|key| !keys.contains(&key)))
            })
            .collect(),
        Omit::Frames(frames) => {
            rows.map(|row| Some(!frames.contains(columns.row(row).2))).collect()
        }
        Omit::AllBut(wanted) => rows
            .map(|row| {
                let (market, time, _) = columns.row(row);
                Some(wanted.has(market, Timestamp::from_micros(time)))
            })
            .collect(),
    };
    filter_record_batch(batch, &keep)
}

/// The columns that the order is made of.
pub(super) struct KeyColumns<'a> {
    market: &'a DictionaryArray<Int32Type>,
    markets: &'a StringArray,
    time: &'a [i64],
    frame: &'a [i64],
}

impl<'a> KeyColumns<'a> {
    pub(super) fn of(batch: &'a RecordBatch, time: &str) -> Result<Self, ArrowError> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
        };
        let other = || ArrowError::SchemaError("a key column is of another type".to_owned());
        let market = column(layout::MARKET)?.as_dictionary_opt::<Int32Type>().ok_or_else(other)?;
        Ok(Self {
            market,
            markets: market.values().as_string_opt().ok_or_else(other)?,
            time: column(time)?
                .as_primitive_opt::<TimestampMicrosecondType>()
                .ok_or_else(other)?
                .values(),
            frame: column(layout::FRAME)?
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(other)?
                .values(),
        })
    }

    /// The key of a row that is there.
    pub(super) fn row(&self, row: usize) -> (Option<&'a str>, i64, i64) {
        let market = self.market.key(row).map(|key| self.markets.value(key));
        let at = |column: &[i64]| column.get(row).copied().unwrap_or_default();
        (market, at(self.time), at(self.frame))
    }
}
