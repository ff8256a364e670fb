//! `config init` and `config check`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;

use super::config::{self, Config};
use super::{Common, Failure, Outcome, output};

/// The file that `config init` writes: every key with its default and its meaning.
const TEMPLATE: &str = include_str!("config.toml");

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Write a commented configuration file with the defaults.
    Init {
        /// Where to write it; `-` for stdout.
        #[arg(default_value = "veritape.toml", value_name = "FILE")]
        path: PathBuf,
    },
    /// Read a configuration file and say what is wrong with it.
    Check {
        /// The file [default: that of --config, else veritape.toml].
        #[arg(value_name = "FILE")]
        path: Option<PathBuf>,
    },
}

/// Reads the text of the configuration `path` and judges it as `config check` does: everything that
/// can be judged without a network.
///
/// # Errors
///
/// What is wrong with it, in words for whoever wrote it.
pub fn check_config(path: &Path, text: &str) -> anyhow::Result<Config> {
    let config = Config::parse(path, text)?;
    match super::record::check(&config) {
        Ok(()) => Ok(config),
        Err(Failure::Usage(error) | Failure::Failed(error)) => Err(error),
    }
}

pub(super) fn run(command: &ConfigCommand, common: &Common) -> Result<Outcome, Failure> {
    match command {
        ConfigCommand::Init { path } if path.as_os_str() == "-" => {
            output::data(TEMPLATE.trim_end())?;
        }
        ConfigCommand::Init { path } => {
            // An existing file is somebody's work: it is never written over.
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(path)
                .with_context(|| format!("cannot write {}", path.display()))?;
            file.write_all(TEMPLATE.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            output::talk(&format!("wrote {}", path.display()));
        }
        ConfigCommand::Check { path } => {
            let path = path.clone().or_else(|| common.config.clone());
            let path = path.unwrap_or_else(|| PathBuf::from("veritape.toml"));
            let text = config::text(&path).map_err(|error| Failure::Usage(error.into()))?;
            check_config(&path, &text).map_err(Failure::Usage)?;
            output::talk(&format!("{} is right", path.display()));
        }
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_the_defaults() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("v.toml");
        std::fs::write(&path, TEMPLATE).expect("written");
        assert_eq!(Config::read(&path).expect("reads"), Config::default());
    }

    #[test]
    fn the_template_names_every_key() {
        let keys = toml::Table::try_from(Config::default()).expect("TOML");
        for key in keys.keys().map(String::as_str).chain([
            "ws_url",
            "rest_url",
            "ca_file",
            "keep",
            "url",
            "secret",
            "min_interval",
            "events",
        ]) {
            let named = ["raw", "retain", "notify"].contains(&key)
                || TEMPLATE
                    .lines()
                    .any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
            assert!(named, "config.toml does not name {key}");
        }
    }
}
