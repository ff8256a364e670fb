//! A disk that says no, once or for ever, and one that is slow.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};
use std::{fmt, io, thread};

use rustix::io::Errno;

use super::*;
use crate::store::fs::FsFile;
use crate::store::fs::faulty::{Fault, FaultyFs, Outcome, PowerLoss};

/// A run of ten trades with two seals in between, and how many of them a sync had promised when
/// it failed.
fn run_until_failure(data: &Path, fs: &Arc<dyn Fs>) -> (Result<(), WriterError>, i64) {
    let mut promised = 0;
    let mut writer = match start(data, fs) {
        Ok(writer) => writer,
        Err(error) => return (Err(error), 0),
    };
    for id in 1..=10 {
        let second = id * 20;
        for event in [trade(second, 1, id), Event::Tick(at(second + 1))] {
            let done = writer.take(event).and_then(|()| writer.catch_up());
            if let Err(error) = done {
                return (Err(error), promised);
            }
        }
        promised = id;
    }
    (writer.end().map(drop), promised)
}

#[test]
fn whichever_disk_operation_fails_and_whatever_power_loss_leaves_no_promised_row_is_lost_or_doubled()
 {
    let whole = FaultyFs::default();
    let folder = tempfile::tempdir().expect("a folder");
    let (done, _) = run_until_failure(folder.path(), &(Arc::new(whole.clone()) as Arc<dyn Fs>));
    done.expect("the untroubled run ends well");
    let operations = whole.operations();
    assert!(operations > 40, "{operations} operations");
    for nth in 0..operations {
        for (outcome, loss) in [
            (Outcome::Undone, PowerLoss::Keeps { bytes: 0, names: false, zeros: false }),
            (Outcome::Undone, PowerLoss::Keeps { bytes: usize::MAX, names: true, zeros: false }),
            (Outcome::Dropped, PowerLoss::Anything(nth)),
            (Outcome::Done, PowerLoss::Anything(nth)),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let disk = FaultyFs::default();
            disk.fail(Fault { after: nth, error: Errno::IO, lasting: true, outcome });
            let (_, promised) =
                run_until_failure(folder.path(), &(Arc::new(disk.clone()) as Arc<dyn Fs>));
            disk.heal();
            let after: Arc<dyn Fs> = Arc::new(disk.crash(loss));
            for again in 0..2 {
                let writer = start(folder.path(), &after).expect("starts again");
                writer.end().expect("ends");
                let mut ids: Vec<i64> = column(folder.path(), &after, Stream::Trade, "id")
                    .iter()
                    .map(|id| id.parse().expect("an id"))
                    .collect();
                ids.sort_unstable();
                let kept = i64::try_from(ids.len()).expect("few");
                assert_eq!(ids, (1..=kept).collect::<Vec<_>>(), "operation {nth}, start {again}");
                assert!(kept >= promised, "operation {nth}: {kept} of {promised} promised rows");
            }
        }
    }
}

/// Trades in a run against a disk in trouble.
const TRADES: i64 = 4;

fn run_through_trouble(data: &Path, fs: &Arc<dyn Fs>, grace: Duration) -> Result<(), WriterError> {
    let options = WriterOptions { disk_full_grace: grace, ..options() };
    let clock = Arc::new(SystemClock::new());
    let mut writer = Writer::start(data, Arc::clone(fs), clock, options)?;
    writer.now = Timestamp::MIN;
    let events = (1..=TRADES).flat_map(|id| [trade(id * 20, 1, id), Event::Tick(at(id * 20 + 1))]);
    play(writer, events)
}

/// A disk with somebody who hears of every operation: its name, and whether it failed.
pub(super) struct Heard<H>(pub(super) FaultyFs, pub(super) H);

impl<H> fmt::Debug for Heard<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<H: Fn(&str, bool)> Heard<H> {
    fn hear<T>(&self, operation: &str, done: io::Result<T>) -> io::Result<T> {
        (self.1)(operation, done.is_err());
        done
    }
}

impl<H: Fn(&str, bool) + Send + Sync> Fs for Heard<H> {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        self.hear("create", self.0.create(path))
    }
    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        self.hear("append", self.0.append(path))
    }
    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.hear("read", self.0.read(path, offset, length))
    }
    fn length(&self, path: &Path) -> io::Result<u64> {
        self.hear("length", self.0.length(path))
    }
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.hear("truncate", self.0.truncate(path, length))
    }
    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.hear("publish", self.0.publish(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.hear("remove", self.0.remove(path))
    }
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.hear("remove_folder", self.0.remove_folder(path))
    }
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.hear("create_folder", self.0.create_folder(path))
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.hear("sync_folder", self.0.sync_folder(path))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.hear("list", self.0.list(folder))
    }
    fn folders(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.hear("folders", self.0.folders(folder))
    }
}

#[test]
fn a_disk_that_recovers_in_time_costs_nothing() {
    for error in [Errno::NOSPC, Errno::IO, Errno::ROFS] {
        for outcome in [Outcome::Undone, Outcome::Dropped, Outcome::Done] {
            for after in [8, 14, 20, 26] {
                let folder = tempfile::tempdir().expect("a folder");
                let disk = FaultyFs::default();
                disk.fail(Fault { after, error, lasting: true, outcome });
                let (failures, healed) = (AtomicU32::new(0), disk.clone());
                let heal_after_three = move |_: &str, failed| {
                    if failed && failures.fetch_add(1, Ordering::Relaxed) == 2 {
                        healed.heal();
                    }
                };
                let fs: Arc<dyn Fs> = Arc::new(Heard(disk.clone(), heal_after_three));
                run_through_trouble(folder.path(), &fs, Duration::from_mins(1)).expect("goes on");
                disk.heal();
                let ids = column(folder.path(), &fs, Stream::Trade, "id");
                assert_eq!(ids, ["1", "2", "3", "4"], "{error} {outcome:?} at {after}");
            }
        }
    }
}

#[test]
fn a_disk_that_does_not_recover_ends_it_and_names_folder_and_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = FaultyFs::default();
    disk.fail(Fault { after: 12, error: Errno::NOSPC, lasting: true, outcome: Outcome::Undone });
    let fs: Arc<dyn Fs> = Arc::new(disk);
    let ended = run_through_trouble(folder.path(), &fs, Duration::from_millis(20));
    let error = ended.expect_err("the disk stays full").to_string();
    for part in [&*folder.path().display().to_string(), "bytes wait", "are free", "No space left"] {
        assert!(error.contains(part), "{error} does not say {part:?}");
    }
}

#[test]
fn a_connection_that_dies_while_the_disk_is_slow_died_of_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    // The slowness itself is what is tried here; nothing waits for it.
    let slow = |operation: &str, _| {
        if operation == "create" {
            thread::sleep(Duration::from_secs(5));
        }
    };
    let fs: Arc<dyn Fs> = Arc::new(Heard(FaultyFs::default(), slow));
    let clock = Arc::new(SystemClock::new());
    let mut writer =
        Writer::start(folder.path(), Arc::clone(&fs), clock.clone(), options()).expect("starts");
    writer.now = Timestamp::MIN;
    for event in [opened(0, 1), served(1, 1), trade(1, 1, 1), Event::Tick(at(2))] {
        writer.take(event).expect("taken");
    }
    let stalled = clock.now();
    writer.catch_up().expect("slow is not broken");
    let session_closed = |session, when| {
        Event::SessionClosed(SessionClosed {
            session,
            at: when,
            proven_until: when,
            cause: Some(GapCause::Overflow),
            why: "because".into(),
            frames: 0,
            bytes: 0,
        })
    };
    play(writer, [session_closed(1, stalled.after(Duration::from_secs(2)))]).expect("plays");
    assert_eq!(column(folder.path(), &fs, Stream::Trade, "id"), ["1"]);
    let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
    let gaps = catalog.gaps(&Filter::default()).expect("gaps");
    assert!(
        !gaps.is_empty() && gaps.iter().all(|(_, gap)| gap.cause == GapCause::Disk),
        "{gaps:?}"
    );
}

#[test]
fn frames_are_made_durable_while_files_are_being_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = FaultyFs::default();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let waiting = Arc::clone(&gate);
    let wait_at_the_gate = move |operation: &str, _| {
        if operation == "publish" {
            let open = waiting.0.lock().expect("no panic");
            let minute = Duration::from_mins(1);
            let passed = waiting.1.wait_timeout_while(open, minute, |open| !*open);
            assert!(!passed.expect("no panic").1.timed_out(), "the writer waits for the seal");
        }
    };
    let fs: Arc<dyn Fs> = Arc::new(Heard(disk.clone(), wait_at_the_gate));
    let mut writer = start(folder.path(), &fs).expect("starts");
    for event in [trade(1, 1, 1), Event::Tick(at(62)), trade(63, 1, 2), Event::Tick(at(64))] {
        writer.take(event).expect("taken");
        writer.catch_up().expect("goes on");
    }
    let killed: Arc<dyn Fs> =
        Arc::new(disk.crash(PowerLoss::Keeps { bytes: 0, names: false, zeros: false }));
    *gate.0.lock().expect("no panic") = true;
    gate.1.notify_all();
    drop(writer);
    start(folder.path(), &killed).expect("starts again").end().expect("ends");
    assert_eq!(column(folder.path(), &killed, Stream::Trade, "id"), ["1", "2"]);
}
