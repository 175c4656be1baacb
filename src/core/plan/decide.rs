//! The decision. Every branch answers one row of the table in `docs/ARCHITECTURE.md`; no branch may look at a clock,
//! a trigger or the order of earlier rounds.

use time::OffsetDateTime;

use super::{Action, Cause, Circumstances, Decision, Files, Hold, Plan, PodCircumstances, Rejected, Step, Verdict};
use crate::core::{
    actual::{Actual, ContainerState, Sighting},
    desired::{Desired, DesiredPod},
    names::PodId,
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

/// What is being wished for, as a retry remembers it.
pub(crate) fn wish_key(wish: Option<&DesiredPod>) -> String {
    match wish {
        None => "gone".into(),
        Some(pod) if !pod.is_running() => "stopped".into(),
        Some(pod) => match &pod.hot {
            Some(hot) => format!("running:{}:{}", pod.container.digest.short(), hot.short()),
            None => format!("running:{}", pod.container.digest.short()),
        },
    }
}

/// Everything the decision about one pod may look at.
struct Pod<'a> {
    wish: Option<&'a DesiredPod>,
    seen: &'a [Sighting],
    known: &'a PodCircumstances,
    now: OffsetDateTime,
    removal_grace: time::Duration,
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
            Some(wish) => self.running(wish),
        };
        match (decision, &self.known.retry) {
            (Decision::Act(_), Some(retry)) if retry.at > self.now && retry.wish == wish_key(self.wish) => {
                Decision::Hold(Hold::RetryAt(retry.clone()))
            }
            (decision, _) => decision,
        }
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

    fn running(&self, wish: &DesiredPod) -> Decision {
        if !wish.missing_secrets.is_empty() {
            return Decision::Hold(Hold::SecretsMissing(wish.missing_secrets.clone()));
        }
        let name = &wish.container.name;
        let (new, others): (Vec<&Sighting>, Vec<&Sighting>) =
            self.seen.iter().partition(|container| container.name == *name);
        let new = new.first().copied();
        if let Some(rejected) = self.known.rejected.as_ref().filter(|rejected| rejected.digest == wish.container.digest)
            && let Some(fallback) = fallback(&others)
        {
            return self.rolled_back(rejected, fallback, new, &others);
        }
        let Some(new) = new else { return self.create(wish, &others) };
        match &new.state {
            ContainerState::Created => act(Cause::Unfinished, start(wish, &others)),
            ContainerState::Exited(exit) => act(Cause::Exited(exit.clone()), start(wish, &others)),
            ContainerState::Paused => Decision::Hold(Hold::PausedByHand),
            ContainerState::Unknown(why) => Decision::Hold(Hold::Unknown(why.clone())),
            ContainerState::Running { .. } | ContainerState::Restarting(_) => self.live(wish, new, &others),
        }
    }

    fn create(&self, wish: &DesiredPod, others: &[&Sighting]) -> Decision {
        let blueprint = &wish.container.blueprint;
        let cause = match fallback(others).or(others.last().copied()) {
            Some(from) => Cause::Changed { from: from.digest.clone(), to: wish.container.digest.clone() },
            None => Cause::Missing,
        };
        let mut steps = vec![
            Step::Image(blueprint.image.clone()),
            Step::Network(blueprint.network.clone()),
            Step::Volume(blueprint.volume.clone()),
            Step::Create(wish.container.name.clone()),
        ];
        steps.extend(start(wish, others));
        act(cause, steps)
    }

    fn live(&self, wish: &DesiredPod, new: &Sighting, others: &[&Sighting]) -> Decision {
        let stop_others = stop_live(others.iter().copied());
        if !stop_others.is_empty() {
            return act(Cause::Duplicate, stop_others);
        }
        if self.known.looping.as_ref() == Some(&new.name) {
            return self.crash_loop(wish, new, others);
        }
        let probe = &wish.declared.adapter.spec.health;
        let health = self.known.health.as_ref().filter(|health| health.container == new.name);
        match (health, fallback(others)) {
            (Some(health), _) if health.ready && !others.is_empty() => {
                return act(Cause::Superseded, remove(others.iter().copied()));
            }
            (Some(health), Some(fallback)) if health.is_overdue(probe, self.now) => {
                let last = health.last_failure.as_deref().unwrap_or("no answer");
                let why = format!("not ready within {}: {last}", probe.startup);
                return reject(wish, new, fallback, why);
            }
            _ => {}
        }
        if let Some(digest) = &wish.hot
            && !self.known.uploaded.as_ref().is_some_and(|up| up.container == new.name && up.digest == *digest)
        {
            return act(Cause::FilesChanged, vec![Step::Upload(new.name.clone(), Files::Hot)]);
        }
        // What was made and never ran is no use to anybody: it need not wait for anything.
        match (others, fallback(others)) {
            ([], _) => Decision::Settled,
            (unused, None) => act(Cause::Superseded, remove(unused.iter().copied())),
            (_, Some(_)) => Decision::Hold(Hold::AwaitingReady),
        }
    }

    fn crash_loop(&self, wish: &DesiredPod, new: &Sighting, others: &[&Sighting]) -> Decision {
        let why = restarts(new);
        match fallback(others) {
            Some(fallback) => reject(wish, new, fallback, why),
            None => rest(new, why),
        }
    }

    fn rolled_back(
        &self,
        rejected: &Rejected,
        fallback: &Sighting,
        new: Option<&Sighting>,
        others: &[&Sighting],
    ) -> Decision {
        let not_ready = || Cause::NotReady(rejected.why.clone());
        let mut steps =
            stop_live(new.into_iter().chain(others.iter().copied().filter(|other| other.name != fallback.name)));
        if !fallback.is_live() {
            steps.push(Step::Start(fallback.name.clone()));
        }
        if !steps.is_empty() {
            return act(not_ready(), steps);
        }
        if fallback.state == ContainerState::Paused {
            return Decision::Hold(Hold::PausedByHand);
        }
        if self.known.looping.as_ref() == Some(&fallback.name) {
            return rest(fallback, restarts(fallback));
        }
        let leftovers = new.into_iter().chain(others.iter().copied().filter(|other| other.name != fallback.name));
        match remove(leftovers) {
            steps if steps.is_empty() => Decision::Hold(Hold::RolledBack(rejected.clone())),
            steps => act(not_ready(), steps),
        }
    }
}

fn act(cause: Cause, steps: Vec<Step>) -> Decision {
    Decision::Act(Action { cause, verdict: None, steps })
}

/// Stops what runs on the pod's volume, then lets the wished container have it.
fn start(wish: &DesiredPod, others: &[&Sighting]) -> Vec<Step> {
    let mut steps = stop_live(others.iter().copied());
    if !wish.declared.adapter.spec.files.is_empty() {
        steps.push(Step::Upload(wish.container.name.clone(), Files::All));
    }
    steps.push(Step::Start(wish.container.name.clone()));
    steps
}

/// Gives up on the wished container and goes back to the one before it.
fn reject(wish: &DesiredPod, new: &Sighting, fallback: &Sighting, why: String) -> Decision {
    Decision::Act(Action {
        cause: Cause::NotReady(why.clone()),
        verdict: Some(Verdict::Reject(Rejected { digest: wish.container.digest.clone(), why })),
        steps: vec![Step::Stop(new.name.clone()), Step::Start(fallback.name.clone())],
    })
}

/// Stops a container that keeps ending; the retry decides when it may try again.
fn rest(container: &Sighting, why: String) -> Decision {
    let steps = vec![Step::Stop(container.name.clone())];
    Decision::Act(Action { cause: Cause::CrashLoop, verdict: Some(Verdict::CrashLoop(why)), steps })
}

fn restarts(container: &Sighting) -> String {
    match &container.state {
        ContainerState::Restarting(exit) => format!("restarted {} times, {exit}", container.restarts),
        _ => format!("restarted {} times", container.restarts),
    }
}

/// The container to go on with when the wished one fails: one that runs, else the newest that ever ran.
fn fallback<'a>(others: &[&'a Sighting]) -> Option<&'a Sighting> {
    let has_run = |other: &&&Sighting| other.state != ContainerState::Created;
    others.iter().filter(has_run).max_by_key(|other| (other.is_live(), other.created_at)).copied()
}

fn stop_live<'a>(containers: impl IntoIterator<Item = &'a Sighting>) -> Vec<Step> {
    containers
        .into_iter()
        .filter(|container| container.is_live())
        .map(|container| Step::Stop(container.name.clone()))
        .collect()
}

fn remove<'a>(containers: impl IntoIterator<Item = &'a Sighting>) -> Vec<Step> {
    containers.into_iter().map(|container| Step::Remove(container.name.clone())).collect()
}
