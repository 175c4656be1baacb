//! A pod's status: one phase, the `Ready` condition, one sentence. Derived from the same inputs as the plan,
//! so that pages and the planner cannot disagree.

use serde::Serialize;
use time::OffsetDateTime;

use super::{phase::Phase, reason::Reason};
use crate::core::{
    decide::{
        plan::{Action, Cause, Decision, Hold, PodState, Step},
        retry::FailureKind,
    },
    declare::desired::DesiredPod,
    observe::{
        actual::{ContainerState, ObservedContainer, is_upgrade},
        health::Readiness,
    },
};

/// A pod's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// The `Ready` condition.
    pub ready: bool,
    /// Why, as one word for machines.
    pub reason: Reason,
    /// Why, as a sentence for people.
    pub message: String,
    /// The name of its container: the running one, else the newest.
    pub container: Option<String>,
    /// The engine's ID of that container.
    pub container_id: Option<String>,
    /// The machine that container is on.
    pub node: Option<String>,
}

impl Status {
    /// The same while an image is being pulled for it; `is_stalled`: nothing has been received for a minute. A pod that failed
    /// before keeps its cause.
    #[must_use]
    pub fn pulling(mut self, image: &str, is_stalled: bool) -> Self {
        if !self.phase.needs_attention() {
            (self.phase, self.reason) = (Phase::Pulling, Reason::Pulling);
            self.message = match is_stalled {
                false => format!("pulling {image}"),
                true => format!(
                    "pulling {image}: its registry has sent nothing for a minute; check the registry and the network between"
                ),
            };
        }
        self
    }
}

/// The container that stands for a pod: the one that runs, else the newest that still can.
pub(crate) fn current_container(observed: &[ObservedContainer]) -> Option<&ObservedContainer> {
    observed.iter().max_by_key(|container| (container.is_live(), !container.is_dead(), container.created_at))
}

/// A pod's status in this round.
pub fn status(
    desired: Option<&DesiredPod>,
    observed: &[ObservedContainer],
    decision: &Decision,
    state: &PodState,
    now: OffsetDateTime,
) -> Status {
    let container = current_container(observed);
    let health =
        container.and_then(|container| state.health.as_ref().filter(|health| health.container == container.name));
    let cut_off = desired.zip(container).is_some_and(|(desired, container)| container.is_cut_off(&desired.container));
    let runs = |container: &ObservedContainer| matches!(container.state, ContainerState::Running { .. });
    // A pod whose removal is held is no longer probed: it serves as it did when it was last probed.
    let is_held_removal = matches!(decision, Decision::Hold(Hold::TooManyRemovals(_)));
    let ready = container.is_some_and(runs)
        && !cut_off
        && match health {
            Some(health) => health.is_ready() && (is_held_removal || desired.is_some_and(DesiredPod::is_running)),
            None => is_held_removal,
        };
    let say = |phase: Phase, reason: Reason, message: String| Status {
        phase,
        ready,
        reason,
        message,
        container: container.map(|container| container.name.clone()),
        container_id: container.map(|container| container.id.clone()),
        node: container.map(|container| container.node.clone()),
    };
    match decision {
        Decision::Hold(hold @ Hold::Unknown(_)) => return say(Phase::Unknown, Reason::EngineUnknown, hold.to_string()),
        Decision::Hold(hold @ Hold::SecretsMissing(_)) => {
            return say(Phase::Held, Reason::SecretMissing, hold.to_string());
        }
        Decision::Hold(hold @ Hold::TooManyRemovals(_)) => {
            return say(Phase::Held, Reason::TooManyRemovals, hold.to_string());
        }
        Decision::Hold(hold @ Hold::SubdomainTaken(_)) => {
            return say(Phase::Held, Reason::SubdomainTaken, hold.to_string());
        }
        Decision::Hold(hold @ Hold::VolumeGone { .. }) => {
            return say(Phase::Held, Reason::VolumeGone, hold.to_string());
        }
        Decision::Hold(hold @ Hold::Repeating { .. }) => {
            return say(Phase::Held, Reason::StepFailed, hold.to_string());
        }
        Decision::Hold(hold @ Hold::Paused(_)) => return say(Phase::Stopped, Reason::Paused, hold.to_string()),
        Decision::Act(Action { cause: cause @ Cause::Paused(_), .. }) => {
            return say(Phase::Stopped, Reason::Pausing, cause.to_string());
        }
        Decision::Hold(hold @ Hold::PausedByHand) => return say(Phase::Held, Reason::PausedByHand, hold.to_string()),
        Decision::Hold(hold @ Hold::RetryAt(retry)) if retry.kind == FailureKind::Crash => {
            return say(Phase::CrashLoopBackOff, Reason::CrashLoop, hold.to_string());
        }
        Decision::Hold(hold @ Hold::RetryAt(_)) => {
            let before = |desired: &DesiredPod, container: &ObservedContainer| {
                container.is_live() && desired.is_running() && container.digest != desired.container.digest
            };
            let goes_on = match desired.zip(container).is_some_and(|(desired, container)| before(desired, container)) {
                true => "; its previous container runs until then",
                false => "",
            };
            return say(Phase::Held, Reason::StepFailed, format!("{hold}{goes_on}"));
        }
        Decision::Hold(hold @ (Hold::RemovalGrace(_) | Hold::RemovalSettles(_))) => {
            return say(Phase::Deleting, Reason::Undeclared, hold.to_string());
        }
        Decision::Hold(hold @ Hold::RolledBack(_)) => {
            return say(Phase::RolledBack, Reason::NewContainerFailed, hold.to_string());
        }
        _ => {}
    }
    let Some(desired) = desired else {
        return say(Phase::Deleting, Reason::Undeclared, "it is no longer declared".into());
    };
    if !desired.is_running() {
        return match container.is_some_and(ObservedContainer::is_live) {
            true => say(Phase::Stopped, Reason::Stopping, "it is being stopped".into()),
            false => say(Phase::Stopped, Reason::Stopped, "it is stopped, as declared".into()),
        };
    }
    // While a failed action is tried again, the cause stays in sight.
    if let (Decision::Act(_) | Decision::Hold(Hold::Busy), Some(retry)) = (decision, &state.retry)
        && !(retry.kind == FailureKind::Crash && container.is_some_and(ObservedContainer::is_live))
    {
        let (phase, reason) = match retry.kind == FailureKind::Crash {
            true => (Phase::CrashLoopBackOff, Reason::CrashLoop),
            false => (Phase::Held, Reason::StepFailed),
        };
        return say(
            phase,
            reason,
            format!("attempt {} is under way; the last one failed: {}", retry.failures + 1, retry.why),
        );
    }
    match (decision, container) {
        (Decision::Act(action), container) if action.steps.iter().any(|step| matches!(step, Step::Image(_))) => {
            let phase = if container.is_some() { Phase::Starting } else { Phase::Pending };
            say(phase, Reason::Creating, action.cause.to_string())
        }
        (_, None) => say(Phase::Pending, Reason::Creating, "its container is being created".into()),
        (_, Some(container)) => match (&container.state, health) {
            (ContainerState::Restarting(exit), _) => say(
                Phase::Unhealthy,
                Reason::Restarting,
                format!("its container exited and is being restarted ({exit})"),
            ),
            (ContainerState::Running { .. }, _) if cut_off => {
                let network = &desired.container.blueprint.network;
                say(
                    Phase::Unhealthy,
                    Reason::OffNetwork,
                    format!("its container is not attached to its network {network}"),
                )
            }
            (ContainerState::Running { .. }, Some(health)) if health.is_ready() => {
                say(Phase::Running, Reason::ProbeSucceeded, "it is ready".into())
            }
            (ContainerState::Running { .. }, Some(health)) if health.is_unprobed() => {
                say(Phase::Starting, Reason::NotAskedYet, "its probe has not answered yet".into())
            }
            (ContainerState::Running { .. }, Some(health)) => {
                let startup = desired.declared.adapter.spec.startup(is_upgrade(container, observed));
                let last = health.last_failure.as_deref().unwrap_or("no answer yet");
                if health.readiness == Readiness::Lost || health.is_overdue(startup, now) {
                    let since = if health.readiness == Readiness::Lost {
                        "it was ready and no longer is".into()
                    } else {
                        format!("it did not become ready within {startup}")
                    };
                    let no_way_back = match decision {
                        Decision::Hold(hold @ Hold::Migrating) => format!("; {hold}"),
                        _ => String::new(),
                    };
                    say(Phase::Unhealthy, Reason::ProbeFailed, format!("{since}: {last}{no_way_back}"))
                } else {
                    let waits = format!("it has up to {startup} to become ready: {last}");
                    match state.retry.as_ref().filter(|retry| retry.kind == FailureKind::Crash) {
                        Some(retry) => {
                            let attempt = retry.failures + 1;
                            let message =
                                format!("attempt {attempt} is under way ({waits}); it failed before: {}", retry.why);
                            say(Phase::CrashLoopBackOff, Reason::CrashLoop, message)
                        }
                        None if container.restarts > 0 => {
                            let times = match container.restarts {
                                1 => "once".to_owned(),
                                times => format!("{times} times"),
                            };
                            let message = format!("its container exited and was restarted {times}; {waits}");
                            say(Phase::Unhealthy, Reason::Restarting, message)
                        }
                        None => say(Phase::Starting, Reason::WaitingForProbe, waits),
                    }
                }
            }
            _ => say(Phase::Starting, Reason::Starting, "it is being started".into()),
        },
    }
}
