//! What recording costs: `cargo bench --bench record`.
//!
//! Starts the real binary against the simulated venue with 855 markets at 1,000 frames a second,
//! for `VERITAPE_BENCH_SECONDS` (default 20), and prints the recorder's peak resident memory and
//! its share of one core, read from `/proc`.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_veritape");
const MARKETS: &str = "855";
const RATE: &str = "1000";
/// Clock ticks a second in `/proc/<pid>/stat`: fixed by the kernel's interface.
const TICKS: f64 = 100.0;

/// A child that is ended with the benchmark.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let seconds: u64 =
        std::env::var("VERITAPE_BENCH_SECONDS").map_or(Ok(20), |text| text.parse())?;
    let streams =
        std::env::var("VERITAPE_BENCH_STREAMS").unwrap_or_else(|_| "orderbook".to_owned());
    let data = tempfile::tempdir()?;
    let mut sim = Command::new(BINARY)
        .args(["sim", "--markets", MARKETS, "--rate", RATE])
        .stdout(Stdio::piped())
        .spawn()
        .map(Process)?;
    let mut first = String::new();
    BufReader::new(sim.0.stdout.take().ok_or("no stdout")?).read_line(&mut first)?;
    let urls: Value = serde_json::from_str(&first)?;
    let mut recorder = Command::new(BINARY)
        .args(["record", "--markets", "all", "--streams", &streams])
        .args(["--for", &format!("{seconds}s"), "--data"])
        .arg(data.path())
        .args(["--ws-url", urls.get("ws").and_then(Value::as_str).ok_or("no ws")?])
        .args(["--rest-url", urls.get("rest").and_then(Value::as_str).ok_or("no rest")?])
        .spawn()
        .map(Process)?;
    let (mut peak_kib, mut cpu_ticks, mut elapsed) = (0, 0, 0.0);
    while recorder.0.try_wait()?.is_none() {
        thread::sleep(Duration::from_millis(200));
        elapsed += 0.2;
        let process = format!("/proc/{}", recorder.0.id());
        peak_kib = peak(&process).unwrap_or(peak_kib);
        cpu_ticks = ticks(&process).unwrap_or(cpu_ticks);
    }
    let status =
        Command::new(BINARY).args(["status", "--json", "--data"]).arg(data.path()).output()?;
    let status: Value = serde_json::from_slice(&status.stdout)?;
    let mut out = io::stdout().lock();
    for stream in status.get("streams").and_then(Value::as_array).ok_or("no streams")? {
        let told = ["stream", "rows", "bytes"].map(|key| stream.get(key).unwrap_or(&Value::Null));
        let [name, rows, bytes] = told;
        writeln!(out, "{name}: {rows} rows, {bytes} bytes")?;
    }
    writeln!(out, "peak resident memory: {:.1} MiB", f64::from(peak_kib) / 1024.0)?;
    writeln!(out, "of one core: {:.1} %", f64::from(cpu_ticks) / TICKS / elapsed * 100.0)?;
    Ok(())
}

/// Peak resident memory, in KiB.
fn peak(process: &str) -> Option<u32> {
    let status = fs::read_to_string(format!("{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Clock ticks spent, by the process and for it.
fn ticks(process: &str) -> Option<u32> {
    let stat = fs::read_to_string(format!("{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let part = |i: usize| fields.get(i)?.parse::<u32>().ok();
    Some(part(11)? + part(12)?)
}
