//! `sim`: the simulated venue alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::signals::Signals;
use super::{Failure, Outcome, output, record};
use crate::net::clock::{Clock, SystemClock};
use crate::sim::{Options, Sim};

#[derive(Debug, Args)]
pub(super) struct SimArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Play this capture instead: JSON lines of `ts_recv` (seconds) and `frame` (text).
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// How many markets.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) markets: usize,
    /// Data frames a second, over all markets and streams.
    #[arg(long, value_name = "N", default_value_t = 200.0)]
    pub(super) rate: f64,
    /// The seed of everything random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Misbehave as this file says.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Write every trade that was told to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Write every REST request that came to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    calls: Option<PathBuf>,
}

pub(super) fn run(args: &SimArgs) -> Result<Outcome, Failure> {
    let runtime = record::runtime()?;
    runtime.block_on(async {
        let signals = Signals::listen()?;
        let sim = Sim::start(options(args)?).await?;
        output::data(&json!({ "ws": sim.ws_url(), "rest": sim.rest_url() }).to_string())?;
        signals.next().await;
        sim.stop().await?;
        Ok(Outcome::Done)
    })
}

fn options(args: &SimArgs) -> Result<Options, anyhow::Error> {
    let faults = match &args.faults {
        Some(path) => Some(
            crate::sim::Faults::read(path)
                .with_context(|| format!("cannot use the faults file {}", path.display()))?,
        ),
        None => None,
    };
    Ok(Options {
        listen: args.listen,
        capture: args.capture.clone(),
        markets: args.markets,
        rate: args.rate,
        seed: args.seed,
        faults,
        ledger_file: args.ledger.clone(),
        calls_file: args.calls.clone(),
        ..Options::new(SystemClock::new().now())
    })
}
