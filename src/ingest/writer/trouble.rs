//! A disk that says no: wait, try again, and say what it cost.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::Duration;

use super::{Writer, WriterError};
use crate::model::gap::GapCause;
use crate::model::span::Span;
use crate::model::time::Timestamp;
use crate::store::fs::free_bytes;

/// How often the log repeats that the disk still says no.
const REPEAT_EVERY: Duration = Duration::from_secs(10);
/// Stalls shorter than this do nothing to a connection.
const HARMLESS: Duration = Duration::from_secs(1);

/// Bytes of a file that is tried out.
const TRIAL_BYTES: usize = 4_096;

/// The last time the disk said no for long.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<Span>);

impl Trouble {
    /// The cause of a gap that began at `at`: a connection that died while nobody could read from
    /// it died of the disk.
    pub(super) fn blame(&self, cause: Option<GapCause>, at: Timestamp) -> Option<GapCause> {
        let cause = cause?;
        let during = self.0.is_some_and(|span| span.contains(at));
        let ours = matches!(cause, GapCause::Disconnect | GapCause::Silence | GapCause::Overflow);
        Some(if during && ours { GapCause::Disk } else { cause })
    }
}

impl WriterError {
    /// Whether the disk said no, so that the same may succeed later.
    fn is_disk(&self) -> bool {
        match self {
            Self::Journal(error) => error.is_disk(),
            Self::Catalog(error) => error.is_disk(),
            Self::Segment(error) => error.is_disk(),
            Self::Folder(_)
            | Self::Sweep(_)
            | Self::State { .. }
            | Self::Thread(_)
            | Self::Disk { .. } => false,
        }
    }
}

impl Writer {
    /// Does a step that puts something on disk; while the disk says no, tries again until
    /// `disk_full_grace` is over. Nothing is taken from the queue meanwhile.
    pub(super) fn persist(
        &mut self,
        step: fn(&mut Self) -> Result<(), WriterError>,
    ) -> Result<(), WriterError> {
        let started = self.clock.monotonic();
        let from = self.clock.now();
        let mut said = None;
        loop {
            let error = match step(self) {
                Err(error) if error.is_disk() => error,
                done => {
                    self.over(from, said.is_some());
                    return done;
                }
            };
            let waited = self.clock.monotonic().saturating_sub(started);
            if waited >= self.options.disk_full_grace {
                return Err(self.give_up(error));
            }
            if said.is_none_or(|at| waited.saturating_sub(at) >= REPEAT_EVERY) {
                said = Some(waited);
                tracing::error!(
                    "the disk says no, recording waits ({waited:?} of {:?}): {error}",
                    self.options.disk_full_grace
                );
            }
            // It waits and does not hang: whoever watches sees the difference.
            self.progress.send_replace(self.told.clone());
            thread::sleep(self.options.retry_every);
        }
    }

    /// The step succeeded. A stall that was long is remembered, whether the disk failed or was
    /// only slow.
    fn over(&mut self, from: Timestamp, failed: bool) {
        let to = self.clock.now();
        if to.since(from) >= HARMLESS {
            self.trouble = Trouble(Span::new(from.before(HARMLESS), to.after(HARMLESS)));
        }
        if failed {
            tracing::info!("the disk takes data again after {:?}", to.since(from));
        }
    }

    fn give_up(&self, error: WriterError) -> WriterError {
        let data = self.folder.paths().data();
        WriterError::Disk {
            folder: data.display().to_string(),
            grace: self.options.disk_full_grace,
            error: Box::new(error),
            needed: self.intake.buffers.weight() + self.journal.pending_bytes(),
            free: free_bytes(data).map_or_else(|_| "unknown".to_owned(), |free| free.to_string()),
            advice: self.advice(),
        }
    }

    /// What to do about the disk, by what it says to a file that is tried out: SQLite tells no more
    /// than that an operation failed.
    fn advice(&self) -> String {
        match self.try_out() {
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {
                format!("{error}: see the kernel's log, check the file system, mount it again")
            }
            Err(error) if error.kind() != ErrorKind::StorageFull => {
                format!("{error}: see the kernel's log, mend that")
            }
            Ok(()) | Err(_) => "make room there".to_owned(),
        }
    }

    fn try_out(&self) -> io::Result<()> {
        let path = self.folder.paths().trial();
        let tried = self.fs.create(&path).and_then(|mut file| {
            file.write_all(&[0; TRIAL_BYTES])?;
            file.sync()
        });
        let removed = self.fs.remove(&path);
        tried.and(removed)
    }
}
