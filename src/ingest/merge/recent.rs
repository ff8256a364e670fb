//! The keys that a lane remembers.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
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

/// The keys of late, and the last few however old.
#[derive(Debug)]
pub(super) struct Recent {
    /// Oldest first, and when they first arrived.
    pub(super) order: VecDeque<(u64, Timestamp)>,
    pub(super) keys: HashMap<u64, First>,
    limit: usize,
    doubtful_until: Option<Timestamp>,
}

impl Recent {
    pub(super) fn new(limit: usize, carried: Carried) -> Self {
        // Which session told them is of no use any more; when the last one came, bounds them all.
        let first = First { at: carried.seen_at.unwrap_or(Timestamp::MIN), ..First::UNKNOWN };
        Self {
            keys: carried.seen.iter().map(|key| (*key, first)).collect(),
            order: carried.seen.into_iter().map(|key| (key, first.at)).collect(),
            limit,
            doubtful_until: carried.doubtful_until,
        }
    }

    /// Remembers `key`; says of its first arrival what is known where it was there before.
    pub(super) fn insert(&mut self, key: u64, first: First) -> Option<First> {
        match self.keys.entry(key) {
            Entry::Occupied(before) => return Some(*before.get()),
            Entry::Vacant(free) => free.insert(first),
        };
        self.order.push_back((key, first.at));
        while self.order.len() > self.limit || self.outlived(first.at) {
            let Some((oldest, _)) = self.order.pop_front() else { break };
            self.keys.remove(&oldest);
        }
        None
    }

    /// What is known of the first arrival of `key`.
    pub(super) fn get(&self, key: u64) -> Option<First> {
        self.keys.get(&key).copied()
    }

    /// Whether a file that held what happened at `time` may have been lost.
    pub(super) fn doubts(&self, time: Timestamp) -> bool {
        self.doubtful_until.is_some_and(|until| time <= until)
    }

    /// Whether the oldest key need not be remembered any more.
    fn outlived(&self, now: Timestamp) -> bool {
        self.order.len() > LATEST_KEYS
            && self.order.front().is_some_and(|(_, at)| at.after(REMEMBERED) < now)
    }

    /// All of it: a connection that lags behind may tell any of it again after a kill.
    pub(super) fn carried(&self) -> Carried {
        Carried {
            seen: self.order.iter().map(|(key, _)| *key).collect(),
            seen_at: self.order.back().map(|(_, at)| *at),
            doubtful_until: self.doubtful_until,
            ..Carried::default()
        }
    }
}
