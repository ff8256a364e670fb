//! What questions answer: filters, times and coverage.

use super::*;
use crate::model::span::Span;
use crate::model::subscription::CandleUnit;

#[test]
fn filters_and_times_find_files_gaps_and_sessions() {
    let (_folder, path) = home();
    let mut catalog = Catalog::open(&path).unwrap();
    let day = 24 * HOUR_US;
    let mut change = everything();
    change.segments = vec![
        segment(Stream::Trade, 1, 10, 20),
        segment(Stream::Trade, 2, 15, 40),
        segment(Stream::Trade, 3, day, day + 5),
        segment(Stream::Candle(CandleUnit::M1), 4, 10, 20),
    ];
    catalog.publish(&change).unwrap();
    for (first, last, expected) in [
        (20, 20, vec![1, 2]),
        (21, 21, vec![2]),
        (9, 9, vec![]),
        (41, day - 1, vec![]),
        (0, day, vec![1, 2, 3]),
        (day + 5, day + 9, vec![3]),
        (-5, 10, vec![1]),
    ] {
        let found = catalog.covering("upbit", Stream::Trade, at(first), at(last)).unwrap();
        assert_eq!(
            found.iter().map(|one| one.name.number).collect::<Vec<_>>(),
            expected,
            "{first}..={last}"
        );
    }
    let within = |from, to| Filter { within: Span::new(at(from), at(to)), ..Filter::default() };
    let market = |market: &str| Filter { market: Some(Market::new(market)), ..Filter::default() };
    let stream = |stream| Filter { stream: Some(stream), ..Filter::default() };
    let venue = |venue: &str| Filter { venue: Some(venue.into()), ..Filter::default() };
    for (filter, segments, gaps, sessions) in [
        (Filter::default(), 4, 2, 2),
        (venue("upbit"), 4, 2, 2),
        (venue("other"), 0, 0, 0),
        (stream(Stream::Trade), 3, 2, 2),
        (stream(Stream::Candle(CandleUnit::M1)), 1, 0, 2),
        (market("KRW-BTC"), 4, 2, 2),
        (market("KRW-ETH"), 4, 1, 2),
        (within(0, 1), 0, 0, 0),
        (within(20, 21), 3, 1, 2),
        (within(61, 62), 0, 1, 1),
    ] {
        assert_eq!(catalog.segments(&filter).unwrap().len(), segments, "{filter:?}");
        assert_eq!(catalog.gaps(&filter).unwrap().len(), gaps, "{filter:?}");
        assert_eq!(catalog.sessions(&filter).unwrap().len(), sessions, "{filter:?}");
    }
}

#[test]
fn coverage_unites_sessions_and_cuts_at_hours() {
    let (_folder, path) = home();
    let mut catalog = Catalog::open(&path).unwrap();
    let minute = 60 * SECOND_US;
    let (a, b) = ("KRW-A", "KRW-B");
    catalog
        .publish(&Change {
            // The first died: it is proven to 01:30 and no further. The third proves nothing.
            sessions: vec![
                session(1, Some(90 * minute), None),
                session(2, Some(180 * minute), Some(181 * minute)),
                session(3, None, None),
            ],
            live: vec![
                live(1, a, 10 * minute, None),
                live(2, a, 20 * minute, Some(40 * minute)),
                live(2, b, 60 * minute, Some(180 * minute)),
                live(3, b, 0, None),
            ],
            hours: vec![
                hour(Some(a), 0, 4, 0, 1),
                hour(Some(a), 5, 6, 0, 1),
                hour(None, 0, 1, 0, 0),
            ],
            ..Change::default()
        })
        .unwrap();
    let told = |filter: &Filter| -> Vec<(String, i64, u64, u64)> {
        let hours = catalog.coverage(filter).unwrap();
        let market =
            |market: Option<Market>| market.map_or(String::new(), |market| market.to_string());
        hours
            .into_iter()
            .map(|one| {
                (
                    market(one.market),
                    one.hour.micros() / HOUR_US,
                    one.rows,
                    one.covered.as_secs() / 60,
                )
            })
            .collect()
    };
    let line = |market: &str, hour, rows, minutes| (market.to_owned(), hour, rows, minutes);
    let all = [
        line("", 0, 1, 0),
        line(a, 0, 4, 50),
        line(a, 1, 0, 30),
        line(a, 5, 6, 0),
        line(b, 1, 0, 60),
        line(b, 2, 0, 60),
    ];
    assert_eq!(told(&Filter::default()), all);
    assert_eq!(told(&Filter { market: Some(Market::new(b)), ..Filter::default() }), all[4..]);
    assert_eq!(told(&Filter { stream: Some(Stream::Ticker), ..Filter::default() }), []);
    let within = Span::new(at(119 * minute), at(121 * minute));
    let told = told(&Filter { within, ..Filter::default() });
    assert_eq!(told, [all[2].clone(), all[4].clone(), all[5].clone()], "hours are told whole");
}
