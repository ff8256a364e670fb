//! What tests that run the real program share: processes, the simulated venue, Python.
//!
//! A process lives as long as its [`Process`]: dropping that kills it by its own id, so a failing
//! test leaves nothing behind. Waiting always has a deadline, and waits for a condition, never for
//! time to pass.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use veritape::net::clock::{Clock as _, SystemClock};

/// For what takes no time to speak of, on a machine that has other things to do.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The folder of the package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The real program, with nothing from the environment that would change what it does.
pub(crate) fn veritape() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veritape"));
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("VERITAPE_") {
            command.env_remove(name);
        }
    }
    command
}

/// A running process, and what it said so far.
pub(crate) struct Process {
    name: String,
    child: Child,
    said: Arc<Said>,
}

/// A process that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Its standard output, once it ended well.
    pub(crate) fn success(self) -> String {
        assert!(
            self.status.success(),
            "ended with {}\n{}\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self.stdout
    }
}

impl Process {
    /// Starts `command`, with no standard input.
    pub(crate) fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let said = Arc::new(Said::default());
        let stdout = child.stdout.take().expect("piped above");
        let stderr = child.stderr.take().expect("piped above");
        said.listen(stdout, |heard| &mut heard.stdout);
        said.listen(stderr, |heard| &mut heard.stderr);
        Self { name, child, said }
    }

    /// The first line of its standard output.
    pub(crate) fn first_line(&self, within: Duration) -> String {
        self.said
            .wait(within, |heard| heard.stdout.first().cloned())
            .unwrap_or_else(|| self.late("said nothing on standard output", within))
    }

    /// Waits until a line of its standard error holds `text`.
    pub(crate) fn wait_for_talk(&self, text: &str, within: Duration) {
        self.said
            .wait(within, |heard| heard.stderr.iter().any(|line| line.contains(text)).then_some(()))
            .unwrap_or_else(|| self.late(&format!("did not say {text:?}"), within));
    }

    /// What it said on standard error so far.
    pub(crate) fn talk(&self) -> String {
        self.said.all().1
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal)
            .unwrap_or_else(|error| panic!("{} cannot be sent {signal:?}: {error}", self.name));
    }

    /// Its number.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Bytes of memory that it holds now.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid().as_raw_nonzero());
        let status =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let held = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes = held.trim().trim_end_matches("kB").trim();
        kilobytes.parse::<u64>().unwrap() * 1_024
    }

    /// Waits until it ended by itself.
    pub(crate) fn wait(mut self, within: Duration) -> Ended {
        if self.said.wait(within, |heard| (heard.closed == PIPES).then_some(())).is_none() {
            self.late("did not end", within)
        }
        let status = self.child.wait().expect("a child can be waited for");
        let (stdout, stderr) = self.said.all();
        Ended { status, stdout, stderr }
    }

    fn late(&self, what: &str, within: Duration) -> ! {
        let (stdout, stderr) = self.said.all();
        let ended = self.said.heard.lock().unwrap().closed == PIPES;
        let when = if ended { "before it ended".into() } else { format!("within {within:?}") };
        panic!("{} {what} {when}\n{stdout}\n{stderr}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a process says, line by line.
#[derive(Default)]
struct Said {
    heard: Mutex<Heard>,
    changed: Condvar,
}

/// Standard output and standard error.
const PIPES: u8 = 2;

#[derive(Default)]
struct Heard {
    stdout: Vec<String>,
    stderr: Vec<String>,
    /// How many of the pipes have come to their end.
    closed: u8,
}

impl Said {
    fn listen(
        self: &Arc<Self>,
        pipe: impl Read + Send + 'static,
        lines: impl Fn(&mut Heard) -> &mut Vec<String> + Send + 'static,
    ) {
        let said = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                lines(&mut said.heard.lock().unwrap()).push(line);
                said.changed.notify_all();
            }
            said.heard.lock().unwrap().closed += 1;
            said.changed.notify_all();
        });
    }

    /// The first answer that `ask` gives; none where it gives none in time, or before the process
    /// ends.
    fn wait<T>(&self, within: Duration, mut ask: impl FnMut(&Heard) -> Option<T>) -> Option<T> {
        let mut answer = None;
        let heard = self.heard.lock().unwrap();
        let guard = self.changed.wait_timeout_while(heard, within, |heard| {
            answer = ask(heard);
            answer.is_none() && heard.closed < PIPES
        });
        drop(guard);
        answer
    }

    fn all(&self) -> (String, String) {
        let heard = self.heard.lock().unwrap();
        (heard.stdout.join("\n"), heard.stderr.join("\n"))
    }
}

/// The simulated venue on loopback.
pub(crate) struct Sim {
    ws: String,
    rest: String,
    process: Process,
}

impl Sim {
    /// Starts `veritape sim` on a free port.
    pub(crate) fn start<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        let mut command = veritape();
        command.args(["sim", "--listen", "127.0.0.1:0"]).args(arguments);
        let process = Process::start(command);
        let line = process.first_line(SOON);
        let addresses: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the first line of sim is {line:?}: {error}"));
        let address = |key: &str| match addresses.get(key).and_then(Value::as_str) {
            Some(address) => address.to_owned(),
            None => panic!("the first line of sim has no {key:?}: {line}"),
        };
        Self { ws: address("ws"), rest: address("rest"), process }
    }

    /// Starts `veritape record` from this venue into `data`. Many of them run at a time: none has
    /// a status page, unless the arguments ask for one.
    pub(crate) fn record(&self, data: &Path, arguments: &[&str]) -> Process {
        let off = if arguments.contains(&"--http") { &[][..] } else { &["--http", "off"] };
        self.record_as_usual(data, &[off, arguments].concat())
    }

    /// The same with the status page where it usually is.
    pub(crate) fn record_as_usual(&self, data: &Path, arguments: &[&str]) -> Process {
        self.record_with(data, arguments, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn record_with(
        &self,
        data: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Process {
        let mut command = veritape();
        command.envs(variables.iter().copied());
        command.args([
            "record",
            "--venue",
            "upbit",
            "--ws-url",
            &self.ws,
            "--rest-url",
            &self.rest,
        ]);
        command.arg("--data").arg(data).args(arguments);
        Process::start(command)
    }

    /// Starts `veritape backfill` from this venue into `data`.
    pub(crate) fn backfill(&self, data: &Path, arguments: &[&str]) -> Process {
        backfill(&self.rest, data, arguments)
    }

    /// Where its REST server is.
    pub(crate) fn rest(&self) -> &str {
        &self.rest
    }

    /// Ends the venue, and with it what it writes.
    pub(crate) fn stop(self) {
        self.process.signal(Signal::TERM);
        self.process.wait(SOON).success();
    }

    /// The process of the venue.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}

/// Starts `veritape backfill` from the REST server at `rest` into `data`.
pub(crate) fn backfill(rest: &str, data: &Path, arguments: &[&str]) -> Process {
    let mut command = veritape();
    command.args(["backfill", "--venue", "upbit", "--rest-url", rest, "--json"]);
    command.arg("--data").arg(data).args(arguments);
    Process::start(command)
}

/// A Python that has what `scripts/requirements.txt` names.
pub(crate) struct Python(PathBuf);

impl Python {
    /// The one that `VERITAPE_PYTHON` names; without it the test is skipped, and says so.
    pub(crate) fn find() -> Option<Self> {
        let found = env::var_os("VERITAPE_PYTHON").filter(|path| !path.is_empty());
        if found.is_none() {
            skip("VERITAPE_PYTHON names no Python with scripts/requirements.txt; run scripts/test");
        }
        found.map(|path| Self(path.into()))
    }

    /// Runs a script of the package and gives what it printed.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, script: &str, arguments: &[S]) -> String {
        self.start(script, arguments).wait(Duration::from_mins(2)).success()
    }

    /// Starts a script of the package.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, script: &str, arguments: &[S]) -> Process {
        let mut command = Command::new(&self.0);
        command.arg("-B").arg(root().join(script)).args(arguments);
        Process::start(command)
    }

    /// Every row of a stream of a data folder, in the order of the files and the rows in them:
    /// times as microseconds, doubles exact.
    pub(crate) fn rows(&self, data: &Path, stream: &str) -> Vec<Value> {
        json_lines(&self.run("tests/it/read.py", &[data.as_os_str(), OsStr::new(stream)]))
    }
}

/// Reads text that has one JSON value on each line.
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    text.lines().map(read).collect()
}

/// A file of real captures, which lie beside the package; where it is absent the test is skipped,
/// and says so.
pub(crate) fn capture(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared/captures").join(name);
    if path.is_file() {
        return Some(path);
    }
    println!("Skipped: {} is not there", path.display());
    None
}

/// Asks until `ask` gives an answer.
pub(crate) fn wait_until<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let clock = SystemClock::new();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(clock.monotonic() < within, "{what}: not within {within:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// How long a run lasts whose length is free, in seconds: `usual`, or what `VERITAPE_TEST_SECONDS`
/// says.
pub(crate) fn seconds(usual: u64) -> u64 {
    let told = env::var("VERITAPE_TEST_SECONDS").ok().filter(|seconds| !seconds.is_empty());
    told.map_or(usual, |seconds| seconds.parse().expect("VERITAPE_TEST_SECONDS is a number"))
}

/// Says that a test is skipped, and why. With `VERITAPE_REQUIRE_ALL`, which `scripts/test` sets,
/// that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("VERITAPE_REQUIRE_ALL").is_none(), "may not be skipped: {why}");
    println!("Skipped: {why}");
}
