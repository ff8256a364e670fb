//! Rows that an earlier file may hold, settled against the files: each trade once, each candle in
//! its last state.
//!
//! Lanes remember a few minutes. Pages of the past reach further back, and so does the snapshot of
//! a market that was quiet; such rows are marked as doubtful, and looked for in the files that may
//! hold them before they go into a file of their own:
//!
//! * of a trade the first that was written stays, found by market and number;
//! * of a candle the later state stays: one of the same content, or of an earlier last trade, was
//!   there already, any other takes the place of the one written.
//!
//! Nothing here opens a file: whoever does hands over its cells. Memory is that of the doubtful
//! rows of one part.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::buffers::Part;
use crate::model::market::{Market, Source};
use crate::model::record::{Body, Candle, CellSink, HashSink, Row, content_hash};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::segment::{Cells, Ends, Extent, Keys};

/// How far the time of a trade by one way may lie from that by another.
pub const SLACK: Duration = Duration::from_secs(1);

/// How many rows of a job were new, and how many were there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Not there before, or not like this.
    pub rows: u64,
    /// There already.
    pub known: u64,
}

/// What is to become of the rows of a part.
#[derive(Debug, Default)]
pub struct Settled {
    /// The places of rows that were there already.
    dropped: BTreeSet<usize>,
    /// Candles whose state in a file gives way to the one in the part.
    pub replaced: Keys,
    /// How many such states each file holds, by its number.
    pub holders: BTreeMap<u64, u64>,
    /// What became of the rows of each job.
    pub jobs: BTreeMap<i64, Count>,
}

impl Settled {
    /// Takes out of `part` what was there already.
    pub fn apply(&self, part: &mut Part) {
        let mut places = 0..;
        part.rows.retain(|_| places.next().is_some_and(|place| !self.dropped.contains(&place)));
    }
}

/// The times that files may have which hold doubtful rows of `part`; none where it has no such row.
/// Cheap: it is asked while frames wait.
#[must_use]
pub fn ends(part: &Part) -> Option<Ends<Timestamp>> {
    let times = || part.doubtful.iter().map(|(_, at)| *at);
    let (min, max) = (times().min()?, times().max()?);
    Some(Ends { min: min.before(SLACK), max: max.after(SLACK) })
}

/// The doubtful rows of a part, while files are looked through.
#[derive(Debug)]
pub struct Doubts<'a> {
    part: &'a Part,
    /// Trades by market and number, candles by market and start: the place of the one that stays.
    wanted: HashMap<(Market, i64), usize>,
    times: BTreeSet<Timestamp>,
    extent: Extent,
    settled: Settled,
}

impl<'a> Doubts<'a> {
    /// Settles the doubtful rows of `part` among themselves.
    #[must_use]
    pub fn new(stream: Stream, part: &'a Part) -> Self {
        let extent = match stream {
            Stream::Trade => Extent::Ids,
            Stream::Orderbook
            | Stream::Ticker
            | Stream::Candle(_)
            | Stream::Instrument
            | Stream::Unread => Extent::Whole,
        };
        let mut doubts = Self {
            part,
            wanted: HashMap::new(),
            times: BTreeSet::new(),
            extent,
            settled: Settled::default(),
        };
        if part.doubtful.is_empty() {
            return doubts;
        }
        for (place, row) in part.rows.iter().enumerate() {
            let Some(market) = row.head.market.clone() else { continue };
            let (at, number) = match &row.body {
                Body::Trade(trade) => (trade.ts_event, trade.id),
                Body::Candle(candle) => (candle.ts_open, candle.ts_open.micros()),
                Body::Orderbook(_) | Body::Ticker(_) | Body::Instrument(_) | Body::Unread(_) => {
                    continue;
                }
            };
            if part.doubtful.contains(&(market.clone(), at)) {
                doubts.times.insert(at);
                doubts.add((market, number), place, row);
            }
        }
        doubts
    }

    /// How much of each file has to be read.
    #[must_use]
    pub const fn extent(&self) -> Extent {
        self.extent
    }

    /// Whether a file with rows of these times may hold any of them.
    #[must_use]
    pub fn may_lie_in(&self, times: Ends<Timestamp>) -> bool {
        self.times.range(times.min.before(SLACK)..=times.max.after(SLACK)).next().is_some()
    }

    /// Looks at rows of the file with this number.
    pub fn look(&mut self, file: u64, cells: &Cells<'_>) {
        for row in cells.rows() {
            let number = match self.extent {
                Extent::Ids => cells.id(row).unwrap_or_default(),
                Extent::Keys | Extent::Whole => cells.time(row).micros(),
            };
            let Some(market) = cells.market(row) else { continue };
            if self.extent == Extent::Whole && !self.times.contains(&cells.time(row)) {
                continue;
            }
            let key = (Market::new(market), number);
            let Some(place) = self.wanted.get(&key).copied() else { continue };
            match self.part.rows.get(place).map(|row| &row.body) {
                Some(Body::Candle(candle))
                    if !State::of(candle).is_known_to(State::held(cells, row)) =>
                {
                    self.settled.replaced.insert((key.0, candle.ts_open));
                    *self.settled.holders.entry(file).or_default() += 1;
                }
                Some(_) => {
                    self.settled.dropped.insert(place);
                }
                None => {}
            }
        }
    }

    /// What is to become of the rows.
    #[must_use]
    pub fn settle(self) -> Settled {
        let Self { part, mut settled, .. } = self;
        for (place, row) in part.rows.iter().enumerate() {
            if row.head.source == Source::Rest {
                let count = settled.jobs.entry(row.head.session).or_default();
                let known = settled.dropped.contains(&place);
                count.known += u64::from(known);
                count.rows += u64::from(!known);
            }
        }
        settled
    }

    /// Takes up a row; where there is another with the same key, one of them stays.
    fn add(&mut self, key: (Market, i64), place: usize, row: &Row) {
        let Some(before) = self.wanted.get(&key).copied() else {
            self.wanted.insert(key, place);
            return;
        };
        let state = |place: usize| match self.part.rows.get(place).map(|row| &row.body) {
            Some(Body::Candle(candle)) => Some(State::of(candle)),
            Some(_) | None => None,
        };
        let known = match (&row.body, state(before)) {
            (Body::Candle(candle), Some(before)) => State::of(candle).is_known_to(before),
            _ => true,
        };
        if known {
            self.settled.dropped.insert(place);
        } else {
            self.settled.dropped.insert(before);
            self.wanted.insert(key, place);
        }
    }
}

/// Which state of a candle a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    content: u64,
    ts_last: Option<Timestamp>,
}

impl State {
    fn of(candle: &Candle) -> Self {
        let content = content_hash(&Body::Candle(candle.clone()));
        Self { content, ts_last: candle.ts_last }
    }

    fn held(cells: &Cells<'_>, row: usize) -> Self {
        let (mut hash, mut times) = (HashSink::default(), Times::default());
        cells.put_body(row, &mut hash);
        cells.put_body(row, &mut times);
        Self { content: hash.finish(), ts_last: times.0.get(1).copied().flatten() }
    }

    /// Whether it says nothing that the state which was there before did not.
    fn is_known_to(self, before: Self) -> bool {
        self.content == before.content || self.ts_last < before.ts_last
    }
}

/// The times of a record: of a candle its start, then when its last trade was stored.
#[derive(Debug, Default)]
struct Times(Vec<Option<Timestamp>>);

impl CellSink for Times {
    fn time(&mut self, value: Option<Timestamp>) {
        self.0.push(value);
    }
    fn int(&mut self, _: Option<i64>) {}
    fn float(&mut self, _: Option<f64>) {}
    fn bool(&mut self, _: Option<bool>) {}
    fn text(&mut self, _: Option<&str>) {}
    fn floats(&mut self, _: &[f64]) {}
    fn bytes(&mut self, _: &[u8]) {}
}
