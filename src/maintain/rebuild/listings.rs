//! What venues were known to list, from the published rows of frames that are not read again: a
//! list is compared with what was known when it came.

use std::collections::VecDeque;

use super::{RebuildError, Site};
use crate::ingest::instruments::Instruments;
use crate::model::market::Market;
use crate::model::record::CellSink;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::{Filter, InstrumentRow};
use crate::store::segment::{self, Extent, Frames};

/// States of markets, by the frame that told them.
pub(super) struct Listings(VecDeque<(i64, InstrumentRow)>);

impl Listings {
    /// Reads the published rows but those of the frames asked for.
    pub(super) fn read(site: Site<'_>, asked: &Frames) -> Result<Self, RebuildError> {
        let mut rows = Vec::new();
        let filter = Filter { stream: Some(Stream::Instrument), ..Filter::default() };
        let wanted = site.wants(Stream::Instrument) && asked.count() > 0;
        let segments = if wanted { site.catalog.segments(&filter)? } else { Vec::new() };
        for segment in segments.iter().filter(|segment| !asked.cover(segment.frames)) {
            segment::scan(site.fs, site.paths, segment, Extent::Whole, |cells| {
                for row in cells.rows().filter(|row| !asked.contains(cells.frame(*row))) {
                    let mut state = State::default();
                    cells.put_body(row, &mut state);
                    let market = Market::new(cells.market(row).unwrap_or_default());
                    let venue = segment.name.venue.clone();
                    rows.push((cells.frame(row), state.of(venue, market, cells.time(row))));
                }
            })?;
        }
        // Rows of one frame are of different markets.
        rows.sort_by_key(|(frame, _)| *frame);
        Ok(Self(rows.into()))
    }

    /// Brings `instruments` to what was known before `frame` came.
    pub(super) fn until(&mut self, frame: i64, instruments: &mut Instruments) {
        while let Some((_, row)) = self.0.pop_front_if(|(before, _)| *before < frame) {
            instruments.set(row);
        }
    }
}

/// The cells of an instrument, by their types in the order of its columns.
#[derive(Default)]
struct State {
    texts: VecDeque<Option<String>>,
    bools: VecDeque<Option<bool>>,
}

impl State {
    fn of(mut self, venue: smol_str::SmolStr, market: Market, at: Timestamp) -> InstrumentRow {
        let mut text = || self.texts.pop_front().flatten();
        let mut flag = || self.bools.pop_front().flatten();
        InstrumentRow {
            venue,
            market,
            listed: flag().unwrap_or_default(),
            name_local: text(),
            name_english: text(),
            warning: flag(),
            caution: text(),
            first_seen: at,
            last_changed: at,
        }
    }
}

impl CellSink for State {
    fn time(&mut self, _: Option<Timestamp>) {}
    fn int(&mut self, _: Option<i64>) {}
    fn float(&mut self, _: Option<f64>) {}
    fn bool(&mut self, value: Option<bool>) {
        self.bools.push_back(value);
    }
    fn text(&mut self, value: Option<&str>) {
        self.texts.push_back(value.map(str::to_owned));
    }
    fn floats(&mut self, _: &[f64]) {}
    fn bytes(&mut self, _: &[u8]) {}
}
