//! Markets that the venue delisted while they were away: nobody will ever serve them again, so that
//! their gaps end when that is known.

use super::{Presence, key};
use crate::model::gap::Gap;
use crate::model::market::Market;
use crate::model::time::Timestamp;

/// What the detail of such a gap says more.
const DELISTED: &str = "the venue lists it no more";

impl Presence {
    /// Ends at `at` the gaps of markets that `is_gone`. In a gap of several it gets a row of its
    /// own: what can become of it is another thing than what becomes of the others.
    pub fn gone(&mut self, at: Timestamp, is_gone: impl Fn(&str, &Market) -> bool) {
        let mut gone: Vec<(i64, Market)> = Vec::new();
        for (id, lasting) in &self.gaps {
            let away = lasting.away.iter().flatten();
            let left = away.filter(|market| is_gone(&lasting.gap.venue, market));
            gone.extend(left.map(|market| (*id, market.clone())));
        }
        gone.sort();
        for (id, market) in gone {
            let Some(lasting) = self.gaps.get_mut(&id) else { continue };
            let lane = key(&lasting.gap.venue, lasting.gap.stream, &market);
            let detail = format!("{}; {DELISTED}", lasting.gap.detail);
            let own = if lasting.gap.market.is_some() {
                lasting.gap.detail = detail;
                None
            } else {
                let market = Some(market.clone());
                Some(Gap { market, to: Some(at), detail, ..lasting.gap.clone() })
            };
            self.back(id, &market, own.is_none().then_some(at));
            if let Some(gap) = own {
                let row = self.lost(gap);
                self.closed_gaps.push(row);
            }
            if let Some(state) = self.subscriptions.get_mut(&lane) {
                state.gap = None;
            }
        }
    }
}
