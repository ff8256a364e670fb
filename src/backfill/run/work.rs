//! One job from its first page to its last.

use std::sync::Arc;
use std::time::Duration;

use super::super::pager::Pager;
use super::Setup;
use super::answer::{self, Refusal};
use super::board::{Board, Bottom};
use crate::ingest::queue::NoWriter;
use crate::model::event::Event;
use crate::model::frame::Frame;
use crate::model::job::{Job, JobKind, JobState};
use crate::model::time::Timestamp;
use crate::net::backoff::Backoff;
use crate::net::budget::Urgency;
use crate::venue::PastPage;

/// How often the catalog is told how many requests a job made.
const TELL_EVERY: u64 = 16;

/// The first page that a job asks for.
pub(super) fn first_page(setup: &Setup, job: &Job) -> Option<PastPage> {
    Pager::new(job).ask(setup.venue, &setup.rest_url, setup.clock.now())
}

/// Works on `job` until it is over, or the run stops.
pub(super) async fn work(setup: Setup, board: Arc<Board>, job: Job) -> Result<(), NoWriter> {
    // The catalog knows a job before it knows pages of it.
    let mut news = setup.told.clone();
    let known = news.wait_for(|jobs| jobs.contains_key(&job.id)).await;
    let durable = known.map(|jobs| jobs.get(&job.id).map_or(0, |told| told.pages));
    let durable = durable.map_err(|_| NoWriter)?;
    let mut pager = Pager::new(&job);
    let span = job.span;
    let mut work = Work {
        setup,
        board,
        job,
        pages: durable,
        failures: 0,
        since: Duration::ZERO,
        backoff: Backoff::new(),
    };
    if work.board.stop.is_cancelled() {
        return Ok(());
    }
    work.job.state = JobState::Running;
    work.job.error = None;
    work.tell().await?;
    let over = loop {
        if pager.is_done() {
            break (JobState::Done, None);
        }
        match work.board.bottom(&work.job, pager.before()) {
            Some(Bottom::Nothing(..)) => break (JobState::Done, None),
            Some(Bottom::NoMarket(words)) => break (JobState::Failed, Some(words)),
            None => {}
        }
        match work.page(&mut pager).await? {
            Step::On => {}
            Step::Stopped => return work.tell().await,
            Step::Failed(words) => break (JobState::Failed, Some(words)),
        }
    };
    (work.job.state, work.job.error) = over;
    // One that made no request only repeats what another one said.
    if let (Some(error), true) = (&work.job.error, work.job.calls > 0) {
        let Job { id, stream, market, .. } = &work.job;
        tracing::warn!(id, "{stream} {market} of {span} was not had: {error}");
    }
    work.tell().await?;
    work.board.ended(&work.job);
    Ok(())
}

/// What came of one page.
enum Step {
    /// It is durable, or it is to be asked for again.
    On,
    /// The run stops.
    Stopped,
    /// The job cannot go on.
    Failed(String),
}

struct Work {
    setup: Setup,
    board: Arc<Board>,
    job: Job,
    /// Pages that the writer has when the last one is durable.
    pages: u64,
    /// How often the page failed in a row, and since when.
    failures: u32,
    since: Duration,
    backoff: Backoff,
}

impl Work {
    async fn page(&mut self, pager: &mut Pager) -> Result<Step, NoWriter> {
        let Setup { venue, rest_url, http, clock, .. } = &self.setup;
        let gone = || Step::Failed(format!("{} no longer keeps that time", venue.name()));
        let Some(page) = pager.ask(*venue, rest_url, clock.now()) else { return Ok(gone()) };
        let urgency = match self.job.kind {
            JobKind::Repair => Urgency::Now,
            JobKind::Backfill => Urgency::Later,
        };
        let turn = tokio::select! {
            biased;
            () = self.board.stop.cancelled() => return Ok(Step::Stopped),
            turn = http.turn(&page.request, urgency) => turn,
        };
        if let Err(error) = turn {
            return Ok(Step::Failed(error.to_string()));
        }
        // The wait can have been long: another day may have begun.
        let asked = clock.now();
        let Some(page) = pager.ask(*venue, rest_url, asked) else { return Ok(gone()) };
        self.job.calls += 1;
        self.board.called(&self.job, page.request.group);
        let got = http.get_now(&page.request).await;
        let read = got.map_err(|error| Refusal::of(*venue, &self.job, &error)).and_then(|got| {
            let frame = Frame::arrived(got.ts_recv, answer::origin(&self.job), got.body);
            let records = answer::records(*venue, &frame)?;
            let mut next = pager.clone();
            next.take(&page, &records)?;
            Ok((frame, records.is_empty(), next))
        });
        match read {
            Ok((_, true, _)) if let Some(wait) = answer::doubtful(&page, asked, clock.now()) => {
                self.board.retried();
                Ok(self.pause(wait).await)
            }
            Ok((frame, empty, next)) => {
                self.keep(frame).await?;
                // Where the page could have had rows of any earlier time, there are none.
                if empty && page.within.from() == Timestamp::MIN {
                    let nothing = Bottom::Nothing(self.job.stream, pager.before());
                    self.board.found(&self.job.market, nothing);
                }
                *pager = next;
                self.board.had(&self.job, pager.share());
                Ok(Step::On)
            }
            Err(refusal) => self.refused(refusal).await,
        }
    }

    /// Hands a page over and waits until it is durable.
    async fn keep(&mut self, frame: Frame) -> Result<(), NoWriter> {
        (self.failures, self.backoff) = (0, Backoff::new());
        if self.job.calls.is_multiple_of(TELL_EVERY) {
            self.tell().await?;
        }
        self.setup.queue.send(Event::Frame(frame)).await?;
        self.pages += 1;
        let (id, pages) = (self.job.id, self.pages);
        let durable =
            self.setup.told.wait_for(|jobs| jobs.get(&id).is_some_and(|told| told.pages >= pages));
        durable.await.map(drop).map_err(|_| NoWriter)
    }

    async fn refused(&mut self, refusal: Refusal) -> Result<Step, NoWriter> {
        let words = refusal.words().to_owned();
        tracing::debug!(id = self.job.id, "a page was not had: {words}");
        match refusal {
            Refusal::Never(_) => return Ok(Step::Failed(words)),
            Refusal::NoMarket(_) => {
                self.board.found(&self.job.market, Bottom::NoMarket(words.clone()));
                return Ok(Step::Failed(words));
            }
            // The budget holds the next turn back for as long as it takes.
            Refusal::Rate(_) => {}
            Refusal::Again(_) => {
                if self.failures == 0 {
                    self.since = self.setup.clock.monotonic();
                }
                self.failures += 1;
                let others = self.board.succeeded_since(self.since);
                if self.failures >= self.setup.effort.tries && others {
                    return Ok(Step::Failed(words));
                }
                if self.board.give_up(&words) {
                    return Ok(Step::Stopped);
                }
            }
        }
        self.job.error = Some(words);
        self.board.retried();
        self.tell().await?;
        if self.failures == 0 {
            return Ok(Step::On);
        }
        let wait = self.backoff.failed(Duration::ZERO, rand::random());
        Ok(self.pause(wait).await)
    }

    async fn pause(&self, wait: Duration) -> Step {
        tokio::select! {
            biased;
            () = self.board.stop.cancelled() => Step::Stopped,
            () = tokio::time::sleep(wait) => Step::On,
        }
    }

    /// Tells the catalog how the job stands.
    async fn tell(&self) -> Result<(), NoWriter> {
        self.setup.queue.send(Event::Job(self.job.clone().into())).await.map(drop)
    }
}
