//! What goes to stderr besides tables and errors: log lines.
//!
//! A place in the program that has much to say is held back: after so many lines within a moment
//! the others are counted, and the next one that passes says how many there were.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::output;
use crate::net::clock::{Clock, SystemClock};

/// So many lines of one place within so long pass.
const LINES: u32 = 20;
const WITHIN: Duration = Duration::from_secs(10);

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object each.
    Json,
}

/// Starts logging to stderr: warnings and news by default, more with each `-v`, errors only with
/// `-q`. `VERITAPE_LOG` takes a filter in the words of `tracing` instead.
pub(super) fn start(verbose: u8, quiet: bool, format: LogFormat) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn,veritape=info",
        (false, 1) => "info,veritape=debug",
        (false, _) => "debug,veritape=trace",
    };
    let filter = EnvFilter::try_from_env("VERITAPE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let repeats = Repeats { format, clock: SystemClock::new(), places: Mutex::default() };
    let lines = fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
    let lines = match format {
        LogFormat::Human => lines.boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(io::stderr).boxed(),
    };
    let started = tracing_subscriber::registry().with(filter).with(lines.with_filter(repeats));
    // A second start (in tests) keeps the first.
    if started.try_init().is_err() {
        tracing::debug!("logging had already started");
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
            output::talk(&match self.format {
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
