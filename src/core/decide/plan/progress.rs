//! How a pod's state changes as actions begin and end. Pure, so that the laws are tested with the same bookkeeping that
//! the reconciler writes down.

use time::{Duration, OffsetDateTime};

use std::collections::BTreeSet;

use super::{Action, Cause, FileSet, FleetState, PodState, Restart, Step, Uploaded, Verdict};
use crate::core::{
    decide::{
        request::pause_of,
        retry::{Retry, RetryTarget},
    },
    declare::desired::{Desired, DesiredPod},
    names::PodId,
    observe::actual::Actual,
};

/// How an action failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionFailure {
    /// In a sentence.
    pub why: String,
    /// The step that failed, if one was tried.
    pub step: Option<Box<Step>>,
    /// Whether somebody else was faster: the pod is planned again at once, but only once.
    pub is_race: bool,
}

impl From<String> for ActionFailure {
    fn from(why: String) -> Self {
        Self { why, step: None, is_race: false }
    }
}

/// How long a pod that crashed must be ready before its crashes are forgotten.
pub const STABLE: Duration = Duration::minutes(10);

impl FleetState {
    /// Brings every pod's state up to date with what is declared and observed: what does not matter any more is
    /// forgotten, pauses and the beginning of removals are entered. `was_declared`: the pods that ever were.
    pub fn refresh(&mut self, desired: &Desired, actual: &Actual, was_declared: impl Fn(&PodId) -> bool) {
        let observed = match actual {
            Actual::Observed(observed) => observed.keys().cloned().collect(),
            Actual::Unknown(_) => BTreeSet::new(),
        };
        for id in observed.into_iter().chain(desired.pods.keys().cloned()) {
            let declared = desired.pods.get(&id);
            let is_known = was_declared(&id);
            let pod = self.pods.entry(id).or_default();
            pod.tidy(declared, self.now);
            if declared.is_some() {
                pod.undeclared_since = None;
            } else if is_known {
                pod.undeclared_since.get_or_insert(self.now);
            }
        }
        for (id, pod) in &mut self.pods {
            pod.keep_allowance(desired.pods.contains_key(id), &self.revision);
            pod.pause = pause_of(&self.requests, id, self.now);
        }
    }
}

impl PodState {
    /// Forgets what does not matter any more: a rejection of another declaration, crashes long past.
    fn tidy(&mut self, desired: Option<&DesiredPod>, now: OffsetDateTime) {
        // Without its secrets the desired digest is unknown, so nothing is forgotten because of it.
        if let Some(desired) = desired.filter(|desired| desired.missing_secrets.is_empty())
            && self.rejected.as_ref().is_some_and(|rejected| rejected.digest != desired.container.digest)
        {
            self.rejected = None;
        }
        let stable = self.health.as_ref().is_some_and(|health| health.ready && now - health.since >= STABLE);
        let obsolete = self.retry.as_ref().is_some_and(|retry| retry.target != self.target(desired));
        // That a container runs well says nothing of steps that failed: it may be the one before the change.
        if obsolete || (stable && self.retry.as_ref().is_some_and(|retry| retry.crash)) {
            self.retry = None;
        }
        if self.retry.is_none() {
            self.going_back = None;
        }
    }

    /// Forgets that it may be removed, once it is declared again; and which revision that counted for, once another one is
    /// in force.
    fn keep_allowance(&mut self, is_declared: bool, revision: &str) {
        if is_declared {
            self.removal_allowed = None;
        }
        if let Some(allowed) = &mut self.removal_allowed
            && allowed.revision.as_deref() != Some(revision)
        {
            allowed.revision = None;
        }
    }

    /// What the pod should become, as a retry remembers it. Without its secrets that is unknown: then it is what was
    /// last tried.
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
    pub fn begin(&mut self, action: &Action, desired: Option<&DesiredPod>, now: OffsetDateTime, chance: f64) {
        match &action.verdict {
            None => {}
            Some(Verdict::Reject(rejected)) => self.rejected = Some(rejected.clone()),
            Some(Verdict::CrashLoop(why)) => {
                self.retry = Some(Retry::after(self.retry.as_ref(), &self.target(desired), why, true, now, chance));
            }
        }
        if let Cause::Requested { request, .. } = action.cause {
            self.restart = Some(Restart { request, done: false });
        }
        if uploaded_into(action).is_some() {
            // Until it is known to have worked, nobody knows which files are in there.
            self.uploaded = None;
        }
        self.busy = true;
    }

    /// Records how an action ended.
    pub fn finish(
        &mut self,
        action: &Action,
        desired: Option<&DesiredPod>,
        outcome: Result<(), ActionFailure>,
        now: OffsetDateTime,
        chance: f64,
    ) {
        self.busy = false;
        match outcome {
            Err(failure) => match action.cause {
                Cause::GoingBack(_) => {
                    let last = self.going_back.as_ref();
                    self.going_back =
                        Some(Retry::after(last, &RetryTarget::PreviousContainer, failure.why, false, now, chance));
                }
                _ => {
                    let mut retry =
                        Retry::after(self.retry.as_ref(), &self.target(desired), failure.why, false, now, chance);
                    if failure.is_race && retry.failures == 1 {
                        retry.at = now;
                    }
                    self.retry = Some(retry);
                }
            },
            Ok(()) => {
                if let Cause::Requested { request, .. } = action.cause {
                    self.restart = Some(Restart { request, done: true });
                }
                if matches!(action.cause, Cause::GoingBack(_)) {
                    self.going_back = None;
                } else if self.retry.as_ref().is_some_and(|retry| !retry.crash) {
                    self.retry = None;
                }
                if let (Some(container), Some(hot)) =
                    (uploaded_into(action), desired.and_then(|desired| desired.hot.as_ref()))
                {
                    self.uploaded = Some(Uploaded { container: container.into(), digest: hot.clone() });
                }
            }
        }
    }
}

fn uploaded_into(action: &Action) -> Option<&str> {
    action.steps.iter().find_map(|step| match step {
        Step::Upload(container, FileSet::All | FileSet::Hot) => Some(container.as_str()),
        _ => None,
    })
}
