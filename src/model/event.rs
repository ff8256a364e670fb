//! Everything that can happen, as the writer hears it: one closed list, in one order.
//!
//! Sessions tell facts only (opened, served, alive, closed); what they mean for coverage and gaps
//! is decided in one place, by the writer. Time is an event too, so tests decide what time it is.

use std::sync::Arc;

use smol_str::SmolStr;

use super::frame::Frame;
use super::gap::GapCause;
use super::job::Job;
use super::market::Market;
use super::subscription::{Stream, Subscription};
use super::time::Timestamp;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes arrived.
    Frame(Frame),
    /// A connection is up and has asked for its subscriptions.
    SessionOpened(SessionOpened),
    /// The first frame of one subscription arrived over a session.
    Served {
        /// The session.
        session: i64,
        /// The stream served.
        stream: Stream,
        /// The market served.
        market: Market,
        /// When that frame arrived. Clock: ours.
        at: Timestamp,
    },
    /// The venue was asked for a subscription and showed nothing of it in time.
    Unserved {
        /// The session that asked.
        session: i64,
        /// The stream asked for.
        stream: Stream,
        /// The market asked for.
        market: Market,
        /// When we gave up waiting. Clock: ours.
        at: Timestamp,
    },
    /// A session was proven live up to an instant.
    Alive {
        /// The session.
        session: i64,
        /// The last proof of life. Clock: ours.
        until: Timestamp,
        /// Frames that came over it so far.
        frames: u64,
        /// Bytes of those frames.
        bytes: u64,
    },
    /// A connection ended.
    SessionClosed(SessionClosed),
    /// What is wanted of a venue from now on, over all connections. What is not in it is missed by
    /// nobody. It comes before the sessions that ask for it.
    Wanted(Wanted),
    /// Work on the past was planned, or changed. What the writer counts itself (`rows`, `known`,
    /// `reached`) does not matter here. It comes before the first page of the job. Boxed, because
    /// all events are as large as the largest, and almost all of them are frames.
    Job(Box<Job>),
    /// The clock says this.
    Tick(Timestamp),
    /// The wall clock was set, or the machine slept: it went by so much that the monotonic clock
    /// does not know of.
    ClockStepped(ClockStep),
}

/// A step of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep {
    /// What the clock said after it.
    pub at: Timestamp,
    /// How far it went; back where it is below zero. Unit: microseconds.
    pub by_us: i64,
}

/// What is wanted of a venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The venue's name.
    pub venue: SmolStr,
    /// All of it.
    pub subscriptions: Arc<[Subscription]>,
    /// From when on. Clock: ours.
    pub at: Timestamp,
}

/// A connection that came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOpened {
    /// Its number: unique over the life of the data folder.
    pub session: i64,
    /// The venue's name.
    pub venue: SmolStr,
    /// The URL it was opened to.
    pub endpoint: String,
    /// What it asked for.
    pub subscriptions: Arc<[Subscription]>,
    /// Which it is of the connections that carry the same, from 1 on; 0 for one that carries
    /// nothing live.
    pub line: u32,
    /// When the handshake was done. Clock: ours.
    pub at: Timestamp,
}

/// A connection that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionClosed {
    /// Its number.
    pub session: i64,
    /// When it ended. Clock: ours.
    pub at: Timestamp,
    /// Up to when it is proven live. Clock: ours.
    pub proven_until: Timestamp,
    /// The cause of the gap that this leaves where no other session serves the same; none where
    /// we closed it on purpose: at shutdown, or after its successor had taken over.
    pub cause: Option<GapCause>,
    /// In words.
    pub why: String,
    /// Frames that came over it.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
}
