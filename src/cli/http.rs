//! Where the status page is, and what it asks for.

use std::fmt;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Failure;
use super::config::Config;
use crate::serve::{self, Bound, ServeError, Server, Sources};
use crate::store::folder;

/// Where it is when nobody says.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9_187);

/// An address, or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpAddress {
    Off,
    At(SocketAddr),
}

impl std::str::FromStr for HttpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            format!("{text:?} is no address; write it like \"127.0.0.1:9187\", or \"off\"")
        })
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for HttpAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for HttpAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What nobody may read in a log.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(String);

impl Secret {
    /// The secret itself.
    pub(super) fn shown(&self) -> String {
        self.0.clone()
    }
}

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Options of the status page.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct HttpArgs {
    /// Where the status page and /metrics are, or off [default: 127.0.0.1:9187].
    #[arg(long = "http", value_name = "ADDRESS")]
    address: Option<HttpAddress>,
    /// What a request has to show (Authorization: Bearer); needed beyond this machine.
    #[arg(
        long = "http-token",
        value_name = "TOKEN",
        env = "VERITAPE_HTTP_TOKEN",
        hide_env_values = true
    )]
    token: Option<Secret>,
}

impl HttpArgs {
    /// Takes what is given over what the file says.
    pub(super) fn over(&self, config: &mut Config) {
        config.http = self.address.or(config.http);
        config.http_token = self.token.clone().or(config.http_token.take());
    }
}

/// Listens where the settings say. An address that somebody asked for must be had; the usual one
/// is left to whoever is there already.
pub(super) fn bind(config: &Config) -> Result<Option<Bound>, Failure> {
    let (address, asked) = match config.http {
        Some(HttpAddress::Off) => return Ok(None),
        Some(HttpAddress::At(address)) => (address, true),
        None => (USUAL, false),
    };
    let token = config.http_token.as_ref().map(Secret::shown);
    match serve::bind(address, token.as_deref()) {
        Ok(bound) => Ok(Some(bound)),
        Err(ServeError::Bind { address, error }) if !asked => {
            let why = if error.kind() == ErrorKind::AddrInUse {
                "somebody else is there".to_owned()
            } else {
                error.to_string()
            };
            tracing::warn!("no status page at {address}: {why}; --http gives it another address");
            Ok(None)
        }
        Err(error @ ServeError::Open { .. }) => Err(Failure::Usage(error.into())),
        Err(error @ (ServeError::Bind { .. } | ServeError::Thread(_))) => Err(error.into()),
    }
}

/// Answers there, and says where it is in the log and in the data folder.
pub(super) fn serve(bound: Option<Bound>, sources: Sources) -> Result<Option<Server>, Failure> {
    let Some(bound) = bound else { return Ok(None) };
    let data = sources.data.clone();
    let server = bound.serve(sources)?;
    tracing::info!("status page at {}", server.url());
    if let Err(error) = folder::announce(&data, &server.url()) {
        tracing::warn!("`status` will not find this recorder by its folder: {error}");
    }
    Ok(Some(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back() {
        for text in ["off", "127.0.0.1:9187", "0.0.0.0:0", "[::1]:80"] {
            assert_eq!(text.parse::<HttpAddress>().expect(text).to_string(), text);
        }
        for text in ["", "on", "localhost", "127.0.0.1", "9187", "OFF"] {
            let error = text.parse::<HttpAddress>().expect_err(text);
            assert!(error.contains("127.0.0.1:9187"), "{error}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret: Secret = "correct horse battery".parse().expect("anything is one");
        let config = Config { http_token: Some(secret), ..Config::default() };
        let shown = format!("{config:?}");
        assert!(shown.contains("http_token") && !shown.contains("horse"), "{shown}");
    }
}
