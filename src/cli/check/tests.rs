use super::*;
use crate::venue::VENUES;

fn plan(markets: u16, lines: u8, held: &[(Stream, u64)]) -> Plan {
    let streams = [Stream::Trade, Stream::Orderbook];
    let venue = *VENUES.first().unwrap();
    let code = |number: u16| format!("KRW-X{number}");
    let all = (0..markets).flat_map(|number| streams.map(|stream| (stream, code(number))));
    let wanted: Vec<Subscription> =
        all.map(|(stream, code)| venue.subscription(stream, &code).unwrap()).collect();
    let key = |stream| (SmolStr::new_static(venue.name()), stream);
    let held = held.iter().map(|(stream, bytes)| (key(*stream), *bytes)).collect();
    Plan::of(venue, &wanted, lines, &held)
}

fn ground() -> Ground {
    Ground {
        free_bytes: 1 << 40,
        min_free_bytes: 1 << 28,
        retired: 0,
        warn_days: 7,
        keeps_raw: false,
        files_limit: Some(1_024),
        held_by: None,
    }
}

#[test]
fn all_markets_take_what_was_seen_of_them() {
    let plan = plan(855, 2, &[]);
    assert_eq!((plan.markets, plan.connections(), plan.lines), (855, 2, 2));
    let [trade, book] = &plan.streams[..] else { panic!("two streams") };
    // 790 a second on each line, which the two of them share rows of.
    assert_eq!(book.frames_per_s().unwrap().to_string(), "1579.9");
    assert_eq!(book.bytes_per_day, Some(79_831 * 70 * 855));
    assert!(book.raw_per_day > 2 * 40_000_000_000, "{}", book.raw_per_day);
    assert_eq!((trade.markets, trade.basis), (855, Basis::Typical));
    let (with, without) = (plan.bytes_per_day(true), plan.bytes_per_day(false));
    assert!(with > without && without > book.bytes_per_day);
}

#[test]
fn what_the_folder_took_goes_before_what_is_usual() {
    let plan = plan(3, 1, &[(Stream::Trade, 7), (Stream::Orderbook, 3)]);
    assert_eq!(plan.bytes_per_day(false), Some(10));
    assert!(plan.streams.iter().all(|one| one.basis == Basis::History));
}

#[test]
fn what_is_too_small_is_named() {
    let gib = 1_u64 << 30;
    let plan = plan(3, 1, &[(Stream::Trade, gib), (Stream::Orderbook, gib)]);
    let check = |ground: Ground, expected: &[&str]| {
        let found = ground.problems(&plan);
        let names: Vec<_> = found.iter().map(|(what, _)| *what).collect();
        assert_eq!(names, expected, "{found:?}");
    };
    check(ground(), &[]);
    check(Ground { free_bytes: 13 * gib, ..ground() }, &["disk"]);
    check(Ground { free_bytes: 13 * gib, retired: gib, ..ground() }, &[]);
    check(Ground { free_bytes: 0, ..ground() }, &["disk"]);
    check(Ground { files_limit: Some(100), ..ground() }, &["open_files"]);
    check(Ground { files_limit: None, ..ground() }, &[]);
    check(Ground { free_bytes: 1, files_limit: Some(1), ..ground() }, &["disk", "open_files"]);
}
