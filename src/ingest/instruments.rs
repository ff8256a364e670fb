//! The venue's list of markets, and what changed in it.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use crate::model::market::Market;
use crate::model::record::{Body, Instrument, Record};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::InstrumentRow;

/// What each venue is known to list.
#[derive(Debug, Default)]
pub struct Instruments {
    known: BTreeMap<(SmolStr, Market), InstrumentRow>,
    changed: BTreeSet<(SmolStr, Market)>,
}

impl Instruments {
    /// Goes on from what the catalog knows.
    #[must_use]
    pub fn new(rows: Vec<InstrumentRow>) -> Self {
        let known = rows.into_iter().map(|row| ((row.venue.clone(), row.market.clone()), row));
        Self { known: known.collect(), changed: BTreeSet::new() }
    }

    /// Takes a whole list, and yields the records that say something new: of markets not known,
    /// changed, or gone.
    pub fn changes(
        &mut self,
        venue: &SmolStr,
        at: Timestamp,
        listed: impl Iterator<Item = Record>,
    ) -> Vec<Record> {
        let mut news = Vec::new();
        let mut seen = BTreeSet::new();
        for record in listed {
            let Body::Instrument(instrument) = &record.body else { continue };
            seen.insert(record.market.clone());
            if self.learn(venue, &record.market, instrument, at) {
                news.push(record);
            }
        }
        let gone: Vec<InstrumentRow> = self
            .known
            .values()
            .filter(|row| row.venue == *venue && row.listed && !seen.contains(&row.market))
            .cloned()
            .collect();
        for row in gone {
            let instrument = Instrument {
                ts_seen: at,
                listed: false,
                name_local: row.name_local.map(Into::into),
                name_english: row.name_english.map(Into::into),
                warning: row.warning,
                caution: row.caution.map(Into::into),
            };
            self.learn(venue, &row.market, &instrument, at);
            news.push(Record {
                stream: Stream::Instrument,
                market: row.market,
                snapshot: false,
                body: Body::Instrument(Box::new(instrument)),
            });
        }
        news
    }

    /// Takes a state as known, whatever was before.
    pub fn set(&mut self, row: InstrumentRow) {
        self.known.insert((row.venue.clone(), row.market.clone()), row);
    }

    /// The markets that `venue` listed when last seen.
    pub fn listed(&self, venue: &str) -> Vec<Market> {
        let listed = self.known.values().filter(|row| row.venue == venue && row.listed);
        listed.map(|row| row.market.clone()).collect()
    }

    /// Whether `venue` listed the market once, and does so no more.
    #[must_use]
    pub fn is_gone(&self, venue: &str, market: &Market) -> bool {
        let known = self.known.get(&(SmolStr::new(venue), market.clone()));
        known.is_some_and(|row| !row.listed)
    }

    /// Takes the rows that changed.
    pub fn drain(&mut self) -> Vec<InstrumentRow> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|key| self.known.get(key).cloned()).collect()
    }

    /// Whether that is new.
    fn learn(&mut self, venue: &SmolStr, market: &Market, new: &Instrument, at: Timestamp) -> bool {
        let key = (venue.clone(), market.clone());
        let before = self.known.get(&key);
        let same = before.is_some_and(|row| {
            row.listed == new.listed
                && row.name_local.as_deref() == new.name_local.as_deref()
                && row.name_english.as_deref() == new.name_english.as_deref()
                && row.warning == new.warning
                && row.caution.as_deref() == new.caution.as_deref()
        });
        if same {
            return false;
        }
        let row = InstrumentRow {
            venue: venue.clone(),
            market: market.clone(),
            listed: new.listed,
            name_local: new.name_local.as_ref().map(ToString::to_string),
            name_english: new.name_english.as_ref().map(ToString::to_string),
            warning: new.warning,
            caution: new.caution.as_ref().map(ToString::to_string),
            first_seen: before.map_or(at, |row| row.first_seen),
            last_changed: at,
        };
        self.changed.insert(key.clone());
        self.known.insert(key, row);
        true
    }
}
