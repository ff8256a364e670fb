//! Settings that are read again while a recorder runs: what of them can hold from now on, and what
//! waits for a restart. Nothing is done here.

use std::collections::BTreeMap;

use super::config::{self, Config};
use super::record::RecordArgs;
use super::{Common, Failure, config_lines, words};
use crate::ingest::plan::PlanError;
use crate::serve::reload::Refused;

/// Settings that can change without a gap. What is in no list waits for a restart.
const LIVE: [&str; 10] = [
    "markets",
    "streams",
    "markets_poll",
    "repair",
    "compact",
    "retain",
    "min_free_bytes",
    "warn_days",
    "metrics_markets",
    "log_level",
];

/// Where the settings of a recorder came from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) common: Common,
    pub(super) args: RecordArgs,
}

impl Origin {
    /// The settings as they would be at a start now: the command line still goes before the file.
    pub(super) fn again(&self) -> Result<Config, String> {
        if self.common.config.is_none() {
            return Err("there is no configuration file to read again: this recorder was started \
                        without --config"
                .to_owned());
        }
        let read = Config::load(&self.common).and_then(|mut config| {
            self.args.over(&mut config)?;
            Ok(config)
        });
        let config = read.map_err(|error| error.to_string())?;
        match super::record::check(&config) {
            Ok(()) => Ok(config),
            Err(Failure::Usage(error) | Failure::Failed(error)) => {
                Err(self.about(key_of(&error), &words(&error)))
            }
        }
    }

    /// What is wrong with a key, with the place where it stands.
    pub(super) fn about(&self, key: &str, why: &str) -> String {
        let Some(path) = &self.common.config else { return why.to_owned() };
        let line = config::text(path).map_or(1, |text| config_lines::of_key(&text, key));
        format!("the configuration {} is not right, in line {line}: {why}", path.display())
    }
}

/// The key that is to blame for what cannot be recorded.
fn key_of(error: &anyhow::Error) -> &'static str {
    if let Some(error) = error.downcast_ref::<PlanError>() {
        return key_of_plan(error);
    }
    let words = error.to_string();
    ["ws_url", "rest_url"].into_iter().find(|key| words.starts_with(key)).unwrap_or("venue")
}

/// The same for what the venue does not have.
pub(super) const fn key_of_plan(error: &PlanError) -> &'static str {
    match error {
        PlanError::NoStreams { .. } | PlanError::UnknownStream { .. } => "streams",
        PlanError::NoMarkets
        | PlanError::UnknownMarket { .. }
        | PlanError::NoMatch { .. }
        | PlanError::BadPattern { .. }
        | PlanError::TwoDepths { .. }
        | PlanError::NoList { .. }
        | PlanError::Bad(_) => "markets",
    }
}

/// What has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Keys that can hold from now on.
    pub(super) live: Vec<String>,
    /// Keys that wait for a restart.
    pub(super) refused: Vec<Refused>,
}

impl Changes {
    /// What is in `after` and was not like this in `before`.
    pub(super) fn of(before: &Config, after: &Config) -> Self {
        let (before, after) = (flat(before), flat(after));
        let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut changes = Self::default();
        for key in keys {
            if before.get(key) == after.get(key) {
                continue;
            }
            let live = key.split('.').next().is_some_and(|head| LIVE.contains(&head));
            if live {
                changes.live.push(key.clone());
            } else {
                let reason = "needs a restart".to_owned();
                changes.refused.push(Refused { key: key.clone(), reason });
            }
        }
        changes
    }

    /// Whether one of these keys can hold from now on.
    pub(super) fn touch(&self, keys: &[&str]) -> bool {
        self.live.iter().any(|key| keys.contains(&key.as_str()))
    }
}

/// The settings of `before` with what can change taken from `after`.
pub(super) fn taking(before: &Config, after: Config) -> Config {
    Config {
        markets: after.markets,
        streams: after.streams,
        markets_poll: after.markets_poll,
        repair: after.repair,
        compact: after.compact,
        retain: after.retain,
        min_free_bytes: after.min_free_bytes,
        warn_days: after.warn_days,
        metrics_markets: after.metrics_markets,
        log_level: after.log_level,
        ..before.clone()
    }
}

/// All settings by key; those of a table with its name before them.
fn flat(config: &Config) -> BTreeMap<String, toml::Value> {
    let mut flat = BTreeMap::new();
    for (key, value) in toml::Table::try_from(config).unwrap_or_default() {
        if let toml::Value::Table(table) = value {
            let inner = table.into_iter();
            flat.extend(inner.map(|(inner, value)| (format!("{key}.{inner}"), value)));
        } else {
            flat.insert(key, value);
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(Path::new("v.toml"), text).expect(text)
    }

    #[test]
    fn what_can_change_is_told_from_what_waits() {
        let before = "markets = ['KRW-BTC']\nlines = 1\n[retain]\ntrade = '3d'";
        let table: [(&str, &[&str], &[&str]); 6] = [
            (before, &[], &[]),
            ("markets = ['KRW-*']\n[retain]\ntrade = '3d'", &["markets"], &[]),
            ("markets = ['KRW-BTC']\n", &["retain.trade"], &[]),
            (
                "markets = ['KRW-BTC']\nlines = 2\nhttp_token = 'abcdefghijklmnopq'\n[retain]\ntrade = '3d'",
                &[],
                &["http_token", "lines"],
            ),
            (
                "markets = ['KRW-BTC']\nwarn_days = 1\nlog_level = 'debug'\ndata = '/x'\n[retain]\ntrade = '4d'",
                &["log_level", "retain.trade", "warn_days"],
                &["data"],
            ),
            (
                "markets = ['KRW-BTC']\n[raw]\nkeep = '3d'\n[retain]\ntrade = '3d'\n'candle.1s' = '1d'",
                &["retain.candle.1s"],
                &["raw.keep"],
            ),
        ];
        for (after, live, refused) in table {
            let changes = Changes::of(&parse(before), &parse(after));
            let waits: Vec<_> = changes.refused.iter().map(|one| one.key.as_str()).collect();
            assert_eq!(
                (changes.live, waits),
                (live.iter().map(|key| (*key).to_owned()).collect(), refused.to_vec()),
                "{after}"
            );
            // What is taken over is exactly what can change.
            let next = taking(&parse(before), parse(after));
            assert_eq!(Changes::of(&next, &parse(after)).live, Vec::<String>::new(), "{after}");
            assert_eq!(Changes::of(&parse(before), &next).refused, [], "{after}");
        }
    }

    #[test]
    fn every_key_that_can_change_is_one() {
        let known = toml::Table::try_from(Config::default()).expect("TOML");
        for key in LIVE {
            assert!(known.contains_key(key), "{key}");
        }
    }
}
