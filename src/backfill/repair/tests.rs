//! Which markets a gap of all of them took.

use super::*;
use crate::ingest::presence::words;
use crate::model::gap::{GapCause, GapState};
use crate::model::subscription::Subscription;
use crate::store::catalog::{Change, LiveSpan, SessionRow, SessionTally};

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute * 60_000)
}

/// A session from minute to minute that asked for trades of some markets.
fn session(id: i64, minutes: (i64, i64), markets: &[&str]) -> SessionRow {
    let one = |market: &&str| Subscription {
        stream: Stream::Trade,
        market: Market::new(*market),
        depth: None,
    };
    SessionRow {
        id,
        venue: "v".into(),
        endpoint: String::new(),
        subscriptions: words(&markets.iter().map(one).collect::<Vec<_>>()),
        opened: at(minutes.0),
        first_data: None,
        closed: Some(at(minutes.1)),
        why: None,
        frames: 0,
        bytes: 0,
        proven_until: Some(at(minutes.1)),
        tally: SessionTally::default(),
    }
}

#[test]
fn a_gap_of_all_markets_is_never_one_of_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut catalog = Catalog::open(&folder.path().join("catalog.sqlite")).unwrap();
    let live = |session, market: &str, minutes: (i64, i64)| LiveSpan {
        session,
        venue: "v".into(),
        stream: Stream::Trade,
        market: Market::new(market),
        from: at(minutes.0),
        to: Some(at(minutes.1)),
    };
    let change = Change {
        sessions: vec![session(1, (0, 10), &["A", "B"]), session(2, (60, 70), &["C", "D"])],
        live: vec![live(1, "A", (0, 10)), live(1, "B", (0, 8)), live(2, "C", (65, 70))],
        ..Change::default()
    };
    catalog.publish(&change).unwrap();
    for (market, from, to, expected) in [
        (Some("Z"), 10, 20, &["Z"][..]),
        // Who was back after it, else who was there before.
        (None, 30, 65, &["C"]),
        (None, 10, 20, &["A"]),
        // Nobody near it: who was asked for then, and else who ever was there.
        (None, 61, 62, &["C", "D"]),
        (None, 30, 40, &["A", "B", "C"]),
    ] {
        let gap = Gap {
            venue: "v".into(),
            stream: Stream::Trade,
            market: market.map(Market::new),
            from: at(from),
            to: Some(at(to)),
            cause: GapCause::Disconnect,
            state: GapState::Open,
            rows_repaired: 0,
            source: None,
            detail: String::new(),
        };
        let found = markets_of(&catalog, &gap).unwrap();
        let found: Vec<&str> = found.iter().map(Market::as_str).collect();
        assert_eq!(found, expected, "{from} to {to}");
    }
}
