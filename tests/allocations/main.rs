//! What reading a message takes of the allocator. A program of its own, because its allocator counts.

use std::sync::Arc;

use veritape::model::frame::{Frame, Origin};
use veritape::model::market::Source;
use veritape::model::record::Body;
use veritape::model::time::Timestamp;
use veritape::venue;

#[global_allocator]
static COUNTING: dhat::Alloc = dhat::Alloc;

/// The names of the fields of a level.
type Names = [&'static str; 4];

/// A book of so many levels, as the venue writes it in one of its formats.
fn book(head: &str, names: Names, tail: &str, levels: usize) -> Frame {
    let [ask_price, bid_price, ask_size, bid_size] = names;
    let level = |level: usize| {
        let (ask, bid) = (150_000_001 + level, 150_000_000 - level);
        format!(
            "{{\"{ask_price}\":{ask}.0,\"{bid_price}\":{bid}.0,\"{ask_size}\":0.{level}5,\"{bid_size}\":1.25}}"
        )
    };
    let levels: Vec<String> = (0..levels).map(level).collect();
    let text = [head, &levels.join(","), tail].concat();
    let origin = Arc::new(Origin {
        venue: "upbit".into(),
        session: 1,
        source: Source::Ws,
        stream: None,
        market: None,
    });
    Frame::arrived(Timestamp::from_millis(1_760_000_000_000), origin, text.into())
}

#[test]
fn the_levels_of_a_book_take_no_allocations_of_their_own() {
    let _counts = dhat::Profiler::builder().testing().build();
    let upbit = venue::by_name("upbit").expect("the venue");
    let table = [
        (
            "{\"ty\":\"orderbook\",\"cd\":\"KRW-BTC\",\"tms\":1760000000000,\"tas\":9.5,\"tbs\":8.25,\"obu\":[",
            ["ap", "bp", "as", "bs"],
            "],\"lv\":0,\"st\":\"REALTIME\"}",
        ),
        (
            "{\"type\":\"orderbook\",\"code\":\"KRW-BTC\",\"timestamp\":1760000000000,\"total_ask_size\":9.5,\
             \"total_bid_size\":8.25,\"orderbook_units\":[",
            ["ask_price", "bid_price", "ask_size", "bid_size"],
            "],\"level\":0,\"stream_type\":\"REALTIME\"}",
        ),
    ];
    for (head, names, tail) in table {
        // What is kept from book to book is there from the second on.
        let first = book(head, names, tail, 30);
        upbit.decode(&first, &mut Vec::new()).expect("decodes");
        let counts = [1, 2, 5, 15, 30].map(|levels| {
            let frame = book(head, names, tail, levels);
            let mut records = Vec::with_capacity(1);
            let before = dhat::HeapStats::get().total_blocks;
            upbit.decode(&frame, &mut records).expect("decodes");
            let blocks = dhat::HeapStats::get().total_blocks - before;
            let Some(Body::Orderbook(book)) = records.first().map(|record| &record.body) else {
                panic!("no book");
            };
            assert_eq!(book.ask_price.len(), levels);
            blocks
        });
        assert_eq!(counts, [1; 5], "one for all of a book, and none for its lists");
    }
}
