//! Rows as text or Parquet.
//!
//! Doubles are written with the fewest digits that read back as the same double, always with a
//! point or an exponent, so that nobody takes them for integers; times as RFC 3339 with six digits
//! after the second; lists as JSON arrays; bytes in hexadecimal. Null is an empty field in CSV,
//! where an empty text is `""`.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use chrono::SecondsFormat;

use crate::model::record::Kind;
use crate::store::segment::{Sheet, Value};

/// As what rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// Comma-separated values with a line of names, RFC 4180 with plain line ends.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// A file in the making.
pub(super) enum Writer<W: Write + Send> {
    Parquet(Box<Sheet<W>>),
    Csv(BufWriter<W>),
    JsonLines(BufWriter<W>, Vec<&'static str>),
}

impl<W: Write + Send> Writer<W> {
    pub(super) fn new(format: Format, to: W, columns: &[(&'static str, Kind)]) -> io::Result<Self> {
        let names = || columns.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        Ok(match format {
            Format::Parquet => Self::Parquet(Box::new(Sheet::new(to, columns)?)),
            Format::Csv => {
                let mut to = BufWriter::new(to);
                writeln!(to, "{}", names().join(","))?;
                Self::Csv(to)
            }
            Format::JsonLines => Self::JsonLines(BufWriter::new(to), names()),
        })
    }

    pub(super) fn push(&mut self, row: &[Value]) -> io::Result<()> {
        match self {
            Self::Parquet(sheet) => sheet.push(row),
            Self::Csv(to) => {
                let fields: Vec<String> = row.iter().map(field).collect();
                writeln!(to, "{}", fields.join(","))
            }
            Self::JsonLines(to, names) => {
                let mut line = String::from("{");
                for (name, value) in names.iter().zip(row) {
                    let comma = if line.len() > 1 { "," } else { "" };
                    // Writing to a string cannot fail.
                    write!(line, "{comma}\"{name}\":{}", json(value)).ok();
                }
                writeln!(to, "{line}}}")
            }
        }
    }

    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Parquet(sheet) => sheet.finish(),
            Self::Csv(to) | Self::JsonLines(to, _) => {
                to.into_inner().map_err(io::IntoInnerError::into_error)
            }
        }
    }
}

/// A field of CSV.
fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => {
            let plain = !text.is_empty() && !text.contains([',', '"', '\n', '\r']);
            if plain { text.clone() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
        }
        Value::Floats(_) => format!("\"{}\"", plain(value)),
        Value::Bytes(bytes) if bytes.is_empty() => "\"\"".to_owned(),
        Value::Time(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Bytes(_) => {
            plain(value)
        }
    }
}

fn json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        // JSON has no other numbers.
        Value::Float(number) if !number.is_finite() => "null".to_owned(),
        Value::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        Value::Time(_) | Value::Bytes(_) => format!("\"{}\"", plain(value)),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Floats(_) => plain(value),
    }
}

/// The text of a value, without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Time(at) => at.datetime().to_rfc3339_opts(SecondsFormat::Micros, true),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Bool(value) => value.to_string(),
        Value::Text(text) => text.clone(),
        Value::Floats(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(|one| format!("{one:?}")).collect();
            format!("[{}]", numbers.join(","))
        }
        Value::Bytes(bytes) => bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").ok();
            text
        }),
    }
}
