//! Connections, and how much of us each may have.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::routes::{self, Shared};

/// Connections at a time; whoever comes beyond them is told to come again.
const CONNECTIONS: usize = 64;
/// How long the headers of a request may take, and how long a connection may be idle.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection may live, whatever it does.
const AGE: Duration = Duration::from_mins(2);
/// Headers of a request, and bytes of all of them.
const HEADERS: usize = 64;
const HEADER_BYTES: usize = 16 * 1024;
/// How long to wait where the system gives no more connections, such as for want of open files.
const AFTER_TROUBLE: Duration = Duration::from_millis(500);
/// What one too many is told.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n";

/// Takes connections until it is dropped.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let router = routes::router(Arc::clone(&shared));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .half_close(false);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("the status page cannot take a connection: {error}");
                tokio::time::sleep(AFTER_TROUBLE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            shared.counts.turned_away.fetch_add(1, Ordering::Relaxed);
            turn_away(&stream);
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        let served = http.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            match tokio::time::timeout(AGE, served).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!("a connection to the status page: {error}"),
                Err(_) => tracing::debug!("a connection to the status page was too old"),
            }
            drop(place);
        });
    }
}

/// Says so if that needs no waiting.
fn turn_away(stream: &TcpStream) {
    if stream.try_write(BUSY).is_err() {
        tracing::trace!("one connection too many, and it does not listen");
    }
}
