//! What goes to stderr besides tables and errors, or to a file: log lines.
//!
//! A place in the program that has much to say is held back: after so many lines within a moment
//! the others are counted, and the next one that passes says how many there were.

use std::collections::HashMap;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use super::config::Config;
use super::log_file::LogFile;
use super::{Failure, output};
use crate::net::clock::{Clock, SystemClock};

/// So many lines of one place within so long pass.
const LINES: u32 = 20;
const WITHIN: Duration = Duration::from_secs(10);
/// The variable that goes before all settings of what is said.
const FILTER: &str = "VERITAPE_LOG";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object each.
    Json,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// In the words of `tracing`. Others than we say less: they speak of bytes and of headers.
    const fn filter(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "warn,veritape=info",
            Self::Debug => "info,veritape=debug",
            Self::Trace => "debug,veritape=trace",
        }
    }
}

/// What the command line says of logging.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct LogArgs {
    /// Say more on stderr; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value_t, env = "VERITAPE_LOG_FORMAT")]
    log_format: LogFormat,
    /// Write log lines to this file instead of stderr; it is turned by its size.
    #[arg(long, global = true, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Say only what went wrong.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

impl LogArgs {
    /// Takes what is given over what the file says.
    pub(super) fn over(&self, config: &mut Config) {
        config.log_file = self.log_file.clone().or(config.log_file.take());
        config.log_level = match (self.quiet, self.verbose) {
            (true, _) => LogLevel::Error,
            (false, 0) => config.log_level,
            (false, 1) => LogLevel::Debug,
            (false, _) => LogLevel::Trace,
        };
    }
}

/// Where lines go.
struct Lines {
    file: Option<Mutex<LogFile>>,
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Set once, when logging starts.
static LOG: OnceLock<Lines> = OnceLock::new();

/// Starts logging, to stderr or to a file, as the settings say. `VERITAPE_LOG` takes a filter in the
/// words of `tracing` and goes before all of it.
///
/// # Errors
///
/// When there is a file to write to, and it cannot be opened.
pub(super) fn start(args: &LogArgs, config: &Config) -> Result<(), Failure> {
    let (filter, handle) = reload::Layer::new(
        EnvFilter::try_from_env(FILTER)
            .unwrap_or_else(|_| EnvFilter::new(config.log_level.filter())),
    );
    let file = match &config.log_file {
        Some(path) => Some(open(path, config)?),
        None => None,
    };
    let ansi = file.is_none() && io::stderr().is_terminal();
    if LOG.set(Lines { file: file.map(Mutex::new), filter: handle }).is_err() {
        // A second start (in tests) keeps the first.
        return Ok(());
    }
    let repeats =
        Repeats { format: args.log_format, clock: SystemClock::new(), places: Mutex::default() };
    let lines = match args.log_format {
        LogFormat::Human => fmt::layer().with_ansi(ansi).with_writer(|| Writer).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(|| Writer).boxed(),
    };
    let started = tracing_subscriber::registry().with(filter).with(lines.with_filter(repeats));
    if started.try_init().is_err() {
        tracing::debug!("logging had already started");
    }
    Ok(())
}

fn open(path: &Path, config: &Config) -> Result<LogFile, Failure> {
    let (limit, kept) = (config.log_file_bytes.as_u64(), config.log_files);
    LogFile::open(path, limit, kept)
        .with_context(|| format!("cannot write the log to {}", path.display()))
        .map_err(Failure::Usage)
}

/// Says so much from now on.
pub(super) fn level(level: LogLevel) {
    if env::var_os(FILTER).is_some() {
        return;
    }
    if let Some(lines) = LOG.get()
        && let Err(error) = lines.filter.reload(EnvFilter::new(level.filter()))
    {
        tracing::warn!("the log goes on as it was: {error}");
    }
}

/// Looks again at what is at the path of the log file: whoever turns it may have moved it away.
pub(super) fn reopen() {
    let Some(file) = LOG.get().and_then(|lines| lines.file.as_ref()) else { return };
    let opened = file.lock().unwrap_or_else(PoisonError::into_inner).reopen();
    if let Err(error) = opened {
        tracing::warn!("the log goes on where it was: {error}");
    }
}

/// A line that is no event of the log: to stderr, and to the log file where there is one.
pub(super) fn last_words(text: &str) {
    output::talk(text);
    if LOG.get().is_some_and(|lines| lines.file.is_some()) {
        line(text);
    }
}

/// Writes a line to where the log is.
fn line(text: &str) {
    // Nobody is left to tell where it cannot be written.
    drop(Writer.write_all(format!("{text}\n").as_bytes()));
}

/// Writes to the log file, or to stderr.
struct Writer;

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match LOG.get().and_then(|lines| lines.file.as_ref()) {
            Some(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write(line),
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Holds back what one place repeats.
struct Repeats {
    format: LogFormat,
    clock: SystemClock,
    places: Mutex<HashMap<Identifier, Place>>,
}

/// What one place in the program said lately.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Place {
    since: Duration,
    passed: u32,
    held: u64,
}

impl Place {
    /// Whether a line passes, and how many were held back before it that nobody was told of.
    fn line(&mut self, now: Duration) -> Option<u64> {
        let mut held = 0;
        if now.saturating_sub(self.since) >= WITHIN {
            held = self.held;
            *self = Self { since: now, passed: 0, held: 0 };
        }
        if self.passed == LINES {
            self.held += 1;
            return None;
        }
        self.passed += 1;
        Some(held)
    }
}

impl<S: Subscriber> Filter<S> for Repeats {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let about = event.metadata();
        // Whoever asked for details gets all of them.
        if *about.level() > Level::INFO {
            return true;
        }
        let line = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.entry(about.callsite()).or_default().line(self.clock.monotonic())
        };
        if let Some(held @ 1..) = line {
            let words = format!("{held} lines such as the next one were held back");
            self::line(&match self.format {
                LogFormat::Human => format!("{} {words}", about.target()),
                LogFormat::Json => serde_json::json!({
                    "timestamp": self.clock.now().to_string(),
                    "level": about.level().as_str(),
                    "fields": { "message": words },
                    "target": about.target(),
                })
                .to_string(),
            });
        }
        line.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_some_lines_and_a_count() {
        let mut place = Place::default();
        let second = Duration::from_secs;
        let passed = (0..1_000).filter(|_| place.line(second(100)).is_some()).count();
        assert_eq!(passed, 20);
        assert_eq!(place.line(second(109)), None);
        assert_eq!(place.line(second(110)), Some(981));
        assert_eq!(place.line(second(110)), Some(0));
        assert_eq!(place.line(second(500)), Some(0));
    }
}
