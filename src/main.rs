//! The `veritape` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    veritape::cli::run()
}
