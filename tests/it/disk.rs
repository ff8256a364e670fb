//! A disk that is really full, or that fails: a small file system of its own.
//!
//! Mounting one takes privileges; without them the tests say so and pass.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::{TempDir, tempdir};
use veritape::net::clock::{Clock as _, SystemClock};

use crate::harness::{Process, Python, SOON, wait_until};
use crate::http::{address, get};
use crate::recording::{Recording, STREAMS};

/// A file system of its own, gone when this is dropped.
struct Disk {
    folder: TempDir,
    /// Holds the image of one that is not in memory.
    image_in: Option<TempDir>,
}

impl Disk {
    /// A small one in memory; none where mounting is not permitted.
    fn mount() -> Option<Self> {
        let folder = tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=32m", "tmpfs"];
        mount(&options, folder.path()).then_some(Self { folder, image_in: None })
    }

    /// One that can fail: ext4 in a file.
    fn image() -> Option<Self> {
        let (folder, image) = (tempdir().unwrap(), tempdir().unwrap());
        let path = image.path().join("ext4");
        File::create(&path).unwrap().set_len(512 << 20).unwrap();
        let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&path).output();
        if !made.as_ref().is_ok_and(|output| output.status.success()) {
            println!("Skipped: mkfs.ext4 cannot be had here: {made:?}");
            return None;
        }
        let options = ["-o", "loop,errors=remount-ro", path.to_str().unwrap()];
        mount(&options, folder.path()).then_some(Self { folder, image_in: Some(image) })
    }

    /// Lets ext4 find an error, upon which it takes no more writes: what was not synced is lost.
    fn fail(&self) {
        assert!(mount(&["-o", "remount,abort"], self.folder.path()), "it does not fail");
    }

    /// Mounts the image again, as an operator would, once nobody has it open.
    fn again(&self) {
        let folder = self.folder.path();
        let image = self.image_in.as_ref().unwrap().path().join("ext4");
        wait_until("an end of all that is open there", SOON, || {
            let unmounted = Command::new("umount").arg(folder).output().unwrap();
            unmounted.status.success().then_some(())
        });
        let checked = Command::new("e2fsck").args(["-p", "-f"]).arg(&image).output().unwrap();
        // 1: errors were corrected.
        assert!(matches!(checked.status.code(), Some(0 | 1)), "{checked:?}");
        assert!(mount(&["-o", "loop", image.to_str().unwrap()], folder), "it cannot be mounted");
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Fills it, and tells what to remove so that there is room again.
    fn fill(&self) -> PathBuf {
        let path = self.folder.path().join("ballast");
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
        let unmounted = Command::new("umount").arg("-l").arg(self.folder.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "{} stays",
            self.folder.path().display()
        );
    }
}

/// Whether it could be done.
fn mount(options: &[&str], folder: &Path) -> bool {
    let mounted = Command::new("mount").args(options).arg(folder).output();
    let done = mounted.as_ref().is_ok_and(|output| output.status.success());
    if !done {
        println!("Skipped: no file system can be mounted here, which takes root: {mounted:?}");
    }
    done
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
fn little_room_is_said_and_recording_goes_on() {
    let (Some(python), Some(disk)) = (Python::find(), Disk::mount()) else { return };
    let settings = "rotate = '1s'\nmin_free_bytes = '12 MiB'\nhttp = '127.0.0.1:0'";
    let mut recording =
        Recording::of(&["--markets", "5", "--rate", "300", "--seed", "91"], "").into(disk.data());
    let arguments = ["--markets", "all", "--streams", STREAMS, "--http", "127.0.0.1:0"];
    let recorder = recording.start_with(settings, &arguments);
    let address = address(&recorder);
    let healthy = |status: u16| {
        let what = format!("/healthz answers {status}");
        wait_until(&what, SOON, || {
            let (told, body) = get(address, "/healthz", "");
            (told == status).then_some(body)
        })
    };
    healthy(200);
    let ballast = disk.data().with_file_name("ballast");
    fs::write(&ballast, vec![0; 22 << 20]).unwrap();
    recorder.wait_for_talk("less than min_free_bytes", SOON);
    assert!(healthy(503).contains("\"what\":\"disk\""));
    recording.more_trades(500);
    fs::remove_file(ballast).unwrap();
    recorder.wait_for_talk("again: all goes on as before", SOON);
    healthy(200);
    recording.more_trades(200);
    stop(recorder, &recording);
    assert_eq!(recording.gaps().len(), 0, "{:#?}", recording.gaps());
    recording.compare(&python, &["--strict"]);
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

#[test]
fn a_disk_that_turns_read_only_ends_it_with_a_reason() {
    let (Some(python), Some(disk)) = (Python::find(), Disk::image()) else { return };
    let settings = "rotate = '1s'\ndisk_full_grace = '2s'";
    let (mut recording, recorder) = start(&disk, settings);
    let clock = SystemClock::new();
    let failed = clock.now().micros();
    disk.fail();
    let ended = recorder.wait(SOON);
    let over = clock.now().micros();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let said = ended.stderr.lines().last().unwrap_or_default();
    for words in [&names(&disk.data()), "Read-only file system"] {
        assert!(said.contains(words), "it does not say {words:?}: {said}");
    }
    disk.again();
    let recorder = record(&recording, settings);
    recording.more_trades(2_000);
    stop(recorder, &recording);
    let died = format!("{failed}-{over}");
    let figures = recording.compare(&python, &["--died", &died, "--sync", "100000"]);
    assert!(figures["recorded"].as_u64() > Some(3_000), "{figures}");
}
