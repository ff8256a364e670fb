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
//! A lane's state travels with the catalog's transaction ([`Lanes::carry`]), so a restart goes on
//! where the published files end. Nothing here asks for the time or touches a disk.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::model::market::Market;
use crate::model::record::{Body, Candle, Head, Row, content_hash};
use crate::model::subscription::{CandleUnit, Stream};
use crate::model::time::Timestamp;

/// Trade ids that a lane remembers at most.
const TRADE_KEYS: usize = 16_384;
/// Contents that a lane remembers at most: most of a minute at ten a second.
const CONTENT_KEYS: usize = 512;
/// Keys that a lane remembers however old they are: a snapshot repeats the latest of a market that
/// has been quiet for days.
const LATEST_KEYS: usize = 64;
/// How long a lane remembers the others. Longer than two connections can be apart: one that is
/// silent for half a minute is replaced.
const REMEMBERED: Duration = Duration::from_mins(2);
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
    /// Whether a file may already hold this candle, so that the row replaces it.
    pub revises: bool,
}

/// The lanes of everything that is recorded.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<LaneKey, Lane>,
    touched: HashSet<LaneKey>,
}

impl Lanes {
    /// Offers a row to its lane.
    pub fn offer(&mut self, key: &LaneKey, row: Row) -> Merged {
        let Some(lane) = self.lane(key) else { return Merged::New(row) };
        let merged = lane.offer(row);
        if !matches!(merged, Merged::Duplicate(_)) {
            self.touch(key);
        }
        merged
    }

    /// Takes out the candles whose unit has been over for `settle` at `now`, oldest arrival first.
    /// When `ending`, the unit being over is enough.
    pub fn ripe(&mut self, now: Timestamp, settle: Duration, ending: bool) -> Vec<Ripe> {
        let mut ripe = Vec::new();
        for (key, lane) in &mut self.lanes {
            let (Stream::Candle(unit), Lane::Candles(candles)) = (key.stream, lane) else {
                continue;
            };
            for (row, revises) in candles.ripe(unit, now, settle, ending) {
                self.touched.insert(key.clone());
                ripe.push(Ripe { stream: key.stream, venue: key.venue.clone(), row, revises });
            }
        }
        ripe.sort_by_key(|one| one.row.head.frame);
        ripe
    }

    /// The state of every lane that changed since the last call, to be stored with what was
    /// published.
    pub fn carry(&mut self) -> Vec<(LaneKey, Vec<u8>)> {
        let mut touched: Vec<LaneKey> = self.touched.drain().collect();
        touched.sort();
        touched
            .into_iter()
            .filter_map(|key| {
                let state = serde_json::to_vec(&self.lanes.get(&key)?.carried()).ok()?;
                Some((key, state))
            })
            .collect()
    }

    /// Takes up a lane's stored state.
    ///
    /// # Errors
    ///
    /// When the state is not what [`Lanes::carry`] wrote.
    pub fn restore(&mut self, key: LaneKey, state: &[u8]) -> Result<(), serde_json::Error> {
        let carried: Carried = serde_json::from_slice(state)?;
        if let Some(lane) = Lane::of(key.stream, carried) {
            self.lanes.insert(key, lane);
        }
        Ok(())
    }

    /// The frame that a candle came in which may still change; none where there is no such candle.
    #[must_use]
    pub fn open_since(&self, key: &LaneKey, ts_open: Timestamp) -> Option<i64> {
        match self.lanes.get(key)? {
            Lane::Candles(candles) => Some(candles.open.get(&ts_open)?.0.head.frame),
            Lane::Trades(_) | Lane::Contents(_) => None,
        }
    }

    fn lane(&mut self, key: &LaneKey) -> Option<&mut Lane> {
        if !self.lanes.contains_key(key) {
            self.lanes.insert(key.clone(), Lane::of(key.stream, Carried::default())?);
        }
        self.lanes.get_mut(key)
    }

    fn touch(&mut self, key: &LaneKey) {
        if !self.touched.contains(key) {
            self.touched.insert(key.clone());
        }
    }
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

    fn offer(&mut self, row: Row) -> Merged {
        let first = First { session: row.head.session, at: row.head.ts_recv };
        let before = match (self, &row.body) {
            (Self::Trades(seen), Body::Trade(trade)) => {
                seen.insert(trade.id.cast_unsigned(), first)
            }
            (Self::Contents(seen), body) => seen.insert(content_hash(body), first),
            (Self::Candles(candles), Body::Candle(_)) => return candles.offer(row),
            // A body of another type than its stream's is kept rather than judged.
            (Self::Trades(_) | Self::Candles(_), _) => None,
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

/// The keys of late, and the last few however old.
#[derive(Debug)]
struct Recent {
    order: VecDeque<u64>,
    keys: HashMap<u64, First>,
    limit: usize,
}

impl Recent {
    fn new(limit: usize, carried: Carried) -> Self {
        // Which session told them is of no use any more; when the last one came, bounds them all.
        let first = First { at: carried.seen_at.unwrap_or(Timestamp::MIN), ..First::UNKNOWN };
        Self {
            keys: carried.seen.iter().map(|key| (*key, first)).collect(),
            order: carried.seen.into(),
            limit,
        }
    }

    /// Remembers `key`; says of its first arrival what is known where it was there before.
    fn insert(&mut self, key: u64, first: First) -> Option<First> {
        match self.keys.entry(key) {
            Entry::Occupied(before) => return Some(*before.get()),
            Entry::Vacant(free) => free.insert(first),
        };
        self.order.push_back(key);
        while self.order.len() > self.limit || self.outlived(first.at) {
            let Some(oldest) = self.order.pop_front() else { break };
            self.keys.remove(&oldest);
        }
        None
    }

    /// Whether the oldest key need not be remembered any more.
    fn outlived(&self, now: Timestamp) -> bool {
        let oldest = self.order.front().and_then(|oldest| self.keys.get(oldest));
        self.order.len() > LATEST_KEYS
            && oldest.is_some_and(|oldest| oldest.at.after(REMEMBERED) < now)
    }

    /// All of it: a connection that lags behind may tell any of it again after a kill.
    fn carried(&self) -> Carried {
        let last = self.order.back().and_then(|last| self.keys.get(last));
        Carried {
            seen: self.order.iter().copied().collect(),
            seen_at: last.map(|last| last.at),
            ..Carried::default()
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
    /// Those that may still change, and whether a file may hold an earlier state of them.
    open: BTreeMap<Timestamp, (Row, bool)>,
    written: BTreeMap<Timestamp, Written>,
}

impl From<Carried> for Candles {
    fn from(carried: Carried) -> Self {
        let open = carried.open.into_iter().map(|(head, candle, revises)| {
            (candle.ts_open, (Row { head, body: Body::Candle(candle) }, revises))
        });
        Self { open: open.collect(), written: carried.written.into_iter().collect() }
    }
}

impl Candles {
    fn offer(&mut self, row: Row) -> Merged {
        let Body::Candle(candle) = &row.body else { return Merged::New(row) };
        let content = content_hash(&row.body);
        if let Some((held, _)) = self.open.get_mut(&candle.ts_open) {
            let Body::Candle(before) = &held.body else { return Merged::New(row) };
            if candle.ts_last < before.ts_last || content == content_hash(&held.body) {
                return Merged::Duplicate(First::UNKNOWN);
            }
            *held = row;
            return Merged::Held;
        }
        let before = self.written.get(&candle.ts_open);
        if before.is_some_and(|before| before.content == content || candle.ts_last < before.ts_last)
        {
            return Merged::Duplicate(First::UNKNOWN);
        }
        let newest = self.written.last_key_value().map(|(open, _)| *open);
        let revises = newest.is_some_and(|newest| candle.ts_open <= newest);
        self.open.insert(candle.ts_open, (row, revises));
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
        let open = self.open.values().filter_map(|(row, revises)| {
            let Body::Candle(candle) = &row.body else { return None };
            Some((row.head.clone(), candle.clone(), *revises))
        });
        Carried {
            open: open.collect(),
            written: self.written.iter().map(|(open, written)| (*open, *written)).collect(),
            ..Carried::default()
        }
    }
}

#[cfg(test)]
mod tests;
