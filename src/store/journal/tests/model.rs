//! Random actions on the journal and on a plain model of what it promises, side by side.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use rustix::io::Errno;

use super::super::{Compression, Journal, Keep, Options};
use super::{SMALL, frame, open, sequences};
use crate::model::frame::Frame;
use crate::store::fs::faulty::{Fault, FaultyFs, Outcome, PowerLoss};

#[derive(Debug, Clone)]
enum Action {
    Append(u64),
    Sync,
    Roll,
    /// Releases what is below a place between the last release and what is durable.
    Release(prop::sample::Index, bool),
    Fail(Fault),
    Heal,
    Kill,
    PowerLoss(u64),
    /// The power goes during the recovery of the next start, after so many operations.
    PowerLossAtStart(u64, u64),
}

fn actions() -> impl Strategy<Value = Action> {
    let error = prop_oneof![Just(Errno::IO), Just(Errno::NOSPC), Just(Errno::ROFS)];
    let outcome = prop::sample::select(&Outcome::ALL[..]);
    let fault = (0_u64..12, error, any::<bool>(), outcome);
    let fault =
        fault.prop_map(|(after, error, lasting, outcome)| Fault { after, error, lasting, outcome });
    prop_oneof![
        8 => (1_u64..12).prop_map(Action::Append),
        8 => Just(Action::Sync),
        1 => Just(Action::Roll),
        2 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, raw)| Action::Release(at, raw)),
        3 => fault.prop_map(Action::Fail),
        2 => Just(Action::Heal),
        1 => Just(Action::Kill),
        2 => any::<u64>().prop_map(Action::PowerLoss),
        1 => (any::<u64>(), 0_u64..20).prop_map(|(seed, after)| Action::PowerLossAtStart(seed, after)),
    ]
}

struct Model {
    disk: FaultyFs,
    journal: Journal,
    options: Options,
    /// Every frame that was appended and not released or lost.
    frames: BTreeMap<u64, Frame>,
    durable: u64,
    released: u64,
    life: u64,
    failing: bool,
    /// Something failed in the life of this process.
    troubled: bool,
}

impl Model {
    fn new(options: Options) -> Self {
        let disk = FaultyFs::default();
        let (journal, _) = open(&disk, 1, options).unwrap();
        let frames = BTreeMap::new();
        Self {
            disk,
            journal,
            options,
            frames,
            durable: 1,
            released: 1,
            life: 0,
            failing: false,
            troubled: false,
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Append(count) => self.append(*count),
            Action::Sync => {
                if let Ok(durable) = self.journal.sync() {
                    assert_eq!(durable, self.journal.next_sequence());
                    self.durable = durable;
                } else {
                    assert!(self.failing);
                }
            }
            Action::Roll => self.journal.roll(),
            Action::Release(at, raw) => {
                let room = usize::try_from(self.durable - self.released).unwrap();
                self.released += at.index(room + 1) as u64;
                self.frames = self.frames.split_off(&self.released);
                let keep = if *raw { Keep::Raw("/data/raw".into()) } else { Keep::Nothing };
                assert!(self.journal.release(self.released, &keep).is_ok() || self.failing);
            }
            Action::Fail(fault) => {
                self.disk.fail(*fault);
                (self.failing, self.troubled) = (true, true);
            }
            Action::Heal => {
                self.disk.heal();
                self.failing = false;
            }
            // After a failed sync the kernel may show bytes that it will never write. Nobody who
            // comes later can know which: they were not promised, and a kill is a power loss.
            Action::Kill if !self.troubled => self.start(self.disk.kill()),
            Action::Kill => self.start(self.disk.crash(PowerLoss::Anything(self.life))),
            Action::PowerLoss(seed) => self.start(self.disk.crash(PowerLoss::Anything(*seed))),
            Action::PowerLossAtStart(seed, after) => {
                let half = self.disk.crash(PowerLoss::Anything(*seed));
                half.fail(Fault {
                    after: *after,
                    error: Errno::IO,
                    lasting: true,
                    outcome: Outcome::Undone,
                });
                drop(open(&half, self.released, self.options));
                self.start(half.crash(PowerLoss::Anything(seed.rotate_left(7))));
            }
        }
    }

    fn append(&mut self, count: u64) {
        for _ in 0..count {
            let frame = frame(self.journal.next_sequence(), self.life);
            self.journal.append(&frame).unwrap();
            self.frames.insert(frame.sequence, frame);
        }
    }

    /// A new process on the disk that the last one left.
    fn start(&mut self, disk: FaultyFs) {
        let (journal, recovery) = open(&disk, self.released, self.options).unwrap();
        let found: Vec<_> = recovery.collect();
        let end = found.last().map_or(self.durable, |last| self.durable.max(last.sequence + 1));
        self.frames.split_off(&end);
        let expected: Vec<_> = self.frames.values().cloned().collect();
        assert!(found == expected, "{:?} and {:?}", sequences(&found), sequences(&expected));
        let last = found.last().map_or(0, |last| last.sequence);
        assert!(journal.next_sequence() > last && journal.next_sequence() >= self.released);
        let (_, again) = open(&disk.kill(), self.released, self.options).unwrap();
        assert!(again.eq(found), "the second time");
        self.durable = end;
        self.life += 1;
        (self.failing, self.troubled) = (false, false);
        (self.disk, self.journal) = (disk, journal);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 512,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_journal_does_what_the_model_says(
        actions in vec(actions(), 1..60),
        block_bytes in 0_usize..600,
        segment_bytes in 0_u64..1_500,
        packed in any::<bool>(),
    ) {
        let compression = if packed { Compression::Lz4 } else { Compression::None };
        let mut model = Model::new(Options { compression, block_bytes, segment_bytes, ..SMALL });
        for action in &actions {
            model.act(action);
        }
        model.start(model.disk.crash(PowerLoss::Anything(1)));
    }
}
