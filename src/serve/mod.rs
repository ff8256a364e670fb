//! HTTP: what a running recorder tells whoever watches. Metrics, health, status and a page.
//!
//! Invariants: nothing here can disturb the recording. It has a thread and a runtime of its own;
//! it takes a picture of the writer now and then and answers from that; it reads the catalog and
//! published files, at most two questions at a time; connections, headers, bodies and times have
//! limits; no path of a request is ever a path of the file system.

mod archive;
mod gate;
mod health;
mod lags;
mod listen;
mod metrics;
pub mod notify;
mod now;
mod page;
mod prices;
pub mod reload;
mod routes;
pub mod status;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::routes::Shared;
use crate::ingest::progress::Progress;
use crate::ingest::queue::{Gauge, QueueLimits};
use crate::ingest::stats::Stats;
use crate::net::clock::Clock;

/// A token is at least so long, or it can be guessed.
pub const TOKEN_CHARACTERS: usize = 16;

/// What is served, and to whom.
#[derive(Clone)]
pub struct Sources {
    /// The data folder.
    pub data: PathBuf,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What the writer does.
    pub progress: watch::Receiver<Progress>,
    /// What the sessions do.
    pub stats: Arc<Stats>,
    /// What waits between them.
    pub gauge: Arc<Gauge>,
    /// How much may wait.
    pub queue: QueueLimits,
    /// What is known of the room on the disk.
    pub disk: watch::Receiver<Disk>,
    /// Where a request to read the settings again goes; none: nobody can read them again.
    pub reload: Option<mpsc::Sender<reload::Ask>>,
    /// What a request has to show; none: whoever reaches the address may ask.
    pub token: Option<String>,
}

/// What is known of the room on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disk {
    /// It has room while so much is free.
    pub min_free_bytes: u64,
    /// By how much the folder grows a day; none while that is not known.
    pub bytes_per_day: Option<u64>,
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error(
        "cannot listen on {address} for the status page: {error}. Give another address with --http, or --http off"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// Whoever reaches it could ask.
    #[error(
        "{address} can be reached from other machines: give a token of at least {TOKEN_CHARACTERS} characters with --http-token, or an address on this machine with --http"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// The thread could not be started.
    #[error(
        "cannot start the thread of the status page: {0}; is a limit on processes or memory too low?"
    )]
    Thread(io::Error),
}

/// A listening socket that nobody answers yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Listens on `address`.
///
/// # Errors
///
/// When it cannot be had, or could be reached by whoever has no token.
pub fn bind(address: SocketAddr, token: Option<&str>) -> Result<Bound, ServeError> {
    let guarded = token.is_some_and(|token| token.chars().count() >= TOKEN_CHARACTERS);
    if !guarded && (token.is_some() || !address.ip().is_loopback()) {
        return Err(ServeError::Open { address });
    }
    let fault = |error| ServeError::Bind { address, error };
    let listener = TcpListener::bind(address).map_err(fault)?;
    listener.set_nonblocking(true).map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    Ok(Bound { listener, address })
}

/// A server; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Server {
    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Bound {
    /// Answers, on a thread of its own.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn serve(self, sources: Sources) -> Result<Server, ServeError> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(archive::QUESTIONS)
            .thread_name("http-read")
            .build()
            .map_err(ServeError::Thread)?;
        let Self { listener, address } = self;
        let body = move || {
            runtime.block_on(async move {
                let listener = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!("the status page ended: {error}"),
                };
                let shared = Shared::new(sources);
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = now::sample(Arc::clone(&shared)) => {}
                    () = listen::accept(listener, shared) => {}
                }
            });
            // A question that is still being answered must not hold the exit.
            runtime.shutdown_background();
        };
        std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(body)
            .map_err(ServeError::Thread)?;
        Ok(Server { address, _stop: stop.drop_guard() })
    }
}
