//! What goes to stderr besides tables and errors: log lines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Starts logging to stderr: warnings and news by default, more with each `-v`, errors only with
/// `-q`. `VERITAPE_LOG` takes a filter in the words of `tracing` instead.
pub(super) fn start(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn,veritape=info",
        (false, 1) => "info,veritape=debug",
        (false, _) => "debug,veritape=trace",
    };
    let filter = EnvFilter::try_from_env("VERITAPE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // A second start (in tests) keeps the first.
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    if started.try_init().is_err() {
        tracing::debug!("logging had already started");
    }
}
