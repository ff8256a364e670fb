//! Whichever disk operation is the last one: what is there after is the old, or the new.

use rustix::io::Errno;

use super::*;
use crate::store::fs::faulty::{Fault, FaultyFs, Outcome, PowerLoss};

/// A few files, some of them with doubles.
fn files() -> Vec<(Stream, Vec<Row>)> {
    files_of(
        CANDLE,
        &[
            vec![(0, 1, 1, true), (1, 1, 2, true)],
            vec![(0, 1, 3, false)],
            vec![(1, 2, 4, true)],
            vec![(2, 3, 5, true)],
        ],
    )
}

/// The disk as the next start finds it.
fn after(disk: &FaultyFs, nth: u64) -> FaultyFs {
    let keeps = |names| PowerLoss::Keeps { bytes: 0, names, zeros: false };
    match nth % 4 {
        0 => disk.kill(),
        1 => disk.crash(keeps(false)),
        2 => disk.crash(keeps(true)),
        _ => disk.crash(PowerLoss::Anything(nth)),
    }
}

/// Puts the catalog back as it was.
fn restore(home: &Home, saved: &[u8]) {
    for end in ["-wal", "-shm"] {
        let mut path = home.paths().catalog().into_os_string();
        path.push(end);
        std::fs::remove_file(path).ok();
    }
    std::fs::write(home.paths().catalog(), saved).unwrap();
}

/// Dies at every operation that changes something: one that reads may as well be the next.
fn check(outcome: Outcome, by_market: bool) {
    let disk = FaultyFs::default();
    let mut home = Home::of(Arc::new(disk.clone()), &files());
    let saved = std::fs::read(home.paths().catalog()).unwrap();
    let (old, new) = (home.rows(), text(&left(&files())));
    assert_ne!(old, new);
    let rule = Rule { by_market, ..Rule::default() };
    let calm = disk.kill();
    compact(home.data(), &(Arc::new(calm.clone()) as Arc<dyn Fs>), now(), &rule).unwrap();
    let mut moments = calm.changes();
    assert!(moments.len() > 20, "{moments:?}");
    moments.push(calm.operations());
    let mut outcomes = BTreeSet::new();
    for (place, nth) in (0..).zip(moments) {
        restore(&home, &saved);
        let dying = disk.kill();
        dying.fail(Fault { after: nth, error: Errno::IO, lasting: true, outcome });
        let fs: Arc<dyn Fs> = Arc::new(dying.clone());
        let done = compact(home.data(), &fs, now(), &rule);
        // The next start, of whatever it is, clears away what is left.
        home.fs = Arc::new(after(&dying, place));
        drop(Owner::of(home.data(), &home.fs, now()).unwrap());
        let now = home.rows();
        let found = if now == new { "new" } else { "old" };
        assert!(found == "new" || now == old, "{outcome:?} at operation {nth}: {now:#?}");
        let told = done.is_ok_and(|report| report.failed.is_empty());
        assert!(!told || found == "new", "{outcome:?} at operation {nth}");
        let strange = home.fs.folders(&home.paths().quarantine()).unwrap();
        assert!(strange.is_empty(), "{outcome:?} at operation {nth}: {strange:?}");
        outcomes.insert((found, told));
    }
    // Also: done, though not all of the old is removed.
    assert!(outcomes.contains(&("old", false)) && outcomes.contains(&("new", true)));
}

#[test]
fn killed_at_any_operation_it_leaves_the_old_or_the_new() {
    for outcome in Outcome::ALL {
        for by_market in [false, true] {
            check(outcome, by_market);
        }
    }
}
