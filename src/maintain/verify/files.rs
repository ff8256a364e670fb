//! One file: whether it is what was published, and its rows are what it says of them.

use std::io::ErrorKind;

use super::{Fault, FaultKind, Site};
use crate::model::record::{CellSink, HashSink, Head, Row};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::segment::{self, Cells, Ends, Extent, Segment, SegmentError};

/// What is wrong with a file.
pub(super) fn check(site: Site<'_>, segment: &Segment) -> Vec<Fault> {
    let fault = |(kind, detail): (FaultKind, String)| Fault {
        path: segment.name.to_string(),
        fault: kind,
        detail,
        remedy: Vec::new(),
    };
    let found = match size(site, segment) {
        Some(found) => vec![found],
        None if site.request.quick => footer(site, segment).into_iter().collect(),
        None => whole(site, segment),
    };
    found.into_iter().map(fault).collect()
}

type Found = (FaultKind, String);

fn size(site: Site<'_>, segment: &Segment) -> Option<Found> {
    match site.fs.length(&site.paths.part(&segment.name)) {
        Ok(length) if length == segment.bytes => None,
        Ok(length) => {
            let detail = format!("{length} bytes; it was published with {}", segment.bytes);
            Some((FaultKind::Size, detail))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some((FaultKind::Missing, "it is not there".to_owned()))
        }
        Err(error) => Some((FaultKind::Unreadable, error.to_string())),
    }
}

fn footer(site: Site<'_>, segment: &Segment) -> Option<Found> {
    let wrong = |rows: u64| {
        let words = || format!("{rows} rows; it was published with {}", segment.rows);
        (rows != segment.rows).then(|| (FaultKind::Rows, words()))
    };
    match segment::places::read(site.fs.as_ref(), &site.paths.part(&segment.name), segment.bytes) {
        Ok(Some(places)) => wrong(places.rows()),
        // Damaged, or of a version that wrote no checksums: then all of it has to be read.
        Ok(None) => match segment::footer(site.fs, site.paths, segment) {
            Ok(footer) => wrong(footer.rows),
            Err(error) => Some(classify(site, segment, &error)),
        },
        Err(error) => Some((FaultKind::Unreadable, error.to_string())),
    }
}

/// Reads every byte, every page and every row.
fn whole(site: Site<'_>, segment: &Segment) -> Vec<Found> {
    let mut rows = Rows::new(segment);
    let each = |cells: &Cells<'_>| rows.take(cells);
    match segment::scan(site.fs, site.paths, segment, Extent::Whole, each) {
        Ok(()) => rows.found(),
        Err(error) => vec![classify(site, segment, &error)],
    }
}

/// What an error in reading says of the file.
fn classify(site: Site<'_>, segment: &Segment, error: &SegmentError) -> Found {
    if error.is_disk() {
        return (FaultKind::Unreadable, error.to_string());
    }
    let path = site.paths.part(&segment.name);
    let found = segment::checksum(site.fs.as_ref(), &path);
    match found {
        Ok((_, blake3)) if blake3 == segment.blake3 => (FaultKind::Format, error.to_string()),
        Ok(_) => {
            let places = segment::places::read(site.fs.as_ref(), &path, segment.bytes);
            let places = places.ok().flatten().map_or_else(
                || "in its footer, unless it was written without checksums of columns".to_owned(),
                |places| places.damaged(site.fs.as_ref(), &path, segment.name.stream),
            );
            (FaultKind::Checksum, format!("its bytes are not those that were published: {places}"))
        }
        Err(error) => (FaultKind::Unreadable, error.to_string()),
    }
}

/// The rows of a file, as they come.
struct Rows<'a> {
    segment: &'a Segment,
    count: u64,
    /// The row before: market, time and frame.
    before: Option<(String, Timestamp, i64)>,
    /// The contents of the rows of the same market and time, with the place of each.
    group: Vec<(u64, u64)>,
    outside: First,
    unsorted: First,
    twice: First,
}

/// How often something was found, and where first.
#[derive(Default)]
struct First {
    count: u64,
    detail: String,
}

impl First {
    fn add(&mut self, detail: impl FnOnce() -> String) {
        if self.count == 0 {
            self.detail = detail();
        }
        self.count += 1;
    }

    fn found(self, kind: FaultKind, what: &str) -> Option<Found> {
        let Self { count, detail } = self;
        (count > 0).then(|| (kind, format!("{count} rows {what}; the first: {detail}")))
    }
}

impl<'a> Rows<'a> {
    fn new(segment: &'a Segment) -> Self {
        Self {
            segment,
            count: 0,
            before: None,
            group: Vec::new(),
            outside: First::default(),
            unsorted: First::default(),
            twice: First::default(),
        }
    }

    fn take(&mut self, cells: &Cells<'_>) {
        for row in cells.rows() {
            let market = cells.market(row).unwrap_or_default();
            let (at, frame, place) = (cells.time(row), cells.frame(row), self.count);
            self.count += 1;
            let words = || format!("row {place}, {market} at {at}");
            if !self.fits(cells, row) {
                self.outside.add(words);
            }
            let same = match &self.before {
                Some((last, time, before)) => {
                    let order = (last.as_str(), *time, *before).cmp(&(market, at, frame));
                    if order.is_gt() {
                        self.unsorted.add(words);
                    }
                    last == market && *time == at
                }
                None => false,
            };
            self.group.truncate(if same { usize::MAX } else { 0 });
            if let Some(content) = identity(self.segment.name.stream, cells, row) {
                if let Some((_, first)) = self.group.iter().find(|(known, _)| *known == content) {
                    let first = *first;
                    self.twice.add(|| format!("{}, as row {first}", words()));
                }
                self.group.push((content, place));
            }
            match &mut self.before {
                Some((last, time, before)) => {
                    if last != market {
                        market.clone_into(last);
                    }
                    (*time, *before) = (at, frame);
                }
                None => self.before = Some((market.to_owned(), at, frame)),
            }
        }
    }

    /// Whether a row lies in the spans that the catalog says, and in the day of the path.
    fn fits(&self, cells: &Cells<'_>, row: usize) -> bool {
        fn within<T: PartialOrd>(ends: &Ends<T>, value: &T) -> bool {
            ends.min <= *value && *value <= ends.max
        }
        let Segment { name, ts_event, ts_recv, frames, .. } = self.segment;
        within(ts_event, &cells.time(row))
            && cells.time(row).date() == name.date
            && within(ts_recv, &cells.ts_recv(row))
            && within(frames, &cells.frame(row))
            && (cells.market(row).is_some() || name.stream == Stream::Unread)
    }

    fn found(self) -> Vec<Found> {
        let rows = (self.count != self.segment.rows).then(|| {
            let published = self.segment.rows;
            (FaultKind::Rows, format!("{} rows; it was published with {published}", self.count))
        });
        let found = [
            rows,
            self.outside.found(FaultKind::Span, "lie outside its spans or its day"),
            self.unsorted.found(FaultKind::Order, "are not in order"),
            self.twice.found(FaultKind::Key, "are in it twice"),
        ];
        found.into_iter().flatten().collect()
    }
}

/// What tells a row from others of its market and time; none where there can be several alike.
pub(super) fn identity(stream: Stream, cells: &Cells<'_>, row: usize) -> Option<u64> {
    match stream {
        // The time is all there is to it.
        Stream::Candle(_) => Some(0),
        Stream::Trade | Stream::Orderbook | Stream::Ticker => {
            let mut sink = Body::of(stream);
            cells.put(row, &mut sink);
            Some(sink.hash.finish())
        }
        Stream::Instrument | Stream::Unread => None,
    }
}

/// Feeds what is a row's own to a hash: not how it came, and of a trade its id only.
struct Body {
    hash: HashSink,
    place: usize,
    only: Option<usize>,
}

impl Body {
    fn of(stream: Stream) -> Self {
        let only = match stream {
            Stream::Trade => Row::columns(stream).position(|column| column.name == "id"),
            Stream::Orderbook
            | Stream::Ticker
            | Stream::Candle(_)
            | Stream::Instrument
            | Stream::Unread => None,
        };
        Self { hash: HashSink::default(), place: 0, only }
    }

    fn put(&mut self, put: impl FnOnce(&mut HashSink)) {
        let head = <Head as crate::model::record::Columns>::COLUMNS.len();
        if self.place >= head && self.only.is_none_or(|only| only == self.place) {
            put(&mut self.hash);
        }
        self.place += 1;
    }
}

impl CellSink for Body {
    fn time(&mut self, value: Option<Timestamp>) {
        self.put(|hash| hash.time(value));
    }
    fn int(&mut self, value: Option<i64>) {
        self.put(|hash| hash.int(value));
    }
    fn float(&mut self, value: Option<f64>) {
        self.put(|hash| hash.float(value));
    }
    fn bool(&mut self, value: Option<bool>) {
        self.put(|hash| hash.bool(value));
    }
    fn text(&mut self, value: Option<&str>) {
        self.put(|hash| hash.text(value));
    }
    fn floats(&mut self, value: &[f64]) {
        self.put(|hash| hash.floats(value));
    }
    fn bytes(&mut self, value: &[u8]) {
        self.put(|hash| hash.bytes(value));
    }
}
