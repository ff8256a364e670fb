//! Random lives of a recorder beside the plainest model of one: a set of trades.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::past::{JOB, job, trades};
use super::*;
use crate::model::job::JobState;
use crate::store::fs::faulty::{FaultyFs, PowerLoss};

/// What can happen next.
#[derive(Debug, Clone)]
enum Step {
    /// So many new trades come.
    Trades(u8),
    /// A trade comes again, so far back.
    Again(u8),
    /// So many trades happen, and nobody is told.
    Missed(u8),
    /// A page of the past brings the latest trades, so many, told or not.
    Page(u8),
    /// Minutes pass, so that what was told lies far back.
    Wait,
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
        2 => (1_u8..5).prop_map(Step::Missed),
        3 => (1_u8..20).prop_map(Step::Page),
        1 => Just(Step::Wait),
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
    /// Trades that happened: their numbers count up, and each has its second.
    happened: Vec<i64>,
}

impl Life {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = FaultyFs::default();
        let writer =
            start(folder.path(), &(Arc::new(disk.clone()) as Arc<dyn Fs>)).expect("starts");
        let (safe, came, happened) = (BTreeSet::new(), Vec::new(), Vec::new());
        let mut life = Self { folder, disk, writer, second: 1, session: 0, safe, came, happened };
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
        self.event(job(JOB, Stream::Trade, JobState::Running));
        if let Some(last) = self.came.last().copied() {
            self.again(last);
        }
    }

    /// A trade happens.
    fn happen(&mut self) -> i64 {
        self.happened.push(self.second);
        i64::try_from(self.happened.len()).expect("few")
    }

    /// When a trade happened, and its number.
    fn told(&self, id: i64) -> (i64, i64) {
        (self.happened[usize::try_from(id).expect("positive") - 1], id)
    }

    /// A trade that came is told again.
    fn again(&mut self, id: i64) {
        self.event(told_again(self.second, self.session, self.told(id)));
    }

    /// A page brings the latest trades; what it brings is durable before the next one.
    fn page(&mut self, count: usize) {
        let latest = i64::try_from(self.happened.len()).expect("few");
        let ids: Vec<i64> = (1..=latest).rev().take(count).collect();
        let rows: Vec<(i64, i64)> = ids.iter().map(|id| self.told(*id)).collect();
        self.event(trades(self.second, JOB, &rows));
        for id in ids.into_iter().rev() {
            if !self.came.contains(&id) {
                self.came.push(id);
            }
        }
        self.writer.catch_up().expect("caught up");
        self.safe.extend(&self.came);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Trades(count) => {
                for _ in 0..*count {
                    let id = self.happen();
                    self.came.push(id);
                    self.event(trade(self.second, self.session, id));
                }
            }
            Step::Again(back) => {
                let nth = self.came.len().checked_sub(1 + usize::from(*back));
                if let Some(id) = nth.map(|nth| self.came[nth]) {
                    self.again(id);
                }
            }
            Step::Missed(count) => {
                for _ in 0..*count {
                    self.happen();
                }
            }
            Step::Page(count) => self.page(usize::from(*count)),
            Step::Wait => self.pass(150),
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

    /// The job says how many rows it brought, and the hours how many there are.
    fn check_counts(&self) {
        let fs: Arc<dyn Fs> = Arc::new(self.disk.clone());
        let sources = column(self.folder.path(), &fs, Stream::Trade, "source");
        let catalog = Catalog::of_folder(self.folder.path()).expect("a catalog");
        let jobs = catalog.jobs(&Filter::default()).expect("jobs");
        let brought = sources.iter().filter(|source| *source == "rest").count();
        assert_eq!(jobs.iter().map(|job| job.rows).sum::<u64>(), brought as u64);
        let hours = catalog.coverage(&Filter::default()).expect("hours");
        let rows: u64 = hours.iter().map(|hour| hour.rows).sum();
        assert_eq!(rows, sources.len() as u64, "by the hour");
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
        life.check_counts();
    }
}
