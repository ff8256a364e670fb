//! A disk that is really full: a small file system of its own, filled while recording.
//!
//! Mounting one takes privileges; without them the tests say so and pass.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::{TempDir, tempdir};
use veritape::net::clock::{Clock as _, SystemClock};

use crate::harness::{Process, Python, SOON};
use crate::recording::{Recording, STREAMS};

/// A file system in memory, gone when this is dropped.
struct Disk(TempDir);

impl Disk {
    /// None where mounting is not permitted.
    fn mount() -> Option<Self> {
        let folder = tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output();
        if mounted.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        println!("Skipped: no file system can be mounted here, which takes root: {mounted:?}");
        None
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Fills it, and tells what to remove so that there is room again.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("ballast");
        let mut ballast = File::create(&path).unwrap();
        for bytes in [1 << 20, 1 << 12, 1] {
            let block = vec![0; bytes];
            loop {
                match ballast.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{}: {error}", path.display()),
                }
            }
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there is about to end.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "{} stays",
            self.0.path().display()
        );
    }
}

/// A recording on a small disk, and its recorder, once it has recorded something.
fn start(disk: &Disk, settings: &str) -> (Recording, Process) {
    let venue = ["--markets", "50", "--rate", "2000", "--seed", "31"];
    let recording = Recording::of(&venue, "").into(disk.data());
    let recorder = record(&recording, settings);
    recording.more_trades(2_000);
    (recording, recorder)
}

fn record(recording: &Recording, settings: &str) -> Process {
    let recorder = recording.start_with(settings, &["--markets", "all", "--streams", STREAMS]);
    recorder.wait_for_talk("connected", SOON);
    recorder
}

fn stop(recorder: Process, recording: &Recording) {
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    assert!(recording.journal().is_empty(), "{:?}", recording.journal());
}

fn names(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_disk_that_is_freed_in_time_loses_nothing() {
    let (Some(python), Some(disk)) = (Python::find(), Disk::mount()) else { return };
    let settings = "rotate = '1s'\ndisk_full_grace = '60s'";
    let (mut recording, recorder) = start(&disk, settings);
    let ballast = disk.fill();
    recorder.wait_for_talk("the disk says no", SOON);
    recording.more_trades(3_000);
    fs::remove_file(ballast).unwrap();
    recorder.wait_for_talk("the disk takes data again", SOON);
    recording.more_trades(2_000);
    stop(recorder, &recording);
    // The queue held what came meanwhile.
    assert_eq!(recording.gaps().len(), 0, "{:#?}", recording.gaps());
    let figures = recording.compare(&python, &["--strict"]);
    assert!(figures["recorded"].as_u64() > Some(5_000), "{figures}");
}

#[test]
fn a_disk_that_stays_full_ends_it_with_a_reason() {
    let (Some(python), Some(disk)) = (Python::find(), Disk::mount()) else { return };
    let settings = "rotate = '1s'\ndisk_full_grace = '2s'";
    let (mut recording, recorder) = start(&disk, settings);
    let clock = SystemClock::new();
    let ballast = disk.fill();
    let full = clock.now().micros();
    let ended = recorder.wait(SOON);
    let over = clock.now().micros();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let said = ended.stderr.lines().last().unwrap_or_default();
    for words in [&names(&disk.data()), "bytes wait", "are free", "make room"] {
        assert!(said.contains(words), "it does not say {words:?}: {said}");
    }
    fs::remove_file(ballast).unwrap();
    let recorder = record(&recording, settings);
    recording.more_trades(2_000);
    stop(recorder, &recording);
    let died = format!("{full}-{over}");
    let figures = recording.compare(&python, &["--died", &died]);
    assert!(figures["recorded"].as_u64() > Some(3_000), "{figures}");
}
