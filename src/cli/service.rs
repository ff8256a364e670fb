//! Talk with the service manager that started us, by the protocol of `sd_notify`: lines such as
//! `READY=1` in a datagram to the socket that `NOTIFY_SOCKET` names. Nobody is told where it names
//! none.
//!
//! Invariants: `READY=1` is said once, when the first subscription is served and the writer has
//! shown what it does; `WATCHDOG=1` is said only after the writer has shown something since the
//! last time, so that a writer that hangs lets the watchdog fire, whatever else still runs. A
//! writer that waits for a full disk shows itself at each try.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::output;
use crate::ingest::progress::Progress;

/// How often to look, at least.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is said in words how we are.
const STATUS_EVERY: u32 = 10;
/// While we start, the manager is asked for so much more time.
const STARTING: Duration = Duration::from_secs(30);

/// A service manager.
#[derive(Debug)]
pub(super) struct Service {
    socket: UnixDatagram,
    address: SocketAddr,
    /// It wants a sign of life so often.
    watchdog: Option<Duration>,
}

/// Says how the recorder is, to whoever started it; returns where nobody wants to know.
pub(super) async fn keep(service: Arc<Option<Service>>, progress: watch::Receiver<Progress>) {
    if let Some(service) = service.as_ref() {
        service.keep(progress).await;
    }
}

impl Service {
    /// The one that the environment names.
    pub(super) fn of_environment() -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        // The watchdog may be meant for another process.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0);
        match Self::at(&name, watchdog.map(Duration::from_micros)) {
            Ok(service) => Some(service),
            Err(error) => {
                tracing::warn!("the service manager at {} cannot be told: {error}", name.display());
                None
            }
        }
    }

    /// The one whose socket has this name; a name that begins with `@` is no path.
    fn at(name: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not listen must not hold us.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address, watchdog })
    }

    fn tell(&self, lines: &str) {
        if let Err(error) = self.socket.send_to_addr(lines.as_bytes(), &self.address) {
            tracing::debug!("the service manager was not told {lines:?}: {error}");
        }
    }

    /// What we do, in words.
    pub(super) fn status(&self, words: &str) {
        // One line: the next one would be taken for a command.
        let words = words.replace('\n', " ");
        self.tell(&format!("STATUS={words}"));
    }

    /// We end.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=sealing what was recorded");
    }

    /// We read our configuration again; [`Service::reloaded`] says that it is done.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// The configuration has been read again.
    pub(super) fn reloaded(&self) {
        self.tell("READY=1");
    }

    /// Says how the recorder is, until it is dropped.
    async fn keep(&self, mut progress: watch::Receiver<Progress>) {
        self.status("starting");
        let every = self.watchdog.map_or(LOOK_EVERY, |watchdog| LOOK_EVERY.min(watchdog / 3));
        let mut every = tokio::time::interval(every);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ready = false;
        let mut looks = 0_u32;
        loop {
            every.tick().await;
            // A writer that is gone tells nothing more.
            let moved = progress.has_changed().unwrap_or(false);
            let now = progress.borrow_and_update().clone();
            if !ready && moved && now.roll.streams.values().any(|one| one.served > 0) {
                ready = true;
                looks = 0;
                self.tell("READY=1");
            }
            if !ready && moved {
                self.tell(&format!("EXTEND_TIMEOUT_USEC={}", STARTING.as_micros()));
            }
            if ready && moved {
                self.tell("WATCHDOG=1");
            }
            if looks.is_multiple_of(STATUS_EVERY) {
                self.status(&words(&now, ready));
            }
            looks = looks.wrapping_add(1);
        }
    }
}

/// How the recorder is, in one line.
fn words(progress: &Progress, ready: bool) -> String {
    let streams = || progress.roll.streams.values();
    let (asked, served): (usize, usize) =
        (streams().map(|one| one.asked).sum(), streams().map(|one| one.served).sum());
    if !ready {
        return format!("waiting for the venue: 0 of {asked} subscriptions served");
    }
    format!(
        "recording {served} of {asked} subscriptions: {} frames, {} files",
        output::count(progress.frames),
        output::count(progress.files)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::presence::{Attendance, Roll};
    use crate::model::subscription::Stream;

    /// A manager, and the service that tells it.
    fn manager(abstracted: bool) -> (UnixDatagram, Service, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let (socket, name) = if abstracted {
            let name = format!("veritape-test-{}", folder.path().display());
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            (UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}").into())
        } else {
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string())
        };
        socket.set_nonblocking(true).unwrap();
        (socket, Service::at(&name, Some(Duration::from_secs(30))).unwrap(), folder)
    }

    fn told(manager: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 512];
        let mut all = Vec::new();
        while let Ok(length) = manager.recv(&mut buffer) {
            all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        all
    }

    #[test]
    fn a_socket_is_a_path_or_a_name() {
        for abstracted in [false, true] {
            let (manager, service, _folder) = manager(abstracted);
            service.status("one\nREADY=1");
            service.reloading();
            service.reloaded();
            service.stopping();
            let told = told(&manager);
            assert_eq!(told[0], "STATUS=one READY=1");
            assert!(told[1].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told:?}");
            assert!(told[1].rsplit('=').next().unwrap().parse::<u64>().is_ok(), "{told:?}");
            assert_eq!(told[2], "READY=1");
            assert!(told[3].starts_with("STOPPING=1"), "{told:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_hangs_is_no_sign_of_life() {
        let (manager, service, _folder) = manager(false);
        let (show, watched) = watch::channel(Progress::default());
        let keeping = tokio::spawn(async move { service.keep(watched).await });
        let seconds = |count: u64| tokio::time::sleep(Duration::from_millis(count * 1_000 + 100));
        let signs = || told(&manager).iter().filter(|line| *line == "WATCHDOG=1").count();

        // Running is not enough: something has to be served.
        show.send_replace(Progress::default());
        seconds(3).await;
        let starting = told(&manager);
        assert!(
            starting.iter().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC=")),
            "{starting:?}"
        );
        assert!(starting.iter().any(|line| line.contains("waiting for the venue")), "{starting:?}");
        assert!(!starting.iter().any(|line| line == "READY=1"), "{starting:?}");

        let served = Attendance { asked: 2, served: 1, ..Attendance::default() };
        let streams = [(("v".into(), Stream::Trade), served)].into();
        let roll = Arc::new(Roll { streams, ..Roll::default() });
        let shown = Progress { roll, ..Progress::default() };
        show.send_replace(shown.clone());
        seconds(1).await;
        let first = told(&manager);
        assert!(first.iter().any(|line| line == "READY=1"), "{first:?}");
        assert!(first.iter().any(|line| line.contains("1 of 2 subscriptions")), "{first:?}");
        for _ in 0..5 {
            show.send_replace(shown.clone());
            seconds(1).await;
        }
        let alive = told(&manager);
        assert_eq!(alive.iter().filter(|line| *line == "WATCHDOG=1").count(), 5, "{alive:?}");
        assert!(!alive.iter().any(|line| line == "READY=1"), "once is enough: {alive:?}");

        // It hangs.
        seconds(60).await;
        assert_eq!(signs(), 0);
        show.send_replace(shown);
        seconds(1).await;
        assert_eq!(signs(), 1);
        drop(show);
        seconds(5).await;
        assert_eq!(signs(), 0, "a writer that is gone");
        keeping.abort();
    }
}
