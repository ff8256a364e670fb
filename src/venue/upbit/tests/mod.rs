//! Tests of the whole venue: fixtures, real captures, numbers, and bytes of any kind.

mod captures;
mod fixtures;
mod hostile;
mod numbers;
mod plain;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

use crate::model::frame::{Frame, Origin};
use crate::model::market::Source;
use crate::model::record::{Body, CellSink, Column, Record};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::venue::upbit::KOREA;
use crate::venue::{DecodeError, Venue};

/// When every frame of these tests arrived: 2026-11-21T12:00:00Z.
const ARRIVED: i64 = 1_795_262_400_000_000;

/// A frame as it comes: by websocket, or as a page of `rest`.
fn frame(body: &[u8], rest: Option<Stream>) -> Frame {
    let origin = Origin {
        venue: KOREA.name().into(),
        session: 1,
        source: if rest.is_some() { Source::Rest } else { Source::Ws },
        stream: rest,
        market: None,
    };
    let at = Timestamp::from_micros(ARRIVED);
    Frame::arrived(at, Arc::new(origin), Bytes::copy_from_slice(body))
}

/// What a frame decodes to.
fn decode(body: &[u8], rest: Option<Stream>) -> (Vec<Record>, Result<(), DecodeError>) {
    let mut records = Vec::new();
    let result = KOREA.decode(&frame(body, rest), &mut records);
    (records, result)
}

/// A record as JSON, without the cells that are null.
fn json(record: &Record) -> Json {
    let mut line = Map::new();
    line.insert("stream".to_owned(), json!(record.stream.name()));
    line.insert("market".to_owned(), json!(record.market.as_str()));
    line.insert("snapshot".to_owned(), json!(record.snapshot));
    let mut sink = JsonSink { columns: Body::columns(record.stream).iter(), line };
    record.body.cells(&mut sink);
    assert!(sink.columns.next().is_none(), "a cell for every column");
    Json::Object(sink.line)
}

struct JsonSink {
    columns: std::slice::Iter<'static, Column>,
    line: Map<String, Json>,
}

impl JsonSink {
    fn put(&mut self, value: Json) {
        let column = self.columns.next().expect("a column for every cell");
        if !value.is_null() {
            self.line.insert(column.name.to_owned(), value);
        }
    }
}

impl CellSink for JsonSink {
    fn time(&mut self, value: Option<Timestamp>) {
        self.put(json!(value.map(|at| at.to_string())));
    }

    fn int(&mut self, value: Option<i64>) {
        self.put(json!(value));
    }

    fn float(&mut self, value: Option<f64>) {
        self.put(json!(value));
    }

    fn bool(&mut self, value: Option<bool>) {
        self.put(json!(value));
    }

    fn text(&mut self, value: Option<&str>) {
        self.put(json!(value));
    }

    fn floats(&mut self, value: &[f64]) {
        self.put(json!(value));
    }

    fn bytes(&mut self, value: &[u8]) {
        self.put(json!(String::from_utf8_lossy(value)));
    }
}

/// A folder of this package.
fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
