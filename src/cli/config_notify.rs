//! `[notify]` of the configuration: the webhook, and what it is told.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use rustls::ClientConfig;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Failure;
use super::config::{Config, Secret, Span};
use crate::net::http::Hook;
use crate::net::tls;
use crate::serve::Sources;
use crate::serve::notify::{News, Notifier, Rule};

/// Where notices go, and which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct NotifySettings {
    /// A secret as well: many such addresses hold their key.
    pub(super) url: Option<Secret>,
    pub(super) secret: Option<Secret>,
    pub(super) min_interval: Span,
    pub(super) events: Vec<Named>,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            url: None,
            secret: None,
            min_interval: Span(Duration::from_mins(1)),
            events: News::ALL.map(Named).to_vec(),
        }
    }
}

/// An event, written as its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named(News);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// What the command line and the environment say of it.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct NotifyArgs {
    /// What each post to the webhook of [notify] shows (X-Veritape-Secret).
    #[arg(
        long = "notify-secret",
        value_name = "SECRET",
        env = "VERITAPE_NOTIFY_SECRET",
        hide_env_values = true
    )]
    secret: Option<Secret>,
}

impl NotifyArgs {
    /// Takes what is given over what the file says.
    pub(super) fn over(&self, config: &mut Config) {
        config.notify.secret = self.secret.clone().or(config.notify.secret.take());
    }
}

impl NotifySettings {
    /// The webhook; none where no address is given.
    fn hook(&self, tls: &Arc<ClientConfig>) -> Result<Option<Hook>, String> {
        let Some(url) = &self.url else { return Ok(None) };
        let secret = self.secret.as_ref().map(Secret::shown);
        Hook::new(tls, &url.shown(), secret.as_deref()).map(Some).map_err(|error| error.to_string())
    }

    /// What cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.url.is_none() {
            return Ok(());
        }
        let tls = tls::client_config(None).map_err(|error| error.to_string())?;
        self.hook(&tls).map(drop)
    }
}

/// Starts to tell the webhook what happens, where there is one.
pub(super) fn start(
    config: &Config,
    tls: &Arc<ClientConfig>,
    sources: &Sources,
) -> Result<Option<Notifier>, Failure> {
    let settings = &config.notify;
    let hook = settings.hook(tls).map_err(|why| Failure::Usage(anyhow!("[notify]: {why}")))?;
    let Some(hook) = hook else { return Ok(None) };
    let rule = Rule {
        min_interval: settings.min_interval.0,
        events: settings.events.iter().map(|named| named.0).collect(),
    };
    tracing::info!("notices go to {}", hook.name());
    let started = Notifier::start(sources.clone(), hook, rule);
    Ok(Some(started.context("cannot start a thread")?))
}
