//! The decision. Every branch is one row of the table in `docs/ARCHITECTURE.md`; no branch may read a clock,
//! a trigger or the order of earlier rounds. `running` decides about pods that should run.

use super::{
    Action, Cause, Decision, FleetState, Hold, Plan, PodState, Step, Verdict,
    context::{PodContext, act, remove, secrets_missing, stop_live},
    hosts::Hosts,
    infra, removals, requests,
    running::Running,
    stagger::stagger,
};
use crate::core::{
    decide::retry::FailureKind,
    declare::{
        desired::{Desired, DesiredPod},
        infra::InfraSpec,
    },
    names::PodId,
    observe::actual::{Actual, ContainerState, ObservedContainer},
};

/// Decides what to do about every pod that is declared or has containers.
pub fn plan(desired: &Desired, actual: &Actual, state: &FleetState) -> Plan {
    let observed = match actual {
        Actual::Unknown(why) => {
            let hold = |id: &PodId| (id.clone(), Decision::Hold(Hold::Unknown(why.clone())));
            let hold_item = |item: &InfraSpec| (item.id(), Decision::Hold(Hold::Unknown(why.clone())));
            return Plan {
                infra: desired.infra.iter().map(hold_item).collect(),
                pods: desired.pods.keys().map(hold).collect(),
                ..Plan::default()
            };
        }
        Actual::Observed(observed) => observed,
    };
    let default_state = PodState::default();
    let removals = removals::decide(desired, observed, state);
    let requests = requests::read(desired, observed, state);
    let hosts = Hosts::of(desired, observed, state);
    let ids = desired.pods.keys().chain(observed.keys().filter(|id| !desired.pods.contains_key(*id)));
    let decide_one = |id: &PodId| {
        let pod_state = state.pods.get(id).unwrap_or(&default_state);
        let pod = PodContext {
            desired: desired.pods.get(id),
            observed: observed.get(id).map_or(&[], Vec::as_slice),
            state: pod_state,
            now: state.now,
            removal_grace: state.removal_grace,
            allowed: removals.allowed.get(id).or(pod_state.removal_allowed.as_ref()),
            approved_by: removals.approved_by.as_ref().filter(|_| removals.allowed.contains_key(id)),
            settles: removals
                .settling
                .as_ref()
                .filter(|settling| settling.pods.contains(id))
                .map(|settling| settling.until),
            held: removals.held.as_ref().filter(|held| held.pods.contains(id)).map(|held| &held.why),
            restart: requests.restarts.get(id).copied(),
            resumed: requests.resumed.get(id),
            hosts: &hosts,
        };
        (id.clone(), pod.decide())
    };
    let mut pods = ids.map(decide_one).collect();
    stagger(&mut pods, desired, state);
    let ended = removals.ended.into_iter().chain(requests.ended).collect();
    let infra = infra::decide(&desired.infra, state);
    Plan { infra, pods, held_removals: removals.held, allowed: removals.allowed, ended }
}

impl PodContext<'_> {
    fn decide(&self) -> Decision {
        if self.state.busy {
            return Decision::Hold(Hold::Busy);
        }
        let unknown = self.observed.iter().find_map(|container| match &container.state {
            ContainerState::Unknown(why) => Some(format!("container {}: {why}", container.name)),
            _ => None,
        });
        if let Some(why) = unknown {
            return Decision::Hold(Hold::Unknown(why));
        }
        let decision = match self.desired {
            None => self.undeclared(),
            Some(_) if self.state.pause.is_some() => self.paused(),
            Some(desired) if !desired.is_running() => self.stopped(),
            Some(desired) => self.running(desired),
        };
        if self.desired.is_some()
            && !matches!(decision, Decision::Act(_))
            && let Some(clean_up) = self.clean_up()
        {
            return clean_up;
        }
        match (&decision, self.retry().filter(|retry| retry.at > self.now)) {
            // A rejection is no new attempt.
            (Decision::Act(Action { verdict: Some(Verdict::Reject(_)), .. }), _)
            | (Decision::Act(Action { verdict: Some(_), .. }) | Decision::Settled | Decision::Hold(_), None) => {
                decision
            }
            // A requested restart skips the wait, once.
            (Decision::Act(Action { cause: Cause::Requested { .. }, .. }), _) if self.has_new_restart() => decision,
            (Decision::Act(action), None) => self.state.repeating(action, self.now).map_or(decision, Decision::Hold),
            (Decision::Act(_), Some(retry)) => self
                .desired
                .filter(|desired| desired.is_running() && retry.kind != FailureKind::Crash)
                .and_then(|desired| Running::of(self, desired)?.fall_back(retry))
                .unwrap_or_else(|| Decision::Hold(Hold::RetryAt(retry.clone()))),
            (_, Some(_)) => decision,
        }
    }

    /// Removes dead containers when there is nothing else to do. That may fail for ever, and delays nothing.
    fn clean_up(&self) -> Option<Decision> {
        let waits = self.state.cleanup_retry.as_ref().is_some_and(|retry| retry.at > self.now);
        let dead = remove(self.observed.iter().filter(|container| container.is_dead()));
        (!waits && !dead.is_empty()).then(|| act(Cause::Dead, dead))
    }

    fn undeclared(&self) -> Decision {
        if self.observed.is_empty() {
            return Decision::Settled;
        }
        if let Some(until) = self.settles {
            return Decision::Hold(Hold::RemovalSettles(until));
        }
        if let Some(held) = self.held {
            return Decision::Hold(Hold::TooManyRemovals(held.clone()));
        }
        // A database that has never had a pod cannot tell that it was removed.
        let (Some(_), Some(allowed)) = (self.state.undeclared_since, self.allowed) else {
            return Decision::Hold(Hold::NeverDeclared);
        };
        if self.observed.iter().any(ObservedContainer::is_live) {
            let cause = self.approved_by.map_or(Cause::Undeclared, |actor| Cause::RemovalApproved(actor.clone()));
            return act(cause, stop_live(self.observed));
        }
        // The grace period begins with the permission: a held pod was still running.
        let until = allowed.at + self.removal_grace;
        if self.now < until {
            return Decision::Hold(Hold::RemovalGrace(until));
        }
        act(Cause::Undeclared, remove(self.observed))
    }

    fn paused(&self) -> Decision {
        let Some(pause) = &self.state.pause else { return Decision::Settled };
        match stop_live(self.observed) {
            steps if steps.is_empty() => Decision::Hold(Hold::Paused(pause.clone())),
            steps => act(Cause::Paused(pause.clone()), steps),
        }
    }

    fn running(&self, desired: &DesiredPod) -> Decision {
        let Some(running) = Running::of(self, desired) else { return secrets_missing(desired) };
        let mut decision = match self.restart {
            Some(request) => running.restart(request),
            None => running.decide(),
        };
        let Decision::Act(action) = &mut decision else { return decision };
        let starts = |step: &Step| matches!(step, Step::Create(_) | Step::Start(_));
        if !action.steps.iter().any(starts) {
            return decision;
        }
        let id = &desired.declared.id;
        if let Some(by) = self.hosts.taken(id, desired) {
            let room = if self.hosts.yields_first(id) { stop_live(self.observed) } else { Vec::new() };
            return match room.is_empty() {
                true => Decision::Hold(Hold::SubdomainTaken(by.clone())),
                false => act(Cause::YieldsSubdomain(by.clone()), room),
            };
        }
        if let (Some(resumed), Cause::Exited(_)) = (self.resumed, &action.cause) {
            action.cause = resumed.clone();
        }
        decision
    }

    fn stopped(&self) -> Decision {
        match stop_live(self.observed) {
            steps if steps.is_empty() => Decision::Settled,
            steps => act(Cause::DeclaredStopped, steps),
        }
    }
}
