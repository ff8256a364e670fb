//! What a compaction leaves is pressed harder than what came just now.

use parquet::column::page::Page;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;

use super::*;
use crate::model::record::Body;

/// Books that follow each other: on each side up to three sizes change, and sometimes a level goes;
/// `part` of every two.
fn books(part: usize) -> Vec<Row> {
    // A sequence without a pattern.
    let mut seed = 1_u64;
    let mut draw = |of: u32| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(seed >> 32).unwrap() % of
    };
    let level = |step: u32, size: u32| (f64::from(step) * 1e3, f64::from(size) / 1e8);
    let mut next = 30;
    let mut sides = [(); 2].map(|()| (0..30).map(|step| level(step, step)).collect::<Vec<_>>());
    let mut rows = Vec::new();
    for frame in 0..4_000 {
        for side in &mut sides {
            for _ in 0..draw(4) {
                side[usize::try_from(draw(30)).unwrap()].1 = level(0, draw(u32::MAX)).1;
            }
            if draw(4) == 0 {
                side.remove(usize::try_from(draw(30)).unwrap());
                side.push(level(next, draw(u32::MAX)));
                next += 1;
            }
        }
        let mut row = sample::row(Stream::Orderbook, "KRW-BTC", frame * 100_000, frame, true);
        let Body::Orderbook(book) = &mut row.body else { unreachable!() };
        let [asks, bids] = &sides;
        book.ask_price = asks.iter().map(|(price, _)| *price).collect();
        book.ask_size = asks.iter().map(|(_, size)| *size).collect();
        book.bid_price = bids.iter().map(|(price, _)| *price).collect();
        book.bid_size = bids.iter().map(|(_, size)| *size).collect();
        rows.push(row);
    }
    let halves = rows.into_iter().enumerate().filter(|(place, _)| place % 2 == part);
    halves.map(|(_, row)| row).collect()
}

/// Bytes of each page of data before compression, of one column after the other.
fn pages(home: &Home, name: &PartName) -> Vec<usize> {
    let file = std::fs::File::open(home.paths.part(name)).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let mut pages = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).unwrap();
        for column in 0..group.num_columns() {
            let mut reader = group.get_column_page_reader(column).unwrap();
            while let Some(page) = reader.get_next_page().unwrap() {
                let data = !matches!(page, Page::DictionaryPage { .. });
                pages.extend(data.then(|| page.buffer().len()));
            }
        }
    }
    pages
}

#[test]
fn a_compaction_presses_harder_and_says_the_same() {
    let home = Home::new();
    let (name, halves) = (|number| sample::name(Stream::Orderbook, number), [books(0), books(1)]);
    let all = halves.concat();
    let sources = [home.publish(&name(1), &halves[0]), home.publish(&name(2), &halves[1])];
    let at_once = home.publish(&name(3), &all);

    let wanted = Compaction { sources: &sources, numbers: 4..5, by_market: false };
    let mut compacted = compact(&home.fs, &home.paths, &wanted).unwrap();
    let (part, _) = compacted.parts.pop().unwrap();
    let merged = part.publish(home.fs.as_ref()).unwrap();

    assert_eq!(home.rows(&merged), in_order(&all));
    assert!(
        merged.bytes * 100 < at_once.bytes * 95,
        "{} bytes, {} as they came",
        merged.bytes,
        at_once.bytes
    );
    // Longer pages are pressed as lightly as those of a part that just came.
    let pages = pages(&home, &merged.name);
    let longest = *pages.iter().max().unwrap();
    assert!((240 << 10..=256 << 10).contains(&longest), "the longest page has {longest} bytes");
}
