//! What was proven live, and what is missing: coverage and gaps, derived from what sessions tell.
//!
//! A subscription is live on a session from its first frame to the session's last proof of life,
//! and live at all while any session serves it. When the last session that serves it ends for a
//! cause, a gap opens at the last proof of life; it closes with the first frame that serves it
//! again. Between two runs the same holds, with the cause `stopped`.
//!
//! Where a gap takes all recorded markets of a stream, it is one row for all of them; it closes
//! when the last of them is back, and a market that the venue then refuses leaves it with a row of
//! its own. So does one that the venue delists meanwhile, and that row ends there.
//!
//! Nothing here asks for the time or touches a disk: the writer feeds events and takes the changed
//! rows for the catalog.

mod gone;
mod past;
mod roll;
mod wants;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use smol_str::SmolStr;

pub use self::past::{Past, asked, words};
pub use self::roll::{Attendance, Connection, Roll};
use self::wants::Wants;
use super::merge::LaneKey;
use crate::model::event::{SessionClosed, SessionOpened, Wanted};
use crate::model::gap::{Gap, GapCause, GapState};
use crate::model::market::Market;
use crate::model::subscription::{Stream, Subscription};
use crate::model::time::Timestamp;
use crate::store::catalog::{LiveSpan, SessionRow, SessionTally};

/// The detail of a gap that no frame ever ended.
const UNSERVED: &str =
    "the venue sent nothing for it: is the market spelled right, and still listed?";

/// Rows of the catalog that changed.
#[derive(Debug, Default)]
pub struct Changed {
    /// Sessions, whole.
    pub sessions: Vec<SessionRow>,
    /// Spans that began.
    pub live: Vec<LiveSpan>,
    /// Gaps, whole, by their number.
    pub gaps: Vec<(i64, Gap)>,
}

/// The state of all subscriptions.
#[derive(Debug)]
pub struct Presence {
    /// Whether a repair can bring the stream back: the venue keeps a history of it.
    repairable: fn(&str, Stream) -> bool,
    sessions: HashMap<i64, Session>,
    subscriptions: BTreeMap<LaneKey, State>,
    wants: Wants,
    gaps: HashMap<i64, Lasting>,
    next_gap: i64,
    changed_sessions: BTreeSet<i64>,
    changed_gaps: BTreeSet<i64>,
    began: Vec<LiveSpan>,
    ended: Vec<SessionRow>,
    closed_gaps: Vec<(i64, Gap)>,
}

#[derive(Debug)]
struct Session {
    row: SessionRow,
    line: u32,
    subscriptions: Arc<[Subscription]>,
}

#[derive(Debug, Default)]
struct State {
    serving: Vec<i64>,
    proven_until: Option<Timestamp>,
    gap: Option<i64>,
}

/// A gap that has not ended, and the markets that are still away.
#[derive(Debug)]
struct Lasting {
    gap: Gap,
    /// None until the markets of a row for all of a stream are known (a gap of an earlier run).
    away: Option<HashSet<Market>>,
    last_back: Option<Timestamp>,
}

impl Presence {
    /// Goes on from what earlier runs left. Sessions that never ended count as up, for the frames
    /// of theirs that the journal still has; [`Presence::end_killed`] closes them.
    #[must_use]
    pub fn new(past: Past, repairable: fn(&str, Stream) -> bool) -> Self {
        let proven = past.proven.into_iter();
        let mut presence = Self {
            repairable,
            sessions: HashMap::new(),
            subscriptions: proven
                .map(|(key, until)| (key, State { proven_until: Some(until), ..State::default() }))
                .collect(),
            wants: Wants::default(),
            gaps: HashMap::new(),
            next_gap: past.next_gap,
            changed_sessions: BTreeSet::new(),
            changed_gaps: BTreeSet::new(),
            began: Vec::new(),
            ended: Vec::new(),
            closed_gaps: Vec::new(),
        };
        for (id, gap) in past.lasting {
            presence.resume(id, gap);
        }
        for row in past.unclosed {
            presence.revive(row);
        }
        presence
    }

    /// A session is up and has asked.
    pub fn opened(&mut self, event: SessionOpened) {
        let mut stopped = Vec::new();
        for one in event.subscriptions.iter() {
            let key = key(&event.venue, one.stream, &one.market);
            let state = self.subscriptions.entry(key.clone()).or_default();
            if state.serving.is_empty()
                && state.gap.is_none()
                && let Some(until) = state.proven_until
            {
                stopped.push((key, until));
            }
        }
        self.open_gaps(&event.subscriptions, stopped, GapCause::Stopped, "nobody was recording");
        for lasting in self.gaps.values_mut().filter(|lasting| lasting.away.is_none()) {
            let asked = event
                .subscriptions
                .iter()
                .filter(|one| one.stream == lasting.gap.stream && lasting.gap.venue == event.venue);
            let away: HashSet<Market> = asked.map(|one| one.market.clone()).collect();
            lasting.away = (!away.is_empty()).then_some(away);
        }
        let row = SessionRow {
            id: event.session,
            venue: event.venue,
            endpoint: event.endpoint,
            subscriptions: words(&event.subscriptions),
            opened: event.at,
            first_data: None,
            closed: None,
            why: None,
            frames: 0,
            bytes: 0,
            proven_until: None,
            tally: SessionTally::default(),
        };
        let SessionOpened { session, subscriptions, line, .. } = event;
        self.sessions.insert(session, Session { row, line, subscriptions });
        self.changed_sessions.insert(session);
    }

    /// What is wanted from now on. A gap of what nobody wants any more ends with that: what comes
    /// later is not missing.
    pub fn wanted(&mut self, event: &Wanted) {
        for key in self.wants.take(event) {
            let Some(state) = self.subscriptions.get_mut(&key) else { continue };
            if let Some(id) = state.gap.take() {
                // Who wants it again misses what comes from here on.
                state.proven_until = state.proven_until.max(Some(event.at));
                self.back(id, &key.market, Some(event.at));
            }
        }
    }

    /// The first frame of a subscription arrived over a session.
    pub fn served(&mut self, session: i64, stream: Stream, market: &Market, at: Timestamp) {
        let Some(holder) = self.sessions.get_mut(&session) else { return };
        holder.row.first_data.get_or_insert(at);
        holder.row.proven_until = holder.row.proven_until.max(Some(at));
        self.changed_sessions.insert(session);
        let key = key(&holder.row.venue, stream, market);
        let venue = holder.row.venue.clone();
        let state = self.subscriptions.entry(key).or_default();
        if state.serving.contains(&session) {
            return;
        }
        state.serving.push(session);
        let gap = state.gap.take();
        self.began.push(LiveSpan {
            session,
            venue,
            stream,
            market: market.clone(),
            from: at,
            to: None,
        });
        if let Some(id) = gap {
            self.back(id, market, Some(at));
        }
    }

    /// The venue showed nothing of a subscription in time.
    pub fn unserved(&mut self, session: i64, stream: Stream, market: &Market) {
        let Some(holder) = self.sessions.get(&session) else { return };
        let key = key(&holder.row.venue, stream, market);
        let opened = holder.row.opened;
        let Some(state) = self.subscriptions.get_mut(&key) else { return };
        if !state.serving.is_empty() || !self.wants.has(&key) {
            return;
        }
        let mut from = opened;
        if let Some(id) = state.gap {
            let Some(lasting) = self.gaps.get_mut(&id) else { return };
            if lasting.gap.cause == GapCause::Refused {
                return;
            }
            let alone = lasting.away.as_ref().is_some_and(|away| away.len() == 1);
            if alone && lasting.last_back.is_none() {
                lasting.gap.market = Some(market.clone());
                lasting.gap.cause = GapCause::Refused;
                UNSERVED.clone_into(&mut lasting.gap.detail);
                self.changed_gaps.insert(id);
                return;
            }
            state.gap = None;
            from = lasting.gap.from;
            self.back(id, market, None);
        }
        self.open_gaps(&[], vec![(key, from)], GapCause::Refused, UNSERVED);
    }

    /// A session was proven live.
    pub fn alive(&mut self, session: i64, until: Timestamp, frames: u64, bytes: u64) {
        if let Some(holder) = self.sessions.get_mut(&session) {
            holder.row.proven_until = holder.row.proven_until.max(Some(until));
            (holder.row.frames, holder.row.bytes) = (frames, bytes);
        }
    }

    /// A session ended.
    pub fn closed(&mut self, event: &SessionClosed) {
        let Some(mut holder) = self.sessions.remove(&event.session) else { return };
        self.changed_sessions.remove(&event.session);
        let until = event.proven_until;
        holder.row.closed = Some(event.at);
        holder.row.proven_until = Some(until);
        holder.row.why = Some(event.why.clone());
        (holder.row.frames, holder.row.bytes) = (event.frames, event.bytes);
        let mut away = Vec::new();
        for one in holder.subscriptions.iter() {
            let key = key(&holder.row.venue, one.stream, &one.market);
            let Some(state) = self.subscriptions.get_mut(&key) else { continue };
            let served = state.serving.contains(&event.session);
            state.serving.retain(|other| *other != event.session);
            if served {
                state.proven_until = state.proven_until.max(Some(until));
            }
            let missed = self.wants.has(&key);
            if state.serving.is_empty() && state.gap.is_none() && missed {
                away.push((key, state.proven_until.unwrap_or(holder.row.opened)));
            }
        }
        if let Some(cause) = event.cause {
            let asked = self.wants.of(&holder.row.venue, &holder.subscriptions);
            self.open_gaps(&asked, away, cause, &event.why);
        }
        self.ended.push(holder.row);
    }

    /// The ledger's row for something that is missing between two instants, whatever else holds.
    pub fn lost(&mut self, gap: Gap) -> (i64, Gap) {
        (self.number(), self.judged(gap))
    }

    /// The streams and markets that `session` asked for.
    pub fn subscriptions(&self, session: i64) -> Arc<[Subscription]> {
        self.sessions
            .get(&session)
            .map_or_else(|| Arc::from([]), |holder| Arc::clone(&holder.subscriptions))
    }

    /// Whether there is a change that readers of the catalog should see now.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !(self.changed_sessions.is_empty()
            && self.changed_gaps.is_empty()
            && self.closed_gaps.is_empty()
            && self.began.is_empty()
            && self.ended.is_empty())
    }

    /// Takes the rows that changed; with `all`, every session that is up as well, so that its
    /// last proof of life is stored.
    pub fn drain(&mut self, all: bool) -> Changed {
        let mut changed = Changed {
            sessions: std::mem::take(&mut self.ended),
            live: std::mem::take(&mut self.began),
            gaps: std::mem::take(&mut self.closed_gaps),
        };
        let up = std::mem::take(&mut self.changed_sessions);
        let up = self.sessions.iter().filter(|(id, _)| all || up.contains(id));
        changed.sessions.extend(up.map(|(_, holder)| holder.row.clone()));
        changed.sessions.sort_by_key(|row| row.id);
        for id in std::mem::take(&mut self.changed_gaps) {
            changed.gaps.extend(self.gaps.get(&id).map(|lasting| (id, lasting.gap.clone())));
        }
        changed
    }

    /// Opens gaps for `away` (subscription and last proof of life): one row for all markets of a
    /// stream where `asked` has no others and all were last proven together, else one for each.
    fn open_gaps(
        &mut self,
        asked: &[Subscription],
        away: Vec<(LaneKey, Timestamp)>,
        cause: GapCause,
        detail: &str,
    ) {
        let mut streams: BTreeMap<(SmolStr, Stream), Vec<(Market, Timestamp)>> = BTreeMap::new();
        for (key, from) in away {
            streams.entry((key.venue, key.stream)).or_default().push((key.market, from));
        }
        for ((venue, stream), markets) in streams {
            let whole = asked.iter().filter(|one| one.stream == stream).count();
            let gap = |market, from| Gap {
                venue: venue.clone(),
                stream,
                market,
                from,
                to: None,
                cause,
                state: GapState::Open,
                rows_repaired: 0,
                source: None,
                detail: detail.to_owned(),
            };
            let from = markets.first().map(|(_, from)| *from).unwrap_or_default();
            if whole == markets.len() && markets.iter().all(|(_, other)| *other == from) {
                let away = markets.into_iter().map(|(market, _)| market).collect();
                self.last(gap(None, from), away);
            } else {
                for (market, from) in markets {
                    self.last(gap(Some(market.clone()), from), HashSet::from([market]));
                }
            }
        }
    }

    fn last(&mut self, gap: Gap, away: HashSet<Market>) {
        let id = self.number();
        for market in &away {
            let key = key(&gap.venue, gap.stream, market);
            self.subscriptions.entry(key).or_default().gap = Some(id);
        }
        self.gaps.insert(id, Lasting { gap, away: Some(away), last_back: None });
        self.changed_gaps.insert(id);
    }

    /// Takes a market out of a gap: back at an instant, or gone into a gap of its own. The gap
    /// ends when nobody is away any more.
    fn back(&mut self, id: i64, market: &Market, at: Option<Timestamp>) {
        let Some(lasting) = self.gaps.get_mut(&id) else { return };
        lasting.last_back = lasting.last_back.max(at);
        if let Some(away) = &mut lasting.away {
            away.remove(market);
            if !away.is_empty() {
                return;
            }
        }
        let Some(Lasting { mut gap, last_back, .. }) = self.gaps.remove(&id) else { return };
        self.changed_gaps.remove(&id);
        // Where every market went into a gap of its own, nothing is left of this one.
        gap.to = Some(last_back.unwrap_or(gap.from));
        self.closed_gaps.push((id, self.judged(gap)));
    }

    /// A gap that ended, with what can become of it.
    fn judged(&self, mut gap: Gap) -> Gap {
        if !(self.repairable)(&gap.venue, gap.stream) {
            gap.state = GapState::BeyondRepair;
        }
        gap
    }

    const fn number(&mut self) -> i64 {
        let id = self.next_gap;
        self.next_gap += 1;
        id
    }
}

fn key(venue: &SmolStr, stream: Stream, market: &Market) -> LaneKey {
    LaneKey { venue: venue.clone(), stream, market: market.clone() }
}

#[cfg(test)]
mod tests;
