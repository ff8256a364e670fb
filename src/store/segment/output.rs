//! A part in the making: batches in the order of the file, on their way to the disk.

use std::io::{self, Write};
use std::path::PathBuf;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use super::layout::{self, Effort, GROUP_LEAST_ROWS, key};
use super::merge::KeyColumns;
use super::write::misfit;
use super::{Ends, FORMAT_VERSION, Segment, SegmentError, places};
use crate::model::market::Market;
use crate::model::time::Timestamp;
use crate::store::fs::{Fs, FsFile};
use crate::store::paths::{PartName, Paths};

/// A part under its temporary name, not yet complete.
pub(super) struct Output {
    name: PartName,
    tmp: PathBuf,
    writer: ArrowWriter<Hashed>,
    facts: Option<Facts>,
    /// The market of the last row, where there is one.
    market: Option<Market>,
}

impl Output {
    /// Makes the file.
    pub(super) fn create(
        fs: &dyn Fs,
        paths: &Paths,
        name: &PartName,
        effort: Effort,
    ) -> Result<Self, SegmentError> {
        let (path, tmp) = (paths.part(name), paths.unpublished(name));
        for folder in [tmp.parent(), path.parent()].into_iter().flatten() {
            fs.create_folder(folder).map_err(SegmentError::disk("make", folder))?;
        }
        let file = fs.create(&tmp).map_err(SegmentError::disk("create", &tmp))?;
        let fault = |e| SegmentError::writing(name, &tmp, e);
        let properties = layout::properties(name, effort).map_err(fault)?;
        let schema = layout::schema(name.stream);
        let writer =
            ArrowWriter::try_new(Hashed::new(file), schema, Some(properties)).map_err(fault)?;
        Ok(Self { name: name.clone(), tmp, writer, facts: None, market: None })
    }

    /// Adds rows that come after all those before.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), SegmentError> {
        let borders = self.borders(batch).map_err(|e| SegmentError::misfit(&self.name, &e))?;
        self.facts = Some(Facts::of(batch, &self.name)?.and(self.facts.take()));
        self.write_groups(batch, &borders)
            .map_err(|e| SegmentError::writing(&self.name, &self.tmp, e))
    }

    /// The rows at which another market begins.
    fn borders(&mut self, batch: &RecordBatch) -> Result<Vec<usize>, arrow::error::ArrowError> {
        let keys = KeyColumns::of(batch, layout::time_column(self.name.stream))?;
        let mut last = self.facts.is_some().then(|| self.market.take());
        let mut borders = Vec::new();
        for row in 0..batch.num_rows() {
            let market = keys.row(row).0;
            let known = last.as_ref().map(|last| last.as_ref().map(Market::as_str));
            if known != Some(market) {
                borders.extend(known.map(|_| row));
                last = Some(market.map(Market::new));
            }
        }
        self.market = last.flatten();
        Ok(borders)
    }

    /// Writes rows; where another market begins, ends a row group that is long enough, so that a
    /// query of one market reads few rows of others.
    fn write_groups(&mut self, batch: &RecordBatch, borders: &[usize]) -> Result<(), ParquetError> {
        let mut from = 0;
        for border in borders {
            if self.writer.in_progress_rows() + (border - from) < GROUP_LEAST_ROWS {
                continue;
            }
            if from < *border {
                self.writer.write(&batch.slice(from, border - from))?;
                from = *border;
            }
            if self.writer.in_progress_rows() >= GROUP_LEAST_ROWS {
                self.writer.flush()?;
            }
        }
        self.writer.write(&batch.slice(from, batch.num_rows() - from))
    }

    /// Completes the file and syncs it; none where it has no row.
    pub(super) fn finish(mut self, fs: &dyn Fs) -> Result<Option<Segment>, SegmentError> {
        let Some(facts) = self.facts else { return Ok(None) };
        facts.check(&self.name)?;
        for (key, value) in [(key::FROM, facts.ts_event.min), (key::TO, facts.ts_event.max)] {
            let pair = KeyValue::new(key.to_owned(), value.to_string());
            self.writer.append_key_value_metadata(pair);
        }
        let fault = |e| SegmentError::writing(&self.name, &self.tmp, e);
        self.writer.flush().and_then(|()| Ok(self.writer.sync()?)).map_err(fault)?;
        let groups = self.writer.flushed_row_groups();
        let places = places::note(fs, &self.tmp, groups, facts.rows)
            .map_err(SegmentError::disk("read", &self.tmp))?;
        self.writer.append_key_value_metadata(KeyValue::new(places::KEY.to_owned(), places));
        self.writer.finish().map_err(fault)?;
        let file = self.writer.inner_mut();
        file.to.sync().map_err(SegmentError::disk("sync", &self.tmp))?;
        Ok(Some(Segment {
            name: self.name,
            rows: facts.rows,
            bytes: file.hash.count(),
            blake3: file.hash.finalize().to_hex().to_string(),
            format_version: FORMAT_VERSION,
            ts_event: facts.ts_event,
            ts_recv: facts.ts_recv,
            frames: facts.frames,
        }))
    }
}

/// What is known of the rows written so far.
struct Facts {
    rows: u64,
    ts_event: Ends<Timestamp>,
    ts_recv: Ends<Timestamp>,
    frames: Ends<i64>,
}

impl Facts {
    fn of(batch: &RecordBatch, name: &PartName) -> Result<Self, SegmentError> {
        let times = |column: &str| {
            let column =
                batch.column_by_name(column)?.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some(Ends {
                min: Timestamp::from_micros(min(column)?),
                max: Timestamp::from_micros(max(column)?),
            })
        };
        let frames = || {
            let column = batch.column_by_name(layout::FRAME)?.as_primitive_opt::<Int64Type>()?;
            Some(Ends { min: min(column)?, max: max(column)? })
        };
        match (times(layout::time_column(name.stream)), times(layout::TS_RECV), frames()) {
            (Some(ts_event), Some(ts_recv), Some(frames)) => {
                Ok(Self { rows: batch.num_rows() as u64, ts_event, ts_recv, frames })
            }
            _ => Err(misfit(name, "a batch lacks its times or frames".to_owned())),
        }
    }

    fn and(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        Self {
            rows: self.rows + before.rows,
            ts_event: self.ts_event.and(before.ts_event),
            ts_recv: self.ts_recv.and(before.ts_recv),
            frames: self.frames.and(before.frames),
        }
    }

    /// Whether all rows are of the day that the path says.
    fn check(&self, name: &PartName) -> Result<(), SegmentError> {
        let Ends { min, max } = self.ts_event;
        if min.date() == name.date && max.date() == name.date {
            return Ok(());
        }
        Err(misfit(name, format!("its rows are of {min} to {max}")))
    }
}

impl<T: Ord> Ends<T> {
    fn and(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// A file whose bytes are hashed on their way.
struct Hashed {
    to: Box<dyn FsFile>,
    hash: blake3::Hasher,
}

impl Hashed {
    fn new(to: Box<dyn FsFile>) -> Self {
        Self { to, hash: blake3::Hasher::new() }
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or(bytes));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
