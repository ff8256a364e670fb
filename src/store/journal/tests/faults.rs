//! Every disk operation of a scripted run fails once, in every way, and then the power goes.

use std::thread;

use rustix::io::Errno;

use super::super::{Journal, JournalError, Keep, Options};
use super::{SMALL, frame, open, recover, write};
use crate::model::frame::Frame;
use crate::store::fs::faulty::{Fault, FaultyFs, Outcome, PowerLoss};

/// How far a run came.
#[derive(Debug, Default, Clone, Copy)]
struct Came {
    /// Frames below this were appended.
    appended: u64,
    /// Below this, a sync said that they are durable.
    durable: u64,
    /// Below this, they were released.
    released: u64,
}

/// What a process does that stops at the first error, or one that tries again `tries` times.
fn run(disk: &FaultyFs, tries: u32, came: &mut Came) -> Result<(), JournalError> {
    let (mut journal, recovery) = open(disk, 1, SMALL)?;
    assert_eq!(recovery.count(), 0);
    *came = Came { appended: 1, durable: 1, released: 1 };
    for sequence in 1..=30 {
        journal.append(&frame(sequence, 0))?;
        came.appended = sequence + 1;
        if sequence % 6 == 3 {
            insist(tries, || journal.sync_ahead())?;
            came.durable = journal.durable;
        } else if sequence % 6 == 5 {
            insist(tries, || sync_on(&mut journal))?;
            came.durable = journal.durable;
        } else if sequence % 6 == 0 {
            came.durable = insist(tries, || journal.sync())?;
        }
        if sequence % 11 == 0 {
            journal.roll();
        }
        if sequence % 9 == 0 {
            came.released = sequence - 4;
            let keep = if sequence == 18 { Keep::Raw("/data/raw".into()) } else { Keep::Nothing };
            insist(tries, || journal.release(came.released, &keep))?;
        }
    }
    Ok(())
}

/// [`Journal::sync_on`] once the packer is done, so that each run does the same.
fn sync_on(journal: &mut Journal) -> Result<(), JournalError> {
    while journal.ahead.as_ref().is_some_and(|ahead| !ahead.is_packed()) {
        thread::yield_now();
    }
    journal.sync_on()
}

fn insist<T>(
    tries: u32,
    mut action: impl FnMut() -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    (1..tries).find_map(|_| action().ok()).map_or_else(action, Ok)
}

/// A start gives every frame that was promised and not released, then maybe some that were not
/// promised; in order, none left out, each with its own bytes.
fn check(what: &str, disk: &FaultyFs, came: Came) -> Vec<Frame> {
    let (mut journal, frames, report) = recover(disk, came.released);
    let end = frames.last().map_or(came.released, |last| last.sequence + 1);
    assert!(came.durable <= end && end <= came.appended.max(1), "{what}: {came:?}, {end}");
    for (sequence, found) in (came.released..end).zip(&frames) {
        assert_eq!(found, &frame(sequence, 0), "{what}");
    }
    assert_eq!(frames.len() as u64, end - came.released, "{what}");
    // A torn write that ends in few zeros looks like damage; what it says is lost was not promised.
    assert!(report.missing.iter().all(|it| it.start >= came.durable), "{what}: {report:?}");

    let forgets = PowerLoss::Keeps { bytes: 0, names: false, zeros: false };
    let (_, again, _) = recover(&disk.crash(forgets), came.released);
    assert_eq!(again, frames, "{what}: the second time");

    let next = journal.next_sequence();
    write(&mut journal, next, next + 5, 1);
    let (_, both, _) = recover(&disk.crash(forgets), came.released);
    let new: Vec<_> = (next..next + 5).map(|sequence| frame(sequence, 1)).collect();
    assert_eq!(both, [frames.clone(), new].concat(), "{what}: with new frames");
    frames
}

fn operations() -> u64 {
    let disk = FaultyFs::default();
    run(&disk, 1, &mut Came::default()).unwrap();
    disk.operations()
}

#[test]
fn power_loss_at_every_operation_keeps_what_was_promised() {
    let mut starts = 0;
    for after in 0..=operations() {
        for outcome in Outcome::ALL {
            let (disk, mut came) = (FaultyFs::default(), Came::default());
            disk.fail(Fault { after, error: Errno::IO, lasting: true, outcome });
            let ended = run(&disk, 1, &mut came);
            assert_eq!(ended.is_ok(), after == operations());
            came.released = came.released.max(1);
            for bytes in 0..=disk.unsynced() {
                for (names, zeros) in [(false, false), (true, false), (true, true)] {
                    let what = format!("operation {after}, {outcome:?}, {bytes}, {names}, {zeros}");
                    let left = disk.crash(PowerLoss::Keeps { bytes, names, zeros });
                    check(&what, &left, came);
                    starts += 1;
                }
            }
        }
    }
    println!("{starts} starts after {} operations", operations());
}

#[test]
fn a_failure_that_passes_loses_nothing() {
    for after in 0..operations() {
        for error in [Errno::IO, Errno::NOSPC, Errno::ROFS] {
            for outcome in Outcome::ALL {
                let (disk, mut came) = (FaultyFs::default(), Came::default());
                disk.fail(Fault { after, error, lasting: false, outcome });
                let ended = run(&disk, 3, &mut came);
                let what = format!("operation {after}, {error}, {outcome:?}: {ended:?}");
                if matches!(ended, Err(JournalError::Disk { action, .. }) if came.appended == 0
                    && (action.starts_with("make") || action == "list" || action == "sync"))
                {
                    // A start that fails did nothing yet.
                    continue;
                }
                assert!(ended.is_ok(), "{what}");
                assert_eq!((came.appended, came.durable), (31, 31), "{what}");
                let (_, _, report) = recover(&disk.kill(), 1);
                assert!(report.torn.is_empty() && report.damaged.is_empty(), "{what}: {report:?}");
                for loss in (0..4).map(PowerLoss::Anything) {
                    assert_eq!(check(&what, &disk.crash(loss), came).len(), 8, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_full_disk_costs_nothing_once_it_has_room() {
    for after in 0..operations() {
        for error in [Errno::IO, Errno::NOSPC, Errno::ROFS] {
            let (disk, mut came) = (FaultyFs::default(), Came::default());
            let (mut journal, _) = open(&disk, 1, SMALL).unwrap();
            disk.fail(Fault {
                after,
                error,
                lasting: true,
                outcome: Outcome::ALL[usize::try_from(after % 3).unwrap()],
            });
            for sequence in 1..=40 {
                journal.append(&frame(sequence, 0)).unwrap();
                came.appended = sequence + 1;
                let begun = match sequence % 4 {
                    1 => journal.sync_ahead().is_ok(),
                    3 => sync_on(&mut journal).is_ok(),
                    _ => false,
                };
                if begun {
                    came.durable = journal.durable;
                } else if let Ok(durable) = journal.sync() {
                    came.durable = durable;
                }
                if sequence == 30 {
                    disk.heal();
                }
            }
            came.released = 1;
            let what = format!("{error} from operation {after} on");
            assert_eq!((came.durable, journal.pending_bytes()), (41, 0), "{what}");
            for loss in (0..4).map(PowerLoss::Anything) {
                check(&what, &disk.crash(loss), came);
            }
        }
    }
}

/// Whoever tries again must learn each time that the disk still says no, and not that packing has
/// begun.
#[test]
fn a_disk_that_says_no_is_not_said_to_be_well() {
    let disk = FaultyFs::default();
    let (mut journal, _) = open(&disk, 1, Options::default()).unwrap();
    write(&mut journal, 1, 5, 0);
    journal.append(&frame(5, 0)).unwrap();
    disk.fail(Fault { after: 0, error: Errno::NOSPC, lasting: true, outcome: Outcome::Undone });
    assert!(sync_on(&mut journal).is_ok(), "packing is no matter of the disk");
    for again in 0..4 {
        assert!(sync_on(&mut journal).is_err(), "{again}");
    }
    disk.heal();
    sync_on(&mut journal).unwrap();
    assert_eq!((journal.durable, journal.pending_bytes()), (6, 0));
}

/// A process that was killed leaves what the kernel still holds. What a start gives of it is
/// durable from then on.
#[test]
fn what_a_start_has_given_stays() {
    for after in 0..operations() {
        let (disk, mut came) = (FaultyFs::default(), Came::default());
        disk.fail(Fault { after, error: Errno::IO, lasting: true, outcome: Outcome::Undone });
        run(&disk, 1, &mut came).ok();
        came.released = came.released.max(1);
        check(&format!("killed at operation {after}"), &disk.kill(), came);
    }
}

#[test]
fn a_start_that_fails_can_be_made_again() {
    for last in [5, 12, 30] {
        let disk = FaultyFs::default();
        let (mut journal, _) = open(&disk, 1, SMALL).unwrap();
        write(&mut journal, 1, last, 0);
        journal.append(&frame(last, 0)).unwrap();
        disk.fail(Fault { after: 1, error: Errno::IO, lasting: true, outcome: Outcome::Undone });
        assert!(journal.sync().is_err());
        let left = disk.crash(PowerLoss::Keeps { bytes: 30, names: true, zeros: false });
        left.put("/data/journal/00000000000000000000.vtj".as_ref(), b"not a segment");
        let whole = left.kill();
        let (_, expected, report) = recover(&whole, 1);
        assert_eq!(report.quarantined.len(), 1);
        for after in 0..whole.operations() {
            for outcome in Outcome::ALL {
                let half = left.kill();
                half.fail(Fault { after, error: Errno::IO, lasting: true, outcome });
                drop(open(&half, 1, SMALL));
                for seed in 0..4 {
                    let (_, frames, _) = recover(&half.crash(PowerLoss::Anything(seed)), 1);
                    assert_eq!(frames, expected, "operation {after}");
                }
            }
        }
    }
}

#[test]
fn a_release_that_fails_is_made_again() {
    let keep = Keep::Raw("/data/raw".into());
    for after in 0..12 {
        for outcome in Outcome::ALL {
            let disk = FaultyFs::default();
            let (mut journal, _) = open(&disk, 1, SMALL).unwrap();
            write(&mut journal, 1, 20, 0);
            journal.roll();
            disk.fail(Fault { after, error: Errno::IO, lasting: false, outcome });
            release(&mut journal, &keep);
            let kept = disk.crash(PowerLoss::Keeps { bytes: 0, names: false, zeros: false });
            let folder = ["/data/raw/1970-01-01".into()];
            let fs = std::sync::Arc::new(kept.clone());
            let frames: Vec<_> = super::super::replay(fs, &folder, 1).unwrap().collect();
            assert_eq!(
                super::sequences(&frames),
                (1..20).collect::<Vec<_>>(),
                "{after} {outcome:?}"
            );
            assert!(recover(&kept, 1).1.is_empty());
        }
    }
}

fn release(journal: &mut Journal, keep: &Keep) {
    insist(3, || journal.release(20, keep)).unwrap();
}
