//! Bytes to records.
//!
//! Invariants: no bytes make it panic; what can be read of a frame becomes records even where
//! other parts of it cannot, and what cannot is told by the error. So an unknown word in a field
//! that may be null leaves a row with null *and* an error that keeps the frame in stream `unread`.

use std::cell::Cell;
use std::fmt::Display;

use serde::de::DeserializeOwned;
use simd_json::Buffers;
use smol_str::format_smolstr;

use super::plain;
use super::read::ToBody;
use super::route::{Route, elements, excerpt, route};
use super::value::{Field, Read, Snapshot, Value};
use super::wire::{self, OneOrMany};
use crate::model::frame::Frame;
use crate::model::market::{Market, Source};
use crate::model::record::Record;
use crate::model::subscription::Stream;
use crate::venue::{Control, DecodeError, Sniff};

/// Reads a frame into records.
pub(super) fn decode(frame: &Frame, out: &mut Vec<Record>) -> Result<(), DecodeError> {
    match (frame.origin.source, frame.origin.stream) {
        (Source::Ws, _) => websocket(frame, &frame.body, out, true),
        (Source::Rest, Some(stream)) => page(frame, stream, out),
        (Source::Rest, None) => Err(trouble("a REST page that was asked for no stream", None)),
    }
}

/// Which subscription a data message serves: in an array, the first of its messages that does.
pub(super) fn sniff(body: &[u8]) -> Option<Sniff> {
    let serves = |head: wire::Head| match (head.kind.value, head.market.value) {
        (Value::Is(stream), Value::Is(market)) => {
            let snapshot = matches!(head.stream_type.value, Value::Is(Snapshot(true)));
            Some(Sniff { stream, market, snapshot })
        }
        _ => None,
    };
    parse(body, |heads: OneOrMany<wire::Head>| match heads {
        OneOrMany::One(head) => serves(head),
        OneOrMany::Many(heads) => heads.into_iter().find_map(|head| match head {
            Value::Is(head) => serves(head),
            Value::Absent | Value::Odd => None,
        }),
    })
    .ok()?
}

/// Reads a websocket message; where it is the `outermost` one, it can be an array.
fn websocket(
    frame: &Frame,
    body: &[u8],
    out: &mut Vec<Record>,
    outermost: bool,
) -> Result<(), DecodeError> {
    let array = body.trim_ascii_start().starts_with(b"[");
    if array && !outermost {
        return Err(trouble("an array within an array", None));
    }
    match route(body) {
        Route::Data(stream) => {
            let before = out.len();
            let mut reader = Reader::new(frame, body, stream, out);
            reader.read_all()?;
            if !reader.mixed {
                return reader.finish();
            }
            out.truncate(before);
            if array {
                each_apart(frame, body, out)
            } else {
                Err(trouble("a message with two types", Some(stream)))
            }
        }
        Route::List => each_apart(frame, body, out),
        Route::Control(Control::Heartbeat) => Ok(()),
        Route::Control(Control::Refusal { name, message }) => Err(refused(&name, &message, None)),
        Route::Unknown(what) => Err(trouble(&what, None)),
    }
}

/// Reads the messages of an array one by one, whatever each is.
fn each_apart(frame: &Frame, body: &[u8], out: &mut Vec<Record>) -> Result<(), DecodeError> {
    let Some(elements) = elements(body) else {
        return Err(trouble("an array that is not JSON", None));
    };
    let mut first = Ok(());
    for element in elements {
        let read = websocket(frame, element.get().as_bytes(), out, false);
        first = first.and(read);
    }
    first
}

/// Reads the body of a REST answer.
fn page(frame: &Frame, stream: Stream, out: &mut Vec<Record>) -> Result<(), DecodeError> {
    if !frame.body.trim_ascii_start().starts_with(b"[") {
        match route(&frame.body) {
            Route::Control(Control::Refusal { name, message }) => {
                return Err(refused(&name, &message, Some(stream)));
            }
            Route::Unknown(what) if !frame.body.trim_ascii_start().starts_with(b"{") => {
                return Err(trouble(&what, Some(stream)));
            }
            // One message that is not in a list.
            Route::Control(Control::Heartbeat)
            | Route::Unknown(_)
            | Route::Data(_)
            | Route::List => {}
        }
    }
    let mut reader = Reader::new(frame, &frame.body, stream, out);
    reader.read_all()?;
    reader.finish()
}

fn refused(name: &str, message: &str, stream: Option<Stream>) -> DecodeError {
    // Enough for any sentence; the frame has all of it.
    const LENGTH: usize = 200;
    let said: String = format!("the venue says {name}: {message}").chars().take(LENGTH).collect();
    trouble(&said, stream)
}

fn trouble(what: &str, stream: Option<Stream>) -> DecodeError {
    DecodeError { reason: what.into(), stream, market: None }
}

/// What is kept from frame to frame, so that a frame costs few allocations.
struct Scratch {
    /// The parser writes into its input, so it gets a copy.
    bytes: Vec<u8>,
    buffers: Buffers,
}

/// A frame this long is rare: what it made the scratch grow to is given back.
const LARGE: usize = 1 << 20;
/// No message of the venue nests deeper than four; deeper ones would only fill the stack.
const DEPTH: usize = 32;

thread_local! {
    static SCRATCH: Cell<Option<Scratch>> = const { Cell::new(None) };
}

/// Parses `body` and hands it to `then`.
pub(super) fn parse<T, R>(body: &[u8], then: impl FnOnce(T) -> R) -> Result<R, simd_json::Error>
where
    T: DeserializeOwned,
{
    let mut scratch = SCRATCH.take().unwrap_or_else(|| Scratch {
        bytes: Vec::with_capacity(8 << 10),
        buffers: Buffers::with_max_depth(8 << 10, DEPTH),
    });
    scratch.bytes.clear();
    scratch.bytes.extend_from_slice(body);
    let parsed =
        simd_json::serde::from_slice_with_buffers(&mut scratch.bytes, &mut scratch.buffers);
    let result = parsed.map(then);
    if body.len() < LARGE {
        SCRATCH.set(Some(scratch));
    }
    result
}

/// Reads the messages of one body, all of one stream.
pub(super) struct Reader<'a> {
    pub(super) frame: &'a Frame,
    pub(super) stream: Stream,
    pub(super) body: &'a [u8],
    out: &'a mut Vec<Record>,
    /// The market of the message at hand, where it could be read.
    market: Option<Market>,
    /// The first thing that could not be read.
    first: Option<DecodeError>,
    /// How many more could not be read.
    more: usize,
    /// Whether a message of another type was met.
    mixed: bool,
}

impl<'a> Reader<'a> {
    fn new(frame: &'a Frame, body: &'a [u8], stream: Stream, out: &'a mut Vec<Record>) -> Self {
        Self { frame, stream, body, out, market: None, first: None, more: 0, mixed: false }
    }

    /// Whether the body is one of REST.
    pub(super) fn rest(&self) -> bool {
        self.frame.origin.source == Source::Rest
    }

    /// Reads the body. The error is that of a body that is not JSON at all.
    fn read_all(&mut self) -> Result<(), DecodeError> {
        let parsed = match self.stream {
            Stream::Trade => self.each::<wire::Trade>(),
            Stream::Orderbook => self.each::<wire::Orderbook>(),
            Stream::Ticker => self.each::<wire::Ticker>(),
            Stream::Candle(_) => self.each::<wire::Candle>(),
            Stream::Instrument => self.each::<wire::Listed>(),
            Stream::Unread => {
                return Err(trouble("no message has this stream", Some(self.stream)));
            }
        };
        parsed.map_err(|error| {
            let what = format!("cannot be read: {error}: {}", excerpt(self.body));
            trouble(&what, Some(self.stream))
        })
    }

    fn each<M: ToBody>(&mut self) -> Result<(), simd_json::Error> {
        if let Some(message) = plain::read::<M>(self.body) {
            self.read(message, 0);
            return Ok(());
        }
        parse(self.body, |messages: OneOrMany<M>| match messages {
            OneOrMany::One(message) => self.read(message, 0),
            OneOrMany::Many(messages) => {
                for (index, message) in messages.into_iter().enumerate() {
                    match message {
                        Value::Is(message) => self.read(message, index),
                        Value::Absent | Value::Odd => self.stray(),
                    }
                }
            }
        })
    }

    /// An element of an array is no object.
    fn stray(&mut self) {
        self.mixed = true;
        if self.rest() {
            self.market = None;
            self.tell("an element of the list", "is not an object");
        }
    }

    fn read<M: ToBody>(&mut self, mut message: M, index: usize) {
        let head = message.head();
        if !self.rest() && !matches!(head.kind.value, Value::Is(stream) if stream == self.stream) {
            self.mixed = true;
            return;
        }
        self.market = None;
        self.market = self.need(head.market);
        let snapshot = self.want(head.stream_type).is_some_and(|Snapshot(snapshot)| snapshot);
        if let Some(market) = self.market.clone()
            && let Some(body) = message.body(self, index)
        {
            self.out.push(Record { stream: self.stream, market, snapshot, body });
        }
    }

    /// A value that must be there.
    pub(super) fn need<T: Read>(&mut self, field: Field<T>) -> Option<T> {
        if matches!(field.value, Value::Absent) {
            self.tell(field.name, "is missing");
        }
        self.want(field)
    }

    /// A value that may be absent, and is told of where it is something else.
    pub(super) fn want<T: Read>(&mut self, field: Field<T>) -> Option<T> {
        match field.value {
            Value::Is(value) => Some(value),
            Value::Absent => None,
            Value::Odd => {
                self.tell(field.name, format_args!("is not {}", T::WHAT));
                None
            }
        }
    }

    /// Keeps in mind that something could not be read.
    pub(super) fn tell(&mut self, name: &str, what: impl Display) {
        if self.first.is_some() {
            self.more += 1;
            return;
        }
        let market = self.market.as_ref().map_or("of an unknown market", Market::as_str);
        self.first = Some(DecodeError {
            reason: format_smolstr!("{} {market}: {name} {what}", self.stream),
            stream: Some(self.stream),
            market: self.market.clone(),
        });
    }

    fn finish(self) -> Result<(), DecodeError> {
        match self.first {
            None => Ok(()),
            Some(error) if self.more == 0 => Err(error),
            Some(DecodeError { reason, stream, market }) => {
                let reason = format_smolstr!("{reason}, and {} more", self.more);
                Err(DecodeError { reason, stream, market })
            }
        }
    }
}
