//! `config init` and `config check`.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::harness::{Ended, Process, SOON, veritape};

fn config(arguments: &[&str], folder: &Path) -> Ended {
    let mut command = veritape();
    command.arg("config").args(arguments).current_dir(folder);
    Process::start(command).wait(SOON)
}

#[test]
fn what_init_writes_is_right() {
    let folder = tempdir().unwrap();
    config(&["init"], folder.path()).success();
    let text = fs::read_to_string(folder.path().join("veritape.toml")).unwrap();
    let printed = config(&["init", "-"], folder.path()).success();
    assert_eq!(printed.trim_end(), text.trim_end());
    config(&["check"], folder.path()).success();
    config(&["check", "veritape.toml"], folder.path()).success();

    // What is there is not written over.
    let again = config(&["init"], folder.path());
    assert_eq!(again.status.code(), Some(1), "{}", again.stderr);
    assert!(again.stderr.contains("veritape.toml"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("veritape.toml")).unwrap(), text);
}

#[test]
fn what_is_wrong_is_named() {
    let folder = tempdir().unwrap();
    let wrong = [
        ("market = ['KRW-BTC']", "did you mean \"markets\"?"),
        ("venue = 'upbitt'", "did you mean \"upbit\"?"),
        ("markets = ['KRW-BTC']\nstreams = ['trades']", "did you mean \"trade\"?"),
        ("rotate = 'often'", "not a length of time"),
        ("lines = 0", "1 to 4"),
        ("ws_url = 'nonsense'", "no websocket URL"),
        ("[raw]\nkeep = 'a while'", "days such as"),
        ("markets = [", "v.toml"),
    ];
    for (text, said) in wrong {
        fs::write(folder.path().join("v.toml"), text).unwrap();
        let checked = config(&["check", "v.toml"], folder.path());
        let mut record = veritape();
        record.args(["record", "--config", "v.toml", "--for", "1s"]).current_dir(folder.path());
        for ended in [checked, Process::start(record).wait(SOON)] {
            assert_eq!(ended.status.code(), Some(2), "{text}: {}", ended.stderr);
            assert!(ended.stderr.contains(said), "{text} does not say {said:?}: {}", ended.stderr);
        }
    }
    let none = config(&["check", "absent.toml"], folder.path());
    assert_eq!(none.status.code(), Some(2), "{}", none.stderr);
    assert!(none.stderr.contains("absent.toml"), "{}", none.stderr);
}
