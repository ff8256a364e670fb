//! From the socket to published files: `cargo bench --bench whole`.
//!
//! A venue in this process sends messages that are ready over websockets on loopback to a recorder
//! in another process, which journals, decodes, merges, seals and publishes them; first as fast as
//! they are taken, then at 1,000 a second. Each figure stands beside its floor of the same run:
//! the websocket library alone, the numbers of the messages alone, zstd and the disk alone,
//! Arrow to Parquet alone. Prints two tables in Markdown.
//!
//! `cargo bench --bench whole -- books` runs what has that in its name: `trades`, `books` or `mix`.
//! `VERITAPE_BENCH_SHARE=10` sends a tenth of the messages. `VERITAPE_BENCH_UNDER` is a command that
//! the recorder runs under, such as `valgrind --tool=callgrind`.

#[path = "../frames/mod.rs"]
mod frames;
#[path = "../meter/mod.rs"]
mod meter;
#[path = "../frames/numbers.rs"]
mod numbers;

mod floors;
mod load;
mod recorder;
mod sender;
mod spent;
mod watched;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use self::floors::Floors;
use self::load::{Load, loads};
use self::meter::real;
use self::recorder::{Outcome, Task};
use self::sender::{Pace, Venue, send};

/// Messages a second, and seconds, of the slow runs: the whole venue on a usual day.
const USUAL: (u32, u64) = (1_000, 6);
/// How the slow runs are read: how many milliseconds messages may gather in the sockets, and over how
/// many lines.
const READINGS: [(u64, &[u32]); 2] = [(0, &[1, 2]), (20, &[1])];
const MIB: f64 = 1_048_576.0;

/// How messages are read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    lines: u32,
    interval: Duration,
}

impl Reading {
    const fn over(lines: u32) -> Self {
        Self { lines, interval: Duration::ZERO }
    }
}

/// What came of it.
struct Run {
    /// Over all lines.
    messages: u64,
    outcome: Outcome,
    /// From the venue's hand to the disk, sorted. Unit: microseconds.
    durable: Vec<i64>,
    /// Microseconds of a processor to write all its rows again.
    parquet: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(task) = recorder::task()? {
        return recorder::tell(&recorder::run(&task)?);
    }
    let share: u64 = std::env::var("VERITAPE_BENCH_SHARE").map_or(Ok(100), |text| text.parse())?;
    let mut loads = tokio::runtime::Runtime::new()?.block_on(loads(share))?;
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    loads.retain(|load| wanted.is_empty() || wanted.iter().any(|word| load.name.contains(word)));
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| as fast as taken | lines | frames/s | of the socket's | CPU µs a frame | floor µs: \
         socket + numbers + Parquet + journal | ratio | peak MiB | durable p50 ms | p99 ms |\n\
         |---|---|---|---|---|---|---|---|---|---|"
    )?;
    for load in &loads {
        let socket = run(load, Reading::over(1), load.messages, Pace::Taken, false)?;
        let home = tempfile::tempdir()?;
        let numbers = floors::numbers(&load.pool);
        let journal = floors::journal(&load.pool, home.path(), load.messages.min(100_000))?;
        for lines in [1, 2] {
            let run = run(load, Reading::over(lines), load.messages, Pace::Taken, true)?;
            let parquet = run.parquet / real(run.messages);
            let floors = Floors { socket: socket.cpu_us(), numbers, parquet, journal };
            writeln!(out, "{}", fast(load, lines, &run, &socket, floors))?;
        }
    }
    let (rate, seconds) = USUAL;
    writeln!(
        out,
        "\n| at {rate} a second | lines | `read_interval` ms | of one core | the socket alone | \
         resident MiB | peak MiB | durable p50 ms | p99 ms |\n|---|---|---|---|---|---|---|---|---|"
    )?;
    let messages = u64::from(rate) * (seconds * share / 100).max(1);
    for load in &loads {
        for (millis, lines) in READINGS {
            let reading = |lines| Reading { lines, interval: Duration::from_millis(millis) };
            let pace = Pace::PerSecond(rate);
            let socket = run(load, reading(1), messages, pace, false)?;
            for lines in lines {
                let run = run(load, reading(*lines), messages, pace, true)?;
                writeln!(out, "{}", slow(load, reading(*lines), &run, &socket))?;
            }
        }
    }
    Ok(())
}

/// Sends `messages` over each line to a process that records them, or only reads them.
fn run(
    load: &Load,
    reading: Reading,
    messages: u64,
    pace: Pace,
    record: bool,
) -> Result<Run, Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let venue = Venue::open(&load.markets)?;
    let Reading { lines, interval } = reading;
    let all = messages * u64::from(lines);
    let task = Task {
        record,
        ws: format!("ws://{}/websocket/v1", venue.ws),
        rest: format!("http://{}", venue.rest),
        streams: load.streams.iter().map(|stream| (*stream).to_owned()).collect(),
        lines,
        read_interval: interval,
        messages: all,
        data: home.path().join("data"),
    };
    let child = start(&task)?;
    let mut sockets = venue.accept(usize::try_from(lines)?)?;
    let sent = send(&mut sockets, &load.pool, messages, pace)?;
    let told = child.wait_with_output()?;
    if !told.status.success() {
        return Err(format!("the recorder ended with {}", told.status).into());
    }
    let outcome: Outcome = serde_json::from_slice(&told.stdout)?;
    if record && (outcome.rows < messages || outcome.unread > 0) {
        let Outcome { rows, unread, .. } = outcome;
        return Err(format!("{messages} messages gave {rows} rows, {unread} were unread").into());
    }
    let durable = durable(&outcome, &sent, all, u64::from(lines));
    let parquet = if record { floors::parquet(&task.data)? } else { 0.0 };
    Ok(Run { messages: all, outcome, durable, parquet })
}

fn start(task: &Task) -> Result<Child, Box<dyn Error>> {
    let under = std::env::var("VERITAPE_BENCH_UNDER").unwrap_or_default();
    let mut words = under.split_whitespace();
    let own = std::env::current_exe()?;
    let mut command = match words.next().filter(|_| task.record) {
        Some(first) => Command::new(first),
        None => Command::new(&own),
    };
    if task.record && !under.is_empty() {
        command.args(words).arg(own);
    }
    command.arg("recorder").arg(serde_json::to_string(task)?);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
}

/// How long each message took until all its copies were durable, sorted. Frames are numbered as
/// they come: first what was asked for by REST, then what came over the lines, which carry the
/// same at about the same time.
fn durable(outcome: &Outcome, sent: &[i64], all: u64, lines: u64) -> Vec<i64> {
    let end = |synced: &watched::Synced| synced.first + u64::from(synced.frames);
    let last = outcome.synced.last().map_or(0, end);
    let before = last.saturating_sub(all);
    let mut synced = outcome.synced.iter().peekable();
    let mut took = Vec::with_capacity(sent.len());
    for (nth, sent) in (1..).zip(sent) {
        let sequence = before + nth * lines - 1;
        while synced.next_if(|synced| end(synced) <= sequence).is_some() {}
        took.extend(synced.peek().map(|synced| synced.at - sent));
    }
    took.sort_unstable();
    took
}

impl Run {
    fn per_second(&self) -> f64 {
        real(self.messages) / self.outcome.seconds
    }

    fn cpu_us(&self) -> f64 {
        self.outcome.cpu_seconds * 1e6 / real(self.messages)
    }

    /// Percent.
    fn of_one_core(&self) -> f64 {
        100.0 * self.outcome.cpu_seconds / self.outcome.seconds
    }

    /// Milliseconds.
    fn durable_ms(&self, percent: usize) -> f64 {
        let place = self.durable.len() * percent / 100;
        let micros = self.durable.get(place).or(self.durable.last()).copied();
        micros.and_then(|micros| u64::try_from(micros).ok()).map_or(0.0, |us| real(us) / 1e3)
    }
}

fn fast(load: &Load, lines: u32, run: &Run, socket: &Run, floors: Floors) -> String {
    format!(
        "| {} | {lines} | {:.0} | {:.2} | {:.2} | {:.2} + {:.2} + {:.2} + {:.2} = {:.2} | {:.2} | \
         {:.0} | {:.0} | {:.0} |",
        load.name,
        run.per_second(),
        run.per_second() / socket.per_second(),
        run.cpu_us(),
        floors.socket,
        floors.numbers,
        floors.parquet,
        floors.journal,
        floors.sum(),
        run.cpu_us() / floors.sum(),
        real(run.outcome.peak_bytes) / MIB,
        run.durable_ms(50),
        run.durable_ms(99),
    )
}

fn slow(load: &Load, reading: Reading, run: &Run, socket: &Run) -> String {
    format!(
        "| {} | {} | {} | {:.2} % | {:.2} % | {:.0} | {:.0} | {:.0} | {:.0} |",
        load.name,
        reading.lines,
        reading.interval.as_millis(),
        run.of_one_core(),
        socket.of_one_core(),
        real(run.outcome.resident_bytes) / MIB,
        real(run.outcome.peak_bytes) / MIB,
        run.durable_ms(50),
        run.durable_ms(99),
    )
}
