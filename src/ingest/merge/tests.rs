//! What is told twice, and what must not be taken for it.

use super::*;
use crate::model::market::{Side, Source};
use crate::model::record::{Orderbook, Trade};

const SETTLE: Duration = Duration::from_secs(5);

fn key(stream: Stream) -> LaneKey {
    LaneKey { venue: "v".into(), stream, market: Market::new("A") }
}

fn second(at: i64) -> Timestamp {
    Timestamp::from_millis(at * 1_000)
}

fn row(frame: i64, body: Body) -> Row {
    let head = Head {
        market: Some(Market::new("A")),
        ts_recv: second(frame),
        source: Source::Ws,
        snapshot: false,
        session: 1,
        frame,
    };
    Row { head, body }
}

fn trade(id: i64, price: f64) -> Body {
    Body::Trade(Trade {
        ts_event: second(1),
        ts_sent: None,
        id,
        price,
        size: 1.0,
        side: Side::Buy,
        prev_close: None,
        change: None,
        change_price: None,
        best_ask_price: None,
        best_ask_size: None,
        best_bid_price: None,
        best_bid_size: None,
    })
}

fn book(at: i64, ask: f64) -> Body {
    Body::Orderbook(Box::new(Orderbook {
        ts_event: second(at),
        total_ask_size: None,
        total_bid_size: None,
        grouping: None,
        best_ask_price: Some(ask),
        best_ask_size: Some(1.0),
        best_bid_price: None,
        best_bid_size: None,
        ask_price: [ask].into(),
        ask_size: [1.0].into(),
        bid_price: [].into(),
        bid_size: [].into(),
    }))
}

fn candle(open: i64, close: f64, last: i64) -> Body {
    Body::Candle(Candle {
        ts_open: second(open),
        open: 1.0,
        high: 9.0,
        low: 1.0,
        close,
        volume: 1.0,
        turnover: 1.0,
        ts_last: Some(second(last)),
        prev_close: None,
        change_price: None,
        change_rate: None,
        first_day: None,
    })
}

fn is_new(lanes: &mut Lanes, stream: Stream, body: Body) -> bool {
    matches!(lanes.offer(&key(stream), row(1, body)), Merged::New(_))
}

#[test]
fn trades_merge_by_id_and_by_nothing_else() {
    let mut lanes = Lanes::default();
    for (id, price, new) in
        [(1, 5.0, true), (2, 5.0, true), (1, 5.0, false), (1, 6.0, false), (3, 5.0, true)]
    {
        assert_eq!(is_new(&mut lanes, Stream::Trade, trade(id, price)), new, "{id} at {price}");
    }
    let other = LaneKey { market: Market::new("B"), ..key(Stream::Trade) };
    assert!(matches!(lanes.offer(&other, row(1, trade(1, 5.0))), Merged::New(_)));
}

#[test]
fn books_merge_by_time_and_content() {
    let mut lanes = Lanes::default();
    for (at, ask, new) in
        [(1, 5.0, true), (1, 5.0, false), (1, 6.0, true), (2, 5.0, true), (1, 5.0, false)]
    {
        assert_eq!(is_new(&mut lanes, Stream::Orderbook, book(at, ask)), new, "{ask} at {at}");
    }
}

#[test]
fn a_lane_remembers_a_bounded_number_of_keys() {
    let mut seen = Recent::new(3, Carried::default());
    let first = First { session: 1, at: second(1) };
    for key in [1, 2, 3, 4] {
        assert_eq!(seen.insert(key, first), None);
    }
    let later = First { session: 2, at: second(2) };
    assert_eq!(seen.insert(4, later), Some(first), "the newest are remembered");
    assert_eq!(seen.insert(1, later), None, "the oldest is forgotten");
    assert_eq!((seen.order.len(), seen.keys.len() + seen.rising), (3, 3));
}

#[test]
fn a_lane_forgets_what_is_old_but_for_the_latest() {
    for (apart, remembered) in [(0, 1_000), (1, 121), (2, 64), (60, 64)] {
        let mut seen = Recent::new(TRADE_KEYS, Carried::default());
        let at = |key: i64| First { session: 1, at: second(key * apart) };
        for key in 0_i64..1_000 {
            assert_eq!(seen.insert(key.cast_unsigned(), at(key)), None);
        }
        assert_eq!(seen.order.len(), remembered, "{apart} s apart");
        assert_eq!(seen.keys.len() + seen.rising, remembered, "{apart} s apart");
        assert_eq!(seen.insert(999, at(1_000)), Some(at(999)), "the newest are remembered");
    }
}

#[test]
fn a_line_that_lags_behind_a_kill_is_known_for_what_it_is() {
    let mut lanes = Lanes::default();
    let told = |lanes: &mut Lanes, id| is_new(lanes, Stream::Trade, trade(id, 1.0));
    assert!((0..5_000).all(|id| told(&mut lanes, id)));
    for restarts in 1..3 {
        let mut after = Lanes::default();
        for (key, state) in lanes.carry() {
            after.restore(key, &state).expect("reads");
        }
        lanes = after;
        assert!(told(&mut lanes, 4_999 + restarts), "a new one");
        assert!((0..5_000).all(|id| !told(&mut lanes, id)), "after {restarts} restarts");
    }
}

/// The candles that come out of a script: `offer open close last` and `now second`.
fn candles(lanes: &mut Lanes, script: &str, ending: bool) -> Vec<String> {
    let stream = Stream::Candle(CandleUnit::S1);
    let mut out = Vec::new();
    for (i, line) in script.lines().map(str::trim).enumerate() {
        let words: Vec<i64> =
            line.split_whitespace().skip(1).map(|word| word.parse().expect("a number")).collect();
        if line.starts_with("now") {
            for ripe in lanes.ripe(second(words[0]), SETTLE, ending) {
                let Body::Candle(candle) = &ripe.row.body else { panic!("a candle") };
                let open = candle.ts_open.micros() / 1_000_000;
                out.push(format!(
                    "{open}={}{}",
                    candle.close,
                    if ripe.doubtful { " again" } else { "" }
                ));
            }
        } else {
            let close = f64::from(i32::try_from(words[1]).expect("small"));
            let mut row = row(i64::try_from(i).expect("few"), candle(words[0], close, words[2]));
            row.head.ts_recv = second(words[0] + 1);
            lanes.offer(&key(stream), row);
        }
    }
    out
}

#[test]
fn the_last_state_of_a_candle_is_written_once_it_is_over() {
    for (script, expected) in [
        ("offer 10 1 10\noffer 10 2 11\nnow 15", &[][..]),
        ("offer 10 1 10\noffer 10 2 11\nnow 16", &["10=2"]),
        ("offer 10 2 11\noffer 10 1 10\nnow 16", &["10=2"]),
        ("offer 10 1 10\nnow 16\noffer 10 1 10\nnow 30", &["10=1"]),
        ("offer 10 1 10\nnow 16\noffer 10 2 11\nnow 30", &["10=1", "10=2 again"]),
        ("offer 10 2 11\nnow 16\noffer 10 1 10\nnow 30", &["10=2"]),
        ("offer 10 1 10\nnow 16\noffer 9 1 9\nnow 30", &["10=1", "9=1 again"]),
        ("offer 10 1 10\noffer 11 1 11\nnow 17", &["10=1", "11=1"]),
    ] {
        assert_eq!(candles(&mut Lanes::default(), script, false), expected, "{script}");
    }
}

#[test]
fn at_the_end_a_candle_that_is_over_is_written_and_a_forming_one_is_not() {
    let script = "offer 10 1 10\noffer 11 1 11\nnow 11";
    assert_eq!(candles(&mut Lanes::default(), script, true), ["10=1"]);
}

#[test]
fn a_carried_lane_goes_on_where_it_was() {
    let mut lanes = Lanes::default();
    is_new(&mut lanes, Stream::Trade, trade(7, 1.0));
    is_new(&mut lanes, Stream::Orderbook, book(1, 1.0));
    candles(&mut lanes, "offer 10 1 10\nnow 16\noffer 11 5 11", false);
    let carried = lanes.carry();
    assert_eq!(carried.len(), 3);
    assert!(lanes.carry().is_empty(), "nothing changed since");

    let mut after = Lanes::default();
    for (key, state) in &carried {
        after.restore(key.clone(), state).expect("reads");
    }
    assert!(!is_new(&mut after, Stream::Trade, trade(7, 1.0)));
    assert!(is_new(&mut after, Stream::Trade, trade(8, 1.0)));
    assert!(!is_new(&mut after, Stream::Orderbook, book(1, 1.0)));
    let script = "offer 10 1 10\noffer 11 6 12\nnow 17";
    assert_eq!(candles(&mut after, script, false), ["11=6"]);
}

#[test]
fn what_a_lost_file_held_is_let_in_again_and_doubtful() {
    let mut lanes = Lanes::default();
    is_new(&mut lanes, Stream::Trade, trade(7, 1.0));
    candles(&mut lanes, "offer 10 1 10\nnow 16\noffer 20 5 20", false);
    let mut after = Lanes::default();
    for (key, state) in lanes.carry() {
        let state = forget(&state, second(30)).expect("reads");
        // A restart in between changes nothing.
        let mut between = Lanes::default();
        between.restore(key.clone(), &state).expect("reads");
        between.lane(&key).unwrap().touched = true;
        for (key, state) in between.carry() {
            after.restore(key, &state).expect("reads");
        }
    }
    let stream = key(Stream::Trade);
    let told = |lanes: &mut Lanes, id, at| {
        let mut row = row(30, trade(id, 1.0));
        let Body::Trade(trade) = &mut row.body else { panic!("a trade") };
        trade.ts_event = second(at);
        lanes.offer(&stream, row)
    };
    // Live and in time: a file may hold it, or may have held it.
    assert!(matches!(told(&mut after, 7, 1), Merged::Doubtful(_)));
    assert!(matches!(told(&mut after, 7, 1), Merged::Duplicate(_)), "it was told just now");
    assert!(matches!(told(&mut after, 8, 30), Merged::Doubtful(_)));
    assert!(matches!(told(&mut after, 9, 31), Merged::New(_)), "it came later");
    // The candle that was still open is written, and what was written comes again.
    let script = "offer 10 1 10\noffer 31 1 31\nnow 60";
    assert_eq!(candles(&mut after, script, false), ["10=1 again", "31=1", "20=5"]);
}
