//! What a column can hold, and how a record hands out its cells.
//!
//! A record does not know of Parquet, JSON or hashing: it calls a [`CellSink`] once for each of
//! its columns, in their order. Every use of a record (writing, comparing, exporting) is a sink.

use smol_str::SmolStr;

use super::doubles::Doubles;
use crate::model::market::{Change, Market, Side, Source};
use crate::model::time::Timestamp;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An instant: `timestamp[us, UTC]`.
    Time,
    /// A 64-bit integer.
    Int,
    /// A double: the one nearest to the decimal that the venue wrote.
    Float,
    /// True or false.
    Bool,
    /// A string with few distinct values.
    Text,
    /// A list of doubles, none of them null.
    FloatList,
    /// Bytes.
    Bytes,
}

impl Kind {
    /// The type's name in the schema documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "timestamp[us, UTC]",
            Self::Int => "int64",
            Self::Float => "float64",
            Self::Bool => "bool",
            Self::Text => "string (dictionary)",
            Self::FloatList => "list<float64 not null>",
            Self::Bytes => "binary",
        }
    }
}

/// One column of a stream's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether a cell can be null; null means the venue did not say.
    pub nullable: bool,
    /// Meaning, unit, whose clock and the venue's own field.
    pub doc: &'static str,
}

/// Takes the cells of one record, column by column. `None` is null.
pub trait CellSink {
    /// A cell of [`Kind::Time`].
    fn time(&mut self, value: Option<Timestamp>);
    /// A cell of [`Kind::Int`].
    fn int(&mut self, value: Option<i64>);
    /// A cell of [`Kind::Float`].
    fn float(&mut self, value: Option<f64>);
    /// A cell of [`Kind::Bool`].
    fn bool(&mut self, value: Option<bool>);
    /// A cell of [`Kind::Text`].
    fn text(&mut self, value: Option<&str>);
    /// A cell of [`Kind::FloatList`].
    fn floats(&mut self, value: &[f64]);
    /// A cell of [`Kind::Bytes`].
    fn bytes(&mut self, value: &[u8]);
}

/// A type that a field of a record can have.
pub trait Cell {
    /// The column's type.
    const KIND: Kind;
    /// Whether the column can be null.
    const NULLABLE: bool = false;
    /// Hands the cell to `sink`.
    fn put(&self, sink: &mut impl CellSink);
}

macro_rules! cell {
    ($ty:ty, $kind:ident, |$value:ident, $sink:ident| $put:expr, |$none:ident| $null:expr) => {
        impl Cell for $ty {
            const KIND: Kind = Kind::$kind;
            fn put(&self, $sink: &mut impl CellSink) {
                let $value = self;
                $put
            }
        }
        impl Cell for Option<$ty> {
            const KIND: Kind = Kind::$kind;
            const NULLABLE: bool = true;
            fn put(&self, $none: &mut impl CellSink) {
                match self {
                    Some(value) => value.put($none),
                    None => $null,
                }
            }
        }
    };
}

cell!(Timestamp, Time, |value, sink| sink.time(Some(*value)), |sink| sink.time(None));
cell!(i64, Int, |value, sink| sink.int(Some(*value)), |sink| sink.int(None));
cell!(f64, Float, |value, sink| sink.float(Some(*value)), |sink| sink.float(None));
cell!(bool, Bool, |value, sink| sink.bool(Some(*value)), |sink| sink.bool(None));
cell!(SmolStr, Text, |value, sink| sink.text(Some(value)), |sink| sink.text(None));
cell!(Market, Text, |value, sink| sink.text(Some(value.as_str())), |sink| sink.text(None));
cell!(Side, Text, |value, sink| sink.text(Some(value.as_str())), |sink| sink.text(None));
cell!(Change, Text, |value, sink| sink.text(Some(value.as_str())), |sink| sink.text(None));
cell!(Source, Text, |value, sink| sink.text(Some(value.as_str())), |sink| sink.text(None));

impl Cell for Doubles {
    const KIND: Kind = Kind::FloatList;
    fn put(&self, sink: &mut impl CellSink) {
        sink.floats(&self.list());
    }
}

impl Cell for bytes::Bytes {
    const KIND: Kind = Kind::Bytes;
    fn put(&self, sink: &mut impl CellSink) {
        sink.bytes(self);
    }
}

/// A struct whose fields are columns. Made by the `record!` macro only.
pub trait Columns {
    /// What one row is.
    const DOC: &'static str;
    /// Its columns, in the order of the file.
    const COLUMNS: &'static [Column];
    /// Hands every cell to `sink`, in the order of [`Self::COLUMNS`].
    fn cells(&self, sink: &mut impl CellSink);
}

/// Declares a record type once: the struct, its columns and their documents.
macro_rules! record {
    (
        $(#[doc = $doc:literal])+
        $name:ident { $( $(#[doc = $field_doc:literal])+ $field:ident: $ty:ty, )+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name { $( $(#[doc = $field_doc])+ pub $field: $ty, )+ }

        impl $crate::model::record::cell::Columns for $name {
            const DOC: &'static str = concat!($($doc),+);
            const COLUMNS: &'static [$crate::model::record::cell::Column] = &[$(
                $crate::model::record::cell::Column {
                    name: stringify!($field),
                    kind: <$ty as $crate::model::record::cell::Cell>::KIND,
                    nullable: <$ty as $crate::model::record::cell::Cell>::NULLABLE,
                    doc: concat!($($field_doc),+),
                },
            )+];
            fn cells(&self, sink: &mut impl $crate::model::record::cell::CellSink) {
                $( $crate::model::record::cell::Cell::put(&self.$field, sink); )+
            }
        }
    };
}
pub(super) use record;
