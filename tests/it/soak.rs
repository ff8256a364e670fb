//! `scripts/soak` in short: a storm of faults, a kill, the repair and the comparison with the
//! ledger. Its promise is worded for 30 minutes, which is run by hand.

use std::process::Command;
use std::time::Duration;

use tempfile::tempdir;

use crate::harness::{Process, Python, root};

#[test]
fn a_short_storm_is_weathered() {
    let Some(_) = Python::find() else { return };
    let folder = tempdir().unwrap();
    let mut soak = Command::new(root().join("scripts/soak"));
    soak.args(["--minutes", "0.2", "--rate", "500", "--markets", "10", "--seed", "3"]);
    soak.args(["--binary", env!("CARGO_BIN_EXE_veritape"), "--keep"]);
    soak.arg(folder.path().join("soak"));
    let told = Process::start(soak).wait(Duration::from_mins(5)).success();
    println!("{told}");
    for part in
        ["SIGKILL", "SIGTERM", "\norderbook ", "repaired", "flat: not judged", "all is well"]
    {
        assert!(told.contains(part), "the report does not say {part:?}:\n{told}");
    }
}
