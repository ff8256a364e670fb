//! What is read of a span says of its hours what all that there is says of them.

use proptest::prelude::*;

use super::*;
use crate::model::gap::GapCause;
use crate::model::market::Source;
use crate::store::catalog::{Change, LiveSpan, SessionRow, SessionTally};
use crate::store::paths::PartName;
use crate::store::segment::{Ends, Segment};

/// Minutes of the catalogs that are tried.
const MINUTES: i64 = 12 * 60;
const MARKETS: [&str; 2] = ["KRW-A", "KRW-B"];
const STREAMS: [Stream; 2] = [Stream::Trade, Stream::Ticker];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// Sessions (start, length, whether they end) and gaps (start, length, market, stream, state), in
/// minutes and with a second more or less.
#[derive(Debug, Clone)]
struct Script {
    sessions: Vec<(i64, i64, i64, bool)>,
    gaps: Vec<(i64, i64, Option<usize>, usize, GapState, i64)>,
}

fn scripts() -> impl Strategy<Value = Script> {
    let state = prop::sample::select(GapState::ALL);
    let session = (0..MINUTES, 1..200_i64, -1..=1_i64, prop::bool::weighted(0.9));
    // Of a length of 0 is one that lasts.
    let gap = (0..MINUTES, 0..200_i64, prop::option::of(0..2_usize), 0..2_usize, state, -1..=1_i64);
    (prop::collection::vec(session, 1..12), prop::collection::vec(gap, 0..12))
        .prop_map(|(sessions, gaps)| Script { sessions, gaps })
}

fn catalog(script: &Script, folder: &std::path::Path) -> Catalog {
    let ends = Ends { min: at(0), max: at(MINUTES * 90) };
    let name = PartName { stream: STREAMS[0], venue: "v".into(), date: at(0).date(), number: 1 };
    // Everything that arrived is published.
    let segment = Segment {
        name,
        rows: 1,
        bytes: 1,
        blake3: String::new(),
        format_version: 1,
        ts_event: ends,
        ts_recv: ends,
        frames: Ends { min: 1, max: 1 },
    };
    let mut change = Change { segments: vec![segment], ..Change::default() };
    for (id, (from, length, more, ends)) in (1_i64..).zip(&script.sessions) {
        let (from, to) = (at(from * 60), at((from + length) * 60 + more));
        change.sessions.push(SessionRow {
            id,
            venue: "v".into(),
            endpoint: String::new(),
            subscriptions: "{}".to_owned(),
            opened: from,
            first_data: Some(from),
            closed: ends.then_some(to),
            why: None,
            frames: 1,
            bytes: 1,
            proven_until: Some(to),
            tally: SessionTally::default(),
        });
        for stream in STREAMS {
            change.live.extend(MARKETS.map(|market| LiveSpan {
                session: id,
                venue: "v".into(),
                stream,
                market: Market::new(market),
                from,
                to: None,
            }));
        }
    }
    for (id, (from, length, market, stream, state, more)) in (1_i64..).zip(&script.gaps) {
        // Most gaps begin where a session ended.
        let ended = script.sessions.iter().map(|one| one.0 + one.1).find(|end| end > from);
        let from = at(ended.unwrap_or(*from) * 60 + more);
        let gap = Gap {
            venue: "v".into(),
            stream: STREAMS[*stream],
            market: market.map(|n| Market::new(MARKETS[n])),
            from,
            to: (*length > 0).then(|| from.after(Duration::from_secs(length.unsigned_abs() * 60))),
            cause: GapCause::Disconnect,
            state: *state,
            rows_repaired: 0,
            source: Some(Source::Rest),
            detail: String::new(),
        };
        change.gaps.push((id, gap));
    }
    let mut catalog = Catalog::open(&folder.join("catalog.sqlite")).unwrap();
    catalog.publish(&change).unwrap();
    catalog
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_part_says_what_the_whole_says(script in scripts(), first in 0..16_i64, hours in 1..4_i64) {
        let folder = tempfile::tempdir().unwrap();
        let catalog = catalog(&script, folder.path());
        let edge = Duration::from_secs(7);
        let whole = Ledger::load(&catalog, &Filter::default(), edge).unwrap();
        let within = Span::new(at(first * 3_600 + 60), at((first + hours) * 3_600 - 60));
        let part = Ledger::load(&catalog, &Filter { within, ..Filter::default() }, edge).unwrap();
        for lane in whole.all() {
            prop_assert_eq!(part.hours(lane, within), whole.hours(lane, within));
            for hour in (first..first + hours).map(|hour| at(hour * 3_600)) {
                prop_assert_eq!(part.due(lane, hour), whole.due(lane, hour), "{:?} {}", lane, hour);
            }
        }
    }
}
