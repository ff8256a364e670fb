//! A Parquet file of any columns, for people who take rows elsewhere. It is no part: nothing of ours
//! reads it.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::batch::{BATCH_ROWS, Builder};
use super::{disk_fault, layout};
use crate::model::record::{CellSink, Kind};
use crate::model::time::Timestamp;

/// A cell, out of its row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// See [`Kind::Time`].
    Time(Timestamp),
    /// See [`Kind::Int`].
    Int(i64),
    /// See [`Kind::Float`].
    Float(f64),
    /// See [`Kind::Bool`].
    Bool(bool),
    /// See [`Kind::Text`].
    Text(String),
    /// See [`Kind::FloatList`].
    Floats(Vec<f64>),
    /// See [`Kind::Bytes`].
    Bytes(Vec<u8>),
}

/// The cells of one row, taken out of it.
#[derive(Debug, Default)]
pub struct Values(pub Vec<Value>);

impl CellSink for Values {
    fn time(&mut self, value: Option<Timestamp>) {
        self.0.push(value.map_or(Value::Null, Value::Time));
    }
    fn int(&mut self, value: Option<i64>) {
        self.0.push(value.map_or(Value::Null, Value::Int));
    }
    fn float(&mut self, value: Option<f64>) {
        self.0.push(value.map_or(Value::Null, Value::Float));
    }
    fn bool(&mut self, value: Option<bool>) {
        self.0.push(value.map_or(Value::Null, Value::Bool));
    }
    fn text(&mut self, value: Option<&str>) {
        self.0.push(value.map_or(Value::Null, |value| Value::Text(value.to_owned())));
    }
    fn floats(&mut self, value: &[f64]) {
        self.0.push(Value::Floats(value.to_vec()));
    }
    fn bytes(&mut self, value: &[u8]) {
        self.0.push(Value::Bytes(value.to_vec()));
    }
}

/// A file in the making.
pub struct Sheet<W: Write + Send> {
    schema: SchemaRef,
    kinds: Vec<Kind>,
    builders: Vec<Builder>,
    rows: usize,
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> Sheet<W> {
    /// Begins a file with these columns, any of which can be null.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn new(to: W, columns: &[(&str, Kind)]) -> io::Result<Self> {
        let field = |(name, kind): &(&str, Kind)| Field::new(*name, layout::data_type(*kind), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let level = ZstdLevel::try_new(layout::Effort::Quick.zstd_level()).map_err(fault)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(layout::ROW_GROUP_ROWS))
            .build();
        let kinds: Vec<Kind> = columns.iter().map(|(_, kind)| *kind).collect();
        let builders = kinds.iter().map(|kind| Builder::new(*kind)).collect();
        let writer = ArrowWriter::try_new(to, schema.clone(), Some(properties)).map_err(fault)?;
        Ok(Self { schema, kinds, builders, rows: 0, writer })
    }

    /// Adds a row: a value for each column.
    ///
    /// # Errors
    ///
    /// What the disk says; and when a value is not of its column's type.
    pub fn push(&mut self, row: &[Value]) -> io::Result<()> {
        for (builder, value) in self.builders.iter_mut().zip(row) {
            if !put(builder, value) {
                return Err(io::Error::other(format!("{value:?} is not of its column's type")));
            }
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    /// Completes the file.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        self.writer.into_inner().map_err(fault)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let fresh = self.kinds.iter().map(|kind| Builder::new(*kind)).collect();
        let full = std::mem::replace(&mut self.builders, fresh);
        let columns: Vec<ArrayRef> = full.into_iter().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(io::Error::other)?;
        self.writer.write(&batch).map_err(fault)
    }
}

fn fault(error: ParquetError) -> io::Error {
    disk_fault(error).unwrap_or_else(io::Error::other)
}

/// Whether `value` is of the type.
fn put(builder: &mut Builder, value: &Value) -> bool {
    match (builder, value) {
        (Builder::Time(one), Value::Time(at)) => one.append_value(at.micros()),
        (Builder::Time(one), Value::Null) => one.append_null(),
        (Builder::Int(one), Value::Int(value)) => one.append_value(*value),
        (Builder::Int(one), Value::Null) => one.append_null(),
        (Builder::Float(one), Value::Float(value)) => one.append_value(*value),
        (Builder::Float(one), Value::Null) => one.append_null(),
        (Builder::Bool(one), Value::Bool(value)) => one.append_value(*value),
        (Builder::Bool(one), Value::Null) => one.append_null(),
        (Builder::Text(one), Value::Text(value)) => return one.append(value).is_ok(),
        (Builder::Text(one), Value::Null) => one.append_null(),
        (Builder::Floats(one), Value::Floats(values)) => {
            one.values().append_slice(values);
            one.append(true);
        }
        (Builder::Floats(one), Value::Null) => one.append(false),
        (Builder::Bytes(one), Value::Bytes(value)) => one.append_value(value),
        (Builder::Bytes(one), Value::Null) => one.append_null(),
        (
            Builder::Time(_)
            | Builder::Int(_)
            | Builder::Float(_)
            | Builder::Bool(_)
            | Builder::Text(_)
            | Builder::Floats(_)
            | Builder::Bytes(_),
            _,
        ) => return false,
    }
    true
}
