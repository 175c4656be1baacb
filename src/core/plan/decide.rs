//! The decision. Every branch answers one row of the table in `docs/ARCHITECTURE.md`; no branch may look at a clock,
//! a trigger or the order of earlier rounds. What a pod needs that should run is in `running`.

use time::OffsetDateTime;

use super::{
    Action, Allowance, Cause, Circumstances, Decision, Hold, Plan, PodCircumstances, Step, TooManyRemovals, Verdict,
    asked, hosts::Hosts, removals, running::Running,
};
use crate::core::{
    actual::{Actual, ContainerState, Sighting},
    desired::{Desired, DesiredPod},
    names::PodId,
    request::Open,
    retry::Retry,
};

/// Decides what to do about every pod that is declared or was seen.
pub fn plan(desired: &Desired, actual: &Actual, circumstances: &Circumstances) -> Plan {
    let seen = match actual {
        Actual::Unknown(why) => {
            let hold = |id: &PodId| (id.clone(), Decision::Hold(Hold::Unknown(why.clone())));
            return Plan { pods: desired.pods.keys().map(hold).collect(), ..Plan::default() };
        }
        Actual::Seen(seen) => seen,
    };
    let blank = PodCircumstances::default();
    let removals = removals::judge(desired, seen, circumstances);
    let asked = asked::read(desired, seen, circumstances);
    let hosts = Hosts::of(desired, seen, circumstances);
    let ids = desired.pods.keys().chain(seen.keys().filter(|id| !desired.pods.contains_key(*id)));
    let decide_one = |id: &PodId| {
        let known = circumstances.pods.get(id).unwrap_or(&blank);
        let wish = desired.pods.get(id);
        let pod = Pod {
            wish,
            seen: seen.get(id).map_or(&[], Vec::as_slice),
            known,
            now: circumstances.now,
            removal_grace: circumstances.removal_grace,
            allowed: removals.allowed.get(id).or(known.removal_allowed.as_ref()),
            approved_by: removals.approved_by.as_ref().filter(|_| removals.allowed.contains_key(id)),
            held: removals.held.as_ref().filter(|held| held.pods.contains(id)).map(|held| &held.why),
            restart: asked.restarts.get(id).copied(),
            resumed: asked.resumed.get(id),
            hosts: &hosts,
        };
        (id.clone(), pod.decide())
    };
    let pods = ids.map(decide_one).collect();
    let ended = removals.ended.into_iter().chain(asked.ended).collect();
    Plan { pods, held_removals: removals.held, allowed: removals.allowed, ended }
}

/// Everything the decision about one pod may look at.
pub(super) struct Pod<'a> {
    pub wish: Option<&'a DesiredPod>,
    pub seen: &'a [Sighting],
    pub known: &'a PodCircumstances,
    pub now: OffsetDateTime,
    pub removal_grace: time::Duration,
    /// That it may be removed.
    pub allowed: Option<&'a Allowance>,
    /// Who has just approved that.
    pub approved_by: Option<&'a String>,
    /// That it may not.
    pub held: Option<&'a TooManyRemovals>,
    /// The restart that somebody asked for.
    pub restart: Option<&'a Open>,
    /// Why it starts again, if its pause is over.
    pub resumed: Option<&'a Cause>,
    /// Who answers where.
    pub hosts: &'a Hosts<'a>,
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
            Some(_) if self.known.pause.is_some() => self.paused(),
            Some(wish) if !wish.is_running() => self.stopped(),
            Some(wish) => self.running(wish),
        };
        match (&decision, self.retry().filter(|retry| retry.at > self.now)) {
            // To give up is no further try.
            (Decision::Act(Action { verdict: Some(Verdict::Reject(_)), .. }), _) | (_, None) => decision,
            // Who asks for a restart need not wait, but that is one try, and no more.
            (Decision::Act(Action { cause: Cause::Requested { .. }, .. }), _) if self.is_asked_anew() => decision,
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
        if self.seen.is_empty() {
            return Decision::Settled;
        }
        if let Some(held) = self.held {
            return Decision::Hold(Hold::TooManyRemovals(held.clone()));
        }
        // A database that never knew a pod cannot say that it is not wanted any more.
        let (Some(_), Some(allowed)) = (self.known.undeclared_since, self.allowed) else {
            return Decision::Hold(Hold::NeverDeclared);
        };
        if self.seen.iter().any(Sighting::is_live) {
            let cause = self.approved_by.map_or(Cause::Undeclared, |actor| Cause::RemovalApproved(actor.clone()));
            return act(cause, stop_live(self.seen));
        }
        // From when it might go: what was held had no grace yet.
        let until = allowed.at + self.removal_grace;
        if self.now < until {
            return Decision::Hold(Hold::RemovalGrace(until));
        }
        act(Cause::Undeclared, remove(self.seen))
    }

    fn paused(&self) -> Decision {
        let Some(pause) = &self.known.pause else { return Decision::Settled };
        match stop_live(self.seen) {
            steps if steps.is_empty() => Decision::Hold(Hold::Paused(pause.clone())),
            steps => act(Cause::Paused(pause.clone()), steps),
        }
    }

    fn running(&self, wish: &DesiredPod) -> Decision {
        let Some(running) = Running::of(self, wish) else { return secrets_missing(wish) };
        let mut decision = match self.restart {
            Some(asked) => running.restart(asked),
            None => running.decide(),
        };
        let Decision::Act(action) = &mut decision else { return decision };
        let starts = |step: &Step| matches!(step, Step::Create(_) | Step::Start(_));
        if !action.steps.iter().any(starts) {
            return decision;
        }
        let id = &wish.declared.id;
        if let Some(by) = self.hosts.taken(id, wish) {
            let room = if self.hosts.begins(id) { stop_live(self.seen) } else { Vec::new() };
            return match room.is_empty() {
                true => Decision::Hold(Hold::SubdomainTaken(by.clone())),
                false => act(Cause::MakesRoom(by.clone()), room),
            };
        }
        if let (Some(resumed), Cause::Exited(_)) = (self.resumed, &action.cause) {
            action.cause = resumed.clone();
        }
        decision
    }

    /// Whether the restart that is asked for was not tried yet.
    pub fn is_asked_anew(&self) -> bool {
        self.restart.is_some_and(|asked| self.known.restart.as_ref().is_none_or(|last| last.request != asked.id))
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
