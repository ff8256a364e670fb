//! Is all well? Pure: it is told the time and what is known, and names what is wrong.
//!
//! A stream is well while its data is fresh by its own rhythm. Three things are not: a gap that
//! lasts; a silence that its rate does not explain, of all streams of a venue together, or of one
//! stream alone that has many markets (one market may pause while its books go on; many do not at
//! once); and a subscription that nothing was ever seen of. What the venue answered anew after
//! the silence began is a quiet market, not a failure. Markets that the venue shows nothing of are
//! named in the status, and are no failure of the recorder.
//!
//! A silence is told for a while after its end: whoever looks every ten seconds sees it.

use std::time::Duration;

use smol_str::SmolStr;

use super::Sources;
use crate::ingest::presence::{Attendance, Roll};
use crate::ingest::progress::Progress;
use crate::ingest::pulse::Pulse;
use crate::ingest::queue::QueueLimits;
use crate::ingest::watch::SILENCE_FLOOR;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// A writer that has not moved for so long does not keep up.
const WRITER_STILL: Duration = Duration::from_secs(10);
/// How long a silence is told after its end.
const HELD: Duration = Duration::from_secs(12);
/// With so many markets a stream is judged by itself.
const ALONE: usize = 5;

/// What is looked at.
pub(super) struct Signs<'a> {
    pub(super) now: Timestamp,
    pub(super) started: Timestamp,
    pub(super) progress: &'a Progress,
    pub(super) queued_events: u64,
    pub(super) queued_bytes: u64,
    pub(super) queue: QueueLimits,
    /// None where the disk does not say.
    pub(super) free_bytes: Option<u64>,
    pub(super) min_free_bytes: u64,
}

impl<'a> Signs<'a> {
    /// What `sources` show at `now` of a recorder that has run since `started`.
    pub(super) fn of(
        sources: &Sources,
        progress: &'a Progress,
        started: Timestamp,
        now: Timestamp,
        free_bytes: Option<u64>,
    ) -> Self {
        Self {
            now,
            started,
            progress,
            queued_events: sources.gauge.events(),
            queued_bytes: sources.gauge.bytes(),
            queue: sources.queue,
            free_bytes,
            min_free_bytes: sources.disk.borrow().min_free_bytes,
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) what: What,
    pub(super) stream: Option<(SmolStr, Stream)>,
    pub(super) detail: String,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Connection,
    Stream,
    Queue,
    Writer,
    Disk,
}

impl What {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Stream => "stream",
            Self::Queue => "queue",
            Self::Writer => "writer",
            Self::Disk => "disk",
        }
    }
}

/// Whether every subscription was served or refused.
pub(super) fn ready(roll: &Roll) -> bool {
    let asked = roll.streams.values().any(|one| one.asked > 0);
    asked && roll.streams.values().all(|one| one.awaited.0 == 0)
}

/// Everything that is wrong.
pub(super) fn problems(signs: &Signs<'_>) -> Vec<Problem> {
    let own = |what, detail| Problem { what, stream: None, detail };
    let mut problems = Vec::new();
    let still = signs.now.since(signs.progress.at.max(signs.started));
    if still >= WRITER_STILL {
        let detail = format!("the writer has not moved for {:.0} s", still.as_secs_f64());
        problems.push(own(What::Writer, detail));
    }
    let limit = u64::try_from(signs.queue.events).unwrap_or(u64::MAX);
    if signs.queued_events > limit / 2 || signs.queued_bytes > u64::from(signs.queue.bytes) / 2 {
        let detail = format!(
            "more than half of the queue is taken: {} events of {limit}, {} bytes of {}",
            signs.queued_events, signs.queued_bytes, signs.queue.bytes
        );
        problems.push(own(What::Queue, detail));
    }
    match signs.free_bytes {
        Some(free) if free < signs.min_free_bytes => {
            let detail = format!("{free} bytes are free, less than {}", signs.min_free_bytes);
            problems.push(own(What::Disk, detail));
        }
        Some(_) => {}
        None => problems.push(own(What::Disk, "the disk does not say what is free".to_owned())),
    }
    problems.extend(streams(signs));
    problems
}

fn streams(signs: &Signs<'_>) -> Vec<Problem> {
    let roll = &signs.progress.roll;
    let mut problems = Vec::new();
    for (key, attendance) in &roll.streams {
        let pulse = signs.progress.pulses.get(key);
        let detail = away(signs.now, attendance)
            .or_else(|| silence(signs, key, attendance, pulse))
            .or_else(|| never(attendance));
        if let Some(detail) = detail {
            problems.push(Problem { what: What::Stream, stream: Some(key.clone()), detail });
        }
    }
    let carried = roll.connections.iter().any(|one| one.subscriptions > 0);
    let away = roll.streams.values().any(|one| one.away.is_some());
    if !carried && !away {
        let detail = "no connection is up".to_owned();
        problems.push(Problem { what: What::Connection, stream: None, detail });
    }
    problems
}

/// A gap that lasts. A connection that is back before a silence would count leaves none to tell.
fn away(now: Timestamp, attendance: &Attendance) -> Option<String> {
    let (gap, markets) = attendance.away.as_ref()?;
    let lasts = now.since(gap.from);
    (lasts >= SILENCE_FLOOR).then(|| {
        format!(
            "no data of {markets} markets for {:.0} s ({}): {}",
            lasts.as_secs_f64(),
            gap.cause,
            gap.detail
        )
    })
}

fn silence(
    signs: &Signs<'_>,
    (venue, stream): &(SmolStr, Stream),
    attendance: &Attendance,
    pulse: Option<&Pulse>,
) -> Option<String> {
    let now = signs.now;
    let all = signs.progress.pulses.iter().filter(|((other, _), _)| other == venue);
    let lasting = |pulse: &Pulse| {
        let opened = carried_since(&signs.progress.roll, venue)?;
        let answered = pulse.last_live.is_some_and(|live| opened > live);
        pulse.broken(now).filter(|_| !answered)
    };
    let over = |pulse: &Pulse| {
        let (ended, silence) = pulse.silence?;
        (now.since(ended) < HELD).then_some(silence)
    };
    let broken = |pulse: &Pulse| lasting(pulse).or_else(|| over(pulse));
    let own = pulse.and_then(broken);
    // All of the venue is as silent as the densest of its streams.
    let densest = all
        .clone()
        .filter_map(|(_, pulse)| Some((pulse.threshold()?, pulse)))
        .min_by_key(|(threshold, _)| *threshold);
    let together = densest.and_then(|(threshold, pulse)| {
        let last = all.clone().filter_map(|(_, pulse)| pulse.last_live).max()?;
        match lasting(pulse) {
            Some(silence) => (now.since(last) >= threshold).then_some(silence),
            // The others were silent with it, those that had to show something in that time.
            None => over(pulse).filter(|silence| {
                let rated = |pulse: &Pulse| pulse.threshold().is_some_and(|rate| rate <= *silence);
                all.clone().all(|(_, pulse)| !rated(pulse) || over(pulse).is_some())
            }),
        }
    });
    let alone = own.filter(|_| attendance.asked >= ALONE);
    let silence = alone.or(together)?;
    Some(format!("no data of {stream} for {:.1} s, which is not its rate", silence.as_secs_f64()))
}

/// Since when the youngest connection to the venue is up.
fn carried_since(roll: &Roll, venue: &SmolStr) -> Option<Timestamp> {
    let ours = roll.connections.iter().filter(|one| one.subscriptions > 0);
    ours.filter(|one| one.row.venue == *venue).map(|one| one.row.opened).max()
}

fn never(attendance: &Attendance) -> Option<String> {
    let nothing = attendance.served == 0 && attendance.awaited.0 > 0 && attendance.away.is_none();
    nothing.then(|| format!("none of {} markets has shown anything yet", attendance.awaited.0))
}

#[cfg(test)]
mod tests;
