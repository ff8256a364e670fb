//! Who is there at one instant: connections, subscriptions, and gaps that last.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::Presence;
use crate::ingest::merge::LaneKey;
use crate::ingest::watched::Count;
use crate::model::gap::{Gap, GapCause};
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::store::catalog::SessionRow;

/// Names that are told at most.
const NAMES: usize = 20;

/// A picture of all sessions and subscriptions.
#[derive(Debug, Clone, Default)]
pub struct Roll {
    /// What is open, by number.
    pub connections: Vec<Connection>,
    /// By venue and stream.
    pub streams: BTreeMap<(SmolStr, Stream), Attendance>,
    /// What came of the markets that are counted one by one.
    pub markets: BTreeMap<LaneKey, Count>,
}

/// One session that is up.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What the catalog holds of it.
    pub row: SessionRow,
    /// How much it asked for; nothing is what pages are asked over.
    pub subscriptions: usize,
    /// Which it is of the connections that carry the same, from 1 on.
    pub line: u32,
}

/// How the subscriptions of one stream stand.
#[derive(Debug, Clone, Default)]
pub struct Attendance {
    /// Markets that are asked for.
    pub asked: usize,
    /// Markets that a session serves.
    pub served: usize,
    /// Markets that the venue shows nothing of; the first of them by name.
    pub refused: (usize, Vec<Market>),
    /// Markets that were neither served yet nor refused; the first of them by name.
    pub awaited: (usize, Vec<Market>),
    /// Gaps that last, but for those of refused markets: the eldest, and how many markets are away.
    pub away: Option<(Gap, usize)>,
}

impl Presence {
    /// Who is there now.
    #[must_use]
    pub fn roll(&self) -> Roll {
        let mut connections: Vec<Connection> = self
            .sessions
            .values()
            .map(|one| Connection {
                row: one.row.clone(),
                subscriptions: one.subscriptions.len(),
                line: one.line,
            })
            .collect();
        connections.sort_by_key(|one| one.row.id);
        let mut streams: BTreeMap<(SmolStr, Stream), Attendance> = BTreeMap::new();
        let mut asked: BTreeSet<(&SmolStr, Stream, &Market)> = BTreeSet::new();
        for session in self.sessions.values() {
            let all = session.subscriptions.iter();
            asked.extend(all.map(|one| (&session.row.venue, one.stream, &one.market)));
        }
        for (venue, stream, market) in asked {
            let attendance = streams.entry((venue.clone(), stream)).or_default();
            attendance.asked += 1;
            let state = self.subscriptions.get(&super::key(venue, stream, market));
            if state.is_some_and(|state| !state.serving.is_empty()) {
                attendance.served += 1;
                continue;
            }
            let gap = state.and_then(|state| self.gaps.get(&state.gap?));
            match gap.map(|lasting| lasting.gap.cause) {
                Some(GapCause::Refused) => note(&mut attendance.refused, market),
                Some(_) | None => note(&mut attendance.awaited, market),
            }
        }
        self.away(&mut streams);
        Roll { connections, streams, markets: BTreeMap::new() }
    }

    /// Adds the gaps that last. One of an earlier run of what nobody wants any more says nothing of
    /// this run.
    fn away(&self, streams: &mut BTreeMap<(SmolStr, Stream), Attendance>) {
        for lasting in self.gaps.values().filter(|one| one.gap.cause != GapCause::Refused) {
            let Some(away) = &lasting.away else { continue };
            let key = (lasting.gap.venue.clone(), lasting.gap.stream);
            let missed = |market: &&Market| self.wants.has(&super::key(&key.0, key.1, market));
            let count = away.iter().filter(missed).count();
            if count == 0 {
                continue;
            }
            let attendance = streams.entry(key).or_default();
            attendance.away = Some(match attendance.away.take() {
                Some((eldest, others)) if eldest.from <= lasting.gap.from => {
                    (eldest, others + count)
                }
                other => (lasting.gap.clone(), count + other.map_or(0, |(_, others)| others)),
            });
        }
    }
}

fn note((count, names): &mut (usize, Vec<Market>), market: &Market) {
    *count += 1;
    if names.len() < NAMES {
        names.push(market.clone());
    }
}
