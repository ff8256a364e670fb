//! What the journal promises, shown on a disk that fails and forgets.

mod corrupt;
mod faults;
mod limits;
mod model;
mod real;
mod round_trip;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{Compression, Journal, JournalError, Options, Recovery};
use crate::model::frame::{Frame, Origin};
use crate::model::market::{Market, Source};
use crate::model::subscription::Stream;
use crate::model::time::{SECOND_US, Timestamp};
use crate::store::fs::faulty::FaultyFs;

const JOURNAL: &str = "/data/journal";
const QUARANTINE: &str = "/data/quarantine";

/// Small blocks and files, so that few frames make many of both.
const SMALL: Options = Options {
    compression: Compression::None,
    block_bytes: 300,
    segment_bytes: 700,
    pending_bytes: 1 << 20,
};

fn open(disk: &FaultyFs, from: u64, options: Options) -> Result<(Journal, Recovery), JournalError> {
    let fs = Arc::new(disk.clone());
    Journal::open(fs, Path::new(JOURNAL), Path::new(QUARANTINE), from, options)
}

/// What a start reads.
fn recover(disk: &FaultyFs, from: u64) -> (Journal, Vec<Frame>, super::RecoveryReport) {
    let whole_from = super::whole_from(disk, Path::new(JOURNAL)).unwrap();
    let (journal, mut recovery) = open(disk, from, SMALL).unwrap();
    assert_eq!(whole_from, recovery.first_sequence(), "told without touching anything");
    let frames = recovery.by_ref().collect();
    (journal, frames, recovery.report().clone())
}

/// A frame that tells which one it is. The same sequence has another body in another `life`.
fn frame(sequence: u64, life: u64) -> Frame {
    let origin = match sequence % 4 {
        0 => origin(7, Some((Stream::Trade, Some("KRW-BTC")))),
        1 => origin(8, Some((Stream::Instrument, None))),
        _ => origin(1, None),
    };
    let filler = "x".repeat(usize::try_from(sequence * 7 % 50).unwrap());
    let body =
        Bytes::from(format!("{{\"frame\":{sequence},\"life\":{life},\"pad\":\"{filler}\"}}"));
    let second = i64::try_from(sequence).unwrap() * SECOND_US;
    Frame { ts_recv: Timestamp::from_micros(second + 1), origin, sequence, body }
}

fn origin(session: i64, page: Option<(Stream, Option<&str>)>) -> Arc<Origin> {
    let source = if page.is_some() { Source::Rest } else { Source::Ws };
    let stream = page.map(|(stream, _)| stream);
    let market = page.and_then(|(_, market)| market).map(Market::new);
    Arc::new(Origin { venue: "somewhere".into(), session, source, stream, market })
}

/// Appends the frames `from..until` of one life, and syncs.
fn write(journal: &mut Journal, from: u64, until: u64, life: u64) {
    for sequence in from..until {
        journal.append(&frame(sequence, life)).unwrap();
    }
    assert_eq!(journal.sync().unwrap(), until);
}

fn sequences(frames: &[Frame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.sequence).collect()
}
