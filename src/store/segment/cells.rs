//! The rows of a part as cells: what was handed to the file, handed out again.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;

use super::batch::BATCH_ROWS;
use super::merge::KeyColumns;
use super::read::Part;
use super::{Segment, SegmentError, layout};
use crate::model::record::{CellSink, Columns, Head, Kind, Row};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::fs::Fs;
use crate::store::paths::Paths;

/// How much of each row is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Market, times and frame.
    Keys,
    /// The same, and the venue's number of a trade.
    Ids,
    /// Every column.
    Whole,
}

/// Some rows of a part, in its order.
pub struct Cells<'a> {
    stream: Stream,
    batch: &'a RecordBatch,
    keys: KeyColumns<'a>,
    ts_recv: &'a [i64],
}

/// Hands all rows of a published part to `each`, some at a time.
///
/// # Errors
///
/// When the disk says no, or the part is not what was published.
pub fn scan(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    segment: &Segment,
    extent: Extent,
    each: impl FnMut(&Cells<'_>),
) -> Result<(), SegmentError> {
    scan_part(Part::open(fs, paths, segment)?, segment, extent, each)
}

/// The same for a part that is open.
pub(super) fn scan_part(
    part: Part,
    segment: &Segment,
    extent: Extent,
    mut each: impl FnMut(&Cells<'_>),
) -> Result<(), SegmentError> {
    let stream = segment.name.stream;
    let misfit = |error: ArrowError| SegmentError::misfit(&segment.name, &error);
    match extent {
        Extent::Whole => {
            for batch in part.batches(stream, BATCH_ROWS)? {
                each(&Cells::of(&batch?, stream).map_err(misfit)?);
            }
        }
        Extent::Keys | Extent::Ids => {
            let more = (extent == Extent::Ids).then_some(layout::ID);
            for batch in part.key_batches(stream, BATCH_ROWS, more)? {
                each(&Cells::of(&batch?, stream).map_err(misfit)?);
            }
        }
    }
    Ok(())
}

impl<'a> Cells<'a> {
    pub(super) fn of(batch: &'a RecordBatch, stream: Stream) -> Result<Self, ArrowError> {
        let keys = KeyColumns::of(batch, layout::time_column(stream))?;
        let ts_recv = batch
            .column_by_name(layout::TS_RECV)
            .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
            .ok_or_else(|| ArrowError::SchemaError("no times of arrival".to_owned()))?;
        Ok(Self { stream, batch, keys, ts_recv: ts_recv.values() })
    }

    /// The rows, by their place among these.
    pub fn rows(&self) -> std::ops::Range<usize> {
        0..self.batch.num_rows()
    }

    /// The market; none where the row names none.
    pub fn market(&self, row: usize) -> Option<&'a str> {
        self.keys.row(row).0
    }

    /// `Row::time` of a row.
    pub fn time(&self, row: usize) -> Timestamp {
        Timestamp::from_micros(self.keys.row(row).1)
    }

    /// When the row's frame arrived. Clock: ours.
    pub fn ts_recv(&self, row: usize) -> Timestamp {
        Timestamp::from_micros(self.ts_recv.get(row).copied().unwrap_or_default())
    }

    /// The sequence of the row's frame.
    pub fn frame(&self, row: usize) -> i64 {
        self.keys.row(row).2
    }

    /// The venue's number of a row; none where it has none, or that was not read.
    pub fn id(&self, row: usize) -> Option<i64> {
        let ids = self.batch.column_by_name(layout::ID)?.as_primitive_opt::<Int64Type>()?;
        ids.values().get(row).copied()
    }

    /// Hands every cell of a row to `sink`, in the order of `Row::columns`. The part has to be
    /// read whole.
    pub fn put(&self, row: usize, sink: &mut impl CellSink) {
        self.put_from(row, 0, sink);
    }

    /// The same without the columns that every stream has.
    pub fn put_body(&self, row: usize, sink: &mut impl CellSink) {
        self.put_from(row, Head::COLUMNS.len(), sink);
    }

    fn put_from(&self, row: usize, skip: usize, sink: &mut impl CellSink) {
        let columns = self.batch.columns().iter().zip(Row::columns(self.stream));
        for (cells, column) in columns.skip(skip) {
            put(cells, column.kind, row, sink);
        }
    }
}

fn put(cells: &ArrayRef, kind: Kind, row: usize, sink: &mut impl CellSink) {
    let there = (row < cells.len() && cells.is_valid(row)).then_some(row);
    match kind {
        Kind::Time => {
            let cells = cells.as_primitive_opt::<TimestampMicrosecondType>();
            let micros = there.zip(cells).map(|(row, cells)| cells.value(row));
            sink.time(micros.map(Timestamp::from_micros));
        }
        Kind::Int => {
            let cells = cells.as_primitive_opt::<Int64Type>();
            sink.int(there.zip(cells).map(|(row, cells)| cells.value(row)));
        }
        Kind::Float => {
            let cells = cells.as_primitive_opt::<Float64Type>();
            sink.float(there.zip(cells).map(|(row, cells)| cells.value(row)));
        }
        Kind::Bool => {
            sink.bool(there.zip(cells.as_boolean_opt()).map(|(row, cells)| cells.value(row)));
        }
        Kind::Text => {
            let cells = cells.as_dictionary_opt::<Int32Type>();
            let text = cells.and_then(|cells| cells.values().as_string_opt::<i32>());
            let key = there.zip(cells).and_then(|(row, cells)| cells.key(row));
            sink.text(text.zip(key).map(|(text, key)| text.value(key)));
        }
        Kind::FloatList => {
            let list = there.zip(cells.as_list_opt::<i32>()).map(|(row, list)| list.value(row));
            let values = list.as_ref().and_then(|list| list.as_primitive_opt::<Float64Type>());
            sink.floats(values.map(|values| values.values().as_ref()).unwrap_or_default());
        }
        Kind::Bytes => {
            let cells = cells.as_binary_opt::<i32>();
            sink.bytes(there.zip(cells).map(|(row, cells)| cells.value(row)).unwrap_or_default());
        }
    }
}
