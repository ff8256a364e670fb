//! The real program: its commands, the simulated venue, and a recorder that answers over HTTP.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use veritape::model::market::Market;
use veritape::net::clock::{Clock as _, SystemClock};
use veritape::store::folder;

/// Clock ticks a second in `/proc/<pid>/stat`: fixed by the kernel's interface.
const TICKS: u32 = 100;
/// How often is looked whether something is so.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long something may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A child that is ended with the benchmark.
struct Process(Child);

/// The program: of this build, or another one to compare with.
fn program() -> Command {
    let other = std::env::var_os("VERITAPE_BENCH_PROGRAM");
    Command::new(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_veritape").into()))
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a command took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ran {
    pub(crate) took: Duration,
    /// The most memory that was resident. Unit: bytes.
    pub(crate) peak: u64,
}

/// Runs a command to its end; the best of some.
pub(crate) fn command(data: &Path, arguments: &[&str]) -> Result<Ran, Box<dyn Error>> {
    let mut best: Option<Ran> = None;
    for _ in 0..3 {
        let ran = once(data, arguments)?;
        best = Some(best.filter(|best| best.took <= ran.took).unwrap_or(ran));
        if ran.took > Duration::from_secs(1) {
            break;
        }
    }
    Ok(best.unwrap_or_default())
}

fn once(data: &Path, arguments: &[&str]) -> Result<Ran, Box<dyn Error>> {
    let clock = SystemClock::new();
    let mut child = program()
        .args(arguments)
        .arg("--data")
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .map(Process)?;
    let mut out = child.0.stdout.take().ok_or("no stdout")?;
    let reader = thread::spawn(move || {
        // Nobody looks at it.
        io::copy(&mut out, &mut io::sink())
    });
    let mut peak = 0;
    let ended = loop {
        peak = memory(child.0.id(), "VmHWM:").max(peak);
        if let Some(ended) = child.0.try_wait()? {
            break ended;
        }
        thread::sleep(LOOK_EVERY);
    };
    let took = clock.monotonic();
    reader.join().map_err(|_| "the reader panicked")??;
    // Gaps that are open are told by the exit code.
    if ended.code().is_none_or(|code| code != 0 && code != 3) {
        return Err(format!("{arguments:?} ended with {ended}").into());
    }
    Ok(Ran { took, peak })
}

/// A line of `/proc/<pid>/status`, in bytes; 0 where there is none.
fn memory(pid: u32, name: &str) -> u64 {
    let read = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    read().map_or(0, |kib| kib * 1_024)
}

/// The simulated venue, in a process of its own.
pub(crate) struct Venue {
    _process: Process,
    ws: String,
    rest: String,
    pub(crate) markets: Vec<Market>,
}

impl Venue {
    pub(crate) fn start(markets: usize, rate: u32) -> Result<Self, Box<dyn Error>> {
        let mut process = program()
            .args(["sim", "--markets", &markets.to_string(), "--rate", &rate.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .map(Process)?;
        let mut first = String::new();
        BufReader::new(process.0.stdout.take().ok_or("no stdout")?).read_line(&mut first)?;
        let urls: Value = serde_json::from_str(&first)?;
        let url = |name| urls.get(name).and_then(Value::as_str).map(str::to_owned).ok_or("no url");
        let (ws, rest) = (url("ws")?, url("rest")?);
        let listed: Vec<Value> = serde_json::from_slice(&get(&rest, "/v1/market/all")?)?;
        let code = |one: &Value| one.get("market").and_then(Value::as_str).map(Market::new);
        Ok(Self { _process: process, ws, rest, markets: listed.iter().filter_map(code).collect() })
    }
}

/// A recorder of all markets.
pub(crate) struct Recorder {
    process: Process,
    url: String,
    /// From its start until the first frame was journalled and read.
    pub(crate) first_frame: Duration,
    /// From its start until it said that it was ready: every subscription served or refused. It looks
    /// once a second.
    pub(crate) ready: Duration,
}

impl Recorder {
    pub(crate) fn start(data: &Path, venue: &Venue, streams: &str) -> Result<Self, Box<dyn Error>> {
        let clock = SystemClock::new();
        let mut process = program()
            .args(["record", "-q", "--markets", "all", "--streams", streams, "--no-repair"])
            .args(["--http", "127.0.0.1:0", "--ws-url", &venue.ws, "--rest-url", &venue.rest])
            .arg("--data")
            .arg(data)
            .spawn()
            .map(Process)?;
        let url = wait(&mut process, || folder::announced(data).ok().flatten())?;
        let frames =
            |text: &[u8]| number(text, "veritape_frames_total").filter(|frames| *frames > 1);
        wait(&mut process, || frames(&get(&url, "/metrics").ok()?))?;
        let first_frame = clock.monotonic();
        wait(&mut process, || get(&url, "/readyz").ok())?;
        Ok(Self { process, url, first_frame, ready: clock.monotonic() })
    }

    /// Asks it, and gives how long the answer took, and its bytes: once, since answers are kept.
    pub(crate) fn ask(&self, path: &str) -> Result<(Duration, usize), Box<dyn Error>> {
        let clock = SystemClock::new();
        let told = get(&self.url, path).map_err(|error| format!("{path}: {error}"))?.len();
        Ok((clock.monotonic(), told))
    }

    /// A number that it tells of itself.
    pub(crate) fn metric(&self, name: &str) -> Result<u64, Box<dyn Error>> {
        Ok(number(&get(&self.url, "/metrics")?, name).ok_or("no such metric")?)
    }

    /// What it spent on a processor so far.
    pub(crate) fn spent(&self) -> Result<Duration, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.0.id()))?;
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11));
        let ticks: u32 =
            fields.ok_or("no stat")?.take(2).filter_map(|n| n.parse::<u32>().ok()).sum();
        Ok(Duration::from_secs(1) * ticks / TICKS)
    }

    /// Memory that is resident. Unit: bytes.
    pub(crate) fn resident(&self) -> u64 {
        memory(self.process.0.id(), "VmRSS:")
    }

    /// Asks it to end, and gives how long that took.
    pub(crate) fn end(mut self) -> Result<Duration, Box<dyn Error>> {
        let clock = SystemClock::new();
        let pid = Pid::from_child(&self.process.0);
        kill_process(pid, Signal::INT)?;
        let ended = self.process.0.wait()?;
        if ended.success() {
            Ok(clock.monotonic())
        } else {
            Err(format!("it ended with {ended}").into())
        }
    }
}

/// The value of a metric without labels.
fn number(text: &[u8], name: &str) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.parse().ok()
}

/// Waits until `look` finds something.
fn wait<T>(process: &mut Process, look: impl Fn() -> Option<T>) -> Result<T, Box<dyn Error>> {
    let clock = SystemClock::new();
    while clock.monotonic() < PATIENCE {
        if let Some(found) = look() {
            return Ok(found);
        }
        if let Some(ended) = process.0.try_wait()? {
            return Err(format!("the recorder ended with {ended}").into());
        }
        thread::sleep(LOOK_EVERY);
    }
    Err("the recorder is not ready".into())
}

/// The body of an answer that says yes.
fn get(url: &str, path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no head")?;
    let body = answer.split_off(head + 4);
    if answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200") {
        Ok(body)
    } else {
        Err(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned().into())
    }
}
