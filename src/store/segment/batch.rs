//! Rows to Arrow batches, a few thousand at a time, so that no whole file is in memory twice.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder,
    RecordBatch, StringDictionaryBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Int32Type, SchemaRef};
use foldhash::HashMap;

use super::{SegmentError, layout};
use crate::model::market::Market;
use crate::model::record::{CellSink, Kind, Row};
use crate::model::time::Timestamp;
use crate::store::paths::PartName;

/// Rows in a full batch.
pub(super) const BATCH_ROWS: usize = 2_048;
/// Bytes at which a batch ends before it is full.
const BATCH_BYTES: usize = 4 << 20;

/// The batches of rows that are in the order of the file.
pub(super) struct Batches<'a> {
    name: &'a PartName,
    schema: SchemaRef,
    rows: std::iter::Peekable<std::vec::IntoIter<&'a Row>>,
}

impl<'a> Batches<'a> {
    /// Sorts `rows` as the file has them. Rows of one market, time and frame keep their order.
    pub(super) fn sorted(name: &'a PartName, rows: &'a [Row]) -> Self {
        // Within a market they come almost in order: what is left to sort is next to nothing.
        let mut markets: HashMap<Option<&str>, Vec<&Row>> = HashMap::default();
        for row in rows {
            markets.entry(row.head.market.as_ref().map(Market::as_str)).or_default().push(row);
        }
        let mut markets: Vec<_> = markets.into_iter().collect();
        markets.sort_unstable_by_key(|(market, _)| *market);
        let mut rows = Vec::with_capacity(rows.len());
        for (_, mut of_market) in markets {
            of_market.sort_by_key(|row| (row.time(), row.head.frame));
            rows.append(&mut of_market);
        }
        Self { name, schema: layout::schema(name.stream), rows: rows.into_iter().peekable() }
    }

    fn batch(&mut self) -> Result<RecordBatch, SegmentError> {
        let mut table = Table::new(self.name);
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(row) = self.rows.next() else { break };
            table.push(row)?;
            count += 1;
            bytes += row.weight();
        }
        RecordBatch::try_new(self.schema.clone(), table.finish())
            .map_err(|e| SegmentError::misfit(self.name, &e))
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<RecordBatch, SegmentError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.peek()?;
        Some(self.batch())
    }
}

/// Columns in the making.
struct Table<'a> {
    name: &'a PartName,
    columns: Vec<Builder>,
    /// The column that the next cell belongs to.
    next: usize,
    /// Whether every cell so far was of its column's type.
    fits: bool,
}

/// A column in the making.
pub(super) enum Builder {
    Time(TimestampMicrosecondBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Text(StringDictionaryBuilder<Int32Type>),
    Floats(ListBuilder<Float64Builder>),
    Bytes(BinaryBuilder),
}

impl<'a> Table<'a> {
    fn new(name: &'a PartName) -> Self {
        let columns = Row::columns(name.stream).map(|column| Builder::new(column.kind)).collect();
        Self { name, columns, next: 0, fits: true }
    }

    fn push(&mut self, row: &Row) -> Result<(), SegmentError> {
        self.next = 0;
        row.cells(self);
        if self.fits && self.next == self.columns.len() {
            return Ok(());
        }
        let detail = format!("a row is not one of this stream: {row:?}");
        Err(SegmentError::Misfit { name: self.name.clone(), detail })
    }

    fn finish(self) -> Vec<ArrayRef> {
        self.columns.into_iter().map(Builder::finish).collect()
    }

    /// The builder of the next cell.
    fn builder(&mut self) -> Option<&mut Builder> {
        self.next += 1;
        self.columns.get_mut(self.next - 1)
    }
}

impl Builder {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Text => Self::Text(StringDictionaryBuilder::new()),
            Kind::FloatList => {
                let list = ListBuilder::new(Float64Builder::new());
                Self::Floats(list.with_field(Arc::new(layout::element())))
            }
            Kind::Bytes => Self::Bytes(BinaryBuilder::new()),
        }
    }

    pub(super) fn finish(self) -> ArrayRef {
        match self {
            Self::Time(mut one) => Arc::new(one.finish()),
            Self::Int(mut one) => Arc::new(one.finish()),
            Self::Float(mut one) => Arc::new(one.finish()),
            Self::Bool(mut one) => Arc::new(one.finish()),
            Self::Text(mut one) => Arc::new(one.finish()),
            Self::Floats(mut one) => Arc::new(one.finish()),
            Self::Bytes(mut one) => Arc::new(one.finish()),
        }
    }
}

impl CellSink for Table<'_> {
    fn time(&mut self, value: Option<Timestamp>) {
        match self.builder() {
            Some(Builder::Time(one)) => one.append_option(value.map(Timestamp::micros)),
            Some(_) | None => self.fits = false,
        }
    }

    fn int(&mut self, value: Option<i64>) {
        match self.builder() {
            Some(Builder::Int(one)) => one.append_option(value),
            Some(_) | None => self.fits = false,
        }
    }

    fn float(&mut self, value: Option<f64>) {
        match self.builder() {
            Some(Builder::Float(one)) => one.append_option(value),
            Some(_) | None => self.fits = false,
        }
    }

    fn bool(&mut self, value: Option<bool>) {
        match self.builder() {
            Some(Builder::Bool(one)) => one.append_option(value),
            Some(_) | None => self.fits = false,
        }
    }

    fn text(&mut self, value: Option<&str>) {
        // A batch is far too short to use up the keys of a dictionary.
        match (self.builder(), value) {
            (Some(Builder::Text(one)), Some(value)) => self.fits &= one.append(value).is_ok(),
            (Some(Builder::Text(one)), None) => one.append_null(),
            (Some(_) | None, _) => self.fits = false,
        }
    }

    fn floats(&mut self, value: &[f64]) {
        match self.builder() {
            Some(Builder::Floats(one)) => {
                one.values().append_slice(value);
                one.append(true);
            }
            Some(_) | None => self.fits = false,
        }
    }

    fn bytes(&mut self, value: &[u8]) {
        match self.builder() {
            Some(Builder::Bytes(one)) => one.append_value(value),
            Some(_) | None => self.fits = false,
        }
    }
}
