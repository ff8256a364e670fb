//! From frames to rows that wait for their file: decode, merge, buffer. The same for a frame that
//! just came, one that is recovered, and one that was kept and is read again.
//!
//! Nothing here asks for the time or touches a disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::HashMap;
use smol_str::SmolStr;

use super::buffers::Buffers;
use super::instruments::Instruments;
use super::jobs::{Jobs, page_of};
use super::merge::{First, LaneKey, Lanes, Merged};
use super::progress::Tally;
use super::pulse::Pulse;
use super::unread::UnreadSpans;
use super::watched::Counts;
use crate::model::frame::Frame;
use crate::model::market::Market;
use crate::model::record::{Body, Head, Record, Row, Unread};
use crate::model::subscription::{Stream, Subscription};
use crate::model::time::Timestamp;
use crate::store::catalog::SessionTally;
use crate::venue::{self, DecodeError};

/// What frames have told and no file holds yet.
#[derive(Debug, Default)]
pub struct Intake {
    /// What was told lately, and the candles that may still change.
    pub lanes: Lanes,
    /// The rows that wait.
    pub buffers: Buffers,
    /// What each venue lists.
    pub instruments: Instruments,
    /// The work on the past whose pages come.
    pub jobs: Jobs,
    /// Where frames came that nobody understood.
    pub unread: UnreadSpans,
    /// How many of those there were.
    pub unread_frames: u64,
    /// What each session told, beside others that told the same.
    pub sessions: HashMap<i64, SessionTally>,
    /// What was told, by venue and stream.
    pub tallies: BTreeMap<(SmolStr, Stream), Tally>,
    /// How it came: rhythm and lag, by venue and stream.
    pub pulses: BTreeMap<(SmolStr, Stream), Pulse>,
    /// The markets that are counted one by one.
    pub watched: Counts,
    scratch: Vec<Record>,
}

impl Intake {
    /// Goes on from what is known already.
    #[must_use]
    pub fn new(lanes: Lanes, instruments: Instruments, jobs: Jobs) -> Self {
        Self { lanes, instruments, jobs, ..Self::default() }
    }

    /// Reads a frame into rows. One that nobody understands is a row too; `asked` says what its
    /// session had asked for.
    pub fn read(
        &mut self,
        now: Timestamp,
        frame: &Frame,
        asked: impl FnOnce(i64) -> Arc<[Subscription]>,
    ) {
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
                self.keep(now, frame, record);
            }
        }
        let job = page_of(frame);
        if let Some(job) = job {
            self.jobs.page(job);
        }
        for record in records.drain(..) {
            match job {
                Some(job) => self.keep_past(now, frame, job, record),
                None => self.keep(now, frame, record),
            }
        }
        self.scratch = records;
        if let Err(error) = read {
            let asked = asked(frame.origin.session);
            self.keep_unread(now, frame, error, &asked);
        }
    }

    /// Buffers the candles whose unit has been over for `settle`; when `ending`, the unit being
    /// over is enough.
    pub fn ripen(&mut self, now: Timestamp, settle: Duration, ending: bool) {
        for ripe in self.lanes.ripe(now, settle, ending) {
            let tally = self.tallies.entry((ripe.venue.clone(), ripe.stream)).or_default();
            tally.rows += u64::from(!ripe.doubtful);
            self.buffers.push(now, &ripe.venue, ripe.stream, ripe.row, ripe.doubtful);
        }
    }

    /// Offers a record to its lane, and buffers what is new.
    fn keep(&mut self, now: Timestamp, frame: &Frame, record: Record) {
        let Record { stream, market, snapshot, body } = record;
        let venue = &frame.origin.venue;
        let row = Row { head: head(frame, Some(market.clone()), snapshot), body };
        self.pulses.entry((venue.clone(), stream)).or_default().take(&row);
        let tally = self.tallies.entry((venue.clone(), stream)).or_default();
        tally.told += 1;
        self.sessions.entry(frame.origin.session).or_default().records += 1;
        tally.last = tally.last.max(Some(row.time()));
        tally.last_recv = tally.last_recv.max(Some(frame.ts_recv));
        let lane = LaneKey { venue: venue.clone(), stream, market };
        self.watched.count(&lane, frame.ts_recv);
        match self.lanes.offer(&lane, row) {
            Merged::New(row) => {
                tally.rows += 1;
                self.buffers.push(now, venue, stream, row, false);
            }
            Merged::Doubtful(row) => self.buffers.push(now, venue, stream, row, true),
            Merged::Duplicate(first) => {
                tally.duplicates += 1;
                self.told_again(frame, first);
            }
            Merged::Held => {}
        }
    }

    /// The same for a record of a job's page: only what the job asks for, and of candles only
    /// those that were over when the page came.
    fn keep_past(&mut self, now: Timestamp, frame: &Frame, job: i64, record: Record) {
        let Record { stream, market, snapshot, body } = record;
        let venue = &frame.origin.venue;
        let row = Row { head: head(frame, Some(market.clone()), snapshot), body };
        let at = row.time();
        let (number, over) = match &row.body {
            Body::Trade(trade) => (Some(trade.id), true),
            Body::Candle(_) => (None, is_over(stream, at, frame.ts_recv)),
            Body::Orderbook(_) | Body::Ticker(_) | Body::Instrument(_) | Body::Unread(_) => {
                (None, true)
            }
        };
        self.jobs.reach(job, at, number);
        if !over || self.jobs.span(job).is_some_and(|span| !span.contains(at)) {
            return;
        }
        let tally = self.tallies.entry((venue.clone(), stream)).or_default();
        tally.told += 1;
        match self.lanes.offer(&LaneKey { venue: venue.clone(), stream, market }, row) {
            Merged::New(row) | Merged::Doubtful(row) => {
                self.buffers.push(now, venue, stream, row, true);
            }
            Merged::Duplicate(_) => {
                tally.duplicates += 1;
                self.jobs.known(job);
            }
            Merged::Held => {}
        }
    }

    /// Counts what had been told before, and which session was how much earlier.
    fn told_again(&mut self, frame: &Frame, first: First) {
        let session = frame.origin.session;
        self.sessions.entry(session).or_default().duplicates += 1;
        // A job that told it first, or a session that is gone, leads nobody.
        if first.is_known()
            && first.session != session
            && let Some(leader) = self.sessions.get_mut(&first.session)
        {
            let lead = frame.ts_recv.since(first.at).as_micros();
            leader.led += 1;
            leader.lead_us += u64::try_from(lead).unwrap_or(u64::MAX);
        }
    }

    /// Keeps the bytes of a frame that nobody understood, and the span in which it came.
    fn keep_unread(
        &mut self,
        now: Timestamp,
        frame: &Frame,
        error: DecodeError,
        asked: &[Subscription],
    ) {
        let DecodeError { reason, stream, market } = error;
        // A page that cannot be read is its job's trouble, and leaves no hole in what came live.
        if page_of(frame).is_none() {
            self.unread.add(frame, stream, market.as_ref(), asked, &reason);
        }
        self.unread_frames += 1;
        // A copy: a frame from a journal shares the memory of its whole block.
        let body = Body::Unread(Unread { reason, body: Bytes::copy_from_slice(&frame.body) });
        let row = Row { head: head(frame, market, false), body };
        self.buffers.push(now, &frame.origin.venue, Stream::Unread, row, false);
    }
}

fn is_over(stream: Stream, open: Timestamp, now: Timestamp) -> bool {
    match stream {
        Stream::Candle(unit) => unit.end(open) <= now,
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => true,
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
