//! How the columns of a stream lie in a Parquet file: types, encodings, order, statistics.
//!
//! Measured, not guessed: rows of one market that follow each other differ little, so doubles lie
//! plain and zstd finds the row before; dictionaries and split bytes hide it (a third more bytes
//! for the lists of a book, a tenth to a quarter for prices and sizes). Times and numbers in order
//! are what `DELTA_BINARY_PACKED` is for; strings are dictionaries, so that readers get categories.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::{FORMAT_VERSION, document};
use crate::model::record::{Body, Column, Kind, Row};
use crate::model::subscription::Stream;
use crate::store::paths::PartName;

/// Rows in a full row group.
pub(super) const ROW_GROUP_ROWS: usize = 32_768;
/// Rows from which on a row group ends where another market begins.
pub(super) const GROUP_LEAST_ROWS: usize = 20_000;
/// Bytes at which a row group ends before it is full: rows of stream `unread` can be large.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// The columns that every file is sorted by, the time between them: see [`time_column`].
pub(super) const MARKET: &str = "market";
pub(super) const FRAME: &str = "frame";
pub(super) const TS_RECV: &str = "ts_recv";
/// The venue's number of a row: of trades.
pub(super) const ID: &str = "id";

/// How hard the bytes of a part are pressed (measured 2026-11-21: `schemas/README.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// While others wait: a part of what just came, or one on the way into another.
    Quick,
    /// For what a compaction leaves: it is written once and kept.
    Thorough,
}

impl Effort {
    /// The level of zstd. The fourth saves a fifteenth of the bytes of order books, and takes half
    /// as long again to write them.
    pub(super) const fn zstd_level(self) -> i32 {
        match self {
            Self::Quick => 3,
            Self::Thorough => 4,
        }
    }

    /// Bytes in a page, before compression; it ends with the thousand values that pass this. Who
    /// merges files holds an open page of each of their columns, and four times as large saves
    /// nothing worth it.
    ///
    /// zstd's levels depend on the length of what it is given: the fourth searches as above up to
    /// 256 KiB, and is hardly more than the third beyond. So these pages stay below that.
    const fn page_bytes(self) -> usize {
        match self {
            Self::Quick => 256 << 10,
            Self::Thorough => 240 << 10,
        }
    }
}

/// Names of the key-value metadata of each file.
pub(super) mod key {
    pub(in super::super) const FORMAT_VERSION: &str = "veritape.format_version";
    pub(in super::super) const VENUE: &str = "veritape.venue";
    pub(in super::super) const STREAM: &str = "veritape.stream";
    pub(in super::super) const SCHEMA: &str = "veritape.schema";
    pub(in super::super) const FROM: &str = "veritape.from";
    pub(in super::super) const TO: &str = "veritape.to";
}

/// The column that holds [`Row::time`]: the first of the stream's own columns, else `ts_recv`.
#[must_use]
pub(super) fn time_column(stream: Stream) -> &'static str {
    match Body::columns(stream).first() {
        Some(Column { name, kind: Kind::Time, nullable: false, .. }) => name,
        Some(_) | None => TS_RECV,
    }
}

/// The stream's columns as Arrow has them. Each field's metadata holds its document.
pub(super) fn schema(stream: Stream) -> SchemaRef {
    Arc::new(Schema::new(Row::columns(stream).map(field).collect::<Vec<_>>()))
}

/// The element of a list of doubles.
pub(super) fn element() -> Field {
    Field::new("element", DataType::Float64, false)
}

fn field(column: &Column) -> Field {
    let doc = [("description".to_owned(), column.doc.trim().to_owned())];
    Field::new(column.name, data_type(column.kind), column.nullable).with_metadata(doc)
}

/// What Arrow calls it.
pub(super) fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::Text => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        Kind::FloatList => DataType::List(Arc::new(element())),
        Kind::Bytes => DataType::Binary,
    }
}

/// How the file `name` is to be written.
pub(super) fn properties(
    name: &PartName,
    effort: Effort,
) -> Result<WriterProperties, ParquetError> {
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("veritape ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(effort.zstd_level())?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_data_page_size_limit(effort.page_bytes())
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting(name.stream)?))
        .set_key_value_metadata(Some(vec![
            pair(key::FORMAT_VERSION, FORMAT_VERSION.to_string()),
            pair(key::VENUE, name.venue.to_string()),
            pair(key::STREAM, name.stream.to_string()),
            pair(key::SCHEMA, document::of_stream(name.stream)),
        ]));
    for column in Row::columns(name.stream) {
        builder = encoding(builder, column);
    }
    Ok(builder.build())
}

fn encoding(builder: WriterPropertiesBuilder, column: &Column) -> WriterPropertiesBuilder {
    let path = leaf(column);
    let (encoding, statistics) = match column.kind {
        // A dictionary is made of strings, and bits need no encoding.
        Kind::Text | Kind::Bool => return builder,
        Kind::Time | Kind::Int => (Encoding::DELTA_BINARY_PACKED, EnabledStatistics::Page),
        Kind::Float => (Encoding::PLAIN, EnabledStatistics::Page),
        // No reader passes over lists by what lies in them.
        Kind::FloatList | Kind::Bytes => (Encoding::PLAIN, EnabledStatistics::None),
    };
    builder
        .set_column_dictionary_enabled(path.clone(), false)
        .set_column_encoding(path.clone(), encoding)
        .set_column_statistics_enabled(path, statistics)
}

/// The column in the Parquet schema that holds the values.
fn leaf(column: &Column) -> ColumnPath {
    let mut steps = vec![column.name.to_owned()];
    if column.kind == Kind::FloatList {
        steps.extend(["list".to_owned(), element().name().to_owned()]);
    }
    ColumnPath::new(steps)
}

fn sorting(stream: Stream) -> Result<Vec<SortingColumn>, ParquetError> {
    [MARKET, time_column(stream), FRAME]
        .into_iter()
        .map(|name| {
            // Each of them stands before the first list, so columns and leaves count alike.
            let place = Row::columns(stream).position(|column| column.name == name);
            let place = place.and_then(|place| i32::try_from(place).ok());
            let column_idx =
                place.ok_or_else(|| ParquetError::General(format!("{stream} has no {name}")))?;
            Ok(SortingColumn { column_idx, descending: false, nulls_first: true })
        })
        .collect()
}
