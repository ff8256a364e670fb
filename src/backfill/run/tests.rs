use std::sync::Mutex;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::ingest::queue::{QueueLimits, Receiver, queue};
use crate::model::event::Event;
use crate::model::job::{JobState, Reached};
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::subscription::{CandleUnit, Stream};
use crate::model::time::Timestamp;
use crate::net::budget::{Budget, Rates};
use crate::net::clock::SystemClock;
use crate::net::testing::read_head;
use crate::net::tls;
use crate::venue;

fn minute(number: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_040_000 + number * 60_000)
}

fn job(id: i64, market: &str, minutes: (i64, i64)) -> Job {
    Job {
        id,
        kind: JobKind::Backfill,
        venue: "upbit".into(),
        stream: Stream::Candle(CandleUnit::M1),
        market: Market::new(market),
        span: Span::new(minute(minutes.0), minute(minutes.1)).unwrap(),
        gap: None,
        state: JobState::Planned,
        rows: 0,
        known: 0,
        calls: 0,
        error: None,
        reached: None,
    }
}

/// A page of one candle.
fn candle(market: &str, number: i64) -> String {
    let open = minute(number).datetime().format("%Y-%m-%dT%H:%M:%S");
    let rows = serde_json::json!([{
        "market": market, "candle_date_time_utc": open.to_string(), "timestamp": 1_700_000_000_000_i64,
        "opening_price": 1.0, "high_price": 1.0, "low_price": 1.0, "trade_price": 1.0,
        "candle_acc_trade_volume": 1.0, "candle_acc_trade_price": 1.0,
    }]);
    answer("200 OK", &rows.to_string())
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// A server that answers each request by `answers`, which is given its URL and how many came
/// before it.
async fn server(answers: impl Fn(&str, usize) -> String + Send + 'static) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let note = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut wire, _) = listener.accept().await.unwrap();
            let head = read_head(&mut wire).await;
            let line = head.lines().next().unwrap_or_default().to_owned();
            let before = note.lock().unwrap().len();
            note.lock().unwrap().push(line.clone());
            wire.write_all(answers(&line, before).as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

type Asked = Arc<Mutex<Vec<String>>>;
type Told = BTreeMap<i64, JobTold>;

/// What the writer does, as far as jobs go; gives back what it was told of them last, and how many
/// requests had been made when it made each page durable.
async fn writer(
    mut events: Receiver,
    told: watch::Sender<Arc<Told>>,
    asked: Asked,
) -> (BTreeMap<i64, Job>, Vec<usize>) {
    let mut made = Vec::new();
    let mut jobs: BTreeMap<i64, Job> = BTreeMap::new();
    let mut batch = Vec::new();
    while events.recv_batch_async(&mut batch, 16).await {
        for event in batch.drain(..) {
            let id = match &event {
                Event::Job(job) => {
                    jobs.insert(job.id, job.as_ref().clone());
                    job.id
                }
                Event::Frame(frame) => {
                    let id = frame.origin.session;
                    assert!(jobs.contains_key(&id), "a page of a job that nobody told of");
                    // Long enough for another request, if one is made without waiting.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    made.push(asked.lock().unwrap().len());
                    told.send_modify(|told| {
                        Arc::make_mut(told).entry(id).or_default().pages += 1;
                    });
                    id
                }
                Event::SessionOpened(_)
                | Event::Served { .. }
                | Event::Unserved { .. }
                | Event::Alive { .. }
                | Event::SessionClosed(_)
                | Event::Wanted(_)
                | Event::Tick(_)
                | Event::ClockStepped(_) => panic!("{event:?}"),
            };
            told.send_modify(|told| {
                Arc::make_mut(told).entry(id).or_default();
            });
        }
    }
    (jobs, made)
}

struct Ran {
    jobs: BTreeMap<i64, Job>,
    progress: Progress,
    asked: Vec<String>,
    /// How many requests had been made when each page became durable.
    made: Vec<usize>,
}

/// Runs `jobs` against a server.
async fn ran(
    effort: Effort,
    jobs: Vec<Job>,
    answers: impl Fn(&str, usize) -> String + Send + 'static,
) -> Ran {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let rates =
        Rates { connects_per_second: 9, requests_per_second: 500, block: Duration::from_millis(1) };
    let budget = Arc::new(Budget::new(Arc::clone(&clock), rates));
    let tls = tls::client_config(None).unwrap();
    let http = Http::new(&tls, budget, Arc::clone(&clock)).unwrap();
    let (rest_url, asked) = server(answers).await;
    let (queue, events) = queue(QueueLimits::default());
    let (telling, told) = watch::channel(Arc::new(Told::new()));
    let writing = tokio::spawn(writer(events, telling, Arc::clone(&asked)));
    let venue = venue::by_name("upbit").unwrap();
    let setup = Setup { venue, rest_url, http, clock, queue, told, effort };
    let (handing, handed) = mpsc::channel(jobs.len().max(1));
    for job in jobs {
        handing.send(job).await.unwrap();
    }
    drop(handing);
    let (progress, watched) = watch::channel(Progress::default());
    run(setup, handed, progress, CancellationToken::new()).await.unwrap();
    let (jobs, made) = writing.await.unwrap();
    let progress = watched.borrow().clone();
    let asked = asked.lock().unwrap().clone();
    Ran { jobs, progress, asked, made }
}

const QUICK: Effort = Effort { at_once: 1, tries: 2, patience: Some(Duration::from_mins(1)) };

#[tokio::test]
async fn pages_follow_each_other_and_nothing_is_asked_twice() {
    let jobs = vec![job(1, "KRW-BTC", (0, 3)), job(2, "KRW-ETH", (0, 3))];
    let ran = ran(QUICK, jobs, |line, _| {
        let market = if line.contains("KRW-BTC") { "KRW-BTC" } else { "KRW-ETH" };
        let to = (0..4).find(|number| {
            let to = minute(*number).datetime().format("%Y-%m-%dT%H%%3A%M%%3A%SZ").to_string();
            line.contains(&to)
        });
        candle(market, to.unwrap() - 1)
    })
    .await;
    assert!(ran.jobs.values().all(|job| job.state == JobState::Done && job.calls == 3));
    assert_eq!((ran.progress.calls, ran.progress.pages, ran.progress.retries), (6, 6, 0));
    assert!((ran.progress.share - 2.0).abs() < 1e-9, "{:?}", ran.progress);
    assert_eq!(ran.made, [1, 2, 3, 4, 5, 6], "no page before the last one is durable");
    let mut asked = ran.asked.clone();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), 6, "{:?}", ran.asked);
}

/// What a job of one page comes to where the server first answers so.
async fn check(first: String, state: JobState, calls: u64, said: &str) {
    let shown = first.clone();
    let ran = ran(QUICK, vec![job(1, "KRW-BTC", (0, 1))], move |_, before| {
        if before == 0 { first.clone() } else { candle("KRW-BTC", 0) }
    })
    .await;
    let job = &ran.jobs[&1];
    assert_eq!((job.state, job.calls), (state, calls), "{shown}: {job:?}");
    let said_so = job.error.as_deref().map_or(said.is_empty(), |error| error.contains(said));
    assert!(said_so, "{shown}: {:?}", job.error);
}

#[tokio::test]
async fn what_may_be_had_later_is_asked_for_again() {
    let html = "<html><head><title>502 Bad Gateway</title></head></html>";
    for first in [
        answer("500 Oh", "{\"error\":{\"name\":500,\"message\":\"m\"}}"),
        answer("502 Bad Gateway", html),
        answer("200 OK", html),
        answer("200 OK", "[{\"market\":\"KRW-BTC\"}]"),
        answer("429 Too Many Requests\r\nRetry-After: 0", "Too many API requests."),
        answer("418 I'm a teapot", ""),
        "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[{\"market\"".to_owned(),
        String::new(),
        candle("KRW-ETH", 0),
        candle("KRW-BTC", 1),
    ] {
        check(first, JobState::Done, 2, "").await;
    }
}

#[tokio::test]
async fn what_will_not_be_had_is_not_asked_for_again() {
    let no_market =
        answer("404 Not Found", "{\"error\":{\"name\":404,\"message\":\"Code not found\"}}");
    check(no_market, JobState::Failed, 1, "upbit has no market KRW-BTC").await;
    let no_route =
        answer("404 Not Found", "{\"error\":{\"name\":\"not_found\",\"message\":\"no Route\"}}");
    check(no_route, JobState::Failed, 1, "answered 404").await;
    check(answer("400 Bad Request", "{}"), JobState::Failed, 1, "answered 400").await;
}

#[tokio::test]
async fn one_market_does_not_stop_the_others() {
    let jobs = vec![
        job(1, "KRW-NOPE", (0, 1)),
        job(2, "KRW-NOPE", (1, 2)),
        job(3, "KRW-BAD", (0, 1)),
        job(4, "KRW-BTC", (0, 1)),
        // Nothing is there before the first of its jobs says so.
        job(5, "KRW-NEW", (5, 6)),
        job(6, "KRW-NEW", (0, 5)),
    ];
    let effort = Effort { at_once: 2, ..QUICK };
    let ran = ran(effort, jobs, |line, _| {
        if line.contains("KRW-NOPE") {
            answer("404 Not Found", "{\"error\":{\"name\":404,\"message\":\"Code not found\"}}")
        } else if line.contains("KRW-BAD") {
            answer("500 Oh", "")
        } else if line.contains("KRW-NEW") {
            answer("200 OK", "[]")
        } else {
            candle("KRW-BTC", 0)
        }
    })
    .await;
    let states: Vec<_> = ran.jobs.values().map(|job| job.state).collect();
    let (done, failed) = (JobState::Done, JobState::Failed);
    assert_eq!(states, [failed, failed, failed, done, done, done], "{:#?}", ran.jobs);
    assert_eq!(ran.jobs[&3].calls.min(3), 2_u64.max(ran.jobs[&3].calls.min(3)), "tried again");
    assert_eq!(ran.jobs[&6].calls, 0, "the end of a market's past is known to all its jobs");
    assert_eq!(ran.progress.gave_up, None);
    assert_eq!(ran.progress.ended.len(), 6);
}

#[tokio::test]
async fn where_nothing_answers_the_run_ends_and_leaves_its_jobs() {
    let effort = Effort { at_once: 1, tries: 1, patience: Some(Duration::ZERO) };
    let jobs = vec![job(1, "KRW-BTC", (0, 1)), job(2, "KRW-ETH", (0, 1))];
    let ran = ran(effort, jobs, |_, _| answer("500 Oh", "")).await;
    assert_eq!(ran.jobs[&1].state, JobState::Running, "{:?}", ran.jobs);
    assert_eq!(ran.jobs[&2].state, JobState::Planned, "{:?}", ran.jobs);
    assert!(ran.progress.gave_up.is_some_and(|why| why.contains("answered 500")));
}

#[tokio::test]
async fn a_job_goes_on_where_it_was() {
    let had = Job {
        state: JobState::Running,
        reached: Some(Reached { at: minute(1), id: None }),
        ..job(1, "KRW-BTC", (0, 9))
    };
    let over =
        Job { reached: Some(Reached { at: minute(0), id: None }), ..job(2, "KRW-BTC", (0, 9)) };
    let ran = ran(QUICK, vec![had, over], |_, _| candle("KRW-BTC", 0)).await;
    assert_eq!(ran.asked.len(), 1, "{:?}", ran.asked);
    assert!(ran.jobs.values().all(|job| job.state == JobState::Done));
}

#[test]
fn an_empty_page_near_midnight_is_not_believed() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let venue = venue::by_name("upbit").unwrap();
    let page = |stream| {
        let (market, now) = (Market::new("KRW-BTC"), at("2026-11-21T12:00:00Z"));
        let ask = venue::PastAsk { stream, market: &market, before: now, id: None, now };
        venue.past("", &ask).unwrap()
    };
    for (asked, now, wait) in [
        ("2026-11-21T12:00:00Z", "2026-11-21T12:00:01Z", None),
        ("2026-11-21T23:59:51Z", "2026-11-21T23:59:52Z", Some(18)),
        ("2026-11-22T00:00:03Z", "2026-11-22T00:00:04Z", Some(6)),
        ("2026-11-22T00:00:10Z", "2026-11-22T00:00:10Z", None),
        ("2026-11-21T23:59:49Z", "2026-11-22T00:00:09Z", Some(1)),
    ] {
        let trades = answer::doubtful(&page(Stream::Trade), at(asked), at(now));
        assert_eq!(trades.map(|wait| wait.as_secs()), wait, "{asked} {now}");
        let candles = page(Stream::Candle(CandleUnit::M1));
        assert_eq!(answer::doubtful(&candles, at(asked), at(now)), None, "{asked} {now}");
    }
}
