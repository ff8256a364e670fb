//! The thread that writes files, one seal at a time.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

use super::WriterError;
use crate::ingest::buffers::Part;
use crate::store::fs::Fs;
use crate::store::paths::{PartName, Paths};
use crate::store::segment::{self, Base, Contents, Omit, Segment, SegmentError};

/// The files of one seal: each with its rows, and the published files that it takes the place of.
pub(super) type Job = Vec<(PartName, Part, Vec<Segment>)>;

/// What became of a seal's files.
#[derive(Debug)]
pub(super) enum Sealed {
    /// All of them lie under their names.
    Done(Vec<Segment>),
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
            for job in work {
                let outcome = match write(&fs, &paths, &job) {
                    Ok(segments) => Sealed::Done(segments),
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

/// Writes each file and gives it its name.
fn write(fs: &Arc<dyn Fs>, paths: &Paths, job: &Job) -> Result<Vec<Segment>, SegmentError> {
    let one = |(name, part, revised): &(PartName, Part, Vec<Segment>)| {
        let omit = Omit::Keys(&part.revised);
        let bases: Vec<Base<'_>> =
            revised.iter().map(|segment| Base::published(segment, omit)).collect();
        let contents = Contents { name, rows: &part.rows, bases: &bases };
        segment::write(fs, paths, contents)?.publish(fs.as_ref())
    };
    job.iter().map(one).collect()
}
