//! The keys that a lane remembers.
//!
//! Ids rise, almost always: one above all before it is new, and needs no place in a table that is
//! as large as the memory for it is cold. Keys that do not rise, as those of contents, have one.

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::HashMap;

use super::{Carried, First};
use crate::model::time::Timestamp;

/// Keys that a lane remembers however old they are: a snapshot repeats the latest of a market that
/// has been quiet for days.
const LATEST_KEYS: usize = 64;
/// How long a lane remembers the others. Longer than two connections can be apart: one that is
/// silent for half a minute is replaced.
const REMEMBERED: Duration = Duration::from_mins(2);

/// How many of the latest keys are looked at one by one: what another connection tells a little later
/// is among them.
const NEAR: usize = 32;

/// The keys of late, and the last few however old.
#[derive(Debug)]
pub(super) struct Recent {
    /// Oldest first, with their first arrivals.
    pub(super) order: VecDeque<(u64, First)>,
    /// How many at the end of `order` rise: each is above all that were ever before it.
    pub(super) rising: usize,
    /// Those of the others.
    pub(super) keys: HashMap<u64, First>,
    greatest: Option<u64>,
    limit: usize,
    doubtful_until: Option<Timestamp>,
}

impl Recent {
    pub(super) fn new(limit: usize, carried: Carried) -> Self {
        // Which session told them is of no use any more; when the last one came, bounds them all.
        let first = First { at: carried.seen_at.unwrap_or(Timestamp::MIN), ..First::UNKNOWN };
        Self {
            rising: 0,
            keys: carried.seen.iter().map(|key| (*key, first)).collect(),
            greatest: carried.seen.iter().max().copied(),
            order: carried.seen.into_iter().map(|key| (key, first)).collect(),
            limit,
            doubtful_until: carried.doubtful_until,
        }
    }

    /// Remembers `key`; says of its first arrival what is known where it was there before.
    pub(super) fn insert(&mut self, key: u64, first: First) -> Option<First> {
        if self.greatest < Some(key) {
            self.greatest = Some(key);
            self.rising += 1;
        } else if let Some(before) = self.get(key) {
            return Some(before);
        } else {
            let risen = self.order.len() - self.rising;
            self.keys.extend(self.order.range(risen..).copied());
            self.keys.insert(key, first);
            self.rising = 0;
        }
        self.order.push_back((key, first));
        while self.order.len() > self.limit || self.outlived(first.at) {
            let Some((oldest, _)) = self.order.pop_front() else { break };
            if self.order.len() < self.rising {
                self.rising = self.order.len();
            } else {
                self.keys.remove(&oldest);
            }
        }
        None
    }

    /// What is known of the first arrival of `key`.
    pub(super) fn get(&self, key: u64) -> Option<First> {
        let lowest = self.order.get(self.order.len() - self.rising);
        if lowest.is_none_or(|(lowest, _)| key < *lowest) {
            return self.keys.get(&key).copied();
        }
        // All before the rising ones are lower, so that all of `order` can be searched.
        let mut near = self.order.iter().rev().take(self.rising.min(NEAR));
        let found = near.find(|(one, _)| *one <= key).or_else(|| {
            let place = self.order.partition_point(|(one, _)| *one < key);
            self.order.get(place)
        });
        found.filter(|(one, _)| *one == key).map(|(_, first)| *first)
    }

    /// Whether a file that held what happened at `time` may have been lost.
    pub(super) fn doubts(&self, time: Timestamp) -> bool {
        self.doubtful_until.is_some_and(|until| time <= until)
    }

    /// Whether the oldest key need not be remembered any more.
    fn outlived(&self, now: Timestamp) -> bool {
        self.order.len() > LATEST_KEYS
            && self.order.front().is_some_and(|(_, first)| first.at.after(REMEMBERED) < now)
    }

    /// All of it: a connection that lags behind may tell any of it again after a kill.
    pub(super) fn carried(&self) -> Carried {
        Carried {
            seen: self.order.iter().map(|(key, _)| *key).collect(),
            seen_at: self.order.back().map(|(_, first)| first.at),
            doubtful_until: self.doubtful_until,
            ..Carried::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Key {
        /// So much above the greatest.
        Above(u64),
        /// So many places before the last; one that may be gone.
        Again(usize),
        Any(u64),
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            4 => (1_u64..4).prop_map(Key::Above),
            2 => (0_usize..4 * NEAR).prop_map(Key::Again),
            1 => (0_u64..400).prop_map(Key::Any),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// The same as a list that is searched from end to end.
        #[test]
        fn keys_are_known_while_they_are_remembered(
            carried in vec(0_u64..50, 0..9),
            keys in vec((key(), 0_u64..40, any::<bool>()), 0..400),
            limit in 1_usize..300,
        ) {
            let mut carried = carried;
            carried.sort_unstable();
            carried.dedup();
            carried.reverse();
            let mut plain: VecDeque<(u64, First)> =
                carried.iter().map(|key| (*key, First::UNKNOWN)).collect();
            let state = Carried { seen: carried, ..Carried::default() };
            let mut recent = Recent::new(limit, state);
            let (mut told, mut at) = (Vec::new(), Timestamp::default());
            for (session, (key, seconds, only_asked)) in (1..).zip(keys) {
                at = at.after(Duration::from_secs(seconds / 8));
                let key = match key {
                    Key::Above(by) => told.iter().max().copied().unwrap_or(0) + by,
                    Key::Again(before) => told.iter().rev().nth(before).copied().unwrap_or(7),
                    Key::Any(key) => key,
                };
                let known = plain.iter().find(|(one, _)| *one == key).map(|(_, first)| *first);
                prop_assert_eq!(recent.get(key), known);
                if only_asked {
                    continue;
                }
                told.push(key);
                let first = First { session, at };
                prop_assert_eq!(recent.insert(key, first), known);
                if known.is_none() {
                    plain.push_back((key, first));
                    while plain.len() > limit
                        || plain.len() > LATEST_KEYS && plain[0].1.at.after(REMEMBERED) < at
                    {
                        plain.pop_front();
                    }
                }
                let order: Vec<u64> = plain.iter().map(|(key, _)| *key).collect();
                prop_assert_eq!(recent.carried().seen, order);
                prop_assert_eq!(recent.keys.len() + recent.rising, plain.len());
            }
        }
    }
}
