//! How a pod's state changes as actions begin and end. Pure, so that the law tests use the same bookkeeping as
//! the reconciler.

use time::{Duration, OffsetDateTime};

use std::collections::BTreeSet;

use super::{
    Action, Cause, FleetState, Hold, PodState, Presence, Repeated, Restart, Step, Uploaded, Verdict,
    stagger::interrupts,
};
use crate::core::{
    decide::{
        request::{RequestSpec, pause_of},
        retry::{FailureKind, Retry, RetryTarget},
    },
    declare::desired::{Desired, DesiredPod},
    names::PodId,
    observe::actual::{Actual, ObservedContainer},
};

/// How an action failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionFailure {
    /// Why, as a sentence.
    pub(crate) why: String,
    /// The step that failed, if one was tried.
    pub(crate) step: Option<Box<Step>>,
    /// What is at fault.
    pub(crate) fault: Fault,
}

/// What is at fault when an action fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The container: the engine refuses to start it as it is declared.
    Container,
    /// The engine, or what it depends on.
    Engine,
    /// Something else changed the container meanwhile: the pod is planned again at once, but only once.
    Race,
    /// Nothing: the steps were abandoned, because they are no longer wanted or this process may not take them.
    Nobody,
}

impl From<String> for ActionFailure {
    fn from(why: String) -> Self {
        Self { why, step: None, fault: Fault::Engine }
    }
}

/// Steps that succeed again within this time count as repeated. Longer than the longest wait between two.
const REPEAT_WINDOW: Duration = Duration::minutes(3);

/// How long a pod that crashed must be ready before its crashes no longer count.
pub const STABLE: Duration = Duration::minutes(10);

impl FleetState {
    /// Updates every pod's state from what is declared and observed: drops what is obsolete, enters pauses and the
    /// beginning of removals. `was_declared`: whether the database has ever had a pod.
    pub fn refresh(&mut self, desired: &Desired, actual: &Actual, was_declared: impl Fn(&PodId) -> bool) {
        let observed = match actual {
            Actual::Observed(observed) => observed.keys().cloned().collect(),
            Actual::Unknown(_) => BTreeSet::new(),
        };
        for id in observed.into_iter().chain(desired.pods.keys().cloned()) {
            let declared = desired.pods.get(&id);
            let is_known = was_declared(&id);
            let has_run = |container: &ObservedContainer| container.has_run;
            let has_data = matches!(actual, Actual::Observed(all) if all.get(&id).into_iter().flatten().any(has_run));
            let pod = self.pods.entry(id).or_default();
            pod.drop_obsolete(declared, self.now);
            if has_data && declared.is_some() {
                pod.volume_since.get_or_insert(self.now);
            }
            if declared.is_some() {
                pod.undeclared_since = None;
            } else if is_known {
                pod.undeclared_since.get_or_insert(self.now);
            }
        }
        for (id, pod) in &mut self.pods {
            pod.update_allowance(desired.pods.contains_key(id), &self.revision);
            pod.pause = pause_of(&self.requests, id, self.now);
        }
        for open in &self.requests {
            let Some(pod) = open.request.what.pod().and_then(|id| self.pods.get_mut(id)).filter(|pod| !pod.busy) else {
                continue;
            };
            match open.request.what {
                RequestSpec::Retry { .. } => pod.forget_failures(),
                RequestSpec::StartEmpty { .. } if pod.volume == Presence::Missing => pod.volume_since = None,
                _ => {}
            }
        }
    }
}

impl PodState {
    /// Forgets everything that keeps it from being tried again.
    fn forget_failures(&mut self) {
        (self.retry, self.fallback_retry, self.cleanup_retry, self.liveness_retry) = (None, None, None, None);
        (self.rejected, self.repeated) = (None, None);
    }

    /// Drops what is obsolete: a rejection of another declaration, crashes of a container that is stable by now.
    fn drop_obsolete(&mut self, desired: Option<&DesiredPod>, now: OffsetDateTime) {
        // Without its secrets the desired digest is unknown and cannot make anything obsolete.
        if let Some(desired) = desired.filter(|desired| desired.missing_secrets.is_empty())
            && self.rejected.as_ref().is_some_and(|rejected| rejected.digest != desired.container.digest)
        {
            self.rejected = None;
        }
        let stable = self.health.as_ref().is_some_and(|health| health.is_ready() && now - health.since >= STABLE);
        let obsolete = self.retry.as_ref().is_some_and(|retry| retry.target != self.target(desired));
        // A stable container does not clear a failed step: it may be the one from before the change.
        if obsolete || (stable && self.retry.as_ref().is_some_and(|retry| retry.kind == FailureKind::Crash)) {
            self.retry = None;
        }
        if self.retry.is_none() {
            self.fallback_retry = None;
        }
        if stable {
            self.liveness_retry = None;
        }
    }

    /// Withdraws the permission to remove it once it is declared again, and drops the revision that the permission
    /// counted for once another one is in force.
    fn update_allowance(&mut self, is_declared: bool, revision: &str) {
        if is_declared {
            self.removal_allowed = None;
        }
        if let Some(allowed) = &mut self.removal_allowed
            && allowed.revision.as_deref() != Some(revision)
        {
            allowed.revision = None;
        }
    }

    /// What the pod should become, as a retry records it. Without its secrets that is unknown; then it is what was last
    /// attempted.
    pub(crate) fn target(&self, desired: Option<&DesiredPod>) -> RetryTarget {
        let Some(pod) = desired else { return RetryTarget::Gone };
        if self.pause.is_some() {
            return RetryTarget::Paused;
        }
        if !pod.is_running() {
            return RetryTarget::Stopped;
        }
        match self.retry.as_ref().map(|retry| &retry.target) {
            Some(tried @ RetryTarget::Running { .. }) if !pod.missing_secrets.is_empty() => tried.clone(),
            _ => RetryTarget::Running {
                container: pod.container.digest.short().into(),
                files: pod.hot.as_ref().map(|hot| hot.short().into()),
            },
        }
    }

    /// Records an action's verdict, before its first step.
    pub fn begin(&mut self, action: &Action, desired: Option<&DesiredPod>, now: OffsetDateTime, jitter: f64) {
        match &action.verdict {
            None => {}
            Some(Verdict::Reject(rejected)) => self.rejected = Some(rejected.clone()),
            Some(Verdict::CrashLoop(why)) => {
                self.retry = Some(Retry::after(
                    self.retry.as_ref(),
                    &self.target(desired),
                    why,
                    FailureKind::Crash,
                    now,
                    jitter,
                ));
            }
        }
        if let Cause::Requested { request, .. } = action.cause {
            self.restart = Some(Restart { request, done: false });
        }
        if action.uploaded_into().is_some() {
            // Until the upload is known to have worked, the container's files are unknown.
            self.uploaded = None;
        }
        self.busy = true;
        self.is_replaced = interrupts(action);
    }

    /// Whether the steps of an action have succeeded several times in a row lately: then they are not taken again at once.
    /// Twice may be chance.
    pub(crate) fn repeating(&self, action: &Action, now: OffsetDateTime) -> Option<Hold> {
        let last = self.repeated.as_ref().filter(|last| last.steps == action.steps && last.count > 2)?;
        let wait = Duration::seconds(1_i64 << last.count.min(6));
        let until = last.at + wait;
        (now < until).then_some(Hold::Repeating { count: last.count, until })
    }

    /// Records how an action ended.
    pub fn finish(
        &mut self,
        action: &Action,
        desired: Option<&DesiredPod>,
        outcome: Result<(), ActionFailure>,
        now: OffsetDateTime,
        jitter: f64,
    ) {
        (self.busy, self.is_replaced) = (false, false);
        match outcome {
            Err(ActionFailure { fault: Fault::Nobody, .. }) => {}
            Err(failure) => match action.cause {
                Cause::Fallback(_) => {
                    let (last, target) = (self.fallback_retry.as_ref(), RetryTarget::PreviousContainer);
                    self.fallback_retry =
                        Some(Retry::after(last, &target, failure.why, FailureKind::Step, now, jitter));
                }
                Cause::Dead => {
                    let (last, target) = (self.cleanup_retry.as_ref(), RetryTarget::Gone);
                    self.cleanup_retry = Some(Retry::after(last, &target, failure.why, FailureKind::Step, now, jitter));
                }
                _ => {
                    let kind = match failure.fault {
                        Fault::Container => FailureKind::Refused,
                        Fault::Engine | Fault::Race | Fault::Nobody => FailureKind::Step,
                    };
                    let (last, target) = (self.retry.as_ref(), self.target(desired));
                    let mut retry = Retry::after(last, &target, failure.why, kind, now, jitter);
                    if failure.fault == Fault::Race && retry.failures == 1 {
                        retry.at = now;
                    }
                    self.retry = Some(retry);
                }
            },
            Ok(()) => {
                let again =
                    self.repeated.take().filter(|last| last.steps == action.steps && now - last.at < REPEAT_WINDOW);
                let count = again.map_or(0, |last| last.count).saturating_add(1);
                self.repeated = Some(Repeated { steps: action.steps.clone(), count, at: now });
                if let Cause::Requested { request, .. } = action.cause {
                    self.restart = Some(Restart { request, done: true });
                }
                if matches!(action.cause, Cause::Fallback(_)) {
                    self.fallback_retry = None;
                } else if let Cause::Unresponsive { last, .. } = &action.cause {
                    let (before, target) = (self.liveness_retry.as_ref(), self.target(desired));
                    self.liveness_retry = Some(Retry::after(before, &target, last, FailureKind::Step, now, jitter));
                } else if matches!(action.cause, Cause::Dead) {
                    self.cleanup_retry = None;
                } else if self.retry.as_ref().is_some_and(|retry| retry.kind != FailureKind::Crash) {
                    self.retry = None;
                }
                if action.steps.iter().any(|step| matches!(step, Step::Volume(_))) {
                    self.volume_since.get_or_insert(now);
                }
                if let (Some(container), Some(hot)) =
                    (action.uploaded_into(), desired.and_then(|desired| desired.hot.as_ref()))
                {
                    self.uploaded = Some(Uploaded { container: container.into(), digest: hot.clone() });
                }
            }
        }
    }
}
