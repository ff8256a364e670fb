//! What cannot be had for less, each measured alone: reading the numbers of a message, packing and
//! syncing its bytes, and writing its rows as Parquet.

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use veritape::store::fs::RealFs;
use veritape::store::paths::Paths;

use super::spent::thread_cpu;
use crate::frames::Pool;
use crate::meter::real;
use crate::numbers::{self, numbers_of};

/// How long a floor is measured at least.
const LONG_ENOUGH: Duration = Duration::from_millis(500);
/// Bytes that the journal packs together when much comes.
const BLOCK_BYTES: usize = 4 << 20;
/// How hard the journal packs, and the files.
const JOURNAL_LEVEL: i32 = 1;
const FILE_LEVEL: i32 = 3;
/// Rows of a row group of the files, and bytes of a page.
const GROUP_ROWS: usize = 32_768;
const PAGE_BYTES: usize = 256 << 10;

/// Microseconds of a processor for a message.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Floors {
    /// Its way through the websocket library.
    pub(crate) socket: f64,
    /// Its numbers, by the fastest parser of doubles.
    pub(crate) numbers: f64,
    /// Its rows, from Arrow to Parquet.
    pub(crate) parquet: f64,
    /// Its bytes, packed, written and synced.
    pub(crate) journal: f64,
}

impl Floors {
    /// All of them.
    pub(crate) const fn sum(&self) -> f64 {
        self.socket + self.numbers + self.parquet + self.journal
    }
}

/// Microseconds to read the numbers of a message.
pub(crate) fn numbers(pool: &Pool) -> f64 {
    let mut texts = Vec::new();
    for (nth, template) in (0..).zip(&pool.templates) {
        let mut body = Vec::with_capacity(template.len());
        template.write(&mut body, nth, 1_700_000_000_000);
        texts.push(numbers_of(&body));
    }
    let (begun, mut read) = (thread_cpu(), 0);
    while thread_cpu().saturating_sub(begun) < LONG_ENOUGH {
        for numbers in &texts {
            numbers::read(numbers);
            read += 1;
        }
    }
    thread_cpu().saturating_sub(begun).as_secs_f64() * 1e6 / real(read)
}

/// Microseconds to pack, write and sync a message in blocks as large as the journal's.
pub(crate) fn journal(pool: &Pool, folder: &Path, messages: u64) -> Result<f64, Box<dyn Error>> {
    let mut blocks = vec![Vec::with_capacity(BLOCK_BYTES)];
    for (nth, template) in (0..messages).zip(pool.templates.iter().cycle()) {
        if blocks.last().is_none_or(|block| block.len() >= BLOCK_BYTES) {
            blocks.push(Vec::with_capacity(BLOCK_BYTES));
        }
        if let Some(block) = blocks.last_mut() {
            template.write(block, nth, 1_700_000_000_000 + nth);
        }
    }
    let mut file = File::create(folder.join("floor"))?;
    let mut packer = zstd::bulk::Compressor::new(JOURNAL_LEVEL)?;
    let begun = thread_cpu();
    for block in &blocks {
        file.write_all(&packer.compress(block)?)?;
        file.sync_data()?;
    }
    Ok(thread_cpu().saturating_sub(begun).as_secs_f64() * 1e6 / real(messages))
}

/// Microseconds to write all files of a data folder again, from their columns.
pub(crate) fn parquet(data: &Path) -> Result<f64, Box<dyn Error>> {
    let paths = Paths::new(data);
    let mut spent = Duration::ZERO;
    for name in paths.walk(&RealFs)?.parts {
        let (batches, properties) = read(&paths.part(&name))?;
        let Some(schema) = batches.first().map(RecordBatch::schema) else { continue };
        let begun = thread_cpu();
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
        for batch in &batches {
            writer.write(batch)?;
        }
        let bytes = writer.into_inner()?;
        spent += thread_cpu().saturating_sub(begun);
        std::hint::black_box(bytes);
    }
    Ok(spent.as_secs_f64() * 1e6)
}

/// The rows of a file, and how it was written.
fn read(path: &PathBuf) -> Result<(Vec<RecordBatch>, WriterProperties), Box<dyn Error>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let properties = properties(builder.metadata())?;
    let batches = builder.with_batch_size(GROUP_ROWS).build()?.collect::<Result<_, _>>()?;
    Ok((batches, properties))
}

/// The properties that a file like this one is written with.
fn properties(metadata: &ParquetMetaData) -> Result<WriterProperties, Box<dyn Error>> {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(FILE_LEVEL)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Page);
    let columns = metadata.row_groups().first().map_or(&[][..], |group| group.columns());
    for column in columns {
        let path = column.column_path().clone();
        let has = |wanted| column.encodings().any(|encoding| encoding == wanted);
        if has(Encoding::RLE_DICTIONARY) {
            continue;
        }
        let delta = has(Encoding::DELTA_BINARY_PACKED);
        let encoding = if delta { Encoding::DELTA_BINARY_PACKED } else { Encoding::PLAIN };
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, encoding);
    }
    Ok(builder.build())
}
