//! What is news: from pictures of the recorder and from the gap ledger. The judging part is pure.
//!
//! Health and disk are told of when they changed and stay so for some pictures: a change that is
//! over at once is none. Until everything was served once, or for a while after the start, health
//! is not judged: a recorder that has just begun is not unwell. Of the ledger each new row and each
//! end is told, also of a gap that was there and over between two looks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::News;
use super::outbox::{Notice, Outbox};
use crate::model::gap::Gap;
use crate::model::time::Timestamp;
use crate::serve::health::{self, Problem, Signs, What};
use crate::serve::{Sources, status};
use crate::store::catalog::{Catalog, CatalogError};
use crate::store::fs::free_bytes;

/// How often to look.
const EVERY: Duration = Duration::from_secs(1);
/// How long the disk may take to answer before it counts as one that does not.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// So many pictures have to agree.
const STEADY: u8 = 3;
/// When health is judged, whether or not everything was served.
const GRACE: Duration = Duration::from_secs(30);
/// Rows of the ledger that are read at a time.
const GAPS: u32 = 500;

/// What is known of the gap ledger.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    /// None until it could be read: what is in it by then is no news.
    highest: Option<i64>,
    lasting: BTreeSet<i64>,
}

impl Ledger {
    /// The ledger of the folder `data` as it is now.
    pub(super) fn of(data: &Path) -> Self {
        let mut ledger = Self::default();
        if let Err(error) = Catalog::of_folder(data).map(|catalog| ledger.news(&catalog)) {
            tracing::debug!("the gap ledger cannot be read yet: {error}");
        }
        ledger
    }

    /// Gaps that began and gaps that ended since the last time.
    fn news(&mut self, catalog: &Catalog) -> Result<Vec<(News, i64, Gap)>, CatalogError> {
        let Some(highest) = self.highest else {
            let (highest, lasting) = catalog.lasting_gaps()?;
            (self.highest, self.lasting) = (Some(highest), lasting);
            return Ok(Vec::new());
        };
        let mut news = Vec::new();
        // Known before the new ones: a gap that ends between the two questions is told next time.
        let (_, lasting) = catalog.lasting_gaps()?;
        for id in self.lasting.difference(&lasting).copied() {
            if let Some(gap) = catalog.gap(id)? {
                news.push((News::GapClosed, id, gap));
            }
        }
        let known = |id: &i64| *id <= highest;
        self.lasting = lasting.into_iter().filter(known).collect();
        for (id, gap) in catalog.gaps_after(highest, GAPS)? {
            self.highest = Some(id);
            let over = gap.to.is_some();
            news.push((News::GapOpened, id, gap.clone()));
            if over {
                news.push((News::GapClosed, id, gap));
            } else {
                self.lasting.insert(id);
            }
        }
        Ok(news)
    }
}

/// One thing that is well or not, as it was told.
#[derive(Debug, Default)]
struct Toggle {
    bad: bool,
    /// Pictures that say otherwise, one after the other.
    others: u8,
}

impl Toggle {
    /// Takes one picture; says so where it is news.
    fn turn(&mut self, bad: bool) -> Option<bool> {
        self.others = if bad == self.bad { 0 } else { self.others + 1 };
        if self.others < STEADY {
            return None;
        }
        *self = Self { bad, others: 0 };
        Some(bad)
    }
}

/// What was told so far.
#[derive(Debug, Default)]
struct Judge {
    served: bool,
    health: Toggle,
    disk: Toggle,
}

impl Judge {
    /// Takes one picture.
    fn judge(&mut self, signs: &Signs<'_>) -> Vec<Notice> {
        self.served |= health::ready(&signs.progress.roll);
        let problems = health::problems(signs);
        let notice = |news, detail| Notice { news, at: signs.now, venue: None, detail };
        let mut notices = Vec::new();
        let low = problems.iter().any(|problem| problem.what == What::Disk);
        if let Some(low) = self.disk.turn(low) {
            let news = if low { News::DiskLow } else { News::DiskOk };
            let (free, least) = (signs.free_bytes, signs.min_free_bytes);
            notices.push(notice(news, json!({ "free_bytes": free, "min_free_bytes": least })));
        }
        let judged = self.served || signs.now.since(signs.started) >= GRACE;
        if let Some(lost) = self.health.turn(judged && !problems.is_empty()) {
            let news = if lost { News::HealthLost } else { News::HealthRegained };
            let mut notice = notice(news, json!({ "problems": told(&problems) }));
            notice.venue = only_venue(&problems);
            notices.push(notice);
        }
        notices
    }
}

fn told(problems: &[Problem]) -> Vec<serde_json::Value> {
    problems.iter().map(status::problem).collect()
}

/// The venue of all of them, where they name the same.
fn only_venue(problems: &[Problem]) -> Option<String> {
    let mut venues = problems.iter().filter_map(|problem| Some(&problem.stream.as_ref()?.0));
    let first = venues.next()?;
    venues.all(|venue| venue == first).then(|| first.to_string())
}

fn of_gap(now: Timestamp, news: News, id: i64, gap: &Gap) -> Notice {
    let detail = json!({
        "id": id,
        "stream": gap.stream.name(),
        "market": gap.market,
        "from": gap.from.to_string(),
        "to": gap.to.map(|to| to.to_string()),
        "cause": gap.cause.as_str(),
        "state": gap.state.as_str(),
        "detail": gap.detail,
    });
    Notice { news, at: now, venue: Some(gap.venue.to_string()), detail }
}

/// What the disk says: bytes that are free, and the ledger.
type Seen = (Option<u64>, Ledger, Vec<(News, i64, Gap)>);

/// Asks the disk; it may take its time.
fn ask(data: &Path, mut ledger: Ledger) -> Seen {
    let free = free_bytes(data).ok();
    let before = ledger.clone();
    match Catalog::of_folder(data).and_then(|catalog| ledger.news(&catalog)) {
        Ok(news) => (free, ledger, news),
        Err(error) => {
            // It is asked again at the next look.
            tracing::debug!("the gap ledger cannot be read: {error}");
            (free, before, Vec::new())
        }
    }
}

/// A question to the disk at a time, whose answer may be late.
struct Disk {
    data: PathBuf,
    ledger: Ledger,
    asked: Option<JoinHandle<Seen>>,
}

impl Disk {
    /// What it says now; nothing at all where it does not answer.
    async fn look(&mut self) -> (Option<u64>, Vec<(News, i64, Gap)>) {
        let (data, ledger) = (self.data.clone(), self.ledger.clone());
        let asked = self
            .asked
            .get_or_insert_with(|| tokio::task::spawn_blocking(move || ask(&data, ledger)));
        let Ok(answer) = tokio::time::timeout(LOOK_WITHIN, asked).await else {
            return (None, Vec::new());
        };
        self.asked = None;
        match answer {
            Ok((free, ledger, news)) => {
                self.ledger = ledger;
                (free, news)
            }
            Err(_) => (None, Vec::new()),
        }
    }
}

/// Looks until it is dropped.
pub(super) async fn look(sources: Sources, ledger: Ledger, events: &[News], outbox: Arc<Outbox>) {
    let started = sources.clock.now();
    let mut disk = Disk { data: sources.data.clone(), ledger, asked: None };
    let mut judge = Judge::default();
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let (free, gaps) = disk.look().await;
        let now = sources.clock.now();
        let progress = sources.progress.borrow().clone();
        let signs = Signs::of(&sources, &progress, started, now, free);
        let gaps = gaps.iter().map(|(news, id, gap)| of_gap(now, *news, *id, gap));
        let mut notices: Vec<Notice> = gaps.collect();
        notices.extend(judge.judge(&signs));
        notices.retain(|notice| events.contains(&notice.news));
        outbox.put(notices);
    }
}

#[cfg(test)]
mod tests;
