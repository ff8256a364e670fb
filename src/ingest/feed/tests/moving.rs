//! A host that moves to other addresses, and one that only seems to.

use std::net::IpAddr;

use super::*;
use crate::net::testing::Lookup::{self, Fails, Hangs, Nowhere};

const MINUTE: Duration = Duration::from_mins(1);

/// Addresses by their last digits.
fn to(digits: &str) -> Lookup {
    let address = |digit| format!("192.0.2.{digit}").parse::<IpAddr>().unwrap();
    Lookup::To(digits.chars().map(address).collect())
}

#[tokio::test(start_paused = true)]
async fn a_host_that_moves_is_followed_without_a_hole() {
    let mut bench = bench("trade A-B", None, QueueLimits::default());
    bench.server.names.set(to("123"));
    let script: &[Act] = &[Say("trade A-B"), Attend(36_000)];
    tokio::spawn(play(bench.server.clone(), vec![script; 3]));
    bench.lines_until("1 trade A-B").await;
    let started = Instant::now();
    bench.server.names.set(Hangs);
    // Well into the lookup that hangs, whichever of two timers of one instant goes first.
    tokio::time::sleep(MINUTE + Duration::from_secs(5)).await;
    // A lookup that is given up after ten seconds, and five answers without its address; and the
    // second time not before an hour has passed.
    for (session, named, seconds) in [(1, "23", 370), (2, "3", 3_970)] {
        bench.server.names.set(to(named));
        let next = session + 1;
        assert_eq!(
            bench.lines_until(&format!("{session} closed on purpose")).await,
            [
                format!("{next} opened trade A-B"),
                format!("{next} served trade A-B"),
                format!("{next} trade A-B"),
                format!("{session} closed on purpose")
            ]
        );
        assert_eq!(started.elapsed().as_secs(), seconds);
    }
    assert_eq!(bench.stop().await, ["3 closed on purpose"]);
}

/// What the name comes to when the connection is opened, and then from minute to minute, in turns.
#[tokio::test(start_paused = true)]
async fn one_that_only_seems_to_move_is_not_followed() {
    let table = [
        ("addresses take turns", to("123"), vec![to("23"), to("34"), to("4"), to("2"), to("51")]),
        ("no answers between", to("1"), vec![to("2"), Fails, to("3"), Hangs, to("4"), to("1")]),
        ("never an answer", to("1"), vec![Fails, Hangs, Nowhere]),
        ("always too late", to("1"), vec![Hangs]),
        ("a wire through no network", Nowhere, vec![to("2")]),
    ];
    for (name, at_first, then) in table {
        let bench = bench("trade A-B", None, QueueLimits::default());
        let names = bench.server.names.clone();
        names.set(at_first.clone());
        let script: &[Act] = &[Every("trade A-B", 3_700, 1_000)];
        tokio::spawn(play(bench.server.clone(), vec![script; 2]));
        for lookup in then.iter().cycle().take(60) {
            // Set well before it is asked for, however long the one before took.
            tokio::time::sleep(MINUTE).await;
            names.set(lookup.clone());
        }
        assert_eq!(names.asked() > 0, !matches!(at_first, Nowhere), "{name}");
        let mut bench = bench;
        let mut last = EPOCH;
        for _ in 0..3_500 {
            let event = bench.next().await;
            if let Event::Frame(frame) = &event {
                // A lookup keeps nothing waiting.
                let apart = frame.ts_recv.since(last);
                assert!(apart <= Duration::from_millis(1_001), "{name}: {apart:?}");
                last = frame.ts_recv;
            }
        }
        assert!(!bench.stop().await.iter().any(|line| line.contains("2 opened")), "{name}");
    }
}
