//! Rows handed out: a selection as one Parquet, CSV or JSON Lines file.
//!
//! Rows come by stream, venue and UTC day, within a day by market, time and frame: the order of the
//! files, so that memory does not grow with the selection. The rows of one market are in the order
//! of time. Only published files are read, so a recorder may be at work; where one goes meanwhile,
//! because it was merged, the day is looked up again before any row of it is handed out.

mod format;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;
use smol_str::SmolStr;

pub use self::format::Format;
use self::format::Writer;
use crate::model::record::{Kind, Row};
use crate::model::subscription::Stream;
use crate::store::catalog::{Catalog, CatalogError, Filter};
use crate::store::fs::Fs;
use crate::store::paths::Paths;
use crate::store::segment::{self, Cells, Segment, SegmentError, Value, Values, Wanted};

/// How often the files of a day are looked up again when one went.
const TRIES: usize = 5;

/// What is to be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Of these streams; of all that have files where none is named.
    pub streams: Vec<Stream>,
    /// Of these markets and times.
    pub wanted: Wanted,
    /// As what.
    pub format: Format,
    /// A folder for what is made on the way. It is removed.
    pub scratch: PathBuf,
}

/// Why it could not be.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file cannot be read.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// What is written cannot be.
    #[error("cannot write what is exported: {0}")]
    Write(#[from] io::Error),
}

/// Writes the rows that `request` asks for to `to`, and hands it back with their count.
///
/// # Errors
///
/// When the folder holds no recording, a file is damaged, or `to` takes nothing.
pub fn export<W: Write + Send>(
    data: &Path,
    fs: &Arc<dyn Fs>,
    request: &Request,
    to: W,
) -> Result<(W, u64), ExportError> {
    let catalog = Catalog::of_folder(data)?;
    let days = days(&catalog, request)?;
    let streams: Vec<Stream> = match request.streams.as_slice() {
        [] => days.iter().map(|day| day.stream).collect(),
        asked => asked.to_vec(),
    };
    let columns = Columns::of(&streams);
    let writer = Writer::new(request.format, to, &columns.all)?;
    let scratch = Scratch(&request.scratch);
    let paths = Paths::new(data);
    let mut sink = Sink { columns, writer, rows: 0 };
    for day in &days {
        hand_out(&catalog, fs, &paths, request, day, &mut sink)?;
    }
    drop(scratch);
    Ok((sink.writer.finish()?, sink.rows))
}

/// Hands out a day of a stream.
fn hand_out<W: Write + Send>(
    catalog: &Catalog,
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    request: &Request,
    day: &Day,
    sink: &mut Sink<W>,
) -> Result<(), ExportError> {
    let before = sink.rows;
    for attempt in 1.. {
        let sources = day.files(catalog, request)?;
        let each = |cells: &Cells<'_>| sink.take(day, cells);
        let wanted = &request.wanted;
        match segment::select(fs, paths, &sources, wanted, &request.scratch, each) {
            Err(ExportError::Segment(error))
                if error.is_gone() && sink.rows == before && attempt < TRIES => {}
            done => return done,
        }
    }
    Ok(())
}

/// A stream, venue and UTC day.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Day {
    stream: Stream,
    venue: SmolStr,
    date: NaiveDate,
}

impl Day {
    /// Its files, as they are now.
    fn files(&self, catalog: &Catalog, request: &Request) -> Result<Vec<Segment>, CatalogError> {
        let (venue, stream) = (Some(self.venue.clone()), Some(self.stream));
        let filter = Filter { venue, stream, within: request.wanted.within, market: None };
        let mut files = catalog.segments(&filter)?;
        files.retain(|file| file.name.date == self.date);
        Ok(files)
    }
}

fn days(catalog: &Catalog, request: &Request) -> Result<Vec<Day>, CatalogError> {
    let filter = Filter { within: request.wanted.within, ..Filter::default() };
    let files = catalog.segments(&filter)?.into_iter().map(|file| file.name);
    let asked = |stream: &Stream| request.streams.is_empty() || request.streams.contains(stream);
    let days = files.filter(|name| asked(&name.stream)).map(|name| Day {
        stream: name.stream,
        venue: name.venue,
        date: name.date,
    });
    let mut days: Vec<Day> = days.collect();
    days.sort();
    days.dedup();
    Ok(days)
}

/// The columns of all streams together: those of one that another lacks are null there.
struct Columns {
    all: Vec<(&'static str, Kind)>,
    /// Where the columns of a stream go.
    places: BTreeMap<Stream, Vec<usize>>,
}

impl Columns {
    fn of(streams: &[Stream]) -> Self {
        let mut all = vec![("venue", Kind::Text), ("stream", Kind::Text)];
        let mut places = BTreeMap::new();
        for stream in streams {
            let mut of_stream = Vec::new();
            for column in Row::columns(*stream) {
                let known = all.iter().position(|(name, _)| *name == column.name);
                of_stream.push(known.unwrap_or(all.len()));
                if known.is_none() {
                    all.push((column.name, column.kind));
                }
            }
            places.insert(*stream, of_stream);
        }
        Self { all, places }
    }

    /// A row of `stream` as one of all columns.
    fn spread(&self, day: &Day, values: Vec<Value>) -> Vec<Value> {
        let mut row = vec![Value::Null; self.all.len()];
        let places = self.places.get(&day.stream).map(Vec::as_slice).unwrap_or_default();
        let own = [Value::Text(day.venue.to_string()), Value::Text(day.stream.to_string())];
        for (place, value) in (0..).zip(own).chain(places.iter().copied().zip(values)) {
            if let Some(cell) = row.get_mut(place) {
                *cell = value;
            }
        }
        row
    }
}

struct Sink<W: Write + Send> {
    columns: Columns,
    writer: Writer<W>,
    rows: u64,
}

impl<W: Write + Send> Sink<W> {
    fn take(&mut self, day: &Day, cells: &Cells<'_>) -> Result<(), ExportError> {
        for row in cells.rows() {
            let mut values = Values::default();
            cells.put(row, &mut values);
            self.writer.push(&self.columns.spread(day, values.0))?;
            self.rows += 1;
        }
        Ok(())
    }
}

/// A folder that goes when this is dropped.
struct Scratch<'a>(&'a Path);

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // Where nothing had to be made on the way, there is none.
        drop(std::fs::remove_dir_all(self.0));
    }
}
