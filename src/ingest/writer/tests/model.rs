//! Random lives of a recorder beside the plainest model of one: a set of trades.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::store::fs::faulty::{FaultyFs, PowerLoss};

/// What can happen next.
#[derive(Debug, Clone)]
enum Step {
    /// So many new trades come.
    Trades(u8),
    /// A trade comes again, so far back.
    Again(u8),
    /// The session ends and another begins, with the last trade as its snapshot.
    Reconnect,
    /// Time goes on: the journal is synced.
    Sync,
    /// Time goes on: what waits is sealed.
    Seal,
    /// The process is killed and starts again.
    Kill,
    /// The power goes, and it starts again. What is lost comes from this seed.
    PowerLoss(u64),
    /// It ends well and starts again.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1_u8..5).prop_map(Step::Trades),
        3 => any::<u8>().prop_map(Step::Again),
        2 => Just(Step::Reconnect),
        3 => Just(Step::Sync),
        2 => Just(Step::Seal),
        2 => Just(Step::Kill),
        2 => any::<u64>().prop_map(Step::PowerLoss),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..30)
}

/// A recorder on a disk, and what it must hold.
struct Life {
    folder: tempfile::TempDir,
    disk: FaultyFs,
    writer: Writer,
    second: i64,
    session: i64,
    /// Trades whose sync was done: they must be there.
    safe: BTreeSet<i64>,
    /// Trades that came: no other may be there.
    came: Vec<i64>,
}

impl Life {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = FaultyFs::default();
        let writer =
            start(folder.path(), &(Arc::new(disk.clone()) as Arc<dyn Fs>)).expect("starts");
        let (safe, came) = (BTreeSet::new(), Vec::new());
        let mut life = Self { folder, disk, writer, second: 1, session: 0, safe, came };
        life.connect();
        life
    }

    fn event(&mut self, event: Event) {
        self.writer.take(event).expect("taken");
    }

    /// Lets so much time pass, and does what is then due.
    fn pass(&mut self, seconds: i64) {
        self.second += seconds;
        self.event(Event::Tick(at(self.second)));
        self.writer.catch_up().expect("caught up");
        self.safe.extend(&self.came);
    }

    fn connect(&mut self) {
        self.session = self.session.max(self.writer.next_session()) + 1;
        self.event(opened(self.second, self.session));
        self.event(served(self.second, self.session));
        if let Some(last) = self.came.last().copied() {
            self.event(trade(self.second, self.session, last));
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Trades(count) => {
                for _ in 0..*count {
                    let id = i64::try_from(self.came.len()).expect("few") + 1;
                    self.came.push(id);
                    self.event(trade(self.second, self.session, id));
                }
            }
            Step::Again(back) => {
                let nth = self.came.len().checked_sub(1 + usize::from(*back));
                if let Some(id) = nth.map(|nth| self.came[nth]) {
                    self.event(trade(self.second, self.session, id));
                }
            }
            Step::Reconnect => {
                self.event(closed(self.second, self.session, Some(GapCause::Disconnect)));
                self.connect();
            }
            Step::Sync => self.pass(1),
            Step::Seal => self.pass(61),
            Step::Kill => self.start_on(self.disk.kill()),
            Step::PowerLoss(seed) => self.start_on(self.disk.crash(PowerLoss::Anything(*seed))),
            Step::Restart => {
                let disk = self.disk.clone();
                self.pass(1);
                self.replace(|writer| drop(writer.end().expect("ends")), disk);
            }
        }
    }

    fn start_on(&mut self, disk: FaultyFs) {
        self.replace(drop, disk);
    }

    /// Ends the writer, and starts another on `disk`. What was lost comes no more.
    fn replace(&mut self, end: impl FnOnce(Writer), disk: FaultyFs) {
        let other = tempfile::tempdir().expect("a folder");
        let idle = start(other.path(), &real()).expect("starts");
        end(std::mem::replace(&mut self.writer, idle));
        self.disk = disk;
        let fs: Arc<dyn Fs> = Arc::new(self.disk.clone());
        self.writer = start(self.folder.path(), &fs).expect("starts again");
        let held = self.held();
        self.came.retain(|id| held.contains(id) || !self.safe.contains(id));
        self.check();
        self.came.clone_from(&held.into_iter().collect());
        self.connect();
    }

    fn held(&self) -> BTreeSet<i64> {
        let fs: Arc<dyn Fs> = Arc::new(self.disk.clone());
        let ids = column(self.folder.path(), &fs, Stream::Trade, "id");
        let held: BTreeSet<i64> = ids.iter().map(|id| id.parse().expect("an id")).collect();
        assert_eq!(held.len(), ids.len(), "doubled: {ids:?}");
        held
    }

    /// After a start everything that was safe is in files, and nothing that never came.
    fn check(&self) {
        let held = self.held();
        assert!(self.safe.is_subset(&held), "lost: {:?}", self.safe.difference(&held));
        assert!(held.iter().all(|id| self.came.contains(id)), "{held:?} of {:?}", self.came);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_the_safe_trades_are_there_once(steps in steps()) {
        let mut life = Life::new();
        for step in &steps {
            life.step(step);
        }
        life.step(&Step::Restart);
    }
}
