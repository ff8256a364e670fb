//! `demo`: a venue of its own, a recording of it, and how to look at it. Needs no network.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::config::{Config, HttpAddress};
use super::{Common, Failure, Outcome, output, record, status, status_watch};
use crate::net::clock::{Clock, SystemClock};
use crate::serve;
use crate::sim::{Options, Sim};

/// Where a demo goes when no folder is named: never among what was really recorded.
const FOLDER: &str = "./demo-data";
/// How many markets the demo has.
const MARKETS: usize = 20;
/// Frames a second.
const RATE: f64 = 500.0;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How long to record.
    #[arg(long = "for", value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// The seed of the simulated market.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub(super) fn run(
    args: &DemoArgs,
    mut config: Config,
    common: &Common,
) -> Result<Outcome, Failure> {
    if common.data.is_none() && common.config.is_none() {
        config.data = PathBuf::from(FOLDER);
    }
    config.markets = vec!["all".to_owned()];
    config.http = Some(config.http.unwrap_or(HttpAddress::Off));
    let runtime = record::runtime()?;
    output::talk(&format!(
        "recording a simulated market into {} for {}",
        config.data.display(),
        humantime::format_duration(args.duration)
    ));
    let (_, outcome) = runtime.block_on(async {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sim = Sim::start(Options {
            listen,
            markets: MARKETS,
            rate: RATE,
            seed: args.seed,
            ..Options::new(SystemClock::new().now())
        })
        .await?;
        config.ws_url = Some(sim.ws_url());
        config.rest_url = Some(sim.rest_url());
        let recorded = record::record(&config, Some(args.duration), None).await?;
        sim.stop().await?;
        Ok::<_, Failure>(recorded)
    })?;
    if common.json {
        return status::at_rest(&config, true);
    }
    let held = serve::status::held(&status::open(&config)?, &config.data, false)?;
    output::data(&status_watch::holdings(&held))?;
    output::data(&queries(&config.data.display().to_string()))?;
    Ok(outcome)
}

/// Three questions to paste.
fn queries(data: &str) -> String {
    format!(
        "\nThree questions to ask it (DuckDB; `veritape views --data {data}` prints views):\n
SELECT market, count(*) AS trades, sum(size * price) AS turnover
FROM '{data}/stream=trade/**/*.parquet' GROUP BY market ORDER BY turnover DESC LIMIT 5;

SELECT market, avg(best_ask_price - best_bid_price) AS spread, count(*) AS books
FROM '{data}/stream=orderbook/**/*.parquet' GROUP BY market ORDER BY books DESC LIMIT 5;

SELECT t.ts_event, t.price, b.best_bid_price, b.best_ask_price
FROM '{data}/stream=trade/**/*.parquet' t
ASOF JOIN '{data}/stream=orderbook/**/*.parquet' b
  ON t.market = b.market AND t.ts_event >= b.ts_event
WHERE t.market = 'KRW-BTC' ORDER BY t.ts_event LIMIT 10;"
    )
}
