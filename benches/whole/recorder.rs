//! The other side, in a process of its own, so that it can be measured alone: the recorder as
//! `record` puts it together, without repairs and the status page; or nothing but the websocket
//! library.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use veritape::ingest::feed::Numbers;
use veritape::ingest::plan::{Selection, Way};
use veritape::ingest::queue::{QueueLimits, queue};
use veritape::ingest::stats::Stats;
use veritape::ingest::supervisor::{self, Setup};
use veritape::ingest::writer::{Writer, WriterOptions};
use veritape::net::budget::{Budget, Rates};
use veritape::net::clock::{Clock, SystemClock};
use veritape::net::connect::Connector;
use veritape::net::http::Http;
use veritape::net::tls;
use veritape::net::wire::Internet;
use veritape::store::fs::RealFs;
use veritape::venue;

use super::spent::process_cpu;
use super::watched::{Synced, Watched};
use crate::meter::memory;

/// How often it is looked whether all has come.
const LOOK: Duration = Duration::from_millis(25);

/// What the process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    /// Whether to record; else messages are read and forgotten.
    pub(crate) record: bool,
    /// Where the websocket is.
    pub(crate) ws: String,
    /// Where the REST server is.
    pub(crate) rest: String,
    /// What to record.
    pub(crate) streams: Vec<String>,
    /// Over how many connections.
    pub(crate) lines: u32,
    /// How long messages may gather in the sockets.
    pub(crate) read_interval: Duration,
    /// Messages that come over all of them together.
    pub(crate) messages: u64,
    /// Where to record to.
    pub(crate) data: PathBuf,
}

/// What it says at its end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// From the first message to the last one being published.
    pub(crate) seconds: f64,
    /// What the process spent in that time.
    pub(crate) cpu_seconds: f64,
    /// The most memory that was resident.
    pub(crate) peak_bytes: u64,
    /// Memory that was resident when the last message had come.
    pub(crate) resident_bytes: u64,
    /// Rows published.
    pub(crate) rows: u64,
    /// Bytes of the files they are in.
    pub(crate) file_bytes: u64,
    /// Messages that no decoder understood.
    pub(crate) unread: u64,
    /// How often a socket had to wait for the writer.
    pub(crate) waits: u64,
    /// When which frames were durable.
    pub(crate) synced: Vec<Synced>,
}

/// Does it, and says the outcome as JSON.
pub(crate) fn run(task: &Task) -> Result<Outcome, Box<dyn Error>> {
    let runtime = supervisor::runtime(task.read_interval)?;
    if task.record { record(task, &runtime) } else { read(task, &runtime) }
}

/// Time and effort since the first message.
struct Since {
    clock: SystemClock,
    at: Duration,
    cpu: Duration,
}

impl Since {
    fn now() -> Self {
        let clock = SystemClock::new();
        Self { clock, at: clock.monotonic(), cpu: process_cpu() }
    }

    fn outcome(&self) -> Outcome {
        Outcome {
            seconds: self.clock.monotonic().saturating_sub(self.at).as_secs_f64(),
            cpu_seconds: process_cpu().saturating_sub(self.cpu).as_secs_f64(),
            peak_bytes: memory("VmHWM:"),
            ..Outcome::default()
        }
    }
}

fn record(task: &Task, runtime: &Runtime) -> Result<Outcome, Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let synced = Arc::new(Mutex::new(Vec::new()));
    let fs = Arc::new(Watched::over(RealFs, Arc::clone(&synced)));
    let writer = Writer::start(&task.data, fs, Arc::clone(&clock), WriterOptions::default())?;
    let (setup, stats) = setup(task, &clock, &writer)?;
    let (sender, receiver) = queue(QueueLimits::default());
    let writing = thread::spawn(move || writer.run(receiver).map_err(|error| error.to_string()));
    let stop = CancellationToken::new();
    let feeding = runtime.spawn(supervisor::run(setup, sender, stop.clone()));
    let come = |messages: u64| {
        while stats.snapshot().frames < messages && !feeding.is_finished() {
            thread::sleep(LOOK);
        }
    };
    come(1);
    let since = Since::now();
    come(task.messages);
    let resident_bytes = memory("VmRSS:");
    stop.cancel();
    runtime.block_on(feeding)??;
    let progress = writing.join().map_err(|_| "the writer panicked")??;
    let synced = std::mem::take(&mut *synced.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Outcome {
        resident_bytes,
        rows: progress.file_rows,
        file_bytes: progress.file_bytes,
        unread: progress.unread,
        waits: progress.queue_waits,
        synced,
        ..since.outcome()
    })
}

fn setup(
    task: &Task,
    clock: &Arc<dyn Clock>,
    writer: &Writer,
) -> Result<(Setup, Arc<Stats>), Box<dyn Error>> {
    let venue = venue::by_name("upbit").ok_or("the venue is gone")?;
    let selection = Selection::parse(venue, Way::Live, &["all".to_owned()], &task.streams)?;
    let rates = Rates::from(venue.limits());
    let budget = Arc::new(Budget::new(Arc::clone(clock), rates));
    let tls = tls::client_config(None)?;
    let stats = Arc::new(Stats::default());
    let setup = Setup {
        venue,
        ws_url: task.ws.clone(),
        rest_url: task.rest.clone(),
        selection,
        lines: task.lines,
        max_age: None,
        // The list is asked for once: which frame is which is told from the order.
        poll_every: Duration::from_hours(24),
        list_patience: supervisor::LIST_PATIENCE,
        numbers: Arc::new(Numbers::starting_at(writer.next_session())),
        fallback: Vec::new(),
        connector: Connector::new(Arc::new(Internet), Arc::clone(&tls), Arc::clone(clock)),
        http: Http::new(&tls, Arc::clone(&budget), Arc::clone(clock))?,
        clock: Arc::clone(clock),
        budget,
        stats: Arc::clone(&stats),
        wishes: mpsc::channel(1).1,
    };
    Ok((setup, stats))
}

/// The websocket library alone, on the thread that waits for the socket.
fn read(task: &Task, runtime: &Runtime) -> Result<Outcome, Box<dyn Error>> {
    let (ws, messages) = (task.ws.clone(), task.messages);
    let reading = runtime.spawn(async move {
        let (mut socket, _) = tokio_tungstenite::connect_async(&ws).await.map_err(told)?;
        socket.send(Message::text("[]")).await.map_err(told)?;
        let mut next = async || socket.next().await.ok_or("it ended")?.map_err(told);
        let mut bytes = next().await?.len();
        let since = Since::now();
        for _ in 1..messages {
            bytes += next().await?.len();
        }
        if bytes == 0 {
            return Err("nothing came".to_owned());
        }
        Ok(since.outcome())
    });
    Ok(runtime.block_on(reading)??)
}

fn told(error: impl Error) -> String {
    error.to_string()
}

/// The folder of the journal.
pub(super) fn is_journal(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|name| name == "journal")
}

/// Reads a task from the command line, where this process has one.
pub(crate) fn task() -> Result<Option<Task>, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("recorder"), Some(task)) => Ok(Some(serde_json::from_str(&task)?)),
        _ => Ok(None),
    }
}

/// Says the outcome to the process that started this one.
pub(crate) fn tell(outcome: &Outcome) -> Result<(), Box<dyn Error>> {
    serde_json::to_writer(io::stdout().lock(), outcome)?;
    Ok(())
}
