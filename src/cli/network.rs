//! The way to a venue, for every command that talks to one.

use std::sync::Arc;

use anyhow::anyhow;
use rustls::ClientConfig;

use super::Failure;
use super::config::Config;
use crate::model::spelling::hint;
use crate::net::budget::{Budget, Rates};
use crate::net::clock::Clock;
use crate::net::connect::{self, Connector};
use crate::net::http::{self, Http};
use crate::net::tls;
use crate::net::wire::Internet;
use crate::venue::{self, VENUES, Venue};

/// What everything that talks to a venue shares.
pub(super) struct Network {
    pub(super) budget: Arc<Budget>,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) http: Http,
}

/// The way to `venue`, within its rates.
pub(super) fn network(
    config: &Config,
    venue: &dyn Venue,
    clock: &Arc<dyn Clock>,
) -> Result<Network, Failure> {
    let rates = Rates::from(venue.limits());
    let budget = Arc::new(Budget::new(Arc::clone(clock), rates));
    let tls = tls::client_config(config.ca_file.as_deref())
        .map_err(|error| Failure::Usage(error.into()))?;
    let http = Http::new(&tls, Arc::clone(&budget), Arc::clone(clock))?;
    Ok(Network { budget, tls, http })
}

/// Refuses an address that can never be reached: trying again would not help it.
pub(super) fn check_addresses(config: &Config) -> Result<(), Failure> {
    for (key, url) in [("ws_url", &config.ws_url), ("rest_url", &config.rest_url)] {
        // It would stand in the log, in the catalog and on the status page.
        if url.as_ref().is_some_and(|url| names_user(url)) {
            let why = anyhow!("{key} names a user or a password, which nothing here can use");
            return Err(Failure::Usage(why));
        }
    }
    if let Some(url) = &config.ws_url {
        connect::host_of(url).map_err(|error| Failure::Usage(error.into()))?;
    }
    if let Some(url) = &config.rest_url {
        http::host_of(url).map_err(|error| Failure::Usage(error.into()))?;
    }
    Ok(())
}

/// Refuses a setting that this build cannot follow.
pub(super) fn check_deflate(config: &Config) -> Result<(), Failure> {
    if config.deflate {
        connect::deflate_is_built().map_err(|error| Failure::Usage(error.into()))?;
    }
    Ok(())
}

/// What opens the venue's websockets.
pub(super) fn connector(
    config: &Config,
    tls: &Arc<ClientConfig>,
    clock: &Arc<dyn Clock>,
) -> Result<Connector, Failure> {
    let plain = Connector::new(Arc::new(Internet), Arc::clone(tls), Arc::clone(clock));
    if !config.deflate {
        return Ok(plain);
    }
    plain.with_deflate().map_err(|error| Failure::Usage(error.into()))
}

/// Whether a URL has something before the `@` of its host.
fn names_user(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@'))
}

/// The venue called `name`.
pub(super) fn find_venue(name: &str) -> Result<&'static dyn Venue, Failure> {
    venue::by_name(name).ok_or_else(|| {
        let known = || VENUES.iter().map(|venue| venue.name());
        Failure::Usage(anyhow!(
            "there is no venue {name:?}{}; there are {}",
            hint(name, known()),
            known().collect::<Vec<_>>().join(", ")
        ))
    })
}
