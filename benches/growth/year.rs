//! The catalog of a recorder that ran for a year, without the rows: what it leaves of a day.
//!
//! Every day: four connections of one line, two of them followed by a gap (the venue closed it) and
//! two by none (it was too old, and its successor there already); each gap of trades and candles was had
//! again by a job for each market, those of order books were not. Rows of each market in each hour,
//! but of trades and candles in two of three; a condition of each hour of trades that holds; the
//! lags of each hour; one file for each stream. Order books of more than 90 days ago were retired.
//! Files are empty: no question that is measured reads one.

pub(crate) mod rows;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use veritape::ingest::presence::words;
use veritape::model::gap::{Gap, GapCause, GapState};
use veritape::model::job::{Job, JobKind, JobState, Reached};
use veritape::model::market::{Market, Source};
use veritape::model::span::{Span, Spans};
use veritape::model::subscription::{CandleUnit, Stream, Subscription};
use veritape::model::time::{DAY, SECOND_US, Timestamp};
use veritape::store::catalog::{
    Carry, Catalog, Change, InstrumentRow, LiveSpan, SessionRow, SessionTally,
};
use veritape::store::paths::Paths;

pub(crate) const VENUE: &str = "upbit";
const CANDLES: Stream = Stream::Candle(CandleUnit::S1);
/// What is recorded.
pub(crate) const STREAMS: [Stream; 3] = [Stream::Trade, Stream::Orderbook, CANDLES];
/// The minutes of a day at which a connection ends, and whether a gap follows.
const TURNS: [(i64, bool); 4] = [(67, true), (547, true), (1_027, false), (1_440, false)];
/// How long a gap lasts. Unit: microseconds.
const GAP_US: i64 = 1_400_000;
/// For how many days order books are kept.
const BOOKS_DAYS: i64 = 90;
const MARGIN: Duration = Duration::from_secs(2);

/// The data folder in the making.
pub(crate) struct Year {
    pub(crate) paths: Paths,
    pub(crate) catalog: Catalog,
    pub(crate) markets: Vec<Market>,
    /// Its first instant.
    begin: Timestamp,
    pub(crate) days: i64,
    next_session: i64,
    next_gap: i64,
    pub(crate) next_segment: u64,
    subscriptions: String,
    /// The gaps of the day, with their numbers, and where each connection lived.
    gaps: Vec<(i64, Gap)>,
    lives: Spans,
    /// Where the last connection began. Unit: microseconds.
    last: i64,
}

impl Year {
    /// A folder in `data` that records `markets` from `begin` on.
    pub(crate) fn new(
        data: &Path,
        begin: Timestamp,
        markets: Vec<Market>,
    ) -> Result<Self, Box<dyn Error>> {
        let paths = Paths::new(data);
        let one = |stream| {
            let all = markets.iter().cloned();
            all.map(move |market| Subscription { stream, market, depth: None })
        };
        let asked: Vec<Subscription> = STREAMS.into_iter().flat_map(one).collect();
        fs::create_dir_all(data)?;
        let mut catalog = Catalog::open(&paths.catalog())?;
        let instruments = markets.iter().map(|market| instrument(market, begin)).collect();
        let carries = STREAMS.into_iter().flat_map(|stream| {
            markets.iter().map(move |market| Carry {
                venue: VENUE.into(),
                stream,
                market: market.clone(),
                state: if stream == CANDLES { b"{}".to_vec() } else { carried(64) },
            })
        });
        let carries = carries.collect();
        catalog.publish(&Change { at: begin, instruments, carries, ..Change::default() })?;
        Ok(Self {
            paths,
            catalog,
            begin,
            days: 0,
            next_session: 1,
            next_gap: 1,
            next_segment: 1,
            subscriptions: words(&asked),
            gaps: Vec::new(),
            lives: Spans::new(),
            last: begin.micros(),
            markets,
        })
    }

    /// Where the recorded time ends.
    pub(crate) fn now(&self) -> Timestamp {
        self.begin.after(DAY * u32::try_from(self.days).unwrap_or_default())
    }

    /// Adds days until there are `days` of them.
    pub(crate) fn grow_to(&mut self, days: i64) -> Result<(), Box<dyn Error>> {
        while self.days < days {
            self.day()?;
        }
        Ok(())
    }

    fn day(&mut self) -> Result<(), Box<dyn Error>> {
        let midnight = self.now();
        self.days += 1;
        let over = self.now();
        let mut change = Change { at: over, ..Change::default() };
        (self.gaps, self.lives) = (Vec::new(), Spans::new());
        for (minute, gap_follows) in TURNS {
            let end = midnight.micros() + minute * 60 * SECOND_US;
            self.session(&mut change, end, gap_follows);
        }
        self.files(&mut change, midnight)?;
        self.rows(&mut change, midnight);
        self.catalog.publish(&change)?;
        let retired = self.catalog.retired()?;
        for one in &retired {
            fs::remove_file(self.paths.absolute(&one.path))?;
        }
        self.catalog.forget(&retired)?;
        let conditions = self.conditions(midnight);
        self.catalog.put_conditions(&conditions)?;
        Ok(())
    }

    /// A connection that ends at `end`, where a gap follows or the next one was there already.
    fn session(&mut self, change: &mut Change, end: i64, gap_follows: bool) {
        let id = self.next_session;
        self.next_session += 1;
        let (from, to) = (Timestamp::from_micros(self.last), Timestamp::from_micros(end));
        change.sessions.push(SessionRow {
            id,
            venue: VENUE.into(),
            endpoint: "wss://api.upbit.com/websocket/v1".to_owned(),
            subscriptions: self.subscriptions.clone(),
            opened: from,
            first_data: Some(from),
            closed: Some(to),
            why: Some("the venue closed it with code 1001".to_owned()),
            frames: 20_000_000,
            bytes: 40_000_000_000,
            proven_until: Some(to),
            tally: SessionTally::default(),
        });
        for stream in STREAMS {
            change.live.extend(self.markets.iter().map(|market| LiveSpan {
                session: id,
                venue: VENUE.into(),
                stream,
                market: market.clone(),
                from,
                to: Some(to),
            }));
        }
        if let Some(life) = Span::new(from, to) {
            self.lives.insert(life);
        }
        self.last = if gap_follows { end + GAP_US } else { end - GAP_US };
        if gap_follows {
            let back = Timestamp::from_micros(self.last);
            for stream in STREAMS {
                self.gap(change, stream, to, back);
            }
        }
    }

    fn gap(&mut self, change: &mut Change, stream: Stream, from: Timestamp, to: Timestamp) {
        let id = self.next_gap;
        self.next_gap += 1;
        let known = stream != Stream::Orderbook;
        let gap = Gap {
            venue: VENUE.into(),
            stream,
            market: None,
            from,
            to: Some(to),
            cause: GapCause::Disconnect,
            state: if known { GapState::Repaired } else { GapState::BeyondRepair },
            rows_repaired: if known { 40 } else { 0 },
            source: known.then_some(Source::Rest),
            detail: "the venue closed it with code 1001".to_owned(),
        };
        change.gaps.push((id, gap.clone()));
        self.gaps.push((id, gap));
        // A repair reaches beyond both ends.
        let Some(span) = Span::new(from.before(MARGIN), to.after(MARGIN)) else { return };
        for market in self.markets.iter().filter(|_| known) {
            change.jobs.push(Job {
                id: self.next_session,
                kind: JobKind::Repair,
                venue: VENUE.into(),
                stream,
                market: market.clone(),
                span,
                gap: Some(id),
                state: JobState::Done,
                rows: 1,
                known: 3,
                calls: 1,
                error: None,
                reached: Some(Reached { at: from, id: Some(17_000_000_000_000_000) }),
            });
            self.next_session += 1;
        }
    }
}

fn instrument(market: &Market, at: Timestamp) -> InstrumentRow {
    InstrumentRow {
        venue: VENUE.into(),
        market: market.clone(),
        listed: true,
        name_local: Some("모의".to_owned()),
        name_english: Some("Simulated".to_owned()),
        warning: Some(false),
        caution: None,
        first_seen: at,
        last_changed: at,
    }
}

/// What merging carries over of a market: the keys of late.
pub(crate) fn carried(keys: u64) -> Vec<u8> {
    let seen: Vec<u64> = (0..keys).map(|key| u64::MAX - key).collect();
    serde_json::json!({ "seen": seen, "seen_at": 1_700_000_000_000_000_i64 }).to_string().into()
}
