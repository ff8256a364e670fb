//! Rows that other frames brought too: they are left where they are.

use std::collections::{BTreeSet, HashMap};

use super::old::border;
use super::{RebuildError, Site};
use crate::ingest::buffers::{Part, PartKey};
use crate::ingest::merge::{LaneKey, Lanes};
use crate::model::market::Market;
use crate::model::record::{Body, CellSink, HashSink, Row, content_hash};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::segment::{self, Cells, Extent, Frames, Segment};

/// What other frames than those asked for brought.
pub(super) struct Twins<'a> {
    site: Site<'a>,
    asked: &'a Frames,
    /// The candles that may still change: the recorder will write them.
    forming: Lanes,
}

impl<'a> Twins<'a> {
    pub(super) fn new(site: Site<'a>, asked: &'a Frames) -> Result<Self, RebuildError> {
        let mut forming = Lanes::default();
        for carry in site.catalog.start()?.carries {
            if !matches!(carry.stream, Stream::Candle(_)) {
                continue;
            }
            let lane = format!("{} {} {}", carry.venue, carry.stream, carry.market);
            let key = LaneKey { venue: carry.venue, stream: carry.stream, market: carry.market };
            forming
                .restore(key, &carry.state)
                .map_err(|error| RebuildError::State { lane, error })?;
        }
        Ok(Self { site, asked, forming })
    }

    /// Leaves in `part` what only the frames asked for brought, and of each candle its last state.
    pub(super) fn sift(&self, key: &PartKey, part: &mut Part) -> Result<(), RebuildError> {
        // The first is of its frame alone, of the second only changes are rows.
        if matches!(key.stream, Stream::Unread | Stream::Instrument) {
            return Ok(());
        }
        part.rows.retain(|row| {
            let Some(market) = row.head.market.clone() else { return true };
            let lane = LaneKey { venue: key.venue.clone(), stream: key.stream, market };
            self.forming.open_since(&lane, row.time()).is_none_or(|open| row.head.frame < open)
        });
        part.keep_last();
        let twins = self.find(key, part)?;
        let mut place = 0..;
        part.rows.retain(|_| place.next().is_some_and(|place| !twins.contains(&place)));
        Ok(())
    }

    /// The places of rows that are published from other frames.
    fn find(&self, key: &PartKey, part: &Part) -> Result<BTreeSet<usize>, RebuildError> {
        let mut twins = BTreeSet::new();
        let times: BTreeSet<Timestamp> = part.rows.iter().map(Row::time).collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(twins) };
        let covering = self.site.catalog.covering(&key.venue, key.stream, *first, *last)?;
        let doubtful = |segment: &&Segment| {
            let within = segment.ts_event.min..=segment.ts_event.max;
            !self.asked.cover(segment.frames) && times.range(within).next().is_some()
        };
        let doubtful: Vec<&Segment> = covering.iter().filter(doubtful).collect();
        if doubtful.is_empty() {
            return Ok(twins);
        }
        let mut places: HashMap<(Market, Timestamp), Vec<usize>> = HashMap::new();
        for (place, row) in part.rows.iter().enumerate() {
            if let Some(market) = row.head.market.clone() {
                places.entry((market, row.time())).or_default().push(place);
            }
        }
        for segment in doubtful {
            let each = |cells: &Cells<'_>| {
                for row in cells.rows() {
                    let at = cells.time(row);
                    let Some(market) = cells.market(row).filter(|_| times.contains(&at)) else {
                        continue;
                    };
                    if self.asked.contains(cells.frame(row)) {
                        continue;
                    }
                    for place in places.get(&(Market::new(market), at)).into_iter().flatten() {
                        let body = part.rows.get(*place).map(|row| &row.body);
                        if body.is_some_and(|body| identity(body) == published(body, cells, row)) {
                            twins.insert(*place);
                        }
                    }
                }
            };
            segment::scan(self.site.fs, self.site.paths, segment, Extent::Whole, each)
                .map_err(border(segment))?;
        }
        Ok(twins)
    }
}

/// What tells rows of one market and time apart.
fn identity(body: &Body) -> u64 {
    match body {
        Body::Trade(trade) => trade.id.cast_unsigned(),
        Body::Orderbook(_) | Body::Ticker(_) | Body::Instrument(_) | Body::Unread(_) => {
            content_hash(body)
        }
        Body::Candle(_) => 0,
    }
}

/// The same of a published row, where it is of the type of `like`.
fn published(like: &Body, cells: &Cells<'_>, row: usize) -> u64 {
    match like {
        Body::Trade(_) => {
            let mut id = FirstInt::default();
            cells.put_body(row, &mut id);
            id.0.unwrap_or_default().cast_unsigned()
        }
        Body::Orderbook(_) | Body::Ticker(_) | Body::Instrument(_) | Body::Unread(_) => {
            let mut hash = HashSink::default();
            cells.put_body(row, &mut hash);
            hash.finish()
        }
        Body::Candle(_) => 0,
    }
}

/// The first integer of a record: of a trade, its id.
#[derive(Default)]
struct FirstInt(Option<i64>);

impl CellSink for FirstInt {
    fn time(&mut self, _: Option<Timestamp>) {}
    fn int(&mut self, value: Option<i64>) {
        self.0 = self.0.or(value);
    }
    fn float(&mut self, _: Option<f64>) {}
    fn bool(&mut self, _: Option<bool>) {}
    fn text(&mut self, _: Option<&str>) {}
    fn floats(&mut self, _: &[f64]) {}
    fn bytes(&mut self, _: &[u8]) {}
}
