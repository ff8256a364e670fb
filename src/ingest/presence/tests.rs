//! Scripts of session events, and the ledger that they must leave.

mod unwanted;

use std::collections::HashMap;

use super::*;
use crate::store::catalog::SessionTally;

/// Trades can be had again, books cannot.
fn repairable(_: &str, stream: Stream) -> bool {
    stream == Stream::Trade
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

fn start(past: Past) -> Presence {
    Presence::new(past, repairable)
}

/// Runs a script, one word group a line, and returns the ledger in order of the gaps' numbers.
///
/// `open S T trade:A,B book:A` · `served S T trade:A` · `unserved S T trade:A` ·
/// `gone S T A` · `alive S T` · `close S T proven P cause` (cause `none`: on purpose).
fn ledger(presence: &mut Presence, script: &str) -> Vec<String> {
    let mut gaps: BTreeMap<i64, Gap> = BTreeMap::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        step(presence, line);
        for (id, gap) in presence.drain(false).gaps {
            gaps.insert(id, gap);
        }
    }
    gaps.values().map(show).collect()
}

fn step(presence: &mut Presence, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let session: i64 = words[1].parse().expect("a session");
    let when = at(words[2].parse().expect("a second"));
    match words[0] {
        "open" => presence.opened(SessionOpened {
            session,
            venue: "v".into(),
            endpoint: "ws://v".into(),
            subscriptions: words[3..].iter().flat_map(|word| subscriptions(word)).collect(),
            line: 1,
            at: when,
        }),
        "want" => presence.wanted(&Wanted {
            venue: "v".into(),
            subscriptions: words[3..].iter().flat_map(|word| subscriptions(word)).collect(),
            at: when,
        }),
        "served" => {
            for one in subscriptions(words[3]) {
                presence.served(session, one.stream, &one.market, when);
            }
        }
        "unserved" => {
            for one in subscriptions(words[3]) {
                presence.unserved(session, one.stream, &one.market);
            }
        }
        "gone" => presence.gone(when, |_, market| market.as_str() == words[3]),
        "alive" => presence.alive(session, when, 0, 0),
        "close" => presence.closed(&SessionClosed {
            session,
            at: when,
            proven_until: at(words[4].parse().expect("a second")),
            cause: words[5].parse().ok(),
            why: "because".into(),
            frames: 0,
            bytes: 0,
        }),
        other => panic!("no step {other}"),
    }
}

fn subscriptions(word: &str) -> Vec<Subscription> {
    let (stream, markets) = word.split_once(':').expect("stream:markets");
    let stream = if stream == "trade" { Stream::Trade } else { Stream::Orderbook };
    let one = |market| Subscription { stream, market: Market::new(market), depth: None };
    markets.split(',').map(one).collect()
}

fn show(gap: &Gap) -> String {
    let market = gap.market.as_ref().map_or("*", Market::as_str);
    let second = |at: Timestamp| at.micros() / 1_000_000;
    let to = gap.to.map_or("…".to_owned(), |to| second(to).to_string());
    format!("{} {market} {}-{to} {} {}", gap.stream, second(gap.from), gap.cause, gap.state)
}

fn check(script: &str, expected: &[&str]) {
    assert_eq!(ledger(&mut start(Past::default()), script), expected, "{script}");
}

#[test]
fn an_untroubled_session_leaves_nothing() {
    check(
        "open 1 0 trade:A,B book:A\n served 1 1 trade:A,B\n alive 1 9\n close 1 10 proven 10 none",
        &[],
    );
}

#[test]
fn a_death_is_a_gap_from_the_last_proof_to_the_first_frame() {
    let script = "open 1 0 trade:A,B book:A,B
        served 1 1 trade:A,B
        served 1 1 book:A,B
        close 1 10 proven 9 disconnect";
    check(script, &["trade * 9-… disconnect open", "orderbook * 9-… disconnect open"]);
    let back = "
        open 2 12 trade:A,B book:A,B
        served 2 13 trade:A
        served 2 13 book:A,B
        served 2 15 trade:B";
    check(
        &format!("{script}{back}"),
        &["trade * 9-15 disconnect open", "orderbook * 9-13 disconnect beyond_repair"],
    );
}

#[test]
fn a_second_line_leaves_no_gap() {
    check(
        "open 1 0 trade:A
        open 2 0 trade:A
        served 1 1 trade:A
        served 2 2 trade:A
        close 1 5 proven 5 disconnect
        open 3 6 trade:A
        served 3 7 trade:A
        close 2 8 proven 8 silence
        alive 3 9",
        &[],
    );
}

#[test]
fn both_lines_dead_is_a_gap_from_the_later_proof() {
    check(
        "open 1 0 trade:A
        open 2 0 trade:A
        served 1 1 trade:A
        served 2 1 trade:A
        close 1 5 proven 5 disconnect
        close 2 8 proven 7 silence
        open 3 9 trade:A
        served 3 10 trade:A",
        &["trade * 7-10 silence open"],
    );
}

#[test]
fn a_successor_that_took_over_leaves_no_gap() {
    check(
        "open 1 0 trade:A
        served 1 1 trade:A
        open 2 50 trade:A,B
        served 2 51 trade:A,B
        close 1 52 proven 52 none",
        &[],
    );
}

#[test]
fn what_is_never_served_is_refused_by_name() {
    check(
        "open 1 0 trade:A,NOPE
        served 1 1 trade:A
        unserved 1 10 trade:NOPE
        unserved 1 10 trade:NOPE
        close 1 20 proven 20 disconnect
        open 2 21 trade:A,NOPE
        served 2 22 trade:A
        unserved 2 31 trade:NOPE",
        &["trade NOPE 0-… refused open", "trade A 20-22 disconnect open"],
    );
}

#[test]
fn a_refused_market_that_comes_after_all_ends_its_gap() {
    check(
        "open 1 0 trade:A,B
        served 1 1 trade:A
        unserved 1 10 trade:B
        served 1 40 trade:B",
        &["trade B 0-40 refused open"],
    );
}

#[test]
fn who_stays_away_after_a_death_leaves_the_row_of_all() {
    check(
        "open 1 0 trade:A,B
        served 1 1 trade:A,B
        close 1 5 proven 5 disconnect
        open 2 6 trade:A,B
        served 2 7 trade:A
        unserved 2 16 trade:B",
        &["trade * 5-7 disconnect open", "trade B 5-… refused open"],
    );
    check(
        "open 1 0 trade:A
        served 1 1 trade:A
        close 1 5 proven 5 disconnect
        open 2 6 trade:A
        unserved 2 16 trade:A",
        &["trade A 5-… refused open"],
    );
}

#[test]
fn a_session_that_dies_before_it_serves_is_a_gap_since_it_asked() {
    check(
        "open 1 3 trade:A
        close 1 4 proven 3 refused
        open 2 5 trade:A
        served 2 6 trade:A",
        &["trade * 3-6 refused open"],
    );
}

#[test]
fn the_time_between_two_runs_is_a_gap_for_what_is_recorded_again() {
    let key = |market| key(&"v".into(), Stream::Trade, &Market::new(market));
    let past = || Past {
        proven: HashMap::from([(key("A"), at(100)), (key("B"), at(100)), (key("OLD"), at(50))]),
        next_gap: 7,
        ..Past::default()
    };
    let script = "open 9 160 trade:A,B,NEW\n served 9 161 trade:A,B,NEW";
    assert_eq!(
        ledger(&mut start(past()), script),
        ["trade A 100-161 stopped open", "trade B 100-161 stopped open"]
    );
    let script = "open 9 160 trade:A,B\n served 9 161 trade:A,B";
    assert_eq!(ledger(&mut start(past()), script), ["trade * 100-161 stopped open"]);
}

#[test]
fn a_gap_of_an_earlier_run_goes_on_and_ends() {
    let lasting = Gap {
        venue: "v".into(),
        stream: Stream::Trade,
        market: None,
        from: at(90),
        to: None,
        cause: GapCause::Disconnect,
        state: GapState::Open,
        rows_repaired: 0,
        source: None,
        detail: String::new(),
    };
    let key = |market| key(&"v".into(), Stream::Trade, &Market::new(market));
    let past = Past {
        proven: HashMap::from([(key("A"), at(90)), (key("B"), at(90))]),
        lasting: vec![(3, lasting)],
        next_gap: 4,
        ..Past::default()
    };
    let script = "open 9 160 trade:A,B\n served 9 161 trade:A\n served 9 163 trade:B";
    assert_eq!(ledger(&mut start(past), script), ["trade * 90-163 disconnect open"]);
}

#[test]
fn a_killed_run_is_closed_at_its_last_proof() {
    let row = |id, proven: i64| SessionRow {
        id,
        venue: "v".into(),
        endpoint: String::new(),
        subscriptions: words(&subscriptions("trade:A")),
        opened: at(1),
        first_data: Some(at(2)),
        closed: None,
        why: None,
        frames: 5,
        bytes: 5,
        proven_until: Some(at(proven)),
        tally: SessionTally::default(),
    };
    let proven = HashMap::from([
        (key(&"v".into(), Stream::Trade, &Market::new("A")), at(30)),
        (key(&"v".into(), Stream::Trade, &Market::new("OLD")), at(10)),
    ]);
    let past =
        Past { proven, unclosed: vec![row(1, 30), row(2, 30)], next_gap: 1, ..Past::default() };
    let mut presence = start(past);
    presence.recovered(1, at(34));
    presence.recovered(2, at(20));
    presence.end_killed();
    let closed: Vec<Option<Timestamp>> =
        presence.drain(false).sessions.iter().map(|row| row.closed).collect();
    assert_eq!(closed, [Some(at(34)), Some(at(30))]);
    assert!(!presence.has_news());
    let script = "open 9 50 trade:A,OLD\n served 9 51 trade:A,OLD";
    assert_eq!(
        ledger(&mut presence, script),
        ["trade A 34-51 stopped open", "trade OLD 10-51 stopped open"]
    );
}

#[test]
fn a_publication_stores_how_long_a_session_is_proven() {
    let mut presence = start(Past::default());
    step(&mut presence, "open 1 0 trade:A");
    step(&mut presence, "served 1 1 trade:A");
    assert!(presence.has_news());
    let first = presence.drain(false);
    assert_eq!((first.sessions.len(), first.live.len()), (1, 1));
    step(&mut presence, "alive 1 60");
    assert!(!presence.has_news(), "being alive is no news");
    let row = presence.drain(true).sessions.remove(0);
    assert_eq!(row.proven_until, Some(at(60)));
    assert_eq!(Arc::as_ref(&presence.subscriptions(1)).len(), 1);
}
