//! Pages on a disk that fails at every single operation.

use std::collections::BTreeSet;

use rustix::io::Errno;

use super::*;
use crate::store::fs::faulty::{Fault, FaultyFs, Outcome, PowerLoss};

/// A run of live trades, of which every third is missed, and pages that bring them all, with seals
/// in between; and the numbers that a sync had promised when it failed.
fn run_with_pages(data: &Path, fs: &Arc<dyn Fs>) -> Vec<i64> {
    let mut promised = Vec::new();
    let Ok(mut writer) = start(data, fs) else { return promised };
    let mut came = Vec::new();
    for id in 1..=9_i64 {
        let second = id * 40;
        let mut events = vec![job(JOB, TRADE, JobState::Running)];
        if id % 3 != 0 {
            events.push(trade(second, 1, id));
            came.push(id);
        }
        if id % 3 == 1 {
            let all: Vec<(i64, i64)> = (1..=id).rev().map(|id| (id * 40, id)).collect();
            events.push(trades(second, JOB, &all));
            came = (1..=id).collect();
        }
        events.push(Event::Tick(at(second + 1)));
        for event in events {
            if writer.take(event).and_then(|()| writer.catch_up()).is_err() {
                return promised;
            }
        }
        promised.clone_from(&came);
    }
    drop(writer.end());
    promised
}

#[test]
fn whichever_disk_operation_fails_no_row_of_a_page_is_lost_or_doubled() {
    let whole = FaultyFs::default();
    let folder = tempfile::tempdir().expect("a folder");
    let promised = run_with_pages(folder.path(), &(Arc::new(whole.clone()) as Arc<dyn Fs>));
    assert_eq!(promised, [1, 2, 3, 4, 5, 6, 7, 8], "the ninth is missed");
    for nth in 0..whole.operations() {
        for (outcome, loss) in [
            (Outcome::Undone, PowerLoss::Keeps { bytes: 0, names: false, zeros: false }),
            (Outcome::Dropped, PowerLoss::Anything(nth)),
            (Outcome::Done, PowerLoss::Anything(nth)),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let disk = FaultyFs::default();
            disk.fail(Fault { after: nth, error: Errno::IO, lasting: true, outcome });
            let promised = run_with_pages(folder.path(), &(Arc::new(disk.clone()) as Arc<dyn Fs>));
            disk.heal();
            let after: Arc<dyn Fs> = Arc::new(disk.crash(loss));
            for again in 0..2 {
                start(folder.path(), &after).expect("starts again").end().expect("ends");
                let ids = column(folder.path(), &after, TRADE, "id");
                let once: BTreeSet<&String> = ids.iter().collect();
                assert_eq!(once.len(), ids.len(), "operation {nth}, start {again}: {ids:?}");
                let lost = promised.iter().find(|id| !once.contains(&id.to_string()));
                assert_eq!(lost, None, "operation {nth}, start {again}: {ids:?}");
                let rest = column(folder.path(), &after, TRADE, "source");
                let brought = rest.iter().filter(|source| *source == "rest").count() as u64;
                let counts = counts(&folder);
                let rows: u64 = counts.iter().map(|(_, _, rows, _)| rows).sum();
                assert_eq!(rows, brought, "operation {nth}, start {again}");
            }
        }
    }
}
