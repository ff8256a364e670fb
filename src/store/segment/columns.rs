//! Some columns of a part, for those who compare values and need no whole rows.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

use super::batch::BATCH_ROWS;
use super::merge::KeyColumns;
use super::read::Part;
use super::{Segment, SegmentError, layout};
use crate::model::market::Market;
use crate::model::time::Timestamp;
use crate::store::fs::Fs;
use crate::store::paths::Paths;

/// Some rows of a part, in its order: market, time, frame, and the columns that were asked for.
pub struct Columns<'a> {
    batch: &'a RecordBatch,
    keys: KeyColumns<'a>,
}

/// Hands the columns called `names` of all rows of a published part to `each`, some rows at a time.
/// Row groups without a market of `markets` (both ends are meant) may be left out.
///
/// # Errors
///
/// When the disk says no, or the part is not what was published.
pub fn columns(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    segment: &Segment,
    names: &[&str],
    markets: Option<(&Market, &Market)>,
    mut each: impl FnMut(&Columns<'_>),
) -> Result<(), SegmentError> {
    let stream = segment.name.stream;
    let mut wanted = vec![layout::MARKET, layout::FRAME, layout::time_column(stream)];
    wanted.extend_from_slice(names);
    let mut part = Part::open(fs, paths, segment)?;
    if let Some((first, last)) = markets {
        let (first, last) = (first.as_str().as_bytes(), last.as_str().as_bytes());
        part.only_groups(|min, max| min <= last && max >= first);
    }
    for batch in part.some_batches(stream, &wanted, BATCH_ROWS)? {
        let batch = batch?;
        let keys = KeyColumns::of(&batch, layout::time_column(stream))
            .map_err(|error| SegmentError::misfit(&segment.name, &error))?;
        each(&Columns { batch: &batch, keys });
    }
    Ok(())
}

impl<'a> Columns<'a> {
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

    /// A number; none where it is null, or there is no such column.
    pub fn int(&self, name: &str, row: usize) -> Option<i64> {
        let cells = self.batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
        cells.is_valid(row).then(|| cells.value(row))
    }

    /// An instant; none where it is null, or there is no such column.
    pub fn instant(&self, name: &str, row: usize) -> Option<Timestamp> {
        let cells =
            self.batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        cells.is_valid(row).then(|| Timestamp::from_micros(cells.value(row)))
    }

    /// A double; none where it is null, or there is no such column.
    pub fn float(&self, name: &str, row: usize) -> Option<f64> {
        let cells = self.batch.column_by_name(name)?.as_primitive_opt::<Float64Type>()?;
        cells.is_valid(row).then(|| cells.value(row))
    }
}
