//! Time is simulated: pictures of a recorder at some second, and what they are called.

use std::sync::Arc;

use super::*;
use crate::ingest::presence::{Attendance, Connection};
use crate::model::gap::{Gap, GapCause, GapState};
use crate::model::market::{Market, Source};
use crate::model::record::{Body, Head, Row, Trade};
use crate::store::catalog::{SessionRow, SessionTally};

const START: i64 = 1_000;

fn at(second: f64) -> Timestamp {
    let micros = Duration::from_secs_f64(second).as_micros();
    Timestamp::from_micros(i64::try_from(micros).unwrap() + START * 1_000_000)
}

fn row(second: f64, snapshot: bool) -> Row {
    let trade = Trade {
        ts_event: at(second),
        ts_sent: Some(at(second)),
        id: 1,
        price: 1.0,
        size: 1.0,
        side: crate::model::market::Side::Buy,
        prev_close: None,
        change: None,
        change_price: None,
        best_ask_price: None,
        best_ask_size: None,
        best_bid_price: None,
        best_bid_size: None,
    };
    let head = Head {
        market: Some(Market::new("A")),
        ts_recv: at(second),
        source: Source::Ws,
        snapshot,
        session: 1,
        frame: 1,
    };
    Row { head, body: Body::Trade(trade) }
}

/// A recorder whose connection is up since `opened`. Streams: name, markets, and when data came as
/// (from, to, apart); a distance of 0 is an answer to our asking at `from`.
struct World {
    progress: Progress,
    roll: Roll,
}

type Came = (f64, f64, f64);

impl World {
    fn new(opened: f64, streams: &[(Stream, usize, &[Came])]) -> Self {
        let mut progress = Progress::default();
        let mut roll = Roll { connections: vec![connection(opened)], ..Roll::default() };
        for (stream, markets, came) in streams {
            let key = (SmolStr::from("v"), *stream);
            let mut pulse = Pulse::default();
            for &(from, to, apart) in *came {
                if apart == 0.0 {
                    pulse.take(&row(from, true));
                    continue;
                }
                let mut second = from;
                while second <= to {
                    pulse.take(&row(second, false));
                    second += apart;
                }
            }
            progress.pulses.insert(key.clone(), pulse);
            let attendance =
                Attendance { asked: *markets, served: *markets, ..Attendance::default() };
            roll.streams.insert(key, attendance);
        }
        Self { progress, roll }
    }

    fn away(mut self, stream: Stream, from: f64) -> Self {
        let gap = Gap {
            venue: "v".into(),
            stream,
            market: None,
            from: at(from),
            to: None,
            cause: GapCause::Disconnect,
            state: GapState::Open,
            rows_repaired: 0,
            source: None,
            detail: "it ended".to_owned(),
        };
        let attendance = self.roll.streams.entry(("v".into(), stream)).or_default();
        attendance.served = 0;
        attendance.away = Some((gap, attendance.asked));
        self
    }

    /// What is wrong at a second, where writer, queue and disk are well.
    fn wrong(&mut self, second: f64) -> Vec<String> {
        self.progress.at = at(second);
        self.progress.roll = Arc::new(self.roll.clone());
        problems(&signs(&self.progress, second)).iter().map(name).collect()
    }
}

fn connection(opened: f64) -> Connection {
    let row = SessionRow {
        id: 2,
        venue: "v".into(),
        endpoint: "ws://v".into(),
        subscriptions: "[]".into(),
        opened: at(opened),
        first_data: None,
        closed: None,
        why: None,
        frames: 0,
        bytes: 0,
        proven_until: None,
        tally: SessionTally::default(),
    };
    Connection { row, subscriptions: 1, line: 1 }
}

fn signs(progress: &Progress, second: f64) -> Signs<'_> {
    Signs {
        now: at(second),
        started: at(0.0),
        progress,
        queued_events: 0,
        queued_bytes: 0,
        queue: QueueLimits { events: 100, bytes: 1_000 },
        free_bytes: Some(1_000),
        min_free_bytes: 100,
    }
}

fn name(problem: &Problem) -> String {
    let stream = problem.stream.as_ref().map(|(_, stream)| stream.name());
    format!("{} {}", problem.what.as_str(), stream.unwrap_or_default()).trim().to_owned()
}

#[test]
fn a_stalled_feed_is_named_within_fifteen_seconds_and_comes_back() {
    let busy: &[Came] = &[(0.0, 60.0, 0.2)];
    let mut world = World::new(0.0, &[(Stream::Trade, 1, busy), (Stream::Orderbook, 1, busy)]);
    for (second, wrong) in [
        (60.1, vec![]),
        (64.7, vec![]),
        (66.0, vec!["stream trade", "stream orderbook"]),
        (75.0, vec!["stream trade", "stream orderbook"]),
    ] {
        assert_eq!(world.wrong(second), wrong, "{second}");
    }
    // It goes on: what was wrong is told for a while, and then no more.
    let back: &[Came] = &[(0.0, 60.0, 0.2), (76.0, 120.0, 0.2)];
    let mut world = World::new(0.0, &[(Stream::Trade, 1, back), (Stream::Orderbook, 1, back)]);
    assert_eq!(world.wrong(87.0), ["stream trade", "stream orderbook"]);
    assert_eq!(world.wrong(89.0), Vec::<String>::new());
}

#[test]
fn a_market_that_does_not_trade_for_an_hour_is_no_failure() {
    let hour = 3_600.0;
    let books: &[Came] = &[(0.0, 60.0 + hour, 0.5)];
    let trades: &[Came] = &[(0.0, 60.0, 0.5)];
    // Its book goes on: it pauses.
    let mut world = World::new(0.0, &[(Stream::Trade, 1, trades), (Stream::Orderbook, 1, books)]);
    // Asked anew after it had fallen silent, and answered: there is nothing to tell.
    let asked: &[Came] = &[(0.0, 60.0, 0.5), (66.0, 0.0, 0.0)];
    let mut alone = World::new(66.0, &[(Stream::Trade, 1, asked)]);
    // It never traded enough to have a rate.
    let mut slow = World::new(0.0, &[(Stream::Trade, 50, &[(0.0, 0.0, 0.0)])]);
    let mut second = 90.0;
    while second < hour {
        for world in [&mut world, &mut alone, &mut slow] {
            assert_eq!(world.wrong(second), Vec::<String>::new(), "{second}");
        }
        second += 10.0;
    }
}

#[test]
fn one_stream_of_many_markets_is_judged_by_itself() {
    let books: &[Came] = &[(0.0, 80.0, 0.2)];
    for (markets, wrong) in [(4, vec![]), (5, vec!["stream trade"])] {
        let trades: &[Came] = &[(0.0, 60.0, 0.2)];
        let mut world =
            World::new(0.0, &[(Stream::Trade, markets, trades), (Stream::Orderbook, 5, books)]);
        assert_eq!(world.wrong(80.0), wrong, "{markets}");
    }
}

#[test]
fn a_gap_that_lasts_is_a_failure_and_a_short_one_is_none() {
    for (second, wrong) in [(64.0, vec![]), (66.0, vec!["stream trade"])] {
        let mut world = World::new(0.0, &[(Stream::Trade, 3, &[])]).away(Stream::Trade, 60.0);
        assert_eq!(world.wrong(second), wrong, "{second}");
    }
}

#[test]
fn nothing_that_ever_came_is_a_failure() {
    let mut world = World::new(0.0, &[(Stream::Trade, 3, &[])]);
    let attendance = world.roll.streams.values_mut().next().unwrap();
    (attendance.served, attendance.awaited.0) = (0, 3);
    assert!(!ready(&world.roll));
    assert_eq!(world.wrong(1.0), ["stream trade"]);
    // Refused by name is ready, and no failure of the recorder.
    let attendance = world.roll.streams.values_mut().next().unwrap();
    (attendance.refused.0, attendance.awaited.0) = (3, 0);
    assert!(ready(&world.roll));
    assert_eq!(world.wrong(1.0), Vec::<String>::new());
    assert_eq!(
        World { progress: Progress::default(), roll: Roll::default() }.wrong(1.0),
        ["connection"]
    );
    assert!(!ready(&Roll::default()));
}

#[test]
fn writer_queue_and_disk_are_named() {
    let busy: &[Came] = &[(0.0, 60.0, 0.2)];
    let mut world = World::new(0.0, &[(Stream::Trade, 1, busy)]);
    assert_eq!(world.wrong(60.0), Vec::<String>::new());
    let progress = &world.progress;
    let table: [(Signs<'_>, &[&str]); 6] = [
        (signs(progress, 69.0), &["stream trade"]),
        (signs(progress, 70.0), &["writer", "stream trade"]),
        (Signs { queued_events: 51, ..signs(progress, 60.0) }, &["queue"]),
        (Signs { queued_bytes: 501, ..signs(progress, 60.0) }, &["queue"]),
        (Signs { free_bytes: Some(99), ..signs(progress, 60.0) }, &["disk"]),
        (Signs { free_bytes: None, ..signs(progress, 60.0) }, &["disk"]),
    ];
    for (signs, wrong) in table {
        assert_eq!(problems(&signs).iter().map(name).collect::<Vec<_>>(), wrong);
    }
}
