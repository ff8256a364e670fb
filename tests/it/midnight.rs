//! A hole over midnight UTC: venues keep trades by day, so it is closed from two days.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use veritape::backfill::repair;
use veritape::backfill::run;
use veritape::ingest::feed::Numbers;
use veritape::ingest::queue::{QueueLimits, Receiver, Sender, queue};
use veritape::ingest::writer::{Writer, WriterOptions};
use veritape::model::event::{Event, SessionClosed, SessionOpened};
use veritape::model::gap::{GapCause, GapState};
use veritape::model::job::JobState;
use veritape::model::market::Market;
use veritape::model::subscription::{Stream, Subscription};
use veritape::model::time::Timestamp;
use veritape::net::budget::{Budget, Rates};
use veritape::net::clock::{Clock, TokioClock};
use veritape::net::http::Http;
use veritape::net::tls;
use veritape::sim::{Options, Sim};
use veritape::store::catalog::{Catalog, Filter};
use veritape::store::fs::{Fs, RealFs};
use veritape::store::paths::Paths;
use veritape::store::segment::{self, Extent};
use veritape::venue::{self, Venue};

const MARKETS: [&str; 2] = ["KRW-BTC", "KRW-ETH"];
const FROM: &str = "2026-11-20T23:59:20Z";
const TO: &str = "2026-11-21T00:00:15Z";
const NOW: &str = "2026-11-21T00:00:40Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What sessions tell of a connection that was away over midnight.
fn events() -> Vec<Event> {
    let subscriptions: Arc<[Subscription]> = MARKETS
        .iter()
        .map(|market| Subscription {
            stream: Stream::Trade,
            market: Market::new(*market),
            depth: None,
        })
        .collect();
    let mut events = Vec::new();
    for (session, from, to, cause) in [
        (1, "2026-11-20T23:50:00Z", FROM, Some(GapCause::Disconnect)),
        (2, TO, "2026-11-21T00:00:30Z", None),
    ] {
        let subscriptions = Arc::clone(&subscriptions);
        events.push(Event::SessionOpened(SessionOpened {
            session,
            venue: "upbit".into(),
            endpoint: "ws://venue".into(),
            subscriptions,
            line: 1,
            at: at(from),
        }));
        let served = MARKETS.iter().map(|market| Event::Served {
            session,
            stream: Stream::Trade,
            market: Market::new(*market),
            at: at(from),
        });
        events.extend(served);
        events.push(Event::SessionClosed(SessionClosed {
            session,
            at: at(to),
            proven_until: at(to),
            cause,
            why: "because".to_owned(),
            frames: 0,
            bytes: 0,
        }));
    }
    events
}

fn writer(data: &Path, clock: &Arc<dyn Clock>) -> (Writer, Sender, Receiver) {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let writer = Writer::start(data, fs, Arc::clone(clock), WriterOptions::default()).unwrap();
    let (sender, receiver) = queue(QueueLimits::default());
    (writer, sender, receiver)
}

fn http(venue: &dyn Venue, clock: &Arc<dyn Clock>) -> Http {
    let rates = Rates::from(venue.limits());
    let budget = Arc::new(Budget::new(Arc::clone(clock), rates));
    Http::new(&tls::client_config(None).unwrap(), budget, Arc::clone(clock)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_over_midnight_is_repaired_from_two_days() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(at(NOW)));
    let options = Options { history_rate: 1_200.0, markets: 2, ..Options::new(at(NOW)) };
    let sim = Sim::start(options).await.unwrap();
    let venue = venue::by_name("upbit").unwrap();

    let (first, sender, receiver) = writer(folder.path(), &clock);
    for event in events() {
        sender.send(event).await.unwrap();
    }
    drop(sender);
    thread::spawn(move || first.run(receiver)).join().unwrap().unwrap();

    let (second, queue, receiver) = writer(folder.path(), &clock);
    let setup = repair::Setup {
        run: run::Setup {
            venue,
            rest_url: sim.rest_url(),
            http: http(venue, &clock),
            clock: Arc::clone(&clock),
            queue,
            told: second.jobs(),
            effort: repair::effort(Some(Duration::from_secs(30))),
        },
        data: folder.path().to_owned(),
        numbers: Arc::new(Numbers::starting_at(second.next_session())),
        settle: Duration::from_secs(1),
    };
    let writing = thread::spawn(move || second.run(receiver));
    repair::all(setup, watch::Sender::default(), CancellationToken::new()).await.unwrap();
    writing.join().unwrap().unwrap();

    let catalog = Catalog::of_folder(folder.path()).unwrap();
    let jobs = catalog.jobs(&Filter::default()).unwrap();
    let midnight = at("2026-11-21T00:00:00Z");
    let mut spans: Vec<_> = jobs.iter().map(|job| (job.market.to_string(), job.span)).collect();
    spans.sort();
    assert_eq!(spans.len(), 4, "two days of two markets: {spans:?}");
    for pair in spans.chunks(2) {
        assert_eq!((pair[0].1.to(), pair[1].1.from()), (midnight, midnight), "{pair:?}");
    }
    assert!(jobs.iter().all(|job| job.state == JobState::Done), "{jobs:#?}");
    let gaps = catalog.gaps(&Filter::default()).unwrap();
    let states: Vec<GapState> = gaps.iter().map(|(_, gap)| gap.state).collect();
    assert_eq!(states, [GapState::Repaired]);

    let held = held(folder.path(), &catalog);
    let span = jobs.iter().fold(jobs[0].span, |all, job| {
        veritape::model::span::Span::new(
            all.from().min(job.span.from()),
            all.to().max(job.span.to()),
        )
        .unwrap()
    });
    let millis = |at: Timestamp| at.micros().div_euclid(1_000);
    let told = MARKETS
        .iter()
        .flat_map(|market| sim.ledger().history(market, millis(span.from()), millis(span.to())));
    let mut told: Vec<(String, i64)> = told.map(|trade| (trade.market, trade.id)).collect();
    told.sort();
    assert!(told.len() > 100, "{} trades", told.len());
    assert_eq!(held, told);
    sim.stop().await.unwrap();
}

/// Market and number of every trade in the files.
fn held(data: &Path, catalog: &Catalog) -> Vec<(String, i64)> {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let paths = Paths::new(data);
    let mut held = Vec::new();
    for segment in catalog.segments(&Filter::default()).unwrap() {
        segment::scan(&fs, &paths, &segment, Extent::Ids, |cells| {
            held.extend(
                cells
                    .rows()
                    .map(|row| (cells.market(row).unwrap().to_owned(), cells.id(row).unwrap())),
            );
        })
        .unwrap();
    }
    held.sort();
    held
}
