//! The thread that writes files, one seal at a time.
//!
//! Rows that an earlier file may hold are looked for there first, a file at a time. A candle that
//! changed leaves the file that holds it: such files are written anew, a few of them as one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

use super::WriterError;
use crate::ingest::buffers::{Part, PartKey};
use crate::ingest::settle::{Count, Doubts, Settled};
use crate::model::record::Row;
use crate::store::catalog::HourRows;
use crate::store::fs::Fs;
use crate::store::paths::{PartName, Paths};
use crate::store::segment::{self, Base, Cells, Contents, Omit, Segment, SegmentError};

/// Files that are written anew as one: all are open at once.
pub(super) const BASES_AT_ONCE: usize = 24;

/// The rows of one part, with all that is needed to write them.
#[derive(Debug)]
pub(super) struct PartJob {
    pub(super) key: PartKey,
    pub(super) part: Part,
    /// The published files that may hold rows which are doubtful.
    pub(super) covering: Vec<Segment>,
    /// The first of the numbers that files may get: one for each [`BASES_AT_ONCE`] of `covering`,
    /// and one more.
    pub(super) number: u64,
    /// What became of the doubtful rows; once it is known, `part` is without those that were there.
    pub(super) settled: Option<Settled>,
}

/// The parts of one seal.
pub(super) type Job = Vec<PartJob>;

/// What a seal has written.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) segments: Vec<Segment>,
    /// The numbers of files whose rows are in `segments` now.
    pub(super) retired: Vec<u64>,
    pub(super) hours: Vec<HourRows>,
    /// By job.
    pub(super) counts: BTreeMap<i64, Count>,
    /// Rows that were doubtful and are new.
    pub(super) found_new: Vec<(PartKey, u64)>,
}

/// What became of a seal's files.
#[derive(Debug)]
pub(super) enum Sealed {
    /// All of them lie under their names.
    Done(Outcome),
    /// The disk said no to one. They can be written again.
    Failed(Job, SegmentError),
}

/// The thread's handle. Dropping it waits for the thread.
#[derive(Debug)]
pub(super) struct Sealer {
    jobs: Option<SyncSender<Job>>,
    sealed: Receiver<Sealed>,
    done: Option<Sealed>,
    thread: Option<JoinHandle<()>>,
}

impl Sealer {
    /// Starts the thread.
    pub(super) fn start(fs: Arc<dyn Fs>, data: &Path) -> Result<Self, WriterError> {
        let (jobs, work) = sync_channel::<Job>(1);
        let (tell, sealed) = sync_channel(1);
        let paths = Paths::new(data);
        let body = move || {
            for mut job in work {
                let outcome = match write(&fs, &paths, &mut job) {
                    Ok(outcome) => Sealed::Done(outcome),
                    Err(error) => Sealed::Failed(job, error),
                };
                if tell.send(outcome).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("sealer".to_owned()).spawn(body);
        let thread = thread.map_err(WriterError::Thread)?;
        Ok(Self { jobs: Some(jobs), sealed, done: None, thread: Some(thread) })
    }

    /// Begins to write; only while nothing else is being written.
    pub(super) fn begin(&mut self, job: Job) {
        self.done = None;
        if let Some(jobs) = &self.jobs
            && jobs.send(job).is_err()
        {
            self.panicked();
        }
    }

    /// Whether [`Self::wait`] would not wait.
    pub(super) fn is_done(&mut self) -> bool {
        if self.done.is_none() {
            match self.sealed.try_recv() {
                Ok(sealed) => self.done = Some(sealed),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => self.panicked(),
            }
        }
        true
    }

    /// What became of what was begun, once that is known.
    pub(super) fn wait(&mut self) -> Sealed {
        if let Some(done) = self.done.take() {
            return done;
        }
        match self.sealed.recv() {
            Ok(sealed) => sealed,
            Err(_) => self.panicked(),
        }
    }

    /// The thread is gone though nobody let it go: its panic goes on here.
    fn panicked(&mut self) -> ! {
        let panic = self.thread.take().and_then(|thread| thread.join().err());
        std::panic::resume_unwind(panic.unwrap_or_else(|| Box::new("the sealer ended")))
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was told by its hook already.
            drop(thread.join());
        }
    }
}

/// Writes the files of each part and gives them their names.
fn write(fs: &Arc<dyn Fs>, paths: &Paths, job: &mut Job) -> Result<Outcome, SegmentError> {
    let mut outcome = Outcome::default();
    for one in job {
        if one.settled.is_none() {
            let settled = settle(fs, paths, one)?;
            settled.apply(&mut one.part);
            one.settled = Some(settled);
        }
        if let Some(settled) = &one.settled {
            write_part(fs, paths, one, settled, &mut outcome)?;
        }
    }
    Ok(outcome)
}

/// Looks for the doubtful rows of a part in the files that may hold them.
fn settle(fs: &Arc<dyn Fs>, paths: &Paths, one: &PartJob) -> Result<Settled, SegmentError> {
    let mut doubts = Doubts::new(one.key.stream, &one.part);
    for segment in &one.covering {
        if doubts.may_lie_in(segment.ts_event) {
            let (number, extent) = (segment.name.number, doubts.extent());
            let each = |cells: &Cells<'_>| doubts.look(number, cells);
            match segment::scan(fs, paths, segment, extent, each) {
                // What cannot be read there is not lost twice: recording goes on.
                Err(error) if matches!(error, SegmentError::Damaged { .. }) || error.is_gone() => {
                    tracing::error!("{error}. Rows that it held may be written again");
                }
                scanned => scanned?,
            }
        }
    }
    Ok(doubts.settle())
}

fn write_part(
    fs: &Arc<dyn Fs>,
    paths: &Paths,
    one: &PartJob,
    settled: &Settled,
    outcome: &mut Outcome,
) -> Result<(), SegmentError> {
    let PartJob { key, part, covering, number, .. } = one;
    let holders: Vec<&Segment> = covering
        .iter()
        .filter(|segment| settled.holders.contains_key(&segment.name.number))
        .collect();
    let mut rows: &[Row] = &part.rows;
    let mut numbers = *number..;
    // New rows go with the first of the files that are written anew; where there is none, alone.
    let none: &[&Segment] = &[];
    let rounds = holders.chunks(BASES_AT_ONCE).chain(holders.is_empty().then_some(none));
    for (round, number) in rounds.zip(numbers.by_ref()) {
        let omit = Omit::Keys(&settled.replaced);
        let bases: Vec<Base<'_>> =
            round.iter().map(|segment| Base::published(segment, omit)).collect();
        outcome.retired.extend(round.iter().map(|segment| segment.name.number));
        let PartKey { stream, venue, date } = key.clone();
        let name = PartName { stream, venue, date, number };
        let left = |segment: &&Segment| {
            settled.holders.get(&segment.name.number).is_some_and(|gone| segment.rows > *gone)
        };
        if !rows.is_empty() || round.iter().any(left) {
            let contents = Contents { name: &name, rows, bases: &bases };
            outcome.segments.push(segment::write(fs, paths, contents)?.publish(fs.as_ref())?);
        }
        rows = &[];
    }
    for (job, count) in &settled.jobs {
        let all = outcome.counts.entry(*job).or_default();
        all.rows += count.rows;
        all.known += count.known;
    }
    let hours = part.hours(&settled.replaced).into_iter().map(|((market, hour), rows)| HourRows {
        venue: key.venue.clone(),
        stream: key.stream,
        market: Some(market),
        hour,
        rows: rows.rows,
        first: rows.first,
        last: rows.last,
    });
    outcome.hours.extend(hours);
    let rows = u64::try_from(part.rows.len()).unwrap_or(u64::MAX);
    let replaced = u64::try_from(settled.replaced.len()).unwrap_or(u64::MAX);
    let new = rows.saturating_sub(part.sure).saturating_sub(replaced);
    outcome.found_new.push((key.clone(), new));
    Ok(())
}
