//! What a real venue sent, as a recorder leaves it: a file of each stream for some seconds.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use veritape::model::frame::{Frame, Origin};
use veritape::model::market::Source;
use veritape::model::record::{Head, Row};
use veritape::model::time::Timestamp;
use veritape::venue;

use super::VENUE;
use super::day::STREAMS;

/// A file of each stream holds so much: the capture is half a minute long.
const PIECE: Duration = Duration::from_secs(10);

/// The rows of one file of each stream as in [`STREAMS`], and the time at which it is written.
pub(crate) type Piece = ([Vec<Row>; STREAMS.len()], Timestamp);

/// Reads lines of `ts_recv` (seconds) and `frame` (the text as it was sent).
pub(crate) fn pieces(path: &Path) -> Result<Vec<Piece>, Box<dyn Error>> {
    let venue = venue::by_name(VENUE).ok_or("the venue is gone")?;
    let origin = Arc::new(Origin {
        venue: VENUE.into(),
        session: 1,
        source: Source::Ws,
        stream: None,
        market: None,
    });
    let mut pieces: Vec<Piece> = Vec::new();
    let mut records = Vec::new();
    for (line, sequence) in std::fs::read_to_string(path)?.lines().zip(1_u32..) {
        let line: Value = serde_json::from_str(line)?;
        let seconds = line.get("ts_recv").and_then(Value::as_f64).ok_or("no ts_recv")?;
        let text = line.get("frame").and_then(Value::as_str).ok_or("no frame")?;
        let at = Timestamp::from_micros(super::dice::whole(seconds * 1e6));
        let frame = Frame {
            sequence: sequence.into(),
            ..Frame::arrived(at, Arc::clone(&origin), text.to_owned().into())
        };
        venue.decode(&frame, &mut records)?;
        if pieces.last().is_none_or(|(_, until)| *until <= at) {
            pieces.push(([const { Vec::new() }; STREAMS.len()], at.after(PIECE)));
        }
        let Some((rows, _)) = pieces.last_mut() else { continue };
        for record in records.drain(..) {
            let head = Head {
                market: Some(record.market),
                ts_recv: at,
                source: Source::Ws,
                snapshot: record.snapshot,
                session: 1,
                frame: sequence.into(),
            };
            let of_stream = STREAMS.iter().zip(rows.iter_mut());
            for (_, rows) in of_stream.filter(|(stream, _)| **stream == record.stream) {
                rows.push(Row { head: head.clone(), body: record.body.clone() });
            }
        }
    }
    Ok(pieces)
}
