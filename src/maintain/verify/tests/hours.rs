//! Hours: what was recorded, lost and had again, and what verify says of it then and later.

use super::home::{Home, S1, at};
use crate::maintain::coverage::{calendar, hours};
use crate::model::condition::Condition;
use crate::model::gap::{Gap, GapCause, GapState};
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::store::catalog::{Change, Filter, HourRows, Recount};
use crate::store::segment;

use Condition::{Complete, Degraded, Missing, Repaired, Unproven};

/// The conditions of the three hours of `KRW-A` that `coverage` tells of a stream.
fn told(home: &Home, stream: Stream) -> Vec<Condition> {
    let market = Some(Market::new("KRW-A"));
    let filter = Filter { stream: Some(stream), market, ..Filter::default() };
    hours(&home.catalog(), &filter).unwrap().into_iter().map(|hour| hour.condition).collect()
}

fn gap(home: &Home, id: i64, stream: Stream, seconds: [i64; 2], state: GapState) {
    let gap = Gap {
        venue: super::home::VENUE.into(),
        stream,
        market: None,
        from: at(seconds[0]),
        to: Some(at(seconds[1])),
        cause: GapCause::Disconnect,
        state,
        rows_repaired: 0,
        source: None,
        detail: "it ended".into(),
    };
    home.catalog().publish(&Change { gaps: vec![(id, gap)], ..Change::default() }).unwrap();
}

/// Says that nothing was live in these seconds.
fn cut(home: &Home, stream: Stream, seconds: [i64; 2]) {
    let [from, to] = seconds.map(|second| at(second).micros());
    home.sql(&format!(
        "INSERT INTO sessions SELECT (SELECT max(id) + 1 FROM sessions), venue, endpoint, subscriptions,
            {to}, {to}, closed, why, 0, 0, proven_until, 0, 0, 0, 0 FROM sessions WHERE id = 1"
    ));
    home.sql(&format!(
        "INSERT INTO live SELECT (SELECT max(id) FROM sessions), stream, market, venue, {to}, to_us
            FROM live WHERE session = 1 AND stream = '{stream}'"
    ));
    home.sql(&format!("UPDATE live SET to_us = {from} WHERE session = 1 AND stream = '{stream}'"));
}

/// Takes the rows of `KRW-A` at some seconds out of the files and out of the count.
fn remove(home: &Home, stream: Stream, gone: std::ops::Range<i64>) {
    let filter = Filter { stream: Some(stream), ..Filter::default() };
    let old = home.catalog().segments(&filter).unwrap();
    let retired: Vec<u64> = old.iter().map(|segment| segment.name.number).collect();
    let stays = (0..130 * 60).step_by(30).flat_map(|second| {
        let a = (!gone.contains(&second)).then(|| home.row(stream, "KRW-A", second));
        a.into_iter().chain([home.row(stream, "KRW-B", second)])
    });
    home.sql(&format!("DELETE FROM hours WHERE stream = '{stream}'"));
    home.publish(stream, &stays.collect::<Vec<_>>());
    home.catalog().publish(&Change { retired, ..Change::default() }).unwrap();
    for segment in &old {
        std::fs::remove_file(home.paths.part(&segment.name)).unwrap();
    }
}

#[test]
fn an_hour_is_complete_until_it_changes() {
    let home = Home::recorded();
    assert_eq!(told(&home, Stream::Trade), [Unproven; 3], "nobody has looked");
    assert!(home.verify().is_good());
    for stream in [Stream::Trade, S1] {
        assert_eq!(told(&home, stream), [Complete; 3], "{stream}");
    }
    assert_eq!(told(&home, Stream::Orderbook), [Unproven; 3], "nothing tells the same as a book");
    // A candle more, a gap more: what was found is about another state.
    home.publish(S1, &[home.row(S1, "KRW-A", 3_601)]);
    assert_eq!(told(&home, Stream::Trade), [Complete, Unproven, Complete]);
    gap(&home, 1, Stream::Trade, [7_300, 7_301], GapState::Repaired);
    assert_eq!(told(&home, Stream::Trade), [Complete, Unproven, Unproven]);
    let report = home.verify();
    assert_eq!(told(&home, Stream::Trade), [Complete, Degraded, Repaired], "{:#?}", report.hours);
    home.sql("UPDATE live SET to_us = to_us - 1 WHERE stream = 'trade'");
    assert_eq!(told(&home, Stream::Trade)[2], Unproven);
}

#[test]
fn what_was_removed_is_placed() {
    let home = Home::recorded();
    remove(&home, Stream::Trade, 3_630..3_631);
    let report = home.verify();
    assert_eq!(report.faults, Vec::new(), "the files are what the catalog says");
    let bad: Vec<_> = report.hours.iter().filter(|hour| hour.condition.is_bad()).collect();
    let places: Vec<_> = bad.iter().map(|hour| (hour.stream, hour.hour)).collect();
    assert_eq!(places, [(Stream::Trade, at(3_600)), (S1, at(3_600))], "{bad:#?}");
    let numbers = super::numbers(bad[0]);
    assert_eq!(numbers.disagreeing, 1);
    let one = &numbers.disagreements[0];
    assert_eq!((one.at, one.with), (at(3_630), S1));
    assert_eq!(one.what, "a candle with volume 2, and no trade");
    assert_eq!(told(&home, Stream::Trade), [Complete, Degraded, Complete]);

    let home = Home::recorded();
    remove(&home, Stream::Trade, 3_600..7_200);
    assert_eq!(home.verify().count(Missing), 1);
    assert_eq!(told(&home, Stream::Trade), [Complete, Missing, Complete]);
}

#[test]
fn a_damaged_file_makes_its_hours_worse() {
    let home = Home::recorded();
    let part = home.part(Stream::Trade, 1);
    std::fs::write(home.paths.part(&part.name), b"PAR1").unwrap();
    home.verify();
    assert_eq!(told(&home, Stream::Trade), [Complete, Missing, Complete]);
    let trades = segment::checksum(home.fs.as_ref(), &home.paths.part(&part.name)).unwrap();
    assert_eq!(trades.0, 4, "verify changes no file");
    // Made again, with as many rows as before, the hour waits for somebody to look.
    let (first, last) = (at(3_600), at(3_600));
    let hours = ["KRW-A", "KRW-B"].map(|market| HourRows {
        venue: super::home::VENUE.into(),
        stream: S1,
        market: Some(Market::new(market)),
        hour: first,
        rows: 120,
        first,
        last,
    });
    let venue = super::home::VENUE.into();
    let recount = Recount { venue, stream: S1, first, last, hours: hours.into() };
    home.catalog().publish(&Change { recounts: vec![recount], ..Change::default() }).unwrap();
    assert_eq!(told(&home, Stream::Trade), [Complete, Unproven, Complete]);
}

#[test]
fn a_gap_counts_by_what_became_of_it() {
    for (state, conditions) in [
        (GapState::Open, [Complete, Degraded, Complete]),
        (GapState::Partial, [Complete, Degraded, Complete]),
        (GapState::BeyondRepair, [Complete, Degraded, Complete]),
        (GapState::Repaired, [Complete, Repaired, Complete]),
    ] {
        let home = Home::recorded();
        for (id, stream) in [(1, Stream::Trade), (2, S1)] {
            cut(&home, stream, [4_000, 4_100]);
            gap(&home, id, stream, [4_000, 4_100], state);
        }
        let had_again = state == GapState::Repaired;
        if !had_again {
            remove(&home, Stream::Trade, 4_000..4_100);
        }
        let report = home.verify();
        assert_eq!(report.is_good(), had_again, "{:#?}", report.hours);
        assert_eq!(told(&home, Stream::Trade), conditions, "{state}");
        // What a repair did not bring is found, whatever the ledger says.
        if had_again {
            remove(&home, Stream::Trade, 4_020..4_021);
            remove(&home, Stream::Trade, 4_020..4_080);
            home.verify();
            assert_eq!(told(&home, Stream::Trade), [Complete, Degraded, Complete]);
        }
    }
}

#[test]
fn an_hour_of_a_gap_without_a_row_is_missing() {
    let home = Home::recorded();
    for (id, stream) in [(1, Stream::Trade), (2, S1), (3, Stream::Orderbook)] {
        cut(&home, stream, [3_500, 7_300]);
        gap(&home, id, stream, [3_500, 7_300], GapState::Open);
        remove(&home, stream, 3_500..7_300);
    }
    home.verify();
    for stream in [Stream::Trade, S1] {
        assert_eq!(told(&home, stream), [Degraded, Missing, Degraded], "{stream}");
    }
    assert_eq!(told(&home, Stream::Orderbook), [Degraded, Missing, Degraded]);
    let filter = Filter { stream: Some(Stream::Trade), ..Filter::default() };
    let of_all = calendar(&home.catalog(), &filter, false).unwrap();
    assert_eq!(of_all.len(), 1);
    // The other market has rows in that hour, but the gap is of all markets.
    assert_eq!(
        of_all[0].hours[9..14],
        [None, Some(Degraded), Some(Degraded), Some(Degraded), None]
    );
    let by_market = calendar(&home.catalog(), &filter, true).unwrap();
    assert_eq!(by_market.len(), 2);
    assert_eq!(by_market[0].hours[11], Some(Missing));
    assert_eq!(by_market[0].condition(), Some(Degraded));
}

#[test]
fn tickers_prove_where_no_candles_are_recorded() {
    let home = Home::recorded();
    home.sql("DELETE FROM live WHERE stream = 'candle.1s'");
    assert!(home.verify().is_good());
    assert_eq!(told(&home, Stream::Trade), [Complete; 3]);
    remove(&home, Stream::Trade, 3_630..3_631);
    let report = home.verify();
    assert_eq!(told(&home, Stream::Trade), [Complete, Degraded, Complete], "{:#?}", report.hours);
    // The venue's count begins anew with the day, and without tickers nobody knows.
    let home = Home::recorded();
    home.sql("DELETE FROM live WHERE stream = 'candle.1s'");
    remove(&home, Stream::Ticker, 0..7_800);
    home.verify();
    assert_eq!(told(&home, Stream::Trade), [Unproven; 3]);
}
