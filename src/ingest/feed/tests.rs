//! Scripted connections in paused time: every line that the feed tells is compared.

use futures::FutureExt as _;

use super::*;
use crate::ingest::queue::{QueueLimits, Receiver, queue};
use crate::ingest::testing::{TOY, line, subscriptions};
use crate::model::event::Event;
use crate::model::time::Timestamp;
use crate::net::budget::Rates;
use crate::net::testing::{EPOCH, Server, clock, network};

mod full_queue;
mod moving;
mod replacing;

/// What the venue does on one connection.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Sends a message.
    Say(&'static str),
    /// Sends a message so many times, so many milliseconds apart.
    Every(&'static str, u32, u64),
    /// Answers pings only, for so many seconds.
    Attend(u64),
    /// Does nothing at all, for so many seconds.
    Freeze(u64),
    /// Sends a close frame.
    Close(u16),
    /// Answers the handshake with this status instead.
    Answer(&'static str),
}

use Act::{Answer, Attend, Close, Every, Freeze, Say};

/// Plays one script a connection, each in its own task; the last ends by dropping too.
async fn play(server: Server, scripts: Vec<&'static [Act]>) {
    let mut peers = JoinSet::new();
    for script in scripts {
        if let [Answer(head)] = script {
            server.answer(head).await;
            continue;
        }
        let mut peer = server.accept().await;
        peers.spawn(async move {
            for act in script {
                match *act {
                    Say(body) => peer.send(body).await,
                    Every(body, times, apart) => {
                        for _ in 0..times {
                            peer.attend(Duration::from_millis(apart)).await;
                            peer.send(body).await;
                        }
                    }
                    Attend(seconds) => peer.attend(Duration::from_secs(seconds)).await,
                    Freeze(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                    Close(code) => peer.close(code, "").await,
                    Answer(_) => unreachable!("it stands alone"),
                }
            }
        });
    }
    peers.join_all().await;
}

/// A feed, and what is around it.
struct Bench {
    events: Receiver,
    server: Server,
    wanted: watch::Sender<Arc<[Subscription]>>,
    stop: CancellationToken,
    context: Arc<Context>,
    task: tokio::task::JoinHandle<Result<(), NoWriter>>,
}

fn bench(wanted: &str, rotation: Option<Rotation>, limits: QueueLimits) -> Bench {
    let clock = clock();
    let (connector, server) = network(&clock);
    let rates =
        Rates { connects_per_second: 2, requests_per_second: 10, block: Duration::from_mins(1) };
    let (sender, events) = queue(limits);
    let context = Arc::new(Context {
        venue: &TOY,
        url: "ws://toy/ws".to_owned(),
        budget: Arc::new(Budget::new(Arc::clone(&clock), rates)),
        clock,
        connector,
        numbers: Arc::new(Numbers::starting_at(1)),
        queue: sender,
        stats: Arc::default(),
    });
    let (wanted, wanted_now) = watch::channel(Arc::from(subscriptions(wanted)));
    let stop = CancellationToken::new();
    let feed = Feed {
        context: Arc::clone(&context),
        wanted: wanted_now,
        line: 1,
        rotation,
        stop: stop.clone(),
    };
    Bench { events, server, wanted, stop, context, task: tokio::spawn(feed.run()) }
}

impl Bench {
    /// The next event that is not `Alive`.
    async fn next(&mut self) -> Event {
        loop {
            let mut one = Vec::new();
            let wait = self.events.recv_batch_async(&mut one, 1);
            let more = tokio::time::timeout(Duration::from_hours(1), wait).await;
            assert_eq!(more, Ok(true), "nothing is told any more");
            let event = one.pop().unwrap();
            if !matches!(event, Event::Alive { .. }) {
                return event;
            }
        }
    }

    /// The lines told until one says `last`.
    async fn lines_until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            lines.push(line(&self.next().await));
            assert!(lines.len() < 10_000, "{lines:#?}");
        }
        lines
    }

    /// Stops the feed, and says what is still told.
    async fn stop(mut self) -> Vec<String> {
        self.stop.cancel();
        assert_eq!(self.task.await.unwrap(), Ok(()));
        let mut events = Vec::new();
        while let Some(true) = self.events.recv_batch_async(&mut events, 100).now_or_never() {}
        let told = events.iter().filter(|event| !matches!(event, Event::Alive { .. }));
        told.map(line).collect()
    }
}

/// What is wanted, what the venue does on each connection, and what is told.
struct Case {
    name: &'static str,
    wanted: &'static str,
    scripts: &'static [&'static [Act]],
    told: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "a connection that dies every two frames",
        wanted: "trade A-B",
        scripts: &[
            &[Say("snapshot A-B"), Say("trade A-B 1")],
            &[Say("snapshot A-B"), Say("trade A-B 2")],
            &[],
        ],
        told: &[
            "1 opened trade A-B",
            "1 served trade A-B",
            "1 snapshot A-B",
            "1 trade A-B 1",
            "1 closed disconnect",
            "2 opened trade A-B",
            "2 served trade A-B",
            "2 snapshot A-B",
            "2 trade A-B 2",
            "2 closed disconnect",
            "3 opened trade A-B",
            "3 closed disconnect",
        ],
    },
    Case {
        name: "heartbeats are not data, and a stall is seen through them",
        wanted: "trade A-B",
        scripts: &[&[Every("trade A-B", 40, 200), Every("HB", 60, 1_000)]],
        told: &["1 opened trade A-B", "1 served trade A-B", "1 trade A-B", "1 closed silence"],
    },
    Case {
        name: "no bytes at all",
        wanted: "trade A-B",
        scripts: &[&[Say("trade A-B"), Freeze(90)]],
        told: &["1 opened trade A-B", "1 served trade A-B", "1 trade A-B", "1 closed silence"],
    },
    Case {
        name: "a quiet market is no silence while pings are answered",
        wanted: "trade A-B",
        scripts: &[&[Say("trade A-B"), Attend(600), Close(1001)]],
        told: &["1 opened trade A-B", "1 served trade A-B", "1 trade A-B", "1 closed disconnect"],
    },
    Case {
        name: "a refusal, and the close 1000 that follows it, is no reason to stop",
        wanted: "trade A-B",
        scripts: &[&[Say("NO WRONG_FORMAT bad"), Close(1000)], &[Say("trade A-B"), Close(1000)]],
        told: &[
            "1 opened trade A-B",
            "1 closed refused",
            "2 opened trade A-B",
            "2 served trade A-B",
            "2 trade A-B",
            "2 closed disconnect",
        ],
    },
    Case {
        name: "what shows nothing is named, and told when it comes after all",
        wanted: "trade A-B, trade C-D, ticker A-B",
        scripts: &[&[
            Say("trade A-B 1"),
            Attend(9),
            Say("trade A-B 2"),
            Attend(2),
            Say("ticker A-B 3"),
            Close(1000),
        ]],
        told: &[
            "1 opened trade A-B, trade C-D, ticker A-B",
            "1 served trade A-B",
            "1 trade A-B 1",
            "1 trade A-B 2",
            "1 unserved trade C-D",
            "1 unserved ticker A-B",
            "1 served ticker A-B",
            "1 ticker A-B 3",
            "1 closed disconnect",
        ],
    },
    Case {
        name: "one that is born dead is replaced, where others were not",
        wanted: "trade A-B",
        scripts: &[&[Say("trade A-B")], &[Attend(600)]],
        told: &[
            "1 opened trade A-B",
            "1 served trade A-B",
            "1 trade A-B",
            "1 closed disconnect",
            "2 opened trade A-B",
            "2 unserved trade A-B",
            "2 closed silence",
        ],
    },
    Case {
        name: "a connection that is turned away is tried again",
        wanted: "trade A-B",
        scripts: &[&[Answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")], &[]],
        told: &["1 opened trade A-B", "1 closed disconnect"],
    },
];

#[tokio::test(start_paused = true)]
async fn what_happens_is_told_in_order() {
    for Case { name, wanted, scripts, told } in CASES {
        let mut bench = bench(wanted, None, QueueLimits::default());
        tokio::spawn(play(bench.server.clone(), scripts.to_vec()));
        let mut lines = bench.lines_until(told.last().unwrap()).await;
        // The same line again and again says nothing more.
        lines.dedup();
        assert_eq!(lines, *told, "{name}");
    }
}

/// Up to when a session is proven, and when it is given up, in milliseconds.
#[tokio::test(start_paused = true)]
async fn only_what_came_is_proven() {
    let table: [(&str, &'static [Act], u128, u128); 4] = [
        (
            "a stall under heartbeats",
            &[Every("trade A-B", 50, 200), Every("HB", 60, 1_000)],
            10_000,
            15_000,
        ),
        (
            "a stall at another rate",
            &[Every("trade A-B", 30, 2_000), Every("HB", 60, 1_000)],
            60_000,
            80_000,
        ),
        ("no bytes", &[Every("trade A-B", 3, 1_000), Freeze(90)], 3_000, 28_000),
        ("a dropped one", &[Say("trade A-B"), Every("HB", 3, 1_000)], 3_000, 3_000),
    ];
    for (name, script, proven, closed) in table {
        let mut bench = bench("trade A-B", None, QueueLimits::default());
        tokio::spawn(play(bench.server.clone(), vec![script]));
        let mut alive = Timestamp::MIN;
        let closed_at = loop {
            let mut one = Vec::new();
            assert!(bench.events.recv_batch_async(&mut one, 1).await, "{name}");
            let event = one.pop().unwrap();
            if let Event::Alive { until, .. } = event {
                assert!(until > alive, "{name}");
                alive = until;
            }
            if let Event::SessionClosed(closed) = event {
                break closed;
            }
        };
        let ms = |at: Timestamp| at.since(EPOCH).as_millis();
        assert_eq!(ms(closed_at.proven_until), proven, "{name}: {closed_at:?}");
        // The rules are asked four times a second.
        assert!(ms(closed_at.at).abs_diff(closed) <= 250, "{name}: {closed_at:?}");
        assert!(alive <= closed_at.proven_until, "{name}: what was told is not taken back");
        assert!(alive.after(Duration::from_millis(1_500)) > closed_at.proven_until, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_keep_to_what_the_venue_says() {
    let many = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
    let told = "HTTP/1.1 418 I'm a teapot\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n";
    let blocked = "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n";
    let bench = bench("trade A-B", None, QueueLimits::default());
    let mut before = tokio::time::Instant::now();
    for (answer, at_least, at_most) in [
        (many, 0, 0),
        (many, 2_000, 2_100),
        (many, 4_000, 4_100),
        (told, 8_000, 8_100),
        (blocked, 90_000, 90_100),
        (many, 120_000, 130_000),
        (many, 16_000, 31_000),
    ] {
        let at = bench.server.answer(answer).await;
        let waited = at.duration_since(before).as_millis();
        assert!((at_least..=at_most).contains(&waited), "{answer}: {waited}");
        before = at;
    }
    assert_eq!(bench.stop().await, Vec::<String>::new(), "what never opened is not told");
}

#[tokio::test(start_paused = true)]
async fn many_feeds_that_all_lose_their_connections_connect_two_a_second() {
    let first = bench("trade A-B", None, QueueLimits::default());
    let mut feeds = JoinSet::new();
    for _ in 0..19 {
        let feed = Feed {
            context: Arc::clone(&first.context),
            wanted: first.wanted.subscribe(),
            line: 1,
            rotation: None,
            stop: first.stop.clone(),
        };
        feeds.spawn(feed.run());
    }
    let mut dialled = Vec::new();
    for _ in 0..60 {
        let (at, wire) = first.server.dialled().await;
        drop(wire);
        dialled.push(at);
    }
    for pair in dialled.windows(3) {
        assert!(pair[2].duration_since(pair[0]) >= Duration::from_secs(1), "{pair:?}");
    }
    let whole = dialled[59].duration_since(dialled[0]);
    assert!(whole <= Duration::from_secs(40), "the rate is used: {whole:?}");
    first.stop.cancel();
    assert!(feeds.join_all().await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn stop_ends_it_wherever_it_is() {
    // Connecting.
    let never_answered = bench("trade A-B", None, QueueLimits::default());
    let _wire = never_answered.server.dialled().await;
    assert_eq!(never_answered.stop().await, Vec::<String>::new());

    // Waiting to connect again.
    let mut lost = bench("trade A-B", None, QueueLimits::default());
    drop(lost.server.accept().await);
    lost.lines_until("1 closed disconnect").await;
    assert_eq!(lost.stop().await, Vec::<String>::new());

    // Open, with a venue that does not answer a close.
    let open = bench("trade A-B", None, QueueLimits::default());
    let mut peer = open.server.accept().await;
    assert_eq!(peer.text().await.as_deref(), Some("trade A-B"));
    peer.send("trade A-B").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let stats = Arc::clone(&open.context.stats);
    assert_eq!((stats.snapshot().sessions_up, stats.snapshot().frames), (1, 1));
    let told = open.stop().await;
    assert_eq!(
        told,
        ["1 opened trade A-B", "1 served trade A-B", "1 trade A-B", "1 closed on purpose"]
    );
    assert_eq!((stats.snapshot().sessions_up, stats.snapshot().reconnects), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_writer_there_is_no_feed() {
    let bench = bench("trade A-B", None, QueueLimits::default());
    drop(bench.events);
    let _peer = bench.server.accept().await;
    assert_eq!(bench.task.await.unwrap(), Err(NoWriter));
}
