//! Whole runs over real sockets: a venue's websocket in memory, its REST server on loopback.

use std::sync::Mutex;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::ingest::plan::Way;
use crate::ingest::queue::{QueueLimits, Receiver, queue};
use crate::ingest::testing::{NARROW, TOY, Toy, line};
use crate::net::budget::Rates;
use crate::net::clock::SystemClock;
use crate::net::testing::{Server, network, read_head};
use crate::net::tls;

/// A REST server that answers every request with what stands in it.
struct Rest {
    url: String,
    answer: Arc<Mutex<String>>,
    asked: Arc<watch::Sender<u32>>,
}

async fn rest(answer: &str) -> Rest {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(Mutex::new(answer.to_owned()));
    let asked = Arc::new(watch::Sender::new(0));
    let (shared, count) = (Arc::clone(&answer), Arc::clone(&asked));
    tokio::spawn(async move {
        while let Ok((mut wire, _)) = listener.accept().await {
            read_head(&mut wire).await;
            count.send_modify(|count| *count += 1);
            let body = shared.lock().unwrap().clone();
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            wire.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    Rest { url, answer, asked }
}

struct Bench {
    events: Receiver,
    server: Server,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), SupervisorError>>,
}

fn bench(
    venue: &'static Toy,
    rest_url: &str,
    markets: &str,
    change: impl FnOnce(&mut Setup),
) -> Bench {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (connector, server) = network(&clock);
    let rates =
        Rates { connects_per_second: 200, requests_per_second: 100, block: Duration::from_mins(1) };
    let budget = Arc::new(Budget::new(Arc::clone(&clock), rates));
    let tls = tls::client_config(None).unwrap();
    let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    let mut setup = Setup {
        venue,
        ws_url: "ws://toy/ws".to_owned(),
        rest_url: rest_url.to_owned(),
        selection: Selection::parse(venue, Way::Live, &words(markets), &words("trade")).unwrap(),
        lines: 1,
        max_age: None,
        poll_every: Duration::from_millis(20),
        list_patience: Duration::from_millis(700),
        numbers: Arc::new(Numbers::starting_at(7)),
        fallback: Vec::new(),
        http: Http::new(&tls, Arc::clone(&budget), Arc::clone(&clock)).unwrap(),
        clock,
        connector,
        budget,
        stats: Arc::default(),
        wishes: mpsc::channel(1).1,
    };
    change(&mut setup);
    let (sender, events) = queue(QueueLimits::default());
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(setup, sender, stop.clone()));
    Bench { events, server, stop, task }
}

impl Bench {
    /// The lines told until one says `last`, without ticks and signs of life.
    async fn lines_until(&mut self, last: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            let mut one = Vec::new();
            let more = self.events.recv_batch_async(&mut one, 1);
            let more = tokio::time::timeout(Duration::from_secs(20), more).await;
            assert_eq!(more, Ok(true), "waited for {last:?} after {lines:#?}");
            let told = line(&one[0]);
            if !told.ends_with("alive") && told != "tick" && !told.starts_with("wants") {
                lines.push(told);
            }
        }
        lines
    }

    /// Stops, and says what is told to the end of the queue.
    async fn stop(mut self) -> Vec<String> {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        let mut events = Vec::new();
        while self.events.recv_batch_async(&mut events, 100).await {}
        let lines = events.iter().map(line);
        lines
            .filter(|line| !line.ends_with("alive") && line != "tick" && !line.starts_with("wants"))
            .collect()
    }
}

#[tokio::test]
async fn a_run_from_start_to_end_with_a_list_that_changes() {
    let rest = rest("A-B C-D X-Y").await;
    let mut bench = bench(&TOY, &rest.url, "a-* X-Y", |_| {});
    let mut one = bench.server.accept().await;
    assert_eq!(one.text().await.as_deref(), Some("trade A-B, trade X-Y"));
    one.send("trade A-B 1").await;
    assert_eq!(
        bench.lines_until("8 trade A-B 1").await,
        [
            "7 opened",
            "7 A-B C-D X-Y",
            "8 opened trade A-B, trade X-Y",
            "8 served trade A-B",
            "8 trade A-B 1"
        ]
    );
    // The same list again and again says nothing new.
    rest.asked.subscribe().wait_for(|count| *count > 4).await.unwrap();
    one.send("trade A-B 2").await;
    assert_eq!(bench.lines_until("8 trade A-B 2").await, ["8 trade A-B 2"]);
    // One more that the pattern matches; a code named by hand stays though it is not listed.
    *rest.answer.lock().unwrap() = "A-B A-E C-D".to_owned();
    let mut two = bench.server.accept().await;
    assert_eq!(two.text().await.as_deref(), Some("trade A-B, trade A-E, trade X-Y"));
    for body in ["trade A-B 3", "trade A-E 4", "trade X-Y 5"] {
        two.send(body).await;
    }
    bench.lines_until("8 closed on purpose").await;
    // Nothing that the pattern matches: recorded, and not followed.
    *rest.answer.lock().unwrap() = "C-D".to_owned();
    bench.lines_until("7 C-D").await;
    let (rest_of_it, ()) = tokio::join!(bench.stop(), two.attend(Duration::from_secs(5)));
    assert_eq!(rest_of_it, ["9 closed on purpose", "7 closed on purpose"]);
}

#[tokio::test]
async fn lines_carry_the_same_and_connections_have_room_for_so_much() {
    let rest = rest("A-B C-D E-F").await;
    let mut bench = bench(&NARROW, &rest.url, "all", |setup| setup.lines = 2);
    let mut asked = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..4 {
        let mut peer = bench.server.accept().await;
        asked.push(peer.text().await.unwrap());
        peers.push(peer);
    }
    asked.sort();
    let (full, rest) = ("trade A-B, trade C-D", "trade E-F");
    assert_eq!(asked, [full, full, rest, rest]);
    drop(peers.pop());
    bench.lines_until("7 A-B C-D E-F").await;
    drop(peers);
    let closed = bench.stop().await;
    assert_eq!(closed.last().map(String::as_str), Some("7 closed on purpose"));
}

/// What a venue without a list makes of what was asked for.
#[tokio::test]
async fn without_a_list() {
    let html = rest("<html>maintenance</html>").await.url;
    let closed = "http://127.0.0.1:9";
    let known = || vec![Market::new("A-B"), Market::new("C-D")];
    for (rest_url, markets, fallback, outcome) in [
        (closed, "A-B", Vec::new(), Ok("trade A-B")),
        (html.as_str(), "Z-Z", known(), Ok("trade Z-Z")),
        (closed, "all", known(), Ok("trade A-B, trade C-D")),
        (
            closed,
            "all",
            Vec::new(),
            Err("\"all\" needs the list of markets, which toy did not give"),
        ),
        (html.as_str(), "A-*", Vec::new(), Err("is no list of markets: no codes")),
        (closed, "Q-*", known(), Err("matches none of the 2 markets")),
    ] {
        let bench = bench(&TOY, rest_url, markets, |setup| setup.fallback = fallback);
        match outcome {
            Ok(asked) => {
                let mut peer = bench.server.accept().await;
                assert_eq!(peer.text().await.as_deref(), Some(asked), "{rest_url} {markets}");
                bench.stop.cancel();
                drop(peer);
                bench.task.await.unwrap().unwrap();
            }
            Err(words) => {
                let error = bench.task.await.unwrap().unwrap_err().to_string();
                assert!(error.contains(words), "{rest_url} {markets}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_is_said_at_once() {
    let rest = rest("KRW-BTC").await;
    let bench = bench(&TOY, &rest.url, "KRW-BTG", |_| {});
    let error = bench.task.await.unwrap().unwrap_err();
    assert!(matches!(error, SupervisorError::Plan(PlanError::UnknownMarket { .. })), "{error}");
}

#[tokio::test]
async fn a_panic_ends_the_run_with_an_error() {
    let rest = rest("A-B").await;
    let bench = bench(&TOY, &rest.url, "A-B", |_| {});
    let mut peer = bench.server.accept().await;
    peer.send("PANIC").await;
    let error = bench.task.await.unwrap().unwrap_err();
    assert!(matches!(&error, SupervisorError::Panicked(_)), "{error}");
    assert!(!bench.stop.is_cancelled(), "what else the caller stops by it goes on");
}

#[tokio::test]
async fn without_a_writer_there_is_no_run() {
    let rest = rest("A-B").await;
    let bench = bench(&TOY, &rest.url, "A-B", |_| {});
    drop(bench.events);
    let error = bench.task.await.unwrap().unwrap_err();
    assert!(matches!(error, SupervisorError::NoWriter(_)), "{error}");
}

#[tokio::test]
async fn time_is_told_and_left_out_where_there_is_no_room() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (sender, mut events) = queue(QueueLimits { events: 2, bytes: 1 });
    let done = CancellationToken::new();
    tokio::time::pause();
    let ticks = tokio::spawn(tick(Drift::from_now(clock, Arc::default()), sender, done.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    done.cancel();
    ticks.await.unwrap();
    let mut told = Vec::new();
    while events.recv_batch_async(&mut told, 10).await {}
    assert_eq!(told.len(), 2);
}

#[tokio::test]
async fn a_wish_is_followed_and_what_cannot_be_is_refused() {
    let rest = rest("A-B C-D E-F").await;
    let (wishes, heard) = mpsc::channel(1);
    let mut bench = bench(&TOY, &rest.url, "A-B C-D", |setup| setup.wishes = heard);
    let mut one = bench.server.accept().await;
    assert_eq!(one.text().await.as_deref(), Some("trade A-B, trade C-D"));
    let wish = async |markets: &str| {
        let markets: Vec<String> = markets.split(' ').map(str::to_owned).collect();
        let selection = Selection::parse(&TOY, Way::Live, &markets, &["trade".to_owned()]).ok();
        let (reply, answer) = oneshot::channel();
        let poll_every = Duration::from_millis(20);
        wishes.send(Wish { selection, poll_every, reply }).await.unwrap();
        answer.await.unwrap()
    };
    // It is held against the list as it is now, and nothing changes.
    assert!(matches!(wish("A-B Q-Q").await, Err(PlanError::UnknownMarket { .. })));
    assert!(matches!(wish("Q-*").await, Err(PlanError::NoMatch { .. })));
    // One more and one less, over a connection that takes over.
    assert_eq!(wish("A-B E-F").await, Ok(2));
    let mut two = bench.server.accept().await;
    assert_eq!(two.text().await.as_deref(), Some("trade A-B, trade E-F"));
    two.send("trade A-B 1").await;
    two.send("trade E-F 2").await;
    bench.lines_until("8 closed on purpose").await;
    assert_eq!(wish("A-B E-F").await, Ok(2), "the same again changes nothing");
    let (rest_of_it, ()) = tokio::join!(bench.stop(), two.attend(Duration::from_secs(5)));
    assert_eq!(rest_of_it, ["9 closed on purpose", "7 closed on purpose"]);
}

/// Nothing here asks how fast it is: a machine that is busy only makes it later.
#[test]
fn what_comes_gathers_for_the_read_interval() {
    const INTERVAL: Duration = Duration::from_millis(20);
    const WAKES: u32 = 5;
    let clock = SystemClock::new();
    let took = runtime(INTERVAL).unwrap().block_on(async {
        tokio::spawn(async move {
            let begun = clock.monotonic();
            for _ in 0..WAKES {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            clock.monotonic().saturating_sub(begun)
        })
        .await
        .unwrap()
    });
    assert!(took >= INTERVAL * WAKES, "{took:?}");
}
