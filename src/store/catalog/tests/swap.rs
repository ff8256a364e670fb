//! Parts that take the place of others.

use super::*;
use crate::store::catalog::Recount;

#[test]
fn a_name_that_is_planned_is_removed_unless_it_is_published() {
    let (_folder, path) = home();
    let mut catalog = Catalog::open(&path).unwrap();
    catalog.publish(&everything()).unwrap();
    let new = [segment(Stream::Trade, 3, 10, 20), segment(Stream::Trade, 4, 10, 20)];
    let planned = new.iter().map(|one| one.name.clone()).collect();
    catalog.publish(&Change { planned, ..Change::default() }).unwrap();
    let to_remove = |catalog: &Catalog| -> Vec<u64> {
        catalog.retired().unwrap().iter().map(|one| one.number).collect()
    };
    assert_eq!(to_remove(&catalog), [3, 4]);
    assert!(!catalog.knows(&new[0].name).unwrap());

    let change = Change { segments: vec![new[0].clone()], retired: vec![1], ..Change::default() };
    catalog.publish(&change).unwrap();
    assert_eq!(to_remove(&catalog), [1, 4]);
    assert!(catalog.knows(&new[0].name).unwrap());
}

#[test]
fn a_recount_takes_the_place_of_what_was_counted() {
    let (_folder, path) = home();
    let mut catalog = Catalog::open(&path).unwrap();
    let hours = [0, 1, 2, 3].map(|at| hour(Some("KRW-BTC"), at, 5, 10, 20));
    let other = HourRows { stream: Stream::Ticker, ..hours[1].clone() };
    let counted = hours.iter().cloned().chain([other]).collect();
    catalog.publish(&Change { hours: counted, ..Change::default() }).unwrap();
    let recount = Recount {
        venue: "upbit".into(),
        stream: Stream::Trade,
        first: hours[1].hour,
        last: hours[2].hour,
        hours: vec![HourRows { rows: 7, market: Some(Market::new("KRW-ETH")), ..hours[2].clone() }],
    };
    catalog.publish(&Change { recounts: vec![recount], ..Change::default() }).unwrap();
    let held = catalog.coverage(&Filter::default()).unwrap();
    let held: Vec<_> = held
        .iter()
        .map(|one| (one.stream, one.market.as_ref().map_or("", Market::as_str), one.hour, one.rows))
        .collect();
    let btc = "KRW-BTC";
    assert_eq!(
        held,
        [
            (Stream::Trade, btc, hours[0].hour, 5),
            (Stream::Trade, btc, hours[3].hour, 5),
            (Stream::Trade, "KRW-ETH", hours[2].hour, 7),
            (Stream::Ticker, btc, hours[1].hour, 5),
        ]
    );
}
