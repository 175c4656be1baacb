//! Whether a one-shot run (`agentpod apply`) is over, and how it ended.

use std::collections::BTreeMap;

use super::plan::{Decision, Hold, Plan};
use crate::core::{
    names::PodId,
    observe::actual::Actual,
    problem::Problem,
    report::{phase::Phase, reason::Reason, status::Status},
};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was stopped.
    Stopped,
    /// Everything is as declared.
    Applied,
    /// It cannot be applied: a sentence for each reason.
    Failed(Vec<String>),
}

/// What a run has reached after a round.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    /// What is wrong with the newest revision, if it was refused.
    pub(crate) refused: Option<&'a [Problem]>,
    /// Why the database cannot be used, if it cannot.
    pub(crate) database: Option<&'a str>,
    /// Whether the desired state was built and stored.
    pub(crate) is_stored: bool,
    /// What was observed.
    pub(crate) actual: &'a Actual,
    /// What was decided.
    pub(crate) plan: &'a Plan,
    /// Every pod's status.
    pub(crate) statuses: &'a BTreeMap<PodId, Status>,
}

/// Where one pod stands on the way to what is declared.
enum PodProgress {
    Done,
    Waiting,
    Failed,
}

impl Progress<'_> {
    /// How the run ended; `None` while it can still be applied and there is time.
    pub(crate) fn ending(&self, out_of_time: bool) -> Option<Ending> {
        if let Some(problems) = self.refused {
            return Some(Ending::Failed(problems.iter().map(ToString::to_string).collect()));
        }
        // One sentence for all of them.
        let mut failed: Vec<String> = self.plan.held_removals.iter().map(ToString::to_string).collect();
        let mut waiting = Vec::new();
        for (id, decision) in &self.plan.infra {
            match decision {
                Decision::Settled => {}
                Decision::Hold(hold @ Hold::RetryAt(_)) => failed.push(format!("{id}: {hold}")),
                Decision::Hold(Hold::Unknown(_)) if matches!(self.actual, Actual::Unknown(_)) => {}
                Decision::Hold(hold) => waiting.push(format!("{id}: {hold}")),
                Decision::Act(action) => waiting.push(format!("{id}: {}", action.cause)),
            }
        }
        for (id, status) in self.statuses {
            let sentence = || format!("{id}: {}", status.message);
            match self.pod_progress(self.plan.pods.get(id), status) {
                PodProgress::Done => {}
                PodProgress::Waiting => waiting.push(sentence()),
                PodProgress::Failed => failed.push(sentence()),
            }
        }
        waiting.extend(self.database.map(str::to_owned));
        if let Actual::Unknown(why) = self.actual {
            waiting.push(why.clone());
        }
        if waiting.is_empty() && self.is_stored {
            return Some(if failed.is_empty() { Ending::Applied } else { Ending::Failed(failed) });
        }
        out_of_time.then(|| {
            failed.extend(waiting.into_iter().map(|sentence| format!("out of time: {sentence}")));
            Ending::Failed(failed)
        })
    }

    fn pod_progress(&self, decision: Option<&Decision>, status: &Status) -> PodProgress {
        match (status.phase, decision) {
            (_, Some(Decision::Hold(Hold::TooManyRemovals(_)))) => PodProgress::Done,
            (Phase::Running | Phase::Stopped, Some(Decision::Settled)) => PodProgress::Done,
            (Phase::Stopped, _) if status.reason == Reason::Paused => PodProgress::Done,
            (Phase::Deleting, Some(Decision::Act(_) | Decision::Hold(Hold::Busy | Hold::RemovalSettles(_)))) => {
                PodProgress::Waiting
            }
            (Phase::Deleting, _) => PodProgress::Done,
            // The engine does not answer: one sentence for all pods.
            (Phase::Unknown, _) if matches!(self.actual, Actual::Unknown(_)) => PodProgress::Done,
            // A single exit decides nothing: the container comes up again, or turns out to be in a crash loop.
            (Phase::Unhealthy, _) if status.reason == Reason::Restarting => PodProgress::Waiting,
            (Phase::Unhealthy | Phase::CrashLoopBackOff | Phase::RolledBack | Phase::Held, _) => PodProgress::Failed,
            _ => PodProgress::Waiting,
        }
    }
}
