//! Parts written to a real disk and read back.

mod effort;
mod faults;
mod layout;
mod merge;
pub(crate) mod sample;

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use tempfile::TempDir;

use super::read::Part;
use super::*;
use crate::model::record::{CellSink, Kind, Row};
use crate::model::subscription::Stream;
use crate::store::fs::{Fs, RealFs};
use crate::store::paths::Paths;

/// A data folder that is gone after the test.
struct Home {
    fs: Arc<dyn Fs>,
    paths: Paths,
    _folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { fs: Arc::new(RealFs), paths: Paths::new(folder.path()), _folder: folder }
    }

    fn write(
        &self,
        name: &PartName,
        rows: &[Row],
        bases: &[Base<'_>],
    ) -> Result<Written, SegmentError> {
        write(&self.fs, &self.paths, Contents { name, rows, bases })
    }

    fn publish(&self, name: &PartName, rows: &[Row]) -> Segment {
        self.write(name, rows, &[]).unwrap().publish(self.fs.as_ref()).unwrap()
    }

    /// Every row of a part, as text.
    fn rows(&self, segment: &Segment) -> Vec<Vec<String>> {
        let name = &segment.name;
        let part = Part::open(&self.fs, &self.paths, segment).unwrap();
        part.batches(name.stream, 700)
            .unwrap()
            .flat_map(|batch| cells_of(&batch.unwrap(), name.stream))
            .collect()
    }
}

/// A row's cells, each as text.
#[derive(Default)]
struct Text(Vec<String>);

impl CellSink for Text {
    fn time(&mut self, value: Option<Timestamp>) {
        self.int(value.map(Timestamp::micros));
    }
    fn int(&mut self, value: Option<i64>) {
        self.0.push(format!("{value:?}"));
    }
    fn float(&mut self, value: Option<f64>) {
        self.0.push(format!("{value:?}"));
    }
    fn bool(&mut self, value: Option<bool>) {
        self.0.push(format!("{value:?}"));
    }
    fn text(&mut self, value: Option<&str>) {
        self.0.push(format!("{value:?}"));
    }
    fn floats(&mut self, value: &[f64]) {
        self.0.push(format!("{value:?}"));
    }
    fn bytes(&mut self, value: &[u8]) {
        self.0.push(format!("{value:?}"));
    }
}

fn cells(row: &Row) -> Vec<String> {
    let mut text = Text::default();
    row.cells(&mut text);
    text.0
}

/// The rows as a file should have them.
fn in_order(rows: &[Row]) -> Vec<Vec<String>> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| (row.head.market.clone(), row.time(), row.head.frame));
    rows.into_iter().map(cells).collect()
}

fn cells_of(batch: &RecordBatch, stream: Stream) -> Vec<Vec<String>> {
    let row = |row| {
        let columns = batch.columns().iter().zip(Row::columns(stream));
        columns.map(|(cells, column)| cell_of(cells, column.kind, row)).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn cell_of(cells: &ArrayRef, kind: Kind, row: usize) -> String {
    let there = cells.is_valid(row).then_some(row);
    match kind {
        Kind::Time => {
            let cells = cells.as_primitive::<TimestampMicrosecondType>();
            assert_eq!(cells.timezone(), Some("UTC"));
            format!("{:?}", there.map(|row| cells.value(row)))
        }
        Kind::Int => {
            format!("{:?}", there.map(|row| cells.as_primitive::<Int64Type>().value(row)))
        }
        Kind::Float => {
            format!("{:?}", there.map(|row| cells.as_primitive::<Float64Type>().value(row)))
        }
        Kind::Bool => format!("{:?}", there.map(|row| cells.as_boolean().value(row))),
        Kind::Text => {
            let cells = cells.as_dictionary::<Int32Type>();
            let text = cells.values().as_string::<i32>();
            format!("{:?}", cells.key(row).map(|key| text.value(key)))
        }
        Kind::FloatList => {
            let list = cells.as_list::<i32>().value(row);
            format!("{:?}", list.as_primitive::<Float64Type>().values().as_ref() as &[f64])
        }
        Kind::Bytes => format!("{:?}", cells.as_binary::<i32>().value(row)),
    }
}

#[test]
fn every_stream_reads_back_as_it_was_written() {
    for (number, stream) in (1..).zip(Stream::all()) {
        let home = Home::new();
        let (name, rows) = (sample::name(stream, number), sample::rows(stream));
        let (path, tmp) = (home.paths.part(&name), home.paths.unpublished(&name));
        let written = home.write(&name, &rows, &[]).unwrap();
        assert!(!path.exists() && tmp.exists(), "not there before it is published");
        let segment = written.publish(home.fs.as_ref()).unwrap();
        assert!(path.exists() && !tmp.exists());

        assert_eq!(home.rows(&segment), in_order(&rows), "{stream}");
        assert_eq!(
            checksum(home.fs.as_ref(), &path).unwrap(),
            (segment.bytes, segment.blake3.clone())
        );
        assert_eq!(segment.bytes, std::fs::metadata(&path).unwrap().len());
        assert_eq!(segment.blake3, blake3::hash(&std::fs::read(&path).unwrap()).to_hex().as_str());
        let count = rows.len() as u64;
        assert_eq!(
            (&segment.name, segment.rows, segment.format_version),
            (&name, count, FORMAT_VERSION)
        );
        let footer = footer(&home.fs, &home.paths, &segment).unwrap();
        assert_eq!(footer, Footer { rows: count, row_groups: 1, format_version: FORMAT_VERSION });

        let ends = |value: fn(&Row) -> i64| {
            let values: HashSet<i64> = rows.iter().map(value).collect();
            (*values.iter().min().unwrap(), *values.iter().max().unwrap())
        };
        let micros = |ends: Ends<Timestamp>| (ends.min.micros(), ends.max.micros());
        assert_eq!(micros(segment.ts_event), ends(|row| row.time().micros()), "{stream}");
        assert_eq!(micros(segment.ts_recv), ends(|row| row.head.ts_recv.micros()));
        assert_eq!((segment.frames.min, segment.frames.max), ends(|row| row.head.frame));
    }
}

#[test]
fn a_part_of_an_older_try_is_replaced() {
    let home = Home::new();
    let name = sample::name(Stream::Trade, 1);
    let rows = sample::rows(Stream::Trade);
    drop(home.write(&name, &rows, &[]).unwrap());
    home.publish(&name, &rows[..2]);
    let last = home.publish(&name, &rows[..1]);
    assert_eq!(home.rows(&last), in_order(&rows[..1]));
}
