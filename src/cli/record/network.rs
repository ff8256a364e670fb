//! The way to a venue.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::cli::Failure;
use crate::cli::config::Config;
use crate::net::budget::{Budget, Rates};
use crate::net::clock::Clock;
use crate::net::http::Http;
use crate::net::tls;
use crate::venue::Venue;

/// What everything that talks to a venue shares.
pub(in crate::cli) struct Network {
    pub(in crate::cli) budget: Arc<Budget>,
    pub(in crate::cli) tls: Arc<ClientConfig>,
    pub(in crate::cli) http: Http,
}

/// The way to `venue`, within its rates.
pub(in crate::cli) fn network(
    config: &Config,
    venue: &dyn Venue,
    clock: &Arc<dyn Clock>,
) -> Result<Network, Failure> {
    let limits = venue.limits();
    let rates = Rates {
        connects_per_second: limits.connects_per_second,
        requests_per_second: limits.requests_per_second,
        block: limits.block,
    };
    let budget = Arc::new(Budget::new(Arc::clone(clock), rates));
    let tls = tls::client_config(config.ca_file.as_deref())
        .map_err(|error| Failure::Usage(error.into()))?;
    let http = Http::new(&tls, Arc::clone(&budget), Arc::clone(clock))?;
    Ok(Network { budget, tls, http })
}
