//! Settings: from the defaults, a TOML file, the environment and the command line, in this order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::config_lines as lines;
use super::config_notify::NotifySettings;
use super::config_retain::{self, Kept};
pub(super) use super::http::{HttpAddress, Secret};
use super::telemetry::LogLevel;
use super::{Common, VenueArgs};
use crate::ingest::watched::Watched;
use crate::model::spelling::hint;
use crate::store::journal::Compression;
use crate::venue::VENUES;

/// All settings. Each has a default; the file that `config init` writes explains them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    pub(super) data: PathBuf,
    pub(super) venue: String,
    pub(super) ws_url: Option<String>,
    pub(super) rest_url: Option<String>,
    pub(super) markets: Vec<String>,
    pub(super) streams: Vec<String>,
    pub(super) lines: u8,
    pub(super) markets_poll: Span,
    pub(super) connection_age: Span,
    pub(super) read_interval: Span,
    pub(super) queue_frames: usize,
    #[serde(serialize_with = "exactly")]
    pub(super) queue_bytes: ByteSize,
    pub(super) rotate: Span,
    #[serde(serialize_with = "exactly")]
    pub(super) buffer_bytes: ByteSize,
    pub(super) settle: Span,
    pub(super) repair: bool,
    pub(super) sync_interval: Span,
    pub(super) disk_full_grace: Span,
    pub(super) journal: JournalCompression,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) deflate: bool,
    pub(super) compact: bool,
    pub(super) http: Option<HttpAddress>,
    pub(super) http_token: Option<Secret>,
    #[serde(serialize_with = "exactly")]
    pub(super) min_free_bytes: ByteSize,
    pub(super) warn_days: u16,
    pub(super) metrics_markets: Vec<String>,
    pub(super) log_level: LogLevel,
    pub(super) log_file: Option<PathBuf>,
    #[serde(serialize_with = "exactly")]
    pub(super) log_file_bytes: ByteSize,
    pub(super) log_files: u8,
    pub(super) raw: Raw,
    pub(super) retain: BTreeMap<String, Kept>,
    pub(super) notify: NotifySettings,
}

/// What becomes of the raw frames once they are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    pub(super) keep: RawKeep,
}

/// How long raw frames are kept: `none`, `<n>d` or `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum RawKeep {
    #[default]
    Nothing,
    Days(u16),
    Forever,
}

impl<'de> Deserialize<'de> for RawKeep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "none" => Ok(Self::Nothing),
            "forever" => Ok(Self::Forever),
            days => days
                .strip_suffix('d')
                .and_then(|days| days.parse().ok())
                .map(Self::Days)
                .ok_or_else(|| {
                    serde::de::Error::custom(format!(
                        "{text:?} must be \"none\", \"forever\" or days such as \"30d\""
                    ))
                }),
        }
    }
}

impl Serialize for RawKeep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_str("none"),
            Self::Days(days) => serializer.serialize_str(&format!("{days}d")),
            Self::Forever => serializer.serialize_str("forever"),
        }
    }
}

/// How the journal is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum JournalCompression {
    #[default]
    Zstd,
    Lz4,
    None,
}

impl From<JournalCompression> for Compression {
    fn from(compression: JournalCompression) -> Self {
        match compression {
            JournalCompression::Zstd => Self::Zstd,
            JournalCompression::Lz4 => Self::Lz4,
            JournalCompression::None => Self::None,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./data"),
            venue: VENUES.first().map(|venue| venue.name().to_owned()).unwrap_or_default(),
            ws_url: None,
            rest_url: None,
            markets: Vec::new(),
            streams: ["trade", "orderbook", "ticker", "candle.1s"].map(str::to_owned).to_vec(),
            lines: 1,
            markets_poll: Span(Duration::from_mins(1)),
            connection_age: Span(Duration::from_hours(24)),
            read_interval: Span(Duration::ZERO),
            queue_frames: 65_536,
            queue_bytes: ByteSize::mib(64),
            rotate: Span(Duration::from_mins(1)),
            buffer_bytes: ByteSize::mib(64),
            settle: Span(Duration::from_secs(5)),
            repair: true,
            sync_interval: Span(Duration::from_millis(100)),
            disk_full_grace: Span(Duration::from_mins(1)),
            journal: JournalCompression::Zstd,
            ca_file: None,
            deflate: false,
            compact: true,
            http: None,
            http_token: None,
            min_free_bytes: ByteSize::mib(256),
            warn_days: 7,
            metrics_markets: Vec::new(),
            log_level: LogLevel::default(),
            log_file: None,
            log_file_bytes: ByteSize::mib(16),
            log_files: 5,
            raw: Raw::default(),
            retain: BTreeMap::new(),
            notify: NotifySettings::default(),
        }
    }
}

/// A length of time, written as `100ms`, `60s` or `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = humantime::parse_duration(&text);
        read.map(Self).map_err(|error| {
            serde::de::Error::custom(format!(
                "{text:?} is not a length of time ({error}); write it like \"100ms\" or \"60s\""
            ))
        })
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&humantime::format_duration(self.0).to_string())
    }
}

/// Writes bytes to the last one; on its own a size is written rounded.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn exactly<S: Serializer>(size: &ByteSize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} B", size.as_u64()))
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    #[error("cannot read the configuration {path}: {error}; `veritape config init` writes one", path = path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("the configuration {path} is not right, in line {line}: {reason}", path = path.display())]
    Invalid { path: PathBuf, line: usize, reason: String },
    #[error("the configuration {path} has an unknown key {key:?} in line {line}{hint}", path = path.display())]
    UnknownKey { path: PathBuf, key: String, line: usize, hint: String },
    #[error("{place}: {key} = {value} cannot be: it must be {must}")]
    Value { place: String, key: &'static str, value: String, must: &'static str },
    #[error("{place}: [retain] cannot be: {why}")]
    Retain { place: String, why: String },
    #[error("{place}: [notify] cannot be: {why}")]
    Notify { place: String, why: String },
    #[error("{place}: metrics_markets cannot be: {why}")]
    Markets { place: String, why: String },
}

impl Config {
    /// The settings of this call: defaults, then the file, then the options of every command.
    pub(super) fn load(common: &Common) -> Result<Self, ConfigError> {
        let mut config = match &common.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        if let Some(data) = &common.data {
            config.data.clone_from(data);
        }
        common.log.over(&mut config);
        Ok(config)
    }

    /// Reads a file; keys that it does not name keep their defaults.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, &text(path)?)
    }

    /// Takes `--venue`, `--ws-url` and `--rest-url` over what the file says.
    pub(super) fn take_venue(&mut self, args: &VenueArgs) {
        if let Some(venue) = &args.venue {
            self.venue.clone_from(venue);
        }
        self.ws_url = args.ws_url.clone().or(self.ws_url.take());
        self.rest_url = args.rest_url.clone().or(self.rest_url.take());
    }

    /// Reads the text of the file `path`.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |error: toml::de::Error| {
            let (line, reason) = lines::told(text, &error);
            ConfigError::Invalid { path: path.to_owned(), line, reason }
        };
        let mut unknown = None;
        let document = toml::Deserializer::parse(text).map_err(invalid)?;
        let config: Self = serde_ignored::deserialize(document, |key| {
            unknown.get_or_insert_with(|| key.to_string());
        })
        .map_err(invalid)?;
        if let Some(key) = unknown {
            let known = known_keys();
            let hint =
                hint(key.rsplit('.').next().unwrap_or(&key), known.iter().map(String::as_str));
            let line = lines::of_key(text, &key);
            return Err(ConfigError::UnknownKey { path: path.to_owned(), key, line, hint });
        }
        config.check(&|key| format!("{} line {}", path.display(), lines::of_key(text, key)))?;
        Ok(config)
    }

    /// Checks values that have the right type and still cannot be; `place` says where a key stands.
    pub(super) fn check(&self, place: &dyn Fn(&str) -> String) -> Result<(), ConfigError> {
        let rules: [(&'static str, bool, String, &'static str); 9] = [
            ("lines", (1..=4).contains(&self.lines), self.lines.to_string(), "1 to 4"),
            (
                "read_interval",
                self.read_interval.0 <= Duration::from_millis(100),
                humantime::format_duration(self.read_interval.0).to_string(),
                "at most 100ms",
            ),
            ("queue_frames", self.queue_frames > 0, self.queue_frames.to_string(), "at least 1"),
            (
                "queue_bytes",
                self.queue_bytes >= ByteSize::mib(1) && self.queue_bytes <= ByteSize::gib(2),
                self.queue_bytes.to_string(),
                "from 1 MiB to 2 GiB",
            ),
            (
                "rotate",
                self.rotate.0 >= Duration::from_secs(1),
                humantime::format_duration(self.rotate.0).to_string(),
                "at least 1s",
            ),
            (
                "buffer_bytes",
                self.buffer_bytes >= ByteSize::mib(1),
                self.buffer_bytes.to_string(),
                "at least 1 MiB",
            ),
            (
                "sync_interval",
                self.sync_interval.0 >= Duration::from_millis(1),
                humantime::format_duration(self.sync_interval.0).to_string(),
                "at least 1ms",
            ),
            (
                "markets_poll",
                self.markets_poll.0 >= Duration::from_secs(1),
                humantime::format_duration(self.markets_poll.0).to_string(),
                "at least 1s",
            ),
            (
                "log_file_bytes",
                self.log_file_bytes >= ByteSize::kib(64),
                self.log_file_bytes.to_string(),
                "at least 64 KiB",
            ),
        ];
        for (key, holds, value, must) in rules {
            if !holds {
                return Err(ConfigError::Value { place: place(key), key, value, must });
            }
        }
        config_retain::policy(&self.retain)
            .map_err(|why| ConfigError::Retain { place: place("[retain]"), why })?;
        self.notify.check().map_err(|why| ConfigError::Notify { place: place("[notify]"), why })?;
        Watched::parse(&self.metrics_markets)
            .map_err(|why| ConfigError::Markets { place: place("metrics_markets"), why })?;
        Ok(())
    }
}

/// The text of the file `path`.
pub(super) fn text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })
}

/// Every key a file can have.
fn known_keys() -> Vec<String> {
    let full = Config {
        ws_url: Some(String::new()),
        rest_url: Some(String::new()),
        ca_file: Some(PathBuf::new()),
        log_file: Some(PathBuf::new()),
        http: Some(HttpAddress::Off),
        http_token: Some(Secret::default()),
        notify: NotifySettings {
            url: Some(Secret::default()),
            secret: Some(Secret::default()),
            ..NotifySettings::default()
        },
        ..Config::default()
    };
    let table = toml::Table::try_from(full).unwrap_or_default();
    let inner = table.values().filter_map(toml::Value::as_table).flat_map(toml::Table::keys);
    table.keys().chain(inner).cloned().collect()
}

#[cfg(test)]
mod tests;
