//! What becomes of a gap when the jobs that were to close it are over.

use std::collections::BTreeSet;

use super::{Writer, WriterError};
use crate::model::gap::{Gap, GapState};
use crate::model::job::{Job, JobState};
use crate::model::market::Source;
use crate::store::catalog::Change;

/// How much of what went wrong a gap's detail holds, in characters.
const WHY_LIMIT: usize = 300;

impl Writer {
    /// Publishes a change, with what its jobs mean for the gaps that they were to close.
    pub(super) fn publish_with_gaps(&mut self, change: &mut Change) -> Result<(), WriterError> {
        let over = |job: &&Job| job.state.is_over();
        let gaps: BTreeSet<i64> =
            change.jobs.iter().filter(over).filter_map(|job| job.gap).collect();
        let told = change.gaps.len();
        for id in gaps {
            if let Some(gap) = self.judged(id, change)? {
                change.gaps.push((id, gap));
            }
        }
        self.catalog.publish(change).inspect_err(|_| change.gaps.truncate(told))?;
        Ok(())
    }

    /// The gap with this number, where all its jobs are over now.
    fn judged(&self, id: i64, change: &Change) -> Result<Option<Gap>, WriterError> {
        let Some(gap) = self.catalog.gap(id)?.filter(|gap| gap.state == GapState::Open) else {
            return Ok(None);
        };
        let mut jobs = self.catalog.jobs_of_gap(id)?;
        jobs.retain(|job| change.jobs.iter().all(|other| other.id != job.id));
        jobs.extend(change.jobs.iter().filter(|job| job.gap == Some(id)).cloned());
        // What a person ended stays open.
        let ended = |job: &Job| job.state.is_over() && job.state != JobState::Cancelled;
        Ok(jobs.iter().all(ended).then(|| judge(gap, &jobs)))
    }
}

/// What a gap is when these jobs of it are over.
fn judge(mut gap: Gap, jobs: &[Job]) -> Gap {
    let done = jobs.iter().any(|job| job.state == JobState::Done);
    let failed = jobs.iter().any(|job| job.state == JobState::Failed);
    gap.rows_repaired = jobs.iter().map(|job| job.rows).sum();
    gap.state = match (done, failed) {
        (_, false) => GapState::Repaired,
        (true, true) => GapState::Partial,
        (false, true) if gap.rows_repaired > 0 => GapState::Partial,
        (false, true) => GapState::BeyondRepair,
    };
    if jobs.iter().any(|job| job.calls > 0) {
        gap.source = Some(Source::Rest);
    }
    let why: BTreeSet<String> = jobs.iter().filter_map(words).collect();
    if !why.is_empty() {
        let why = why.into_iter().collect::<Vec<_>>().join("; ");
        gap.detail.push_str("; ");
        gap.detail.extend(why.chars().take(WHY_LIMIT));
    }
    gap
}

/// What a job says of its end: one that failed names its market as well.
fn words(job: &Job) -> Option<String> {
    let said = job.error.as_ref()?;
    match job.state {
        JobState::Failed => Some(format!("{}: {said}", job.market)),
        JobState::Done => Some(said.clone()),
        JobState::Planned | JobState::Running | JobState::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gap::GapCause;
    use crate::model::job::JobKind;
    use crate::model::market::Market;
    use crate::model::span::Span;
    use crate::model::subscription::Stream;
    use crate::model::time::Timestamp;

    fn job(state: JobState, rows: u64, error: Option<&str>) -> Job {
        Job {
            id: 1,
            kind: JobKind::Repair,
            venue: "v".into(),
            stream: Stream::Trade,
            market: Market::new("A"),
            span: Span::new(Timestamp::MIN, Timestamp::MAX).expect("a span"),
            gap: Some(7),
            state,
            rows,
            known: 0,
            calls: 1,
            error: error.map(str::to_owned),
            reached: None,
        }
    }

    #[test]
    fn a_gap_is_what_its_jobs_made_of_it() {
        use JobState::{Done, Failed};
        let old = Some("too old");
        for (jobs, state, rows, detail) in [
            (vec![job(Done, 3, None), job(Done, 4, None)], GapState::Repaired, 7, "cut"),
            (vec![job(Done, 0, Some("nothing"))], GapState::Repaired, 0, "cut; nothing"),
            (
                vec![job(Done, 3, None), job(Failed, 0, old)],
                GapState::Partial,
                3,
                "cut; A: too old",
            ),
            (vec![job(Failed, 2, old)], GapState::Partial, 2, "cut; A: too old"),
            (vec![job(Failed, 0, old)], GapState::BeyondRepair, 0, "cut; A: too old"),
        ] {
            let gap = Gap {
                venue: "v".into(),
                stream: Stream::Trade,
                market: None,
                from: Timestamp::MIN,
                to: Some(Timestamp::MAX),
                cause: GapCause::Disconnect,
                state: GapState::Open,
                rows_repaired: 0,
                source: None,
                detail: "cut".to_owned(),
            };
            let judged = judge(gap, &jobs);
            assert_eq!(
                (judged.state, judged.rows_repaired, judged.detail.as_str()),
                (state, rows, detail)
            );
            assert_eq!(judged.source, Some(Source::Rest));
        }
    }
}
