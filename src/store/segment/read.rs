//! Reading parts back: what their footer says, their checksum, and (inside the store) their rows.
//!
//! Invariant: a part is read only after its BLAKE3 was found to be that of the catalog. Parquet's
//! reader is not made for damaged bytes: some make it panic, others make it tell wrong values.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::layout::{self, key};
use super::{FORMAT_VERSION, Segment, SegmentError};
use crate::model::subscription::Stream;
use crate::store::fs::Fs;
use crate::store::paths::Paths;

/// Bytes read at once where the length of what is wanted is not known: at first, which is enough
/// for the header of a page, and at most.
const FIRST_BLOCK_BYTES: usize = 1 << 10;
const BLOCK_BYTES: usize = 64 << 10;

/// What the footer of a part says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// Rows in the file.
    pub rows: u64,
    /// Row groups in the file.
    pub row_groups: usize,
    /// The version of its layout.
    pub format_version: u32,
}

/// Reads the footer of a published part, if the part is still what was published.
///
/// # Errors
///
/// When the disk says no, or the part is damaged.
pub fn footer(fs: &Arc<dyn Fs>, paths: &Paths, segment: &Segment) -> Result<Footer, SegmentError> {
    Part::open(fs, paths, segment)?.footer()
}

/// The bytes in the file at `path` and their BLAKE3 in hexadecimal.
///
/// # Errors
///
/// When the disk says no.
pub fn checksum(fs: &dyn Fs, path: &Path) -> Result<(u64, String), SegmentError> {
    let mut hash = blake3::Hasher::new();
    loop {
        let read = fs.read(path, hash.count(), 16 * BLOCK_BYTES);
        let block = read.map_err(SegmentError::disk("read", path))?;
        if block.is_empty() {
            return Ok((hash.count(), hash.finalize().to_hex().to_string()));
        }
        hash.update(&block);
    }
}

/// A part that is open.
pub(crate) struct Part {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<Disk>,
    /// The row groups that are wanted; all where none is said.
    groups: Option<Vec<usize>>,
}

impl Part {
    /// Opens a published part, after all of its bytes were found to be those that were published.
    pub(crate) fn open(
        fs: &Arc<dyn Fs>,
        paths: &Paths,
        segment: &Segment,
    ) -> Result<Self, SegmentError> {
        Self::open_at(fs, paths.part(&segment.name), segment)
    }

    /// The same for one that lies elsewhere.
    pub(super) fn open_at(
        fs: &Arc<dyn Fs>,
        path: PathBuf,
        segment: &Segment,
    ) -> Result<Self, SegmentError> {
        let (length, blake3) = checksum(fs.as_ref(), &path)?;
        if (length, &blake3) != (segment.bytes, &segment.blake3) {
            let Segment { bytes, blake3, .. } = segment;
            let detail = format!("it was published with {bytes} bytes and BLAKE3 {blake3}");
            return Err(SegmentError::Damaged { path, detail });
        }
        let disk = Disk { fs: fs.clone(), path: path.as_path().into(), length };
        let builder = ParquetRecordBatchReaderBuilder::try_new(disk)
            .map_err(|e| SegmentError::reading(&path, e))?;
        Ok(Self { path, builder, groups: None })
    }

    fn footer(&self) -> Result<Footer, SegmentError> {
        let metadata = self.builder.metadata();
        let rows = u64::try_from(metadata.file_metadata().num_rows());
        let version = self.metadata(key::FORMAT_VERSION).and_then(|version| version.parse().ok());
        let (Ok(rows), Some(format_version)) = (rows, version) else {
            let detail = "its footer does not say that it is a part".to_owned();
            return Err(SegmentError::Damaged { path: self.path.clone(), detail });
        };
        Ok(Footer { rows, row_groups: metadata.num_row_groups(), format_version })
    }

    /// One value of the key-value metadata.
    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        let pairs = self.builder.metadata().file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    /// The rows, `size` in each batch, of the row groups that were not left out; an error where the
    /// columns are not those that this version writes for `stream`.
    pub(crate) fn batches(
        self,
        stream: Stream,
        size: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, SegmentError>>, SegmentError> {
        self.check(stream)?;
        let Self { path, mut builder, groups } = self;
        if let Some(groups) = groups {
            builder = builder.with_row_groups(groups);
        }
        let schema = layout::schema(stream);
        let reader =
            builder.with_batch_size(size).build().map_err(|e| SegmentError::reading(&path, e))?;
        Ok(reader.map(move |batch| {
            // The file's own field documents may be of another day: take ours.
            batch
                .and_then(|batch| batch.with_schema(schema.clone()))
                .map_err(|e| SegmentError::Damaged { path: path.clone(), detail: e.to_string() })
        }))
    }

    /// The same with the market, the times and the frame of each row only, and one column `more`.
    pub(super) fn key_batches(
        self,
        stream: Stream,
        size: usize,
        more: Option<&str>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, SegmentError>>, SegmentError> {
        let names = [layout::MARKET, layout::TS_RECV, layout::FRAME, layout::time_column(stream)];
        let names: Vec<&str> = names.into_iter().chain(more).collect();
        self.some_batches(stream, &names, size)
    }

    /// The same with the columns called `names` only.
    pub(super) fn some_batches(
        self,
        stream: Stream,
        names: &[&str],
        size: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, SegmentError>> + use<>, SegmentError> {
        self.check(stream)?;
        let Self { path, mut builder, groups } = self;
        if let Some(groups) = groups {
            builder = builder.with_row_groups(groups);
        }
        let columns = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
        let reader = builder.with_projection(columns).with_batch_size(size).build();
        let reader = reader.map_err(|e| SegmentError::reading(&path, e))?;
        Ok(reader.map(move |batch| {
            batch.map_err(|e| SegmentError::Damaged { path: path.clone(), detail: e.to_string() })
        }))
    }

    /// Leaves out row groups whose markets, from the least to the greatest, are not `wanted`, as
    /// far as their statistics tell.
    pub(super) fn only_groups(&mut self, wanted: impl Fn(&[u8], &[u8]) -> bool) {
        let metadata = self.builder.metadata();
        let schema = metadata.file_metadata().schema_descr();
        let place = (0..schema.num_columns()).find(|i| schema.column(*i).name() == layout::MARKET);
        let within = |group: &RowGroupMetaData| {
            let ends = place.and_then(|place| group.columns().get(place)?.statistics());
            let ends = ends.and_then(|ends| ends.min_bytes_opt().zip(ends.max_bytes_opt()));
            ends.is_none_or(|(min, max)| wanted(min, max))
        };
        let groups = metadata.row_groups().iter().enumerate();
        let groups = groups.filter(|(_, group)| within(group)).map(|(place, _)| place).collect();
        self.groups = Some(groups);
    }

    /// Whether it has the columns that this version writes for `stream`.
    fn check(&self, stream: Stream) -> Result<(), SegmentError> {
        let found = self.footer()?.format_version;
        if found == FORMAT_VERSION && same(self.builder.schema(), &layout::schema(stream)) {
            return Ok(());
        }
        let detail = format!(
            "its columns (format {found}) are not those of {stream} in format {FORMAT_VERSION}"
        );
        Err(SegmentError::Damaged { path: self.path.clone(), detail })
    }
}

/// Whether two schemas have the same columns, whatever their documents say.
fn same(one: &Schema, other: &Schema) -> bool {
    let plain = |schema: &Schema| -> Vec<_> {
        let fields = schema.fields().iter();
        fields
            .map(|field| (field.name().clone(), field.data_type().clone(), field.is_nullable()))
            .collect()
    };
    plain(one) == plain(other)
}

/// A file as the Parquet reader asks for it.
struct Disk {
    fs: Arc<dyn Fs>,
    path: Arc<Path>,
    length: u64,
}

impl Length for Disk {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Disk {
    type T = Blocks;

    fn get_read(&self, start: u64) -> Result<Blocks, ParquetError> {
        let (fs, path) = (self.fs.clone(), self.path.clone());
        Ok(Blocks { fs, path, at: start, next: FIRST_BLOCK_BYTES, block: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.fs.read(&self.path, start, length)?;
        if bytes.len() == length {
            return Ok(bytes.into());
        }
        Err(ParquetError::EOF(format!(
            "{length} bytes are expected at {start}, there are {}",
            bytes.len()
        )))
    }
}

/// A file from some place on, block by block.
struct Blocks {
    fs: Arc<dyn Fs>,
    path: Arc<Path>,
    at: u64,
    /// The length of the next block.
    next: usize,
    block: Bytes,
}

impl Read for Blocks {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.block.is_empty() {
            self.block = self.fs.read(&self.path, self.at, self.next)?.into();
            self.at += self.block.len() as u64;
            self.next = (self.next * 4).min(BLOCK_BYTES);
        }
        let count = into.len().min(self.block.len());
        if let Some(into) = into.get_mut(..count) {
            self.block.copy_to_slice(into);
        }
        Ok(count)
    }
}
