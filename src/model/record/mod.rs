//! The record types. Each is declared once, in its file, by the `record!` macro: struct, columns
//! and documents. To add one: its file, its line in `bodies!` below.
//!
//! A [`Record`] is what a venue's decoder yields; a [`Row`] is the record with what we know of how
//! it came, ready for a file.

pub mod candle;
pub mod cell;
pub mod doubles;
pub mod instrument;
pub mod orderbook;
pub mod row;
pub mod ticker;
pub mod trade;
pub mod unread;

use xxhash_rust::xxh3::Xxh3;

pub use self::candle::Candle;
pub use self::cell::{Cell, CellSink, Column, Columns, Kind};
pub use self::doubles::Doubles;
pub use self::instrument::Instrument;
pub use self::orderbook::Orderbook;
pub use self::row::Head;
pub use self::ticker::Ticker;
pub use self::trade::Trade;
pub use self::unread::Unread;

use super::market::Market;
use super::subscription::Stream;
use super::time::Timestamp;

/// What a decoder read from a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The stream it belongs to.
    pub stream: Stream,
    /// The market it speaks of.
    pub market: Market,
    /// Whether the venue sent it as the state at subscription.
    pub snapshot: bool,
    /// What it says.
    pub body: Body,
}

/// A record with what we know of how it came: one row of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The columns that every stream has.
    pub head: Head,
    /// The stream's own columns.
    pub body: Body,
}

impl Row {
    /// The columns of a stream's files, in their order.
    pub fn columns(stream: Stream) -> impl Iterator<Item = &'static Column> {
        Head::COLUMNS.iter().chain(Body::columns(stream))
    }

    /// Hands every cell to `sink`, in the order of [`Row::columns`].
    pub fn cells(&self, sink: &mut impl CellSink) {
        self.head.cells(sink);
        self.body.cells(sink);
    }

    /// The row's own time: that of the event, else that of the arrival.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.body.time().unwrap_or(self.head.ts_recv)
    }

    /// Bytes of memory that the row holds, roughly.
    #[must_use]
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.body.heap()
    }
}

macro_rules! bodies {
    ($( $variant:ident($ty:ty) for $stream:pat, time $time:expr, heap $heap:expr; )+) => {
        /// What a record says, by its type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Body { $(
            #[doc = concat!("See [`", stringify!($variant), "`].")]
            $variant($ty),
        )+ }

        impl Body {
            /// The columns of the record type that `stream` is made of.
            #[must_use]
            pub fn columns(stream: Stream) -> &'static [Column] {
                match stream { $( $stream => <$variant as Columns>::COLUMNS, )+ }
            }

            /// What one row of `stream` is.
            #[must_use]
            pub fn doc(stream: Stream) -> &'static str {
                match stream { $( $stream => <$variant as Columns>::DOC, )+ }
            }

            /// Hands every cell to `sink`, in the order of the columns.
            pub fn cells(&self, sink: &mut impl CellSink) {
                match self { $( Self::$variant(one) => one.cells(sink), )+ }
            }

            fn time(&self) -> Option<Timestamp> {
                match self { $( Self::$variant(one) => { let time: fn(&$variant) -> Option<Timestamp> = $time; time(one) } )+ }
            }

            fn heap(&self) -> usize {
                match self { $( Self::$variant(one) => { let heap: fn(&$variant) -> usize = $heap; heap(one) } )+ }
            }
        }
    };
}

/// Bytes that one allocation costs beyond its content.
const ALLOCATION: usize = 16;

bodies! {
    Trade(Trade) for Stream::Trade, time |one| Some(one.ts_event), heap |_| 0;
    Orderbook(Box<Orderbook>) for Stream::Orderbook, time |one| Some(one.ts_event),
        heap |one| size_of::<Orderbook>() + 16 * (one.ask_price.len() + one.bid_price.len()) + ALLOCATION;
    Ticker(Box<Ticker>) for Stream::Ticker, time |one| Some(one.ts_event),
        heap |_| size_of::<Ticker>() + ALLOCATION;
    Candle(Candle) for Stream::Candle(_), time |one| Some(one.ts_open), heap |_| 0;
    Instrument(Box<Instrument>) for Stream::Instrument, time |one| Some(one.ts_seen),
        heap |_| size_of::<Instrument>() + ALLOCATION;
    Unread(Unread) for Stream::Unread, time |_| None, heap |one| one.body.len() + ALLOCATION;
}

/// A number for the content of a record: equal records have equal numbers, on every machine and in
/// every version that keeps the columns as they are.
#[must_use]
pub fn content_hash(body: &Body) -> u64 {
    let mut sink = HashSink::default();
    body.cells(&mut sink);
    sink.finish()
}

/// Doubles that are fed to a hash at once: those of a side of most books.
const CHUNK: usize = 30;

/// Feeds cells to a hash, each behind a byte that says whether it is null.
#[derive(Default)]
pub struct HashSink(Xxh3);

impl HashSink {
    /// [`content_hash`] of the record whose cells it was handed.
    #[must_use]
    pub fn finish(&self) -> u64 {
        self.0.digest()
    }

    /// The same as a number of 128 bits.
    #[must_use]
    pub fn finish_wide(&self) -> u128 {
        self.0.digest128()
    }

    fn put(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                self.0.update(&[1]);
                self.0.update(bytes);
            }
            None => self.0.update(&[0]),
        }
    }

    fn length(&mut self, length: usize) {
        self.0.update(&length.to_le_bytes());
    }
}

impl CellSink for HashSink {
    fn time(&mut self, value: Option<Timestamp>) {
        self.int(value.map(Timestamp::micros));
    }

    fn int(&mut self, value: Option<i64>) {
        self.put(value.map(i64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }

    fn float(&mut self, value: Option<f64>) {
        self.put(value.map(f64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }

    fn bool(&mut self, value: Option<bool>) {
        self.put(value.map(|value| [u8::from(value)]).as_ref().map(<[u8; 1]>::as_slice));
    }

    fn text(&mut self, value: Option<&str>) {
        self.length(value.map_or(0, str::len));
        self.put(value.map(str::as_bytes));
    }

    fn floats(&mut self, value: &[f64]) {
        self.length(value.len());
        // One update costs about as much for all of them as for each.
        for chunk in value.chunks(CHUNK) {
            let mut bytes = [0; CHUNK * size_of::<f64>()];
            let (places, _) = bytes.as_chunks_mut();
            for (place, one) in places.iter_mut().zip(chunk) {
                *place = one.to_le_bytes();
            }
            self.0.update(bytes.get(..size_of_val(chunk)).unwrap_or_default());
        }
    }

    fn bytes(&mut self, value: &[u8]) {
        self.length(value.len());
        self.put(Some(value));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_column_is_documented_and_named_once() {
        for stream in Stream::all() {
            let names: Vec<&str> = Row::columns(stream).map(|column| column.name).collect();
            assert_eq!(
                names.iter().collect::<HashSet<_>>().len(),
                names.len(),
                "{stream}: {names:?}"
            );
            for column in Row::columns(stream) {
                assert!(
                    column.doc.trim().ends_with('.'),
                    "{stream}.{}: {}",
                    column.name,
                    column.doc
                );
            }
        }
    }

    #[test]
    fn content_tells_null_from_zero_and_one_list_from_two() {
        let book = |ask: &[f64], bid: &[f64], grouping| {
            content_hash(&Body::Orderbook(Box::new(Orderbook {
                ts_event: Timestamp::default(),
                total_ask_size: None,
                total_bid_size: None,
                grouping,
                best_ask_price: None,
                best_ask_size: None,
                best_bid_price: None,
                best_bid_size: None,
                ask_price: ask.into(),
                ask_size: [].into(),
                bid_price: bid.into(),
                bid_size: [].into(),
            })))
        };
        let hashes = [
            book(&[1.0], &[2.0], None),
            book(&[1.0, 2.0], &[], None),
            book(&[], &[1.0, 2.0], None),
            book(&[], &[1.0, 2.0], Some(0.0)),
        ];
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
        assert_eq!(book(&[1.0], &[2.0], None), hashes[0]);
    }

    #[test]
    fn a_list_is_hashed_as_its_doubles_one_by_one() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1] {
            let list: Vec<f64> =
                std::iter::successors(Some(0.1), |one| Some(one * 1.1)).take(length).collect();
            let mut sink = HashSink::default();
            sink.floats(&list);
            let mut plain = Xxh3::default();
            plain.update(&length.to_le_bytes());
            for one in &list {
                plain.update(&one.to_le_bytes());
            }
            assert_eq!(sink.finish(), plain.digest(), "{length} doubles");
        }
    }
}
