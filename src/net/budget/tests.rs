use super::*;
use crate::net::testing::clock;

fn budget() -> Arc<Budget> {
    let rates =
        Rates { connects_per_second: 2, requests_per_second: 10, block: Duration::from_mins(1) };
    Arc::new(Budget::new(clock(), rates))
}

const TRADES: Use = Use::Request("trade");
const CANDLES: Use = Use::Request("candle");

/// When each of `count` users of `what` is let through, in milliseconds since now.
async fn passes(budget: &Arc<Budget>, host: &'static str, what: Use, count: usize) -> Vec<u128> {
    let before = tokio::time::Instant::now();
    let users: Vec<_> = (0..count)
        .map(|_| {
            let budget = Arc::clone(budget);
            tokio::spawn(async move {
                budget.wait(host, what, Urgency::Now).await;
                before.elapsed().as_millis()
            })
        })
        .collect();
    let mut passes = Vec::new();
    for user in users {
        passes.push(user.await.unwrap());
    }
    passes
}

#[tokio::test(start_paused = true)]
async fn no_second_holds_more_than_the_rate_whoever_asks() {
    for (what, rate, count) in [(Use::Connect, 2, 30), (TRADES, 10, 200)] {
        let passes = passes(&budget(), "venue", what, count).await;
        assert!(passes.is_sorted(), "served in the order of asking: {passes:?}");
        for (n, first) in passes.iter().enumerate() {
            let within = passes.iter().skip(n).take_while(|at| **at < first + 1_000).count();
            assert!(within <= rate, "{what:?}: {passes:?}");
        }
        // And close to it: nineteen twentieths of the rate.
        let whole = passes.last().copied().unwrap_or_default();
        assert!(whole * (rate as u128) <= (count as u128) * 1_000 * 20 / 19, "{what:?}: {whole}");
    }
}

#[tokio::test(start_paused = true)]
async fn unused_rate_is_not_saved_up_and_groups_do_not_share() {
    let budget = budget();
    tokio::time::advance(Duration::from_mins(10)).await;
    assert_eq!(passes(&budget, "venue", TRADES, 3).await, [0, 97, 199]);
    assert_eq!(passes(&budget, "venue", CANDLES, 1).await, [0]);
    assert_eq!(passes(&budget, "venue", Use::Connect, 1).await, [0]);
    assert_eq!(passes(&budget, "other", TRADES, 1).await, [0]);
}

/// What was answered, and how long that holds: connections to the host, its trades, its candles,
/// another host. The clock stands at a whole second.
#[tokio::test(start_paused = true)]
async fn what_the_host_says_is_kept_to() {
    const MANY: Answer = Answer::TooMany { told: None };
    type Row = (&'static str, &'static [(Use, Answer)], [u64; 4]);
    const TABLE: &[Row] = &[
        ("served", &[(TRADES, Answer::Served { remaining: Some(3) })], [0, 0, 0, 0]),
        ("nothing left", &[(TRADES, Answer::Served { remaining: Some(0) })], [0, 1_000, 0, 0]),
        ("429 on a connection", &[(Use::Connect, MANY)], [2_000, 0, 0, 0]),
        ("again", &[(Use::Connect, MANY), (Use::Connect, MANY)], [4_000, 0, 0, 0]),
        ("again and again", &[(Use::Connect, MANY); 9], [60_000, 0, 0, 0]),
        (
            "told to wait",
            &[(Use::Connect, Answer::TooMany { told: Some(Duration::from_secs(9)) })],
            [9_000, 0, 0, 0],
        ),
        (
            "told to wait for nothing",
            &[(Use::Connect, Answer::TooMany { told: Some(Duration::from_secs(0)) })],
            [2_000, 0, 0, 0],
        ),
        ("429 on a request", &[(TRADES, MANY)], [0, 1_500, 0, 0]),
        (
            "418 that tells",
            &[(TRADES, Answer::Blocked { told: Some(Duration::from_mins(5)) })],
            [300_000, 300_000, 300_000, 0],
        ),
        ("418", &[(Use::Connect, Answer::Blocked { told: None })], [60_000, 60_000, 60_000, 0]),
        (
            "418 again",
            &[(TRADES, Answer::Blocked { told: None }); 2],
            [120_000, 120_000, 120_000, 0],
        ),
        (
            "a served one starts the doubling anew",
            &[
                (Use::Connect, MANY),
                (Use::Connect, Answer::Served { remaining: None }),
                (Use::Connect, MANY),
            ],
            [2_000, 0, 0, 0],
        ),
    ];
    for (name, answers, holds) in TABLE {
        let budget = budget();
        for (what, answer) in *answers {
            tokio::time::advance(budget.held("venue", *what)).await;
            budget.answered("venue", *what, *answer);
        }
        let uses =
            [("venue", Use::Connect), ("venue", TRADES), ("venue", CANDLES), ("other", TRADES)];
        for ((host, what), hold) in uses.into_iter().zip(holds) {
            let hold = Duration::from_millis(*hold);
            assert_eq!(budget.held(host, what), hold, "{name}: {host} {what:?}");
        }
        let passed = passes(&budget, "venue", TRADES, 1).await;
        assert_eq!(passed, [u128::from(holds[1])], "{name}: it is waited for");
        // Back to a whole second.
        let into = budget.next_second();
        tokio::time::advance(into).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_that_gives_up_does_not_keep_the_turn() {
    let budget = budget();
    budget.answered("venue", TRADES, Answer::TooMany { told: Some(Duration::from_secs(5)) });
    let given_up =
        tokio::time::timeout(Duration::from_secs(1), budget.wait("venue", TRADES, Urgency::Now));
    assert!(given_up.await.is_err());
    assert_eq!(passes(&budget, "venue", TRADES, 1).await, [4_000]);
}

#[tokio::test(start_paused = true)]
async fn what_can_wait_does_and_a_late_timer_costs_nothing() {
    let budget = budget();
    let (told, mut order) = tokio::sync::mpsc::channel(64);
    let ask = |name: &'static str, urgency| {
        let (budget, told) = (Arc::clone(&budget), told.clone());
        tokio::spawn(async move {
            budget.wait("venue", TRADES, urgency).await;
            told.send(name).await.unwrap();
        })
    };
    for _ in 0..3 {
        ask("later", Urgency::Later);
    }
    assert_eq!(order.recv().await, Some("later"));
    // The second one waits for its turn when these come.
    for _ in 0..3 {
        ask("now", Urgency::Now);
    }
    let mut rest = Vec::new();
    for _ in 0..5 {
        rest.push(order.recv().await.unwrap());
    }
    assert_eq!(rest, ["now", "now", "now", "later", "later"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_that_we_filled_alone_is_not_waited_for() {
    let budget = budget();
    // The host's second begins in the middle of ours.
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(passes(&budget, "venue", TRADES, 10).await.len(), 10);
    budget.answered("venue", TRADES, Answer::Served { remaining: Some(0) });
    let held = budget.held("venue", TRADES);
    assert!(held < Duration::from_millis(102), "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_doubles_nothing() {
    for (answer, hold) in [
        (Answer::Blocked { told: None }, 60_000),
        (Answer::Blocked { told: Some(Duration::from_secs(10)) }, 10_010),
        (Answer::TooMany { told: None }, 1_500),
    ] {
        let budget = budget();
        budget.answered("venue", TRADES, answer);
        for _ in 0..7 {
            budget.answered("venue", TRADES, answer);
        }
        tokio::time::advance(Duration::from_millis(10)).await;
        budget.answered("venue", TRADES, answer);
        let held = budget.held("venue", TRADES) + Duration::from_millis(10);
        assert_eq!(held, Duration::from_millis(hold), "{answer:?}");
        tokio::time::advance(Duration::from_millis(990)).await;
    }
}
