//! Limits, and what they say.

use bytes::Bytes;
use rustix::io::Errno;

use super::super::{JournalError, Keep, Options};
use super::{SMALL, frame, open, recover, write};
use crate::model::frame::Frame;
use crate::store::fs::Fs as _;
use crate::store::fs::faulty::{Fault, FaultyFs, Outcome, PowerLoss};

#[test]
fn a_frame_that_does_not_follow_is_not_taken() {
    let (mut journal, _) = open(&FaultyFs::default(), 5, SMALL).unwrap();
    assert_eq!(journal.next_sequence(), 5);
    journal.append(&frame(5, 0)).unwrap();
    journal.append(&frame(9, 0)).unwrap();
    for sequence in [0, 4, 5, 9] {
        let error = journal.append(&frame(sequence, 0)).unwrap_err().to_string();
        let expected =
            format!("journal: frame {sequence} does not follow, the next is 10 or later");
        assert_eq!(error, expected);
    }
    assert_eq!(journal.sync().unwrap(), 10);
}

#[test]
fn a_frame_too_large_for_a_block_is_not_taken() {
    let (mut journal, _) = open(&FaultyFs::default(), 1, SMALL).unwrap();
    let large = Frame { body: Bytes::from(vec![0; 33 << 20]), ..frame(1, 0) };
    assert!(matches!(journal.append(&large), Err(JournalError::TooLarge { sequence: 1, .. })));
    let fits = Frame { body: Bytes::from(vec![7; 31 << 20]), ..frame(1, 0) };
    journal.append(&fits).unwrap();
    assert_eq!(journal.sync().unwrap(), 2);
}

#[test]
fn what_waits_for_a_bad_disk_has_a_limit() {
    let disk = FaultyFs::default();
    let options = Options { pending_bytes: 1_000, ..SMALL };
    let (mut journal, _) = open(&disk, 1, options).unwrap();
    disk.fail(Fault { after: 0, error: Errno::NOSPC, lasting: true, outcome: Outcome::Undone });
    let taken =
        (1..100).take_while(|sequence| journal.append(&frame(*sequence, 0)).is_ok()).count();
    assert!((5..20).contains(&taken) && journal.pending_bytes() <= 1_000);
    assert!(matches!(journal.sync(), Err(JournalError::Disk { action: "make", .. })));
    disk.heal();
    let next = taken as u64 + 1;
    assert_eq!(journal.sync().unwrap(), next);
    write(&mut journal, next, next + 1, 0);
}

#[test]
fn released_files_are_moved_by_day_and_the_open_one_stays() {
    let disk = FaultyFs::default();
    let (mut journal, _) = open(&disk, 1, SMALL).unwrap();
    write(&mut journal, 1, 3, 0);
    let keep = Keep::Raw("/data/raw".into());
    assert_eq!(journal.release(3, &keep).unwrap().files, 0);
    journal.roll();
    assert_eq!(journal.release(2, &keep).unwrap().files, 0);
    assert_eq!(journal.release(3, &keep).unwrap().files, 1);
    let raw = "/data/raw/1970-01-01/00000000000000000001.vtj";
    assert_eq!(disk.files(), [std::path::PathBuf::from(raw)]);

    // The same name again, because the folder was begun anew: neither is lost.
    let (mut journal, _) = open(&disk, 1, SMALL).unwrap();
    write(&mut journal, 1, 3, 1);
    journal.roll();
    journal.release(3, &keep).unwrap();
    assert_eq!(disk.files().len(), 2);
    assert!(disk.files().contains(&raw.replace(".vtj", "-1.vtj").into()));
}

#[test]
fn files_are_read_and_released_in_the_order_of_their_frames() {
    let disk = FaultyFs::default();
    let (mut journal, _) = open(&disk, 1, SMALL).unwrap();
    for block in 0..10 {
        write(&mut journal, 1 + block * 3, 4 + block * 3, 0);
    }
    journal.roll();
    assert!(disk.files().len() > 2, "{:?}", disk.files());
    let left = disk.crash(PowerLoss::Keeps { bytes: 0, names: false, zeros: false });
    left.list_backwards();
    let (mut journal, frames, report) = recover(&left, 17);
    assert_eq!(frames.len(), 14);
    assert_eq!(report.files, disk.files().len() as u64);
    let released = journal.release(31, &Keep::Nothing).unwrap();
    assert_eq!((released.files, left.files().len()), (report.files, 0));
    assert_eq!(released.bytes, report.bytes);
}

/// A start removes parts that the journal can give back: it has to be sure.
#[test]
fn a_journal_with_a_hole_does_not_say_that_it_is_whole() {
    let whole = |disk: &FaultyFs| open(disk, 1, SMALL).unwrap().1.first_sequence();
    let disk = FaultyFs::default();
    assert_eq!(whole(&disk), None);
    let (mut journal, _) = open(&disk, 7, SMALL).unwrap();
    for from in [7, 17, 27] {
        write(&mut journal, from, from + 10, 0);
        journal.roll();
    }
    assert_eq!(whole(&disk), Some(7));
    let files = disk.files();
    let gap = disk.kill();
    gap.remove(&files[1]).unwrap();
    assert_eq!(whole(&gap), super::super::names::first_sequence(&files[2]));
    for file in &files {
        let (damaged, lost) = (disk.kill(), disk.kill());
        let mut bytes = disk.bytes(file);
        bytes[50] ^= 1;
        damaged.put(file, &bytes);
        lost.put(file, &[0xa5; 500]);
        assert_eq!((whole(&damaged), whole(&lost)), (None, None));
    }
}

/// However long a file is, a start holds a window or a block of it.
#[test]
fn a_start_never_reads_more_than_a_window_or_a_block() {
    for (bytes, most) in [(10_000, 64 << 10), (300_000, 301_000)] {
        let disk = FaultyFs::default();
        let options = Options { segment_bytes: 64 << 20, ..SMALL };
        let (mut journal, _) = open(&disk, 1, options).unwrap();
        for sequence in 1..=50 {
            let body = Bytes::from(vec![b'x'; bytes]);
            journal.append(&Frame { body, ..frame(sequence, 0) }).unwrap();
            journal.sync().unwrap();
        }
        let left = disk.kill();
        let mut damaged = left.bytes(&left.files()[0]);
        assert!(damaged.len() > 50 * bytes);
        // Half a file without a way through it is searched in the same small steps.
        damaged[bytes..26 * bytes].fill(0xa5);
        left.put(&left.files()[0], &damaged);
        assert!(recover(&left, 1).1.len() > 20);
        assert!(left.largest_read() <= most, "{}", left.largest_read());
    }
}
