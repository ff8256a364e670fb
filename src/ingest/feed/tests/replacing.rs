//! Sessions replaced on purpose: the new one first, then the old one.

use super::*;

const AGE: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn a_change_opens_the_new_before_it_closes_the_old() {
    let mut bench = bench("trade A-B", None, QueueLimits::default());
    let mut old = bench.server.accept().await;
    old.send("snapshot A-B").await;
    bench.lines_until("1 snapshot A-B").await;

    bench.wanted.send_replace(subscriptions("trade A-B, trade C-D").into());
    let mut new = bench.server.accept().await;
    assert_eq!(new.text().await.as_deref(), Some("trade A-B, trade C-D"));
    new.send("snapshot A-B").await;
    assert_eq!(
        bench.lines_until("2 snapshot A-B").await,
        ["2 opened trade A-B, trade C-D", "2 served trade A-B", "2 snapshot A-B"]
    );
    // The new one has not shown all of it: the old one goes on.
    old.attend(Duration::from_secs(5)).await;
    old.send("trade A-B 1").await;
    assert_eq!(bench.lines_until("1 trade A-B 1").await, ["1 trade A-B 1"]);
    new.send("snapshot C-D").await;
    assert_eq!(
        bench.lines_until("1 closed on purpose").await,
        ["2 served trade C-D", "2 snapshot C-D", "1 closed on purpose"]
    );
    new.send("trade C-D 2").await;
    assert_eq!(bench.lines_until("2 trade C-D 2").await, ["2 trade C-D 2"]);
    assert_eq!(bench.stop().await, ["2 closed on purpose"]);
}

/// What a successor does, and what is told from the change on.
const SUCCESSORS: &[Case] = &[
    Case {
        name: "it shows a part of it, and has had its time",
        wanted: "trade A-B, trade C-D",
        scripts: &[&[Say("trade A-B 1"), Attend(60)]],
        told: &[
            "2 opened trade A-B, trade C-D",
            "2 served trade A-B",
            "2 trade A-B 1",
            "2 unserved trade C-D",
            "1 closed on purpose",
        ],
    },
    Case {
        name: "it tells nothing, so the old one stays, and the next one takes over",
        wanted: "trade A-B, trade C-D",
        scripts: &[&[Attend(60)], &[Say("trade A-B 1"), Say("trade C-D 2"), Attend(60)]],
        told: &[
            "2 opened trade A-B, trade C-D",
            "2 unserved trade A-B",
            "2 unserved trade C-D",
            "2 closed silence",
            "3 opened trade A-B, trade C-D",
            "3 served trade A-B",
            "3 trade A-B 1",
            "3 served trade C-D",
            "3 trade C-D 2",
            "1 closed on purpose",
        ],
    },
    Case {
        name: "it dies early",
        wanted: "trade A-B, trade C-D",
        scripts: &[&[Say("trade A-B 1")], &[Say("trade A-B 2"), Say("trade C-D 3"), Attend(60)]],
        told: &[
            "2 opened trade A-B, trade C-D",
            "2 served trade A-B",
            "2 trade A-B 1",
            "2 closed disconnect",
            "3 opened trade A-B, trade C-D",
            "3 served trade A-B",
            "3 trade A-B 2",
            "3 served trade C-D",
            "3 trade C-D 3",
            "1 closed on purpose",
        ],
    },
];

#[tokio::test(start_paused = true)]
async fn what_can_go_wrong_with_a_successor() {
    for Case { name, wanted, scripts, told } in SUCCESSORS {
        let mut bench = bench("trade A-B", None, QueueLimits::default());
        let first: &[&'static [Act]] = &[&[Say("trade A-B 0"), Attend(600)]];
        tokio::spawn(play(bench.server.clone(), [first, *scripts].concat()));
        bench.lines_until("1 trade A-B 0").await;
        bench.wanted.send_replace(subscriptions(wanted).into());
        assert_eq!(bench.lines_until(told.last().unwrap()).await, *told, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_successor_takes_over_from_one_that_dies_meanwhile() {
    let mut bench = bench("trade A-B", None, QueueLimits::default());
    let mut old = bench.server.accept().await;
    old.send("trade A-B 1").await;
    bench.lines_until("1 trade A-B 1").await;
    bench.wanted.send_replace(subscriptions("trade A-B, trade C-D").into());
    let mut new = bench.server.accept().await;
    bench.lines_until("2 opened trade A-B, trade C-D").await;
    drop(old);
    assert_eq!(bench.lines_until("1 closed disconnect").await, ["1 closed disconnect"]);
    new.send("trade A-B 2").await;
    new.send("trade C-D 3").await;
    bench.lines_until("2 trade C-D 3").await;
    // No third connection follows.
    let third = tokio::time::timeout(Duration::from_secs(9), bench.server.dialled());
    assert!(third.await.is_err());
    assert_eq!(bench.stop().await, ["2 closed on purpose"]);
}

#[tokio::test(start_paused = true)]
async fn changes_on_the_way_are_followed_in_the_end() {
    let mut bench = bench("trade A-B", None, QueueLimits::default());
    let scripts: &[&'static [Act]] = &[
        &[Say("trade A-B 1"), Attend(600)],
        &[Say("trade C-D 2"), Attend(600)],
        &[Say("trade G-H 3"), Attend(600)],
        &[Say("trade I-J 4"), Attend(600)],
    ];
    tokio::spawn(play(bench.server.clone(), scripts.to_vec()));
    bench.lines_until("1 trade A-B 1").await;
    for wanted in ["trade C-D", "trade E-F", "trade G-H"] {
        bench.wanted.send_replace(subscriptions(wanted).into());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(
        bench.lines_until("2 closed on purpose").await,
        [
            "2 opened trade C-D",
            "2 served trade C-D",
            "2 trade C-D 2",
            "1 closed on purpose",
            "3 opened trade G-H",
            "3 served trade G-H",
            "3 trade G-H 3",
            "2 closed on purpose"
        ]
    );
    // Nothing wanted, and then something again.
    bench.wanted.send_replace(Arc::from([]));
    assert_eq!(bench.lines_until("3 closed on purpose").await, ["3 closed on purpose"]);
    tokio::time::sleep(Duration::from_mins(10)).await;
    bench.wanted.send_replace(subscriptions("trade I-J").into());
    assert_eq!(
        bench.lines_until("4 trade I-J 4").await,
        ["4 opened trade I-J", "4 served trade I-J", "4 trade I-J 4"]
    );
}

#[tokio::test(start_paused = true)]
async fn age_replaces_a_session_again_and_again() {
    let rotation = Rotation { first: AGE / 2, every: AGE };
    let mut bench = bench("trade A-B", Some(rotation), QueueLimits::default());
    let script: &[Act] = &[Say("trade A-B"), Attend(36_000)];
    tokio::spawn(play(bench.server.clone(), vec![script; 4]));
    let started = Instant::now();
    for (session, after) in [(1, AGE / 2), (2, AGE * 3 / 2), (3, AGE * 5 / 2)] {
        let next = session + 1;
        let mut lines = bench.lines_until(&format!("{session} closed on purpose")).await;
        assert_eq!(started.elapsed().as_secs(), after.as_secs());
        if session == 1 {
            lines.drain(..3);
        }
        assert_eq!(
            lines,
            [
                format!("{next} opened trade A-B"),
                format!("{next} served trade A-B"),
                format!("{next} trade A-B"),
                format!("{session} closed on purpose")
            ]
        );
    }
}
