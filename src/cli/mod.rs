//! The command line: the only place that reads configuration, prints and exits.

mod backfill;
mod check;
mod compact;
mod config;
mod config_command;
mod config_lines;
mod config_notify;
mod config_retain;
mod coverage;
mod demo;
mod export;
mod gaps;
mod http;
mod jobs;
mod log_file;
mod network;
mod output;
mod progress;
mod rebuild;
mod record;
mod reload;
mod retain;
mod room;
mod select;
mod service;
mod signals;
mod sim;
mod status;
mod status_watch;
mod steer;
mod telemetry;
mod verify;
mod views;
mod when;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use self::config::Config;
pub use self::config_command::check_config;
use self::telemetry::LogArgs;

/// What went wrong, by what whoever called us can do about it.
#[derive(Debug)]
enum Failure {
    /// The command line or the configuration is wrong: exit code 2.
    Usage(anyhow::Error),
    /// It did not work: exit code 1.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All is well: exit code 0.
    Done,
    /// It ran to its end, and something is missing or damaged: exit code 3.
    Incomplete,
    /// A second signal gave up: exit code 130.
    Interrupted,
}

/// Records what a market says, keeps it safe, and can say what is missing.
#[derive(Debug, Parser)]
#[command(name = "veritape", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
struct Common {
    /// Read settings from this TOML file (`veritape config init` writes one).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder [default: ./data].
    #[arg(long, global = true, value_name = "DIR", env = "VERITAPE_DATA")]
    data: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    log: LogArgs,
}

/// Which venue, and where it is.
#[derive(Debug, Clone, Default, Args)]
struct VenueArgs {
    /// The venue [default: upbit].
    #[arg(long, value_name = "NAME")]
    venue: Option<String>,
    /// Use this websocket instead of the venue's own.
    #[arg(long, value_name = "URL")]
    ws_url: Option<String>,
    /// Use this REST server instead of the venue's own, without a path.
    #[arg(long, value_name = "URL")]
    rest_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Record live data until SIGINT, SIGTERM or --for.
    Record(record::RecordArgs),
    /// Ask a venue for its past: what is missing of a range, or what an earlier call left to do.
    Backfill(backfill::BackfillArgs),
    /// Record from a simulated venue on this machine, and show what lies on disk.
    Demo(demo::DemoArgs),
    /// Run the simulated venue alone.
    Sim(sim::SimArgs),
    /// Show what a data folder holds, and how its recorder is.
    Status(status::StatusArgs),
    /// List the gaps: what is missing, since when and why; or close them.
    Gaps {
        #[command(subcommand)]
        command: Option<gaps::GapsCommand>,
    },
    /// List what is held, by market, stream and hour, or show it as a calendar.
    Coverage(coverage::CoverageArgs),
    /// Check every file, every key and every hour.
    Verify(verify::VerifyArgs),
    /// List the work on the past, with how far it is; end jobs, or have them go on.
    Jobs {
        #[command(subcommand)]
        command: Option<jobs::JobsCommand>,
    },
    /// Make Parquet again from kept raw frames.
    Rebuild(rebuild::RebuildArgs),
    /// Merge the small files of days that are over.
    Compact(compact::CompactArgs),
    /// Remove what is older, or more, than is to be kept.
    Retain(retain::RetainArgs),
    /// Write a selection of rows to one file or to standard output.
    Export(export::ExportArgs),
    /// Print `CREATE VIEW` statements that show the data folder to DuckDB.
    Views,
    /// Write or check a configuration file.
    Config {
        #[command(subcommand)]
        command: config_command::ConfigCommand,
    },
}

/// Runs the command that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::from(3),
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(Failure::Usage(error)) => {
            telemetry::last_words(&format!("veritape: {}", words(&error)));
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            telemetry::last_words(&format!("veritape: {}", words(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes. Most of ours name their cause themselves: it is not said twice.
fn words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |mut said, cause| {
        if !said.contains(&cause) {
            said = if said.is_empty() { cause } else { format!("{said}: {cause}") };
        }
        said
    })
}

fn dispatch(cli: &Cli) -> Result<Outcome, Failure> {
    if let Command::Config { command } = &cli.command {
        let mut config = Config::default();
        cli.common.log.over(&mut config);
        telemetry::start(&cli.common.log, &config)?;
        return config_command::run(command, &cli.common);
    }
    let config = Config::load(&cli.common).map_err(|error| Failure::Usage(error.into()))?;
    telemetry::start(&cli.common.log, &config)?;
    let json = cli.common.json;
    match &cli.command {
        Command::Record(args) => record::run(args, config, &cli.common),
        Command::Backfill(args) => backfill::run(args, config, json),
        Command::Demo(args) => demo::run(args, config, &cli.common),
        Command::Sim(args) => sim::run(args),
        Command::Status(args) => status::run(args, &config, json),
        Command::Gaps { command } => gaps::run(command.as_ref(), config, json),
        Command::Coverage(args) => coverage::run(args, &config, json),
        Command::Verify(args) => verify::run(args, &config, json),
        Command::Jobs { command } => jobs::run(command.as_ref(), &config, json),
        Command::Rebuild(args) => rebuild::run(args, &config, json),
        Command::Compact(args) => compact::run(args, &config, json),
        Command::Retain(args) => retain::run(args, &config, json),
        Command::Export(args) => export::run(args, &config),
        Command::Views => views::run(&config),
        Command::Config { command } => config_command::run(command, &cli.common),
    }
}
