//! One row for one thing that happened, however often it was told.
//!
//! Frames are seen twice after every reconnect (snapshots), while two connections overlap, and
//! when a journal is read again. Each market of each stream has a lane that remembers the keys it
//! has lately seen:
//!
//! * trades by the venue's id, never by content: two real trades can be alike in all but the id;
//! * order books and tickers by content, which holds their time;
//! * candles by the start of their unit, the last one wins; a candle is held back until its unit is
//!   over, and one that comes again after it was written replaces the one written.
//!
//! What a lane does not know is new where it came live and in time. A file may hold it all the same
//! where it came late (the snapshot of a quiet market) or by REST: then it is doubtful, and settled
//! when it is written ([`super::settle`]). Of pages of the past a lane takes up only what is of
//! late, so that they do not push out what may come again.
//!
//! Where a file was lost, what its lanes saw is no proof that it is there: they forget it, and all
//! that happened before is doubtful from then on ([`forget`]).
//!
//! A lane's state travels with the catalog's transaction ([`Lanes::carry`]), so a restart goes on
//! where the published files end. Nothing here asks for the time or touches a disk.

mod recent;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::time::Duration;

use foldhash::HashMap;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use self::recent::Recent;
use crate::model::market::{Market, Source};
use crate::model::record::{Body, Candle, Head, Row, content_hash};
use crate::model::subscription::{CandleUnit, Stream};
use crate::model::time::Timestamp;

/// Trade ids that a lane remembers at most.
const TRADE_KEYS: usize = 16_384;
/// Contents that a lane remembers at most: most of a minute at ten a second.
const CONTENT_KEYS: usize = 512;
/// How old a row of a page may be that a lane takes up, and how old a live one that is new beyond
/// doubt. Shorter than a lane remembers, lest a clock that is off make a difference.
const RECENT: Duration = Duration::from_mins(1);
/// Written candles that a lane remembers, to tell a repetition from a revision.
const WRITTEN_CANDLES: usize = 16;

/// One market of one stream of one venue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream.
    pub stream: Stream,
    /// The market.
    pub market: Market,
}

/// The first arrival of something. Clock: ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    /// The session that told it.
    pub session: i64,
    /// When.
    pub at: Timestamp,
}

impl First {
    /// That of something that cannot be compared.
    pub const UNKNOWN: Self = Self { session: 0, at: Timestamp::MIN };

    /// Whether it is known which session told it.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.session != Self::UNKNOWN.session
    }
}

/// What became of a row that was offered.
#[derive(Debug, Clone, PartialEq)]
pub enum Merged {
    /// Not seen before: it belongs in a file.
    New(Row),
    /// Not seen lately; a file may hold it.
    Doubtful(Row),
    /// Seen before.
    Duplicate(First),
    /// A candle that may still change; [`Lanes::ripe`] hands it out.
    Held,
}

/// A candle whose unit is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Ripe {
    /// The stream's unit.
    pub stream: Stream,
    /// The venue's name.
    pub venue: SmolStr,
    /// The row.
    pub row: Row,
    /// Whether a file may hold this candle.
    pub doubtful: bool,
}

/// The lanes of everything that is recorded.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<LaneKey, Kept>,
}

/// A lane, and whether it changed since it was last stored.
#[derive(Debug)]
struct Kept {
    lane: Lane,
    touched: bool,
}

impl Lanes {
    /// Offers a row to its lane.
    pub fn offer(&mut self, key: &LaneKey, row: Row) -> Merged {
        let Some(Kept { lane, touched }) = self.lane(key) else { return Merged::New(row) };
        let merged = lane.offer(key.stream, row);
        *touched |= !matches!(merged, Merged::Duplicate(_));
        merged
    }

    /// Takes out the candles whose unit has been over for `settle` at `now`, oldest arrival first.
    /// When `ending`, the unit being over is enough.
    pub fn ripe(&mut self, now: Timestamp, settle: Duration, ending: bool) -> Vec<Ripe> {
        let mut ripe = Vec::new();
        for (key, Kept { lane, touched }) in &mut self.lanes {
            let (Stream::Candle(unit), Lane::Candles(candles)) = (key.stream, lane) else {
                continue;
            };
            for (row, doubtful) in candles.ripe(unit, now, settle, ending) {
                *touched = true;
                ripe.push(Ripe { stream: key.stream, venue: key.venue.clone(), row, doubtful });
            }
        }
        ripe.sort_by_key(|one| one.row.head.frame);
        ripe
    }

    /// The state of every lane that changed since the last call, to be stored with what was
    /// published.
    pub fn carry(&mut self) -> Vec<(LaneKey, Vec<u8>)> {
        let mut carries: Vec<(LaneKey, Vec<u8>)> = self
            .lanes
            .iter_mut()
            .filter_map(|(key, kept)| {
                let changed = std::mem::take(&mut kept.touched);
                let state = changed.then(|| serde_json::to_vec(&kept.lane.carried()).ok())??;
                Some((key.clone(), state))
            })
            .collect();
        carries.sort_by(|(one, _), (other, _)| one.cmp(other));
        carries
    }

    /// Takes up a lane's stored state.
    ///
    /// # Errors
    ///
    /// When the state is not what [`Lanes::carry`] wrote.
    pub fn restore(&mut self, key: LaneKey, state: &[u8]) -> Result<(), serde_json::Error> {
        let carried: Carried = serde_json::from_slice(state)?;
        if let Some(lane) = Lane::of(key.stream, carried) {
            self.lanes.insert(key, Kept { lane, touched: false });
        }
        Ok(())
    }

    /// Whether a candle that a job brought may still change.
    #[must_use]
    pub fn holds(&self, job: i64) -> bool {
        self.lanes.values().any(|kept| match &kept.lane {
            Lane::Candles(candles) => candles.open.values().any(|(row, _)| row.head.session == job),
            Lane::Trades(_) | Lane::Contents(_) => false,
        })
    }

    /// The frame that a candle came in which may still change; none where there is no such candle.
    #[must_use]
    pub fn open_since(&self, key: &LaneKey, ts_open: Timestamp) -> Option<i64> {
        match &self.lanes.get(key)?.lane {
            Lane::Candles(candles) => Some(candles.open.get(&ts_open)?.0.head.frame),
            Lane::Trades(_) | Lane::Contents(_) => None,
        }
    }

    fn lane(&mut self, key: &LaneKey) -> Option<&mut Kept> {
        match self.lanes.entry(key.clone()) {
            Entry::Occupied(kept) => Some(kept.into_mut()),
            Entry::Vacant(free) => {
                let lane = Lane::of(key.stream, Carried::default())?;
                Some(free.insert(Kept { lane, touched: false }))
            }
        }
    }
}

/// The stored `state` of a lane of which a file was lost at `now`: what the lane saw may be gone, and
/// what it may hear of again is looked for in the files that are left. Candles that may still
/// change stay.
///
/// # Errors
///
/// When the state is not what [`Lanes::carry`] wrote.
pub fn forget(state: &[u8], now: Timestamp) -> Result<Vec<u8>, serde_json::Error> {
    let carried: Carried = serde_json::from_slice(state)?;
    let doubtful_until = Some(now);
    let left = Carried { seen: Vec::new(), seen_at: None, written: Vec::new(), ..carried };
    serde_json::to_vec(&Carried { doubtful_until, ..left })
}

/// A lane's state as it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Carried {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seen: Vec<u64>,
    /// When the last of `seen` arrived. Clock: ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    open: Vec<(Head, Candle, bool)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    written: Vec<(Timestamp, Written)>,
    /// What happened before is doubtful wherever it comes from: a file was lost then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doubtful_until: Option<Timestamp>,
}

#[derive(Debug)]
enum Lane {
    Trades(Recent),
    Contents(Recent),
    Candles(Candles),
}

impl Lane {
    fn of(stream: Stream, carried: Carried) -> Option<Self> {
        match stream {
            Stream::Trade => Some(Self::Trades(Recent::new(TRADE_KEYS, carried))),
            Stream::Orderbook | Stream::Ticker => {
                Some(Self::Contents(Recent::new(CONTENT_KEYS, carried)))
            }
            Stream::Candle(_) => Some(Self::Candles(Candles::from(carried))),
            Stream::Instrument | Stream::Unread => None,
        }
    }

    fn offer(&mut self, stream: Stream, row: Row) -> Merged {
        let first = First { session: row.head.session, at: row.head.ts_recv };
        let before = match (self, &row.body, stream) {
            (Self::Trades(seen), Body::Trade(trade), _) => {
                let id = trade.id.cast_unsigned();
                let late = is_late(&row.head, trade.ts_event);
                let rest = row.head.source == Source::Rest;
                let before = if late && rest { seen.get(id) } else { seen.insert(id, first) };
                if before.is_none() && (late || rest || seen.doubts(trade.ts_event)) {
                    return Merged::Doubtful(row);
                }
                before
            }
            (Self::Contents(seen), body, _) => seen.insert(content_hash(body), first),
            (Self::Candles(candles), Body::Candle(_), Stream::Candle(unit)) => {
                return candles.offer(unit, row);
            }
            // A body of another type than its stream's is kept rather than judged.
            (Self::Trades(_) | Self::Candles(_), _, _) => None,
        };
        before.map_or(Merged::New(row), Merged::Duplicate)
    }

    fn carried(&self) -> Carried {
        match self {
            Self::Trades(seen) | Self::Contents(seen) => seen.carried(),
            Self::Candles(candles) => candles.carried(),
        }
    }
}

/// A candle that is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    content: u64,
    ts_last: Option<Timestamp>,
}

/// The candles of one market and unit.
#[derive(Debug, Default)]
struct Candles {
    /// Those that may still change, and whether a file may hold them.
    open: BTreeMap<Timestamp, (Row, bool)>,
    written: BTreeMap<Timestamp, Written>,
    doubtful_until: Option<Timestamp>,
}

impl From<Carried> for Candles {
    fn from(carried: Carried) -> Self {
        let open = carried.open.into_iter().map(|(head, candle, doubtful)| {
            (candle.ts_open, (Row { head, body: Body::Candle(candle) }, doubtful))
        });
        Self {
            open: open.collect(),
            written: carried.written.into_iter().collect(),
            doubtful_until: carried.doubtful_until,
        }
    }
}

impl Candles {
    fn offer(&mut self, unit: CandleUnit, row: Row) -> Merged {
        let Body::Candle(candle) = &row.body else { return Merged::New(row) };
        let rest = row.head.source == Source::Rest;
        let content = content_hash(&row.body);
        if let Some((held, doubtful)) = self.open.get_mut(&candle.ts_open) {
            let Body::Candle(before) = &held.body else { return Merged::New(row) };
            if candle.ts_last < before.ts_last || content == content_hash(&held.body) {
                return Merged::Duplicate(First::UNKNOWN);
            }
            *held = row;
            *doubtful |= rest;
            return Merged::Held;
        }
        let before = self.written.get(&candle.ts_open);
        if before.is_some_and(|before| before.content == content || candle.ts_last < before.ts_last)
        {
            return Merged::Duplicate(First::UNKNOWN);
        }
        let newest = self.written.last_key_value().map(|(open, _)| *open);
        let late = is_late(&row.head, unit.end(candle.ts_open));
        if late && rest {
            if let Some(before) = self.written.get_mut(&candle.ts_open) {
                *before = Written { content, ts_last: candle.ts_last };
            }
            return Merged::Doubtful(row);
        }
        let lost = self.doubtful_until.is_some_and(|until| candle.ts_open <= until);
        let doubtful =
            late || rest || lost || newest.is_some_and(|newest| candle.ts_open <= newest);
        self.open.insert(candle.ts_open, (row, doubtful));
        Merged::Held
    }

    /// Takes out the candles whose unit has been over for `settle`, and that have not changed
    /// for as long. When `ending`, the unit being over is enough.
    fn ripe(
        &mut self,
        unit: CandleUnit,
        now: Timestamp,
        settle: Duration,
        ending: bool,
    ) -> Vec<(Row, bool)> {
        let settle = if ending { Duration::ZERO } else { settle };
        let ripe: Vec<(Row, bool)> = self
            .open
            .extract_if(.., |open, (row, _)| {
                unit.end(*open).after(settle) <= now && row.head.ts_recv.after(settle) <= now
            })
            .map(|(_, held)| held)
            .collect();
        for (row, _) in &ripe {
            if let Body::Candle(candle) = &row.body {
                let written = Written { content: content_hash(&row.body), ts_last: candle.ts_last };
                self.written.insert(candle.ts_open, written);
            }
        }
        while self.written.len() > WRITTEN_CANDLES {
            self.written.pop_first();
        }
        ripe
    }

    fn carried(&self) -> Carried {
        let open = self.open.values().filter_map(|(row, doubtful)| {
            let Body::Candle(candle) = &row.body else { return None };
            Some((row.head.clone(), candle.clone(), *doubtful))
        });
        Carried {
            open: open.collect(),
            written: self.written.iter().map(|(open, written)| (*open, *written)).collect(),
            doubtful_until: self.doubtful_until,
            ..Carried::default()
        }
    }
}

/// Whether a row came so long after its time that it may have been told and forgotten.
fn is_late(head: &Head, time: Timestamp) -> bool {
    head.ts_recv.since(time) > RECENT
}
