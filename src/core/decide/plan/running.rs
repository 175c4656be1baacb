//! What to do about a pod that should run: create, start, replace or stop its container, or go back to the previous one.
//! Containers are identified by the digest on their label; steps refer to them by name.

use super::{
    Action, Cause, Decision, FileSet, Hold, Presence, Rejected, Step, Verdict,
    context::{PodContext, act, remove, secrets_missing, stop_live},
};
use crate::core::{
    decide::{
        request::OpenRequest,
        retry::{FailureKind, Retry},
    },
    declare::{desired::DesiredPod, parts::PartDigests},
    digest::Digest,
    observe::{
        actual::{ContainerState, ObservedContainer, is_upgrade},
        health::Readiness,
    },
};

/// Attempts to start a new container while there is a previous one to go back to. Each is a short outage for the
/// tenant: one failure may be bad luck, two are the container's own fault.
const MAX_ATTEMPTS: u32 = 2;

/// A pod that should run, and its containers.
pub(crate) struct Running<'a> {
    pod: &'a PodContext<'a>,
    desired: &'a DesiredPod,
    /// The digest it should run.
    digest: &'a Digest,
    /// The container of that digest.
    new: Option<&'a ObservedContainer>,
    /// All its other containers.
    others: Vec<&'a ObservedContainer>,
    /// The one to go back to if the new one fails: a running one, else the newest that ever ran.
    fallback: Option<&'a ObservedContainer>,
    /// Whether the new one is the first of another image.
    is_upgrade: bool,
    /// Whether the new one may have migrated the data, so that there is no way back.
    is_migrating: bool,
}

impl<'a> Running<'a> {
    /// `None` if its secrets cannot be read and no container of it ever ran.
    pub(crate) fn of(pod: &'a PodContext<'a>, desired: &'a DesiredPod) -> Option<Self> {
        let ran = |container: &&ObservedContainer| container.has_run;
        let newest = |container: &&ObservedContainer| (container.is_live(), container.created_at);
        let usable = || pod.observed.iter().filter(|container| !container.is_dead());
        let digest = if desired.missing_secrets.is_empty() {
            &desired.container.digest
        } else {
            // The desired digest is unknown, so the current container is kept.
            &usable().filter(ran).max_by_key(newest)?.digest
        };
        let of_digest = usable().filter(|container| container.digest == *digest);
        let by_name = |container: &&ObservedContainer| {
            (container.is_live(), container.name == desired.container.name, container.created_at)
        };
        let new = of_digest.max_by_key(by_name);
        let is_other = |container: &&ObservedContainer| new.is_none_or(|new| new.name != container.name);
        let others: Vec<&ObservedContainer> = usable().filter(is_other).collect();
        // Going back to a container that serves another pod's host name would lead one name to two pods.
        let is_own = |other: &&ObservedContainer| pod.hosts.declared_by_other(&desired.declared.id, other).is_none();
        let before = others.iter().copied().filter(|other| other.digest != *digest).filter(ran);
        let spec = &desired.declared.adapter.spec;
        let is_upgrade = new.is_some_and(|new| is_upgrade(new, pod.observed));
        let is_migrating = spec.upgrade.migrates && is_upgrade && new.is_some_and(|new| new.has_run);
        let fallback = before.filter(is_own).max_by_key(newest).filter(|_| !is_migrating);
        Some(Self { pod, desired, digest, new, others, fallback, is_upgrade, is_migrating })
    }

    /// What to do about it.
    pub(crate) fn decide(&self) -> Decision {
        if let (Some(rejected), Some(fallback)) = (self.rejected(), self.fallback) {
            return self.rolled_back(rejected, fallback);
        }
        if let (Some(new), Some(fallback), Some(retry)) = (self.new, self.fallback, self.pod.retry())
            && self.is_down()
            && retry.kind == FailureKind::Refused
            && retry.failures >= MAX_ATTEMPTS
        {
            return self.reject(new, fallback, format!("it could not be started: {}", retry.why));
        }
        let Some(new) = self.new else { return self.create() };
        match &new.state {
            ContainerState::Created => act(Cause::Unfinished, self.start(&new.name)),
            ContainerState::Exited(_) if self.has_to_rest(new) => self.looping(new),
            ContainerState::Exited(exit) => match (fatal_exit(new), self.fallback) {
                (Some(why), Some(fallback)) => self.reject(new, fallback, why),
                _ => act(Cause::Exited(exit.clone()), self.start(&new.name)),
            },
            ContainerState::Paused => Decision::Hold(Hold::PausedByHand),
            ContainerState::Unknown(why) => Decision::Hold(Hold::Unknown(why.clone())),
            // It was left out above.
            ContainerState::Dead => self.create(),
            ContainerState::Running { .. } | ContainerState::Restarting(_) => self.live(new),
        }
    }

    /// What to do about it when a restart is requested. An action that starts a container anyway is enough.
    pub(crate) fn restart(&self, request: &OpenRequest) -> Decision {
        let usual = self.decide();
        let waits = self.pod.retry().is_some_and(|retry| retry.at > self.pod.now);
        let live = self.new.into_iter().chain(self.others.iter().copied()).find(|container| container.is_live());
        match (usual, live) {
            (Decision::Act(action), _) if !waits && action.started().is_some() => Decision::Act(action),
            (_, Some(live)) => {
                let mut steps = stop_live(self.pod.observed);
                steps.extend(self.start_existing(live));
                act(Cause::of(request), steps)
            }
            (Decision::Act(action), None) if self.pod.has_new_restart() && action.verdict.is_none() => {
                Decision::Act(Action { cause: Cause::of(request), ..action })
            }
            (usual, None) => usual,
        }
    }

    /// What to do until the next attempt: start the previous container if none runs.
    pub(crate) fn fall_back(&self, retry: &Retry) -> Option<Decision> {
        let failed_too =
            self.pod.state.fallback_retry.as_ref().is_some_and(|fallback_retry| fallback_retry.at > self.pod.now);
        let fallback = self.fallback.filter(|_| self.is_down() && self.rejected().is_none() && !failed_too)?;
        Some(act(Cause::Fallback(retry.why.clone()), self.start_existing(fallback)))
    }

    fn create(&self) -> Decision {
        let state = self.pod.state;
        if let Some(since) = state.volume_since {
            let volume = self.desired.volume.name.clone();
            match &state.volume {
                Presence::Present => {}
                Presence::Missing => return Decision::Hold(Hold::VolumeGone { volume, since }),
                Presence::Unknown(why) => return Decision::Hold(Hold::Unknown(format!("volume {volume}: {why}"))),
            }
        }
        let (desired_container, blueprint) = (&self.desired.container, &self.desired.container.blueprint);
        let cause = match self.fallback.or(self.others.last().copied()) {
            Some(from) => Cause::Changed {
                from: from.digest.clone(),
                to: desired_container.digest.clone(),
                parts: PartDigests::of(&desired_container.blueprint).changed_since(&from.parts),
            },
            None => Cause::Missing,
        };
        let mut steps = vec![
            Step::Image(blueprint.image.clone()),
            Step::Network(self.desired.network.clone()),
            Step::Volume(self.desired.volume.clone()),
            Step::Create(self.free_name()),
        ];
        steps.extend(self.start(&self.free_name()));
        act(cause, steps)
    }

    /// The name of the container to create. A dead one of that name may keep it for ever.
    fn free_name(&self) -> String {
        let name = &self.desired.container.name;
        let is_taken = |name: &String| self.pod.observed.iter().any(|container| container.name == *name);
        let numbered = (2..).map(|number: u32| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
    }

    /// Uploads the files, stops whatever uses the pod's volume, then starts the container. Whatever can fail
    /// without an outage comes before the stop.
    fn start(&self, container: &str) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.knows_secrets() && !self.desired.declared.adapter.spec.files.is_empty() {
            steps.push(Step::Upload(container.to_owned(), FileSet::All));
        }
        steps.extend(stop_live(self.others.iter().copied()));
        match self.new {
            Some(new) => steps.extend(self.start_existing(new)),
            None => steps.push(Step::Start(container.to_owned())),
        }
        steps
    }

    /// Starts an existing container, attached to its network.
    fn start_existing(&self, container: &ObservedContainer) -> Vec<Step> {
        let mut steps = Vec::new();
        if container.is_cut_off(&self.desired.container) {
            let network = &self.desired.network;
            steps.push(Step::Network(network.clone()));
            steps.push(Step::Attach(container.name.clone(), network.name.clone()));
        }
        steps.push(Step::Start(container.name.clone()));
        steps
    }

    fn live(&self, new: &ObservedContainer) -> Decision {
        let state = self.pod.state;
        let stop_others = stop_live(self.others.iter().copied());
        if !stop_others.is_empty() {
            return act(Cause::Duplicate, stop_others);
        }
        if state.looping.as_ref() == Some(&new.name) {
            return self.looping(new);
        }
        if let (Some(why), Some(fallback)) = (fatal_exit(new), self.fallback) {
            return self.reject(new, fallback, why);
        }
        if let Some(reconnect) = self.reconnect(new) {
            return reconnect;
        }
        let startup = self.desired.declared.adapter.spec.startup(self.is_upgrade);
        let health = state.health.as_ref().filter(|health| health.container == new.name);
        match (health, self.fallback) {
            (Some(health), _) if health.is_ready() && !self.others.is_empty() => {
                return act(Cause::Superseded, remove(self.others.iter().copied()));
            }
            (Some(health), Some(fallback)) if health.is_overdue(startup, self.pod.now) => {
                let last = health.last_failure.as_deref().unwrap_or("no answer");
                return self.reject(new, fallback, format!("not ready within {startup}: {last}"));
            }
            _ => {}
        }
        if let Some(restart) = self.restart_unresponsive(new) {
            return restart;
        }
        if !self.knows_secrets() {
            return secrets_missing(self.desired);
        }
        // A container that was renamed has the files that were uploaded under its first name.
        let filled = |container: &str| container == new.name || container == self.desired.container.name;
        if let Some(digest) = &self.desired.hot
            && !state.uploaded.as_ref().is_some_and(|up| filled(&up.container) && up.digest == *digest)
        {
            return act(Cause::FilesChanged, vec![Step::Upload(new.name.clone(), FileSet::Hot)]);
        }
        // A container that never ran is no fallback and can go at once.
        match (self.others.as_slice(), self.fallback) {
            ([], _) => Decision::Settled,
            (_, None) if self.is_migrating => Decision::Hold(Hold::Migrating),
            (unused, None) => act(Cause::Superseded, remove(unused.iter().copied())),
            (_, Some(_)) => Decision::Hold(Hold::AwaitingReady),
        }
    }

    /// Restarts a container that was ready and does not answer any more, if its adapter wants that.
    fn restart_unresponsive(&self, container: &ObservedContainer) -> Option<Decision> {
        let liveness = self.desired.declared.adapter.spec.liveness.as_ref()?;
        let health = self.pod.state.health.as_ref().filter(|health| health.container == container.name)?;
        let waits = self.pod.state.liveness_retry.as_ref().is_some_and(|retry| retry.at > self.pod.now);
        let is_gone = health.readiness == Readiness::Lost && health.failures >= liveness.failures;
        (is_gone && !waits).then(|| {
            let last = health.last_failure.clone().unwrap_or_default();
            let steps = vec![Step::Stop(container.name.clone()), Step::Start(container.name.clone())];
            act(Cause::Unresponsive { failures: health.failures, last }, steps)
        })
    }

    /// A container without its network reaches nobody and nobody reaches it. It is restarted too: the
    /// proxy notices a container's new address only then.
    fn reconnect(&self, container: &ObservedContainer) -> Option<Decision> {
        let runs = matches!(container.state, ContainerState::Running { .. });
        (runs && container.is_cut_off(&self.desired.container)).then(|| {
            let mut steps = vec![Step::Stop(container.name.clone())];
            steps.extend(self.start_existing(container));
            act(Cause::OffNetwork(self.desired.container.blueprint.network.clone()), steps)
        })
    }

    fn rolled_back(&self, rejected: &Rejected, fallback: &ObservedContainer) -> Decision {
        let rest_of_it = || {
            let others = self.others.iter().copied().filter(|other| other.name != fallback.name);
            self.new.into_iter().chain(others)
        };
        let mut steps = stop_live(rest_of_it());
        if !fallback.is_live() {
            steps.extend(self.start_existing(fallback));
        }
        if !steps.is_empty() {
            return act(Cause::NotReady(rejected.why.clone()), steps);
        }
        if fallback.state == ContainerState::Paused {
            return Decision::Hold(Hold::PausedByHand);
        }
        if self.pod.state.looping.as_ref() == Some(&fallback.name) {
            return stop_looping(fallback, restarts(fallback));
        }
        if let Some(reconnect) = self.reconnect(fallback) {
            return reconnect;
        }
        match remove(rest_of_it()) {
            steps if steps.is_empty() => Decision::Hold(Hold::RolledBack(rejected.clone())),
            steps => act(Cause::Rejected, steps),
        }
    }

    /// Rejects the new container and goes back to the previous one.
    fn reject(&self, new: &ObservedContainer, fallback: &ObservedContainer, why: String) -> Decision {
        let mut steps = stop_live([new]);
        steps.extend(self.start_existing(fallback));
        Decision::Act(Action {
            cause: Cause::NotReady(why.clone()),
            verdict: Some(Verdict::Reject(Rejected { digest: self.digest.clone(), why })),
            steps,
        })
    }

    /// Whether it has exited too often and was not stopped for that yet.
    fn has_to_rest(&self, new: &ObservedContainer) -> bool {
        let rested = self.pod.retry().is_some_and(|retry| retry.kind == FailureKind::Crash);
        self.pod.state.looping.as_ref() == Some(&new.name) && !rested
    }

    /// What to do about a container that restarts too often.
    fn looping(&self, new: &ObservedContainer) -> Decision {
        let why = restarts(new);
        match self.fallback {
            Some(fallback) => self.reject(new, fallback, why),
            None => stop_looping(new, why),
        }
    }

    fn rejected(&self) -> Option<&Rejected> {
        self.pod.state.rejected.as_ref().filter(|rejected| rejected.digest == *self.digest)
    }

    fn is_down(&self) -> bool {
        !self.pod.observed.iter().any(ObservedContainer::is_live)
    }

    fn knows_secrets(&self) -> bool {
        self.desired.missing_secrets.is_empty()
    }
}

/// Stops a container that keeps exiting; the retry decides when it is started again.
fn stop_looping(container: &ObservedContainer, why: String) -> Decision {
    let steps = vec![Step::Stop(container.name.clone())];
    Decision::Act(Action { cause: Cause::CrashLoop, verdict: Some(Verdict::CrashLoop(why)), steps })
}

/// Why a container that was never ready has failed for good, if it has: it ended with an error.
fn fatal_exit(container: &ObservedContainer) -> Option<String> {
    match &container.state {
        ContainerState::Restarting(exit) if exit.code != 0 => Some(format!("it ended before it was ready ({exit})")),
        // A higher code is that of a signal: somebody, or this program, stopped it.
        ContainerState::Exited(exit) if container.has_run && (1..=125).contains(&exit.code) => {
            Some(format!("it ended before it was ready ({exit})"))
        }
        _ => None,
    }
}

fn restarts(container: &ObservedContainer) -> String {
    match &container.state {
        ContainerState::Exited(exit) => format!("it ended again and again ({exit})"),
        ContainerState::Restarting(exit) => format!("restarted {} times, {exit}", container.restarts),
        _ => format!("restarted {} times", container.restarts),
    }
}
