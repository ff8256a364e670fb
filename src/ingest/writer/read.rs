//! From a journalled frame to buffered rows. The same for a frame that just came and for one that
//! is recovered.

use bytes::Bytes;

use super::Writer;
use crate::ingest::merge::{LaneKey, Merged};
use crate::model::frame::Frame;
use crate::model::market::Market;
use crate::model::record::{Body, Head, Record, Row, Unread};
use crate::model::subscription::Stream;
use crate::venue::{self, DecodeError};

impl Writer {
    /// Reads a frame into rows. One that nobody understands is a row too.
    pub(super) fn read(&mut self, frame: &Frame) {
        let mut records = std::mem::take(&mut self.scratch);
        let read = match venue::by_name(&frame.origin.venue) {
            Some(venue) => venue.decode(frame, &mut records),
            None => Err(DecodeError {
                reason: "no such venue in this version".into(),
                stream: None,
                market: None,
            }),
        };
        if frame.origin.stream == Some(Stream::Instrument) && read.is_ok() {
            let (venue, at) = (&frame.origin.venue, frame.ts_recv);
            for record in self.instruments.changes(venue, at, records.drain(..)) {
                self.keep(frame, record);
            }
        }
        for record in records.drain(..) {
            self.keep(frame, record);
        }
        self.scratch = records;
        if let Err(error) = read {
            self.keep_unread(frame, error);
        }
    }

    /// Offers a record to its lane, and buffers what is new.
    fn keep(&mut self, frame: &Frame, record: Record) {
        let Record { stream, market, snapshot, body } = record;
        let venue = &frame.origin.venue;
        let row = Row { head: head(frame, Some(market.clone()), snapshot), body };
        let tally = self.told.streams.entry((venue.clone(), stream)).or_default();
        tally.told += 1;
        tally.last = tally.last.max(Some(row.time()));
        tally.last_recv = tally.last_recv.max(Some(frame.ts_recv));
        match self.lanes.offer(&LaneKey { venue: venue.clone(), stream, market }, row) {
            Merged::New(row) => {
                tally.rows += 1;
                self.buffers.push(self.now, venue, stream, row, false);
            }
            Merged::Duplicate => tally.duplicates += 1,
            Merged::Held => {}
        }
    }

    /// Keeps the bytes of a frame that nobody understood, and the span in which it came.
    fn keep_unread(&mut self, frame: &Frame, error: DecodeError) {
        let DecodeError { reason, stream, market } = error;
        let asked = self.presence.subscriptions(frame.origin.session);
        self.unread.add(frame, stream, market.as_ref(), &asked, &reason);
        self.told.unread += 1;
        // A copy: a recovered frame shares the memory of its whole block.
        let body = Body::Unread(Unread { reason, body: Bytes::copy_from_slice(&frame.body) });
        let row = Row { head: head(frame, market, false), body };
        self.buffers.push(self.now, &frame.origin.venue, Stream::Unread, row, false);
    }

    /// Buffers the candles that are over; when `ending`, those that may still change as well.
    pub(super) fn ripen(&mut self, ending: bool) {
        for ripe in self.lanes.ripe(self.now, self.options.settle, ending) {
            let tally = self.told.streams.entry((ripe.venue.clone(), ripe.stream)).or_default();
            tally.rows += u64::from(!ripe.revises);
            self.buffers.push(self.now, &ripe.venue, ripe.stream, ripe.row, ripe.revises);
        }
    }
}

fn head(frame: &Frame, market: Option<Market>, snapshot: bool) -> Head {
    Head {
        market,
        ts_recv: frame.ts_recv,
        source: frame.origin.source,
        snapshot,
        session: frame.origin.session,
        frame: i64::try_from(frame.sequence).unwrap_or(i64::MAX),
    }
}
