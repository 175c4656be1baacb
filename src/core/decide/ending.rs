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
pub struct Progress<'a> {
    /// What is wrong with the newest revision, if it was refused.
    pub refused: Option<&'a [Problem]>,
    /// Why the database cannot be used, if it cannot.
    pub database: Option<&'a str>,
    /// Whether the desired state was built and stored.
    pub is_stored: bool,
    /// What was observed.
    pub actual: &'a Actual,
    /// What was decided.
    pub plan: &'a Plan,
    /// Every pod's status.
    pub statuses: &'a BTreeMap<PodId, Status>,
}

/// Where one pod stands on the way to what is declared.
enum Verdict {
    Done,
    Waiting,
    Failed,
}

impl Progress<'_> {
    /// How the run ended; `None` while it can still be applied and there is time.
    pub fn ending(&self, out_of_time: bool) -> Option<Ending> {
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
            match self.verdict(self.plan.pods.get(id), status) {
                Verdict::Done => {}
                Verdict::Waiting => waiting.push(sentence()),
                Verdict::Failed => failed.push(sentence()),
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

    fn verdict(&self, decision: Option<&Decision>, status: &Status) -> Verdict {
        match (status.phase, decision) {
            (_, Some(Decision::Hold(Hold::TooManyRemovals(_)))) => Verdict::Done,
            (Phase::Running | Phase::Stopped, Some(Decision::Settled)) => Verdict::Done,
            (Phase::Stopped, _) if status.reason == Reason::Paused => Verdict::Done,
            (Phase::Deleting, Some(Decision::Act(_) | Decision::Hold(Hold::Busy))) => Verdict::Waiting,
            (Phase::Deleting, _) => Verdict::Done,
            // The engine does not answer: one sentence for all pods.
            (Phase::Unknown, _) if matches!(self.actual, Actual::Unknown(_)) => Verdict::Done,
            // A single exit decides nothing: the container comes up again, or turns out to be in a crash loop.
            (Phase::Unhealthy, _) if status.reason == Reason::Restarting => Verdict::Waiting,
            (Phase::Unhealthy | Phase::CrashLoopBackOff | Phase::RolledBack | Phase::Held, _) => Verdict::Failed,
            _ => Verdict::Waiting,
        }
    }
}
