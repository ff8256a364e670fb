//! What earlier runs left: gaps that last, and sessions that a kill cut off.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use smol_str::SmolStr;

use super::{Lasting, Presence, Session, key};
use crate::ingest::merge::LaneKey;
use crate::model::event::SessionClosed;
use crate::model::gap::Gap;
use crate::model::market::Market;
use crate::model::subscription::Subscription;
use crate::model::time::Timestamp;
use crate::store::catalog::{SessionRow, SessionTally};

/// What earlier runs left, as the catalog has it.
#[derive(Debug, Default)]
pub struct Past {
    /// Until when each subscription was last proven live.
    pub proven: HashMap<LaneKey, Timestamp>,
    /// Gaps that had not ended.
    pub lasting: Vec<(i64, Gap)>,
    /// The next free number of a gap.
    pub next_gap: i64,
    /// Sessions that never said they ended: those of a run that was killed.
    pub unclosed: Vec<SessionRow>,
}

impl Presence {
    /// Takes up a gap of an earlier run.
    pub(super) fn resume(&mut self, id: i64, gap: Gap) {
        // A run of all markets may leave a gap for each: only those of all are looked for in all.
        if let Some(market) = &gap.market {
            if let Some(state) = self.subscriptions.get_mut(&key(&gap.venue, gap.stream, market)) {
                state.gap = Some(id);
            }
        } else {
            let same = |key: &LaneKey| key.venue == gap.venue && key.stream == gap.stream;
            let all = self.subscriptions.iter_mut().filter(|(key, _)| same(key));
            all.for_each(|(_, state)| state.gap = Some(id));
        }
        let away = gap.market.clone().map(|market| HashSet::from([market]));
        self.gaps.insert(id, Lasting { gap, away, last_back: None });
    }

    /// Takes up a session of a run that was killed: it served what was proven and not missing.
    pub(super) fn revive(&mut self, row: SessionRow) {
        let subscriptions = asked(&row.subscriptions);
        for one in subscriptions.iter() {
            let key = key(&row.venue, one.stream, &one.market);
            if let Some(state) = self.subscriptions.get_mut(&key)
                && state.gap.is_none()
            {
                state.serving.push(row.id);
            }
        }
        self.sessions.insert(row.id, Session { row, line: 0, subscriptions });
    }

    /// Closes the sessions of a run that was killed, each at its last proof of life.
    pub fn end_killed(&mut self) {
        let killed: Vec<(i64, Timestamp, u64, u64)> = self
            .sessions
            .values()
            .map(|holder| &holder.row)
            .map(|row| (row.id, row.proven_until.unwrap_or(row.opened), row.frames, row.bytes))
            .collect();
        for (session, until, frames, bytes) in killed {
            self.closed(&SessionClosed {
                session,
                at: until,
                proven_until: until,
                cause: None,
                why: "the recorder ended without closing it".to_owned(),
                frames,
                bytes,
            });
        }
    }

    /// A frame of a session that the catalog does not know was found in the journal: a kill came
    /// between the two. What it asked for is lost, so it proves nothing.
    pub fn found(&mut self, id: i64, venue: &SmolStr, at: Timestamp) {
        self.sessions.entry(id).or_insert_with(|| Session {
            row: SessionRow {
                id,
                venue: venue.clone(),
                endpoint: String::new(),
                subscriptions: words(&[]),
                opened: at,
                first_data: Some(at),
                closed: None,
                why: None,
                frames: 0,
                bytes: 0,
                proven_until: None,
                tally: SessionTally::default(),
            },
            line: 0,
            subscriptions: Arc::from([]),
        });
    }

    /// A frame of a session was found in the journal.
    pub fn recovered(&mut self, session: i64, at: Timestamp) {
        if let Some(holder) = self.sessions.get_mut(&session) {
            holder.row.proven_until = holder.row.proven_until.max(Some(at));
        }
    }
}

/// What a session asked for, as JSON: the markets of each stream, each with its depth behind a dot
/// where one was asked for.
#[must_use]
pub fn words(subscriptions: &[Subscription]) -> String {
    let mut streams: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in subscriptions {
        let depth = one.depth.map(|depth| format!(".{depth}")).unwrap_or_default();
        streams.entry(one.stream.name()).or_default().push(format!("{}{depth}", one.market));
    }
    serde_json::json!(streams).to_string()
}

/// What a session asked for, read from its row in the catalog; words of another version are passed
/// over.
#[must_use]
pub fn asked(words: &str) -> Arc<[Subscription]> {
    let streams: BTreeMap<String, Vec<String>> = serde_json::from_str(words).unwrap_or_default();
    let one = |stream: &str, code: &str| {
        let depth =
            code.rsplit_once('.').and_then(|(market, depth)| Some((market, depth.parse().ok()?)));
        let (market, depth) = depth.map_or((code, None), |(market, depth)| (market, Some(depth)));
        Some(Subscription { stream: stream.parse().ok()?, market: Market::new(market), depth })
    };
    streams
        .iter()
        .flat_map(|(stream, codes)| codes.iter().filter_map(move |code| one(stream, code)))
        .collect()
}
