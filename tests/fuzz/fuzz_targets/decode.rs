//! The decoder of every venue, over the websocket and as a page of every stream.
//!
//! The first byte says where a frame comes from, the others are its body. Whatever these are:
//! a venue says the same twice; what was read before stays; every record has a market and the
//! columns of its stream, its numbers are finite and stand in the body; what gives no record gives
//! an error, unless it is known to say nothing; and control and sniff agree with that.
#![no_main]

use std::collections::BTreeMap;
use std::slice;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use serde_json::value::RawValue;
use veritape::model::frame::{Frame, Origin};
use veritape::model::market::Source;
use veritape::model::record::{Body, CellSink, Column, Kind, Record};
use veritape::model::subscription::Stream;
use veritape::model::time::Timestamp;
use veritape::venue::{Control, DecodeError, VENUES, Venue};

/// The frames to begin with: cases of a `#` line, a line that says where the frame came from, and
/// the frame behind `< `.
const FIXTURES: [&str; 7] = [
    include_str!("../../fixtures/upbit/candle.txt"),
    include_str!("../../fixtures/upbit/control.txt"),
    include_str!("../../fixtures/upbit/instrument.txt"),
    include_str!("../../fixtures/upbit/odd.txt"),
    include_str!("../../fixtures/upbit/orderbook.txt"),
    include_str!("../../fixtures/upbit/ticker.txt"),
    include_str!("../../fixtures/upbit/trade.txt"),
];

/// Where a frame can come from.
struct From {
    venue: &'static dyn Venue,
    origin: Arc<Origin>,
}

static FROM: LazyLock<Vec<From>> = LazyLock::new(|| {
    let pages = || Stream::all().map(Some).chain([None]).map(|stream| (Source::Rest, stream));
    let ways = || [(Source::Ws, None)].into_iter().chain(pages());
    let from = VENUES.iter().flat_map(|venue| ways().map(move |way| (*venue, way)));
    from.map(|(venue, (source, stream))| {
        let origin =
            Origin { venue: venue.name().into(), session: 1, source, stream, market: None };
        From { venue, origin: Arc::new(origin) }
    })
    .collect()
});

static CASES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| FIXTURES.iter().flat_map(cases).collect());

fuzz_target!(|data: &[u8]| {
    if let Some((first, body)) = data.split_first() {
        check(&FROM[usize::from(*first) % FROM.len()], body);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if !seed.is_multiple_of(64) {
        return fuzzer_mutate(data, size, max_size);
    }
    let case = &CASES[(seed / 64) as usize % CASES.len()];
    let size = case.len().min(max_size);
    data[..size].copy_from_slice(&case[..size]);
    size
});

/// The cases of a fixture file as they are fed: a byte for the origin, then the frame.
fn cases(text: &&str) -> Vec<Vec<u8>> {
    let mut cases: Vec<Vec<u8>> = Vec::new();
    for line in text.lines() {
        let page = line.strip_prefix("rest ").and_then(|stream| stream.parse::<Stream>().ok());
        if line == "ws" || page.is_some() {
            let from = FROM.iter().position(|from| from.origin.stream == page);
            cases.push(vec![u8::try_from(from.unwrap_or_default()).unwrap_or_default()]);
        } else if let (Some(part), Some(case)) = (line.strip_prefix("< "), cases.last_mut()) {
            case.extend_from_slice(part.as_bytes());
        }
    }
    cases
}

fn decode(from: &From, body: &[u8]) -> (Vec<Record>, Result<(), DecodeError>) {
    let at = Timestamp::from_micros(1_795_262_400_000_000);
    let frame = Frame::arrived(at, Arc::clone(&from.origin), Bytes::copy_from_slice(body));
    let mut records = Vec::new();
    let result = from.venue.decode(&frame, &mut records);
    // A second time, behind what is there already.
    let before = records.len();
    let again = from.venue.decode(&frame, &mut records);
    assert_eq!(again, result);
    let second = records.split_off(before);
    assert_eq!(second, records);
    (records, result)
}

fn check(from: &From, body: &[u8]) {
    let (records, result) = decode(from, body);
    let mut numbers = Numbers::written(body);
    for record in &records {
        assert!(!record.market.as_str().is_empty(), "{record:?}");
        if let Some(stream) = from.origin.stream {
            assert_eq!(record.stream, stream, "a page gives its own stream");
        }
        numbers.columns = Body::columns(record.stream).iter();
        record.body.cells(&mut numbers);
        assert_eq!(numbers.columns.len(), 0, "a cell for every column: {record:?}");
    }
    if let Err(error) = &result {
        assert!(!error.reason.is_empty());
    }
    assert!(!records.is_empty() || result.is_err() || says_nothing(body), "no trace is left");

    let control = from.venue.control(body);
    assert_eq!(control, from.venue.control(body));
    let sniff = from.venue.sniff(body);
    assert_eq!(sniff, from.venue.sniff(body));
    if from.origin.source == Source::Rest {
        return;
    }
    match control {
        Some(Control::Heartbeat) => assert!(records.is_empty() && result.is_ok()),
        Some(Control::Refusal { .. }) => assert!(records.is_empty() && result.is_err()),
        None => {}
    }
    if let (Some(first), Ok(())) = (records.first(), &result) {
        let sniff = sniff.unwrap_or_else(|| panic!("nothing is seen of {first:?}"));
        assert_eq!((sniff.stream, sniff.market), (first.stream, first.market.clone()));
        assert_eq!(sniff.snapshot, first.snapshot);
    }
}

/// Whether `body` is known to say nothing: an empty list, or heartbeats.
fn says_nothing(body: &[u8]) -> bool {
    type Message<'a> = BTreeMap<String, &'a RawValue>;
    let up = |message: &Message<'_>| {
        let status =
            message.get("status").map(|status| serde_json::from_str::<String>(status.get()));
        matches!(status, Some(Ok(status)) if status == "UP")
    };
    match serde_json::from_slice::<Vec<Message<'_>>>(body) {
        Ok(all) => all.iter().all(up),
        Err(_) => serde_json::from_slice::<Message<'_>>(body).is_ok_and(|one| up(&one)),
    }
}

/// Looks at the cells of a record: its columns, and where its numbers come from.
struct Numbers {
    columns: slice::Iter<'static, Column>,
    /// The numbers written in the body; none where it has escapes, which can hide a digit.
    written: Option<Vec<f64>>,
}

impl Numbers {
    fn written(body: &[u8]) -> Self {
        let part = |byte: &u8| !byte.is_ascii_digit() && !b"+-.eE".contains(byte);
        let words = body.split(part).filter_map(|word| std::str::from_utf8(word).ok());
        let written = (!body.contains(&b'\\')).then(|| words.flat_map(str::parse).collect());
        Self { columns: [].iter(), written }
    }

    fn column(&mut self, kind: Kind, null: bool) {
        let column = self.columns.next().expect("a column for every cell");
        assert_eq!(column.kind, kind, "{}", column.name);
        assert!(column.nullable || !null, "{} is null", column.name);
    }

    fn number(&self, value: f64) {
        assert!(value.is_finite());
        let stands = |written: &Vec<f64>| written.contains(&value);
        assert!(self.written.as_ref().is_none_or(stands), "{value:?} is not what is written");
    }
}

impl CellSink for Numbers {
    fn time(&mut self, value: Option<Timestamp>) {
        self.column(Kind::Time, value.is_none());
    }

    #[expect(clippy::cast_precision_loss, reason = "compared with what is written as a double")]
    fn int(&mut self, value: Option<i64>) {
        self.column(Kind::Int, value.is_none());
        value.into_iter().for_each(|value| self.number(value as f64));
    }

    fn float(&mut self, value: Option<f64>) {
        self.column(Kind::Float, value.is_none());
        value.into_iter().for_each(|value| self.number(value));
    }

    fn bool(&mut self, value: Option<bool>) {
        self.column(Kind::Bool, value.is_none());
    }

    fn text(&mut self, value: Option<&str>) {
        self.column(Kind::Text, value.is_none());
    }

    fn floats(&mut self, value: &[f64]) {
        self.column(Kind::FloatList, false);
        value.iter().for_each(|value| self.number(*value));
    }

    fn bytes(&mut self, _: &[u8]) {
        self.column(Kind::Bytes, false);
    }
}
