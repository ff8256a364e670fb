//! Posts: JSON to an address that somebody gave us, for what we tell on our own.
//!
//! Invariants: neither the secret nor the path of the address, which may hold one, is in any
//! error; a redirection is an error, so that the secret reaches nobody else; of an answer no more
//! than its start is read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use rustls::ClientConfig;

use super::{CONNECT_TIMEOUT, HttpError, USER_AGENT, chain, is_loopback, parse, start_of};
use crate::net::connect;

/// How long a post may take, to the last byte of its answer.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Of an answer so much is read.
const ANSWER_LIMIT: usize = 4 * 1_024;
/// The header that carries the secret.
const SECRET: HeaderName = HeaderName::from_static("x-veritape-secret");

/// One address that takes posts.
#[derive(Clone)]
pub struct Hook {
    client: Client,
    url: Url,
    /// What may be shown of it.
    name: String,
    secret: Option<HeaderValue>,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Hook {
    /// The address `url`, to which each post shows `secret` in the header `X-Veritape-Secret`.
    ///
    /// # Errors
    ///
    /// When the URL cannot be one, or the secret holds what a header cannot.
    pub fn new(
        tls: &Arc<ClientConfig>,
        url: &str,
        secret: Option<&str>,
    ) -> Result<Self, HttpError> {
        let hidden = |reason| HttpError::BadUrl { url: "the webhook's address".to_owned(), reason };
        let (url, host) = match parse(url) {
            Ok(parsed) => parsed,
            Err(HttpError::BadUrl { reason, .. }) => return Err(hidden(reason)),
            Err(error) => return Err(error),
        };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default());
        let setup = |words: String| HttpError::Setup(words);
        let secret = secret.map(HeaderValue::from_str).transpose().map_err(|_| {
            setup("the webhook's secret holds characters that a header cannot have".to_owned())
        })?;
        let secret = secret.map(|mut secret| {
            secret.set_sensitive(true);
            secret
        });
        let builder = Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(tls))
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(WHOLE_TIMEOUT)
            .redirect(Policy::none());
        let builder = if is_loopback(&host) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| setup(chain(&error)))?;
        Ok(Self { client, url, name, secret })
    }

    /// What may be shown of the address: scheme, host and port.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Posts one JSON document.
    ///
    /// # Errors
    ///
    /// Says what failed. Any status outside 200 to 299 is an error.
    pub async fn post(&self, body: Bytes) -> Result<(), HttpError> {
        let json = HeaderValue::from_static("application/json");
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, json).body(body);
        if let Some(secret) = &self.secret {
            request = request.header(SECRET, secret.clone());
        }
        // Its own words would name the whole address.
        let failed =
            |error: reqwest::Error| HttpError::from_reqwest(&self.name, &error.without_url());
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after = connect::retry_after(response.headers());
        Err(HttpError::Status {
            url: self.name.clone(),
            status: status.as_u16(),
            start: start_of(&beginning(response).await),
            retry_after,
        })
    }
}

/// The first bytes of an answer, as far as they come.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= ANSWER_LIMIT {
            break;
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls;

    fn refused(url: &str, secret: Option<&str>, words: &str) {
        let tls = tls::client_config(None).unwrap();
        let error = Hook::new(&tls, url, secret).unwrap_err().to_string();
        assert!(error.contains(words), "{url}: {error}");
        assert!(!error.contains("hidden"), "{url}: {error}");
    }

    #[test]
    fn what_cannot_be_is_refused_without_showing_it() {
        refused("ftp://hidden/hidden", None, "the scheme must be http or https");
        refused("hidden", None, "is no URL");
        refused("http://host/hidden", Some("hidden\n"), "a header cannot have");
    }

    #[tokio::test]
    async fn errors_show_the_host_and_no_more() {
        let tls = tls::client_config(None).unwrap();
        let hook = Hook::new(&tls, "http://127.0.0.1:1/hidden?key=hidden", Some("hidden")).unwrap();
        let error = hook.post(Bytes::new()).await.unwrap_err().to_string();
        assert!(error.contains("http://127.0.0.1:1:"), "{error}");
        assert!(!error.contains("hidden") && !format!("{hook:?}").contains("hidden"), "{error}");
    }
}
