//! A recorder as a service: what the service manager hears, the unit, and what `scripts/install`
//! leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::harness::{Ended, Process, SOON, Sim, root, veritape, wait_until};

/// A service manager's socket, and what it heard.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, heard: Vec::new() }
    }

    /// Waits until what was heard since the last time has `count` such lines.
    fn wait(&mut self, line: &str, count: usize) {
        let mut buffer = [0; 1_024];
        self.heard.clear();
        wait_until(&format!("{count} times {line}"), SOON, || {
            while let Ok(length) = self.socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                self.heard.extend(text.lines().map(str::to_owned));
            }
            let found = self.heard.iter().filter(|heard| heard.starts_with(line)).count();
            (found >= count).then_some(())
        });
    }
}

#[test]
fn the_service_manager_hears_how_the_recorder_is() {
    let sim = Sim::start(&["--markets", "3", "--rate", "50"]);
    let folder = tempdir().unwrap();
    let path = folder.path().join("notify");
    let mut manager = Manager::at(&path);
    let data = folder.path().join("data");
    let arguments = ["--markets", "all", "--streams", "trade", "--http", "127.0.0.1:0"];
    let recorder = {
        let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "600000")];
        sim.record_with(&data, &arguments, &variables)
    };
    manager.wait("READY=1", 1);
    let before: Vec<_> = manager.heard.iter().take_while(|line| *line != "READY=1").collect();
    assert!(!before.iter().any(|line| line.starts_with("WATCHDOG")), "{before:?}");
    manager.wait("WATCHDOG=1", 5);
    manager.wait("STATUS=recording 3 of 3 subscriptions", 1);

    // `status --check` says the same by its exit code, for a container's health check.
    let check = |wanted: i32| {
        wait_until(&format!("status --check ends with {wanted}"), SOON, || {
            let mut command = veritape();
            command.args(["status", "--check", "--quiet", "--data"]).arg(&data);
            (Process::start(command).wait(SOON).status.code() == Some(wanted)).then_some(())
        });
    };
    check(0);
    recorder.signal(Signal::TERM);
    manager.wait("STOPPING=1", 1);
    recorder.wait(SOON).success();
    check(3);
}

#[test]
fn the_unit_is_one() {
    // Where there is systemd it says so itself; the program need not be there for it.
    let unit = fs::read_to_string(root().join("scripts/veritape.service")).unwrap();
    let folder = tempdir().unwrap();
    let path = folder.path().join("veritape.service");
    fs::write(&path, unit.replace("/usr/bin/veritape", "/bin/true")).unwrap();
    let mut command = Command::new("systemd-analyze");
    let Ok(output) = command.args(["verify", path.to_str().unwrap()]).output() else {
        println!("Skipped: there is no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = said.lines().filter(|line| line.contains("veritape")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");

    let mut command = Command::new("systemd-analyze");
    // An exposure of 2.0 at most, as it counts.
    command.args(["security", "--offline=true", "--no-pager", "--threshold=20"]).arg(&path);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn install(destination: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(root().join("scripts/install"));
    command.args(arguments).env("DESTDIR", destination);
    Process::start(command).wait(SOON)
}

#[test]
fn install_can_be_done_twice_and_undone() {
    let folder = tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    let binary = env!("CARGO_BIN_EXE_veritape");
    install(folder.path(), &["--binary", binary, "--prefix", "/opt"]).success();
    let settings = at("etc/veritape/veritape.toml");
    fs::write(&settings, "markets = ['KRW-BTC']\n").unwrap();
    install(folder.path(), &["--binary", binary, "--prefix", "/opt"]).success();

    assert_eq!(fs::read_to_string(&settings).unwrap(), "markets = ['KRW-BTC']\n");
    let mode = |path: &str| fs::metadata(at(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("opt/bin/veritape"), 0o755);
    assert_eq!(mode("etc/veritape/environment"), 0o600, "it is for secrets");
    let unit = fs::read_to_string(at("etc/systemd/system/veritape.service")).unwrap();
    assert!(unit.contains("\nExecStart=/opt/bin/veritape record --config /etc/"), "{unit}");
    assert_eq!(mode("etc/systemd/system/veritape.service"), 0o644);
    assert!(at("etc/sysusers.d/veritape.conf").is_file());
    let mut version = Command::new(at("opt/bin/veritape"));
    assert!(version.arg("--version").status().unwrap().success());

    install(folder.path(), &["--uninstall", "--prefix", "/opt"]).success();
    install(folder.path(), &["--uninstall", "--prefix", "/opt"]).success();
    for gone in ["opt/bin/veritape", "etc/systemd/system/veritape.service"] {
        assert!(!at(gone).exists(), "{gone} is still there");
    }
    assert!(settings.is_file(), "settings are somebody's work");
    for (arguments, said) in [
        (&["--binary", "/no/such/file"][..], "/no/such/file"),
        (&["--prefix"], "needs a value"),
        (&["--prefix", "here"], "must begin with /"),
        (&["--purge"], "no option --purge"),
    ] {
        let ended = install(folder.path(), arguments);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
    }
}
