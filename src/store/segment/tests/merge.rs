//! Parts made of other parts, against the plainest model: filter, join, sort.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::market::Market;
use crate::model::subscription::CandleUnit;

const STREAM: Stream = Stream::Candle(CandleUnit::M1);

fn candle(market: &str, offset: i64, frame: i64) -> Row {
    sample::row(STREAM, market, offset, frame, frame % 3 == 0)
}

/// Writes the bases, merges them with `rows`, and compares with the model.
fn check(bases: &[(Vec<Row>, Keys)], rows: &[Row]) {
    let home = Home::new();
    let segments: Vec<Segment> = (1..)
        .zip(bases)
        .map(|(number, (rows, _))| home.publish(&sample::name(STREAM, number), rows))
        .collect();
    let taken: Vec<Base<'_>> = segments
        .iter()
        .zip(bases)
        .map(|(segment, (_, drop))| Base::published(segment, Omit::Keys(drop)))
        .collect();
    let name = sample::name(STREAM, 100);

    // Bases come before new rows where keys are equal.
    let key = |row: &Row| (row.head.market.clone().unwrap(), row.time());
    let kept = bases.iter().flat_map(|(rows, drop)| {
        let mut rows: Vec<&Row> = rows.iter().filter(|row| !drop.contains(&key(row))).collect();
        rows.sort_by_key(|row| (key(row), row.head.frame));
        rows
    });
    let expected: Vec<Row> = kept.chain(rows).cloned().collect();
    let result = home.write(&name, rows, &taken);
    if expected.is_empty() {
        assert!(matches!(result, Err(SegmentError::Misfit { .. })));
        return;
    }
    let written = result.unwrap();
    let all: usize = bases.iter().map(|(rows, _)| rows.len()).sum();
    assert_eq!(written.dropped(), (all + rows.len() - expected.len()) as u64);
    assert_eq!(written.segment().rows, expected.len() as u64);
    let segment = written.publish(home.fs.as_ref()).unwrap();
    assert_eq!(home.rows(&segment), in_order(&expected));
}

#[test]
fn a_revised_candle_takes_the_place_of_the_old_one() {
    let old = vec![candle("KRW-BTC", 0, 1), candle("KRW-BTC", 60, 2), candle("KRW-ETH", 60, 3)];
    let drop = Keys::from([(Market::new("KRW-BTC"), sample::at(60))]);
    check(&[(old.clone(), drop.clone())], &[candle("KRW-BTC", 60, 9)]);
    check(&[(old.clone(), Keys::new())], &[candle("KRW-ADA", 60, 9)]);
    check(&[(old.clone(), drop.clone()), (vec![candle("KRW-BTC", 60, 4)], drop.clone())], &[]);
    check(&[(vec![candle("KRW-BTC", 60, 4)], drop)], &[]);
}

#[test]
fn a_merge_crosses_the_borders_of_batches() {
    let many = |from: i64, step: i64, count: i64, frame: i64| {
        let rows: Vec<Row> = (0..count)
            .map(|one| {
                candle(["KRW-A", "KRW-B"][usize::from(one % 5 == 0)], from + one * step, frame)
            })
            .collect();
        (rows, Keys::new())
    };
    let bases = [many(0, 2, 5_000, 1), many(1, 2, 3_000, 2), many(0, 1, 7, 3)];
    check(&bases, &many(0, 3, 4_100, 4).0);
}

#[test]
fn a_file_that_goes_while_it_is_read_is_read_to_its_end() {
    let home = Home::new();
    let name = sample::name(STREAM, 1);
    let rows: Vec<Row> = (0..40_000).map(|one| candle("KRW-A", one, 1)).collect();
    let segment = home.publish(&name, &rows);
    let (mut count, scratch) = (0, home.paths.data().join("scratch"));
    let sources = [segment];
    let read = select(&home.fs, &home.paths, &sources, &Wanted::default(), &scratch, |cells| {
        home.fs.remove(&home.paths.part(&name)).unwrap();
        count += cells.rows().len();
        Ok::<_, SegmentError>(())
    });
    read.unwrap();
    assert_eq!(count, rows.len());
    let read = select(&home.fs, &home.paths, &sources, &Wanted::default(), &scratch, |_| {
        Ok::<_, SegmentError>(())
    });
    assert!(read.is_err_and(|error| error.is_gone()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_merge_agrees_with_the_model(
        parts in prop::collection::vec(
            (prop::collection::btree_map((0_usize..3, 0_i64..12), 0_i64..5, 1..20),
             prop::collection::btree_set((0_usize..3, 0_i64..12), 0..6)), 0..4),
        added in prop::collection::btree_map((0_usize..3, 0_i64..12), 0_i64..5, 0..10),
    ) {
        const MARKETS: [&str; 3] = ["KRW-A", "KRW-B", "ÄRW"];
        let rows = |cells: &BTreeMap<(usize, i64), i64>| -> Vec<Row> {
            cells.iter().map(|((market, offset), frame)| candle(MARKETS[*market], *offset, *frame)).collect()
        };
        let parts: Vec<(Vec<Row>, Keys)> = parts
            .iter()
            .map(|(cells, drop)| {
                let drop = drop.iter().map(|(market, offset)| (Market::new(MARKETS[*market]), sample::at(*offset)));
                (rows(cells), drop.collect())
            })
            .collect();
        check(&parts, &rows(&added));
    }
}
