//! Markets that the venue does not list any more, or that nobody wants.

use std::collections::HashMap;

use super::*;

#[test]
fn a_market_that_is_delisted_while_it_is_away_is_no_gap_for_ever() {
    let begin = "open 1 0 trade:A,B book:A\n served 1 1 trade:A,B\n served 1 1 book:A\n
        close 1 10 proven 9 disconnect\n";
    let check = |more: &str, expected: &[&str]| {
        let mut presence = start(Past::default());
        assert_eq!(ledger(&mut presence, &[begin, more].concat()), expected, "{more}");
    };
    let book = "orderbook * 9-… disconnect open";
    check("gone 1 20 C", &["trade * 9-… disconnect open", book]);
    // The other one is back: its row ends there, and that of the lost one where it is known.
    let back = "gone 1 20 B\n open 2 11 trade:A\n served 2 12 trade:A";
    check(back, &["trade * 9-12 disconnect open", book, "trade B 9-20 disconnect open"]);
    let both = "gone 1 20 B\n gone 1 30 A";
    let books = "orderbook * 9-9 disconnect beyond_repair";
    let trades = "trade * 9-9 disconnect open";
    let rows = [trades, books, "trade B 9-20 disconnect open"];
    check(
        both,
        &[
            &rows[..],
            &["trade A 9-30 disconnect open", "orderbook A 9-30 disconnect beyond_repair"],
        ]
        .concat(),
    );
    // One of an earlier run, and one that was refused.
    let gap = |market: Option<&str>| Gap {
        venue: "v".into(),
        stream: Stream::Trade,
        market: market.map(Market::new),
        from: at(90),
        to: None,
        cause: GapCause::Refused,
        state: GapState::Open,
        rows_repaired: 0,
        source: None,
        detail: String::new(),
    };
    let past = Past { lasting: vec![(4, gap(Some("B")))], next_gap: 5, ..Past::default() };
    assert_eq!(ledger(&mut start(past), "gone 1 120 B"), ["trade B 90-120 refused open"]);
}

/// What is away in the picture, by stream.
fn away(presence: &Presence) -> Vec<String> {
    let roll = presence.roll();
    let away =
        roll.streams.iter().filter_map(|((_, stream), one)| Some((stream, one.away.as_ref()?)));
    away.map(|(stream, (_, markets))| format!("{stream} {markets}")).collect()
}

#[test]
fn nobody_misses_what_is_not_wanted_any_more() {
    // B is delisted while both are away: its part of the gap ends with that.
    let script = "want 0 0 trade:A,B
        open 1 0 trade:A,B
        served 1 1 trade:A,B
        close 1 10 proven 9 disconnect";
    let mut presence = start(Past::default());
    assert_eq!(ledger(&mut presence, script), ["trade * 9-… disconnect open"]);
    assert_eq!(away(&presence), ["trade 2"]);
    step(&mut presence, "want 0 20 trade:A");
    assert_eq!(away(&presence), ["trade 1"]);
    let back = "open 2 29 trade:A\n served 2 30 trade:A";
    assert_eq!(ledger(&mut presence, back), ["trade * 9-30 disconnect open"]);
    assert_eq!(away(&presence), <[&str; 0]>::default());
    // Nothing at all is wanted of a stream: its gap ends there. Wanted again, it misses the rest.
    let script = "want 0 0 trade:A
        open 1 0 trade:A
        served 1 1 trade:A
        close 1 10 proven 9 disconnect
        want 0 20
        want 0 50 trade:A
        open 2 51 trade:A
        served 2 52 trade:A";
    check(script, &["trade * 9-20 disconnect open", "trade * 20-52 stopped open"]);
    // A connection that dies before its successor has taken over leaves no gap of what goes.
    check(
        "want 0 0 trade:A,B book:A
        open 1 0 trade:A,B book:A
        served 1 1 trade:A,B
        served 1 1 book:A
        want 0 20 trade:A
        close 1 21 proven 21 disconnect
        open 2 22 trade:A
        served 2 23 trade:A",
        &["trade * 21-23 disconnect open"],
    );
}

#[test]
fn a_gap_of_an_earlier_run_of_what_nobody_wants_is_not_one_of_now() {
    let lasting = |id, market| {
        let gap = Gap {
            venue: "v".into(),
            stream: Stream::Trade,
            market: Some(Market::new(market)),
            from: at(90),
            to: None,
            cause: GapCause::Disconnect,
            state: GapState::Open,
            rows_repaired: 0,
            source: None,
            detail: String::new(),
        };
        (id, gap)
    };
    let key = |market| key(&"v".into(), Stream::Trade, &Market::new(market));
    let past = Past {
        proven: HashMap::from([(key("A"), at(90)), (key("OLD"), at(90))]),
        lasting: vec![lasting(1, "A"), lasting(2, "OLD")],
        next_gap: 3,
        ..Past::default()
    };
    let mut presence = start(past);
    assert_eq!(away(&presence), ["trade 2"]);
    step(&mut presence, "want 0 160 trade:A");
    assert_eq!(away(&presence), ["trade 1"]);
}
