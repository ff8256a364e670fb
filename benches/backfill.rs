//! What asking for the past costs: `cargo bench --bench backfill`.
//!
//! Asks the simulated venue, in this process, for one year of 1-minute candles of one market, and
//! prints rows a second, requests a second and the share of the allowed rate. The venue's clock is
//! its own, and it allows `VERITAPE_BENCH_RATE` requests a second (default 100; the real one allows
//! 10), so that a year does not take four and a half minutes.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use veritape::backfill::held::Held;
use veritape::backfill::plan::{Wish, plan};
use veritape::backfill::run::{Effort, Progress, Setup, run};
use veritape::ingest::queue::{QueueLimits, queue};
use veritape::ingest::writer::{Writer, WriterOptions};
use veritape::model::job::{Job, JobKind, JobState};
use veritape::model::market::Market;
use veritape::model::span::Span;
use veritape::model::subscription::{CandleUnit, Stream};
use veritape::net::budget::{Budget, Rates};
use veritape::net::clock::{Clock, SystemClock};
use veritape::net::http::Http;
use veritape::net::tls;
use veritape::sim::{Options, Sim};
use veritape::store::fs::RealFs;
use veritape::venue;

const YEAR: Duration = Duration::from_hours(365 * 24);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rate: u32 = std::env::var("VERITAPE_BENCH_RATE").map_or(Ok(100), |text| text.parse())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let options = Options { rest_rate: rate, markets: 1, ..Options::new(clock.now()) };
    let sim = Sim::start(options).await?;
    let venue = venue::by_name("upbit").ok_or("the venue is gone")?;
    let (market, stream) = (Market::new("KRW-BTC"), Stream::Candle(CandleUnit::M1));
    let wish = Wish {
        venue,
        subjects: &[(stream, market)],
        span: Span::new(clock.now().before(YEAR), clock.now()).ok_or("a year is no span")?,
        held: &Held::default(),
        trades_per_day: &std::collections::BTreeMap::new(),
        now: clock.now(),
        settle: Duration::from_secs(5),
    };
    let planned = plan(&wish)?;

    let data = tempfile::tempdir()?;
    let fs = Arc::new(RealFs);
    let writer = Writer::start(data.path(), fs, Arc::clone(&clock), WriterOptions::default())?;
    let first = writer.next_session();
    let told = writer.jobs();
    let (sender, receiver) = queue(QueueLimits::default());
    let writing = thread::spawn(move || writer.run(receiver).map_err(|error| error.to_string()));
    let rates = Rates { connects_per_second: 1, requests_per_second: rate, block: YEAR };
    let budget = Arc::new(Budget::new(Arc::clone(&clock), rates));
    let http = Http::new(&tls::client_config(None)?, budget, Arc::clone(&clock))?;
    let (handing, handed) = mpsc::channel(planned.jobs.len().max(1));
    for (id, one) in (first..).zip(planned.jobs) {
        let job = Job {
            id,
            kind: JobKind::Backfill,
            venue: venue.name().into(),
            stream: one.stream,
            market: one.market,
            span: one.span,
            gap: None,
            state: JobState::Planned,
            rows: 0,
            known: 0,
            calls: 0,
            error: None,
            reached: None,
        };
        handing.send(job).await?;
    }
    drop(handing);
    let (progress, watched) = watch::channel(Progress::default());
    let effort = Effort { at_once: 16, ..Effort::default() };
    let rest_url = sim.rest_url();
    let started = clock.monotonic();
    let setup =
        Setup { venue, rest_url, http, clock: Arc::clone(&clock), queue: sender, told, effort };
    run(setup, handed, progress, CancellationToken::new()).await?;
    let asked = clock.monotonic().saturating_sub(started).as_secs_f64();
    let written = tokio::task::spawn_blocking(move || writing.join()).await?;
    let written = written.map_err(|_| "the writer panicked")??;
    let whole = clock.monotonic().saturating_sub(started).as_secs_f64();

    let done = watched.borrow().clone();
    let number = |n: u64| u32::try_from(n).map_or(0.0, f64::from);
    let mut out = io::stdout().lock();
    writeln!(out, "{} rows of {} requests in {whole:.1} s", written.file_rows, done.calls)?;
    writeln!(out, "{:.0} rows/s to the disk", number(written.file_rows) / whole)?;
    let share = done.rate_used(rate).unwrap_or(0.0);
    let calls = number(done.calls) / asked;
    writeln!(out, "{calls:.1} requests/s: {:.1} % of the {rate} allowed", 100.0 * share)?;
    writeln!(out, "{} requests were made again", done.retries)?;
    Ok(())
}
