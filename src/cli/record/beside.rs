//! What goes on beside a recording, and ends with it.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::cli::service::Service;
use crate::maintain::caretaker::Caretaker;
use crate::serve::notify::Notifier;

/// What goes on beside the recording.
pub(super) struct Beside {
    pub(super) caretaker: Caretaker,
    pub(super) showing: JoinHandle<()>,
    pub(super) telling: JoinHandle<()>,
    pub(super) service: Arc<Option<Service>>,
    pub(super) notifier: Option<Notifier>,
}

impl Beside {
    /// The recording is about to end.
    pub(super) fn stop(&mut self) {
        self.caretaker.stop();
        self.telling.abort();
        self.service.iter().for_each(Service::stopping);
        self.notifier.iter().for_each(Notifier::stop);
    }

    /// The recording has ended; `join` waits for those who had work to end.
    pub(super) fn end(self, join: bool) {
        self.showing.abort();
        if join {
            self.caretaker.join();
            self.notifier.into_iter().for_each(Notifier::join);
        }
    }
}
