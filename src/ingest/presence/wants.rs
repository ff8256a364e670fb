//! What is wanted, as far as somebody says so.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use smol_str::SmolStr;

use super::key;
use crate::ingest::merge::LaneKey;
use crate::model::event::Wanted;
use crate::model::subscription::Subscription;

/// What is wanted of each venue. Until anything is said, everything is.
#[derive(Debug, Default)]
pub(super) struct Wants(HashMap<SmolStr, HashSet<LaneKey>>);

impl Wants {
    /// Whether it is missed where it does not come.
    pub(super) fn has(&self, key: &LaneKey) -> bool {
        self.0.is_empty() || self.0.get(&key.venue).is_some_and(|wanted| wanted.contains(key))
    }

    /// What of `asked` is.
    pub(super) fn of(&self, venue: &SmolStr, asked: &Arc<[Subscription]>) -> Vec<Subscription> {
        let wanted = |one: &&Subscription| self.has(&key(venue, one.stream, &one.market));
        asked.iter().filter(wanted).cloned().collect()
    }

    /// Takes what is wanted from now on, and gives what was and is no more.
    pub(super) fn take(&mut self, event: &Wanted) -> Vec<LaneKey> {
        let all = event.subscriptions.iter();
        let wanted: HashSet<_> =
            all.map(|one| key(&event.venue, one.stream, &one.market)).collect();
        let before = self.0.insert(event.venue.clone(), wanted).unwrap_or_default();
        let mut gone: Vec<LaneKey> = before.into_iter().filter(|key| !self.has(key)).collect();
        gone.sort_unstable();
        gone
    }
}
