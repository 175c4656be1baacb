//! The decision. Every branch answers one row of the table in `docs/ARCHITECTURE.md`; no branch may look at a clock,
//! a trigger or the order of earlier rounds. What a pod needs that should run is in `running`.

use time::OffsetDateTime;

use super::{Action, Cause, Circumstances, Decision, Hold, Plan, PodCircumstances, Step, Verdict, running::Running};
use crate::core::{
    actual::{Actual, ContainerState, Sighting},
    desired::{Desired, DesiredPod},
    names::PodId,
    retry::Retry,
};

/// Decides what to do about every pod that is declared or was seen.
pub fn plan(desired: &Desired, actual: &Actual, circumstances: &Circumstances) -> Plan {
    let seen = match actual {
        Actual::Unknown(why) => {
            let hold = |id: &PodId| (id.clone(), Decision::Hold(Hold::Unknown(why.clone())));
            return Plan { pods: desired.pods.keys().map(hold).collect() };
        }
        Actual::Seen(seen) => seen,
    };
    let blank = PodCircumstances::default();
    let ids = desired.pods.keys().chain(seen.keys().filter(|id| !desired.pods.contains_key(*id)));
    let decide_one = |id: &PodId| {
        let pod = Pod {
            wish: desired.pods.get(id),
            seen: seen.get(id).map_or(&[], Vec::as_slice),
            known: circumstances.pods.get(id).unwrap_or(&blank),
            now: circumstances.now,
            removal_grace: circumstances.removal_grace,
        };
        (id.clone(), pod.decide())
    };
    Plan { pods: ids.map(decide_one).collect() }
}

/// Everything the decision about one pod may look at.
pub(super) struct Pod<'a> {
    pub wish: Option<&'a DesiredPod>,
    pub seen: &'a [Sighting],
    pub known: &'a PodCircumstances,
    pub now: OffsetDateTime,
    pub removal_grace: time::Duration,
}

impl Pod<'_> {
    fn decide(&self) -> Decision {
        if self.known.busy {
            return Decision::Hold(Hold::Busy);
        }
        let unknown = self.seen.iter().find_map(|container| match &container.state {
            ContainerState::Unknown(why) => Some(format!("container {}: {why}", container.name)),
            _ => None,
        });
        if let Some(why) = unknown {
            return Decision::Hold(Hold::Unknown(why));
        }
        let decision = match self.wish {
            None => self.undeclared(),
            Some(wish) if !wish.is_running() => self.stopped(),
            Some(wish) => Running::of(self, wish).map_or_else(|| secrets_missing(wish), |running| running.decide()),
        };
        match (&decision, self.retry().filter(|retry| retry.at > self.now)) {
            // To give up is no further try.
            (Decision::Act(Action { verdict: Some(Verdict::Reject(_)), .. }), _) | (_, None) => decision,
            (Decision::Act(_), Some(retry)) => self
                .wish
                .filter(|wish| wish.is_running() && !retry.crash)
                .and_then(|wish| Running::of(self, wish)?.meanwhile(retry))
                .unwrap_or_else(|| Decision::Hold(Hold::RetryAt(retry.clone()))),
            (_, Some(_)) => decision,
        }
    }

    /// That the last try at this very wish failed, if it did.
    pub fn retry(&self) -> Option<&Retry> {
        self.known.retry.as_ref().filter(|retry| retry.wish == self.known.wish_key(self.wish))
    }

    fn undeclared(&self) -> Decision {
        // A database that never knew a pod cannot say that it is not wanted any more.
        let Some(since) = self.known.undeclared_since else {
            return if self.seen.is_empty() { Decision::Settled } else { Decision::Hold(Hold::NeverDeclared) };
        };
        if self.seen.iter().any(Sighting::is_live) {
            return act(Cause::Undeclared, stop_live(self.seen));
        }
        let until = since + self.removal_grace;
        match self.seen {
            [] => Decision::Settled,
            _ if self.now < until => Decision::Hold(Hold::RemovalGrace(until)),
            stopped => act(Cause::Undeclared, remove(stopped)),
        }
    }

    fn stopped(&self) -> Decision {
        match stop_live(self.seen) {
            steps if steps.is_empty() => Decision::Settled,
            steps => act(Cause::StopWanted, steps),
        }
    }
}

pub(super) fn secrets_missing(wish: &DesiredPod) -> Decision {
    Decision::Hold(Hold::SecretsMissing(wish.missing_secrets.clone()))
}

pub(super) fn act(cause: Cause, steps: Vec<Step>) -> Decision {
    Decision::Act(Action { cause, verdict: None, steps })
}

pub(super) fn stop_live<'a>(containers: impl IntoIterator<Item = &'a Sighting>) -> Vec<Step> {
    containers
        .into_iter()
        .filter(|container| container.is_live())
        .map(|container| Step::Stop(container.name.clone()))
        .collect()
}

pub(super) fn remove<'a>(containers: impl IntoIterator<Item = &'a Sighting>) -> Vec<Step> {
    containers.into_iter().map(|container| Step::Remove(container.name.clone())).collect()
}
