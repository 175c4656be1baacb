//! How a pod's record changes as actions begin and end. Pure, so that the laws are tested against the very bookkeeping
//! the reconciler persists.

use time::{Duration, OffsetDateTime};

use super::{Action, Files, PodCircumstances, Step, Uploaded, Verdict, decide::wish_key};
use crate::core::{desired::DesiredPod, retry::Retry};

/// How long a pod that crashed must be ready before its crashes are forgotten.
pub const STABLE: Duration = Duration::minutes(10);

impl PodCircumstances {
    /// Forgets what does not matter any more: a rejection of something else than is wished now, crashes long past.
    pub fn tidy(&mut self, wish: Option<&DesiredPod>, now: OffsetDateTime) {
        if wish.is_some_and(|wish| !wish.missing_secrets.is_empty()) {
            // Without its secrets the wished digest is not known: nothing is forgotten for its sake.
            return;
        }
        if let Some(wish) = wish
            && self.rejected.as_ref().is_some_and(|rejected| rejected.digest != wish.container.digest)
        {
            self.rejected = None;
        }
        let stable = self.health.as_ref().is_some_and(|health| health.ready && now - health.since >= STABLE);
        let obsolete = self.retry.as_ref().is_some_and(|retry| retry.wish != wish_key(wish));
        if obsolete || stable {
            self.retry = None;
        }
    }

    /// Takes note of an action's verdict, before its first step.
    pub fn begin(&mut self, action: &Action, wish: Option<&DesiredPod>, now: OffsetDateTime, chance: f64) {
        match &action.verdict {
            None => {}
            Some(Verdict::Reject(rejected)) => self.rejected = Some(rejected.clone()),
            Some(Verdict::CrashLoop(why)) => {
                self.retry = Some(Retry::after(self.retry.as_ref(), &wish_key(wish), why, true, now, chance));
            }
        }
        if uploaded_into(action).is_some() {
            // Until it is known to have worked, nobody knows which files are in there.
            self.uploaded = None;
        }
        self.busy = true;
    }

    /// Takes note of how an action ended: well, or with a failure in a sentence.
    pub fn finish(
        &mut self,
        action: &Action,
        wish: Option<&DesiredPod>,
        outcome: Result<(), String>,
        now: OffsetDateTime,
        chance: f64,
    ) {
        self.busy = false;
        match outcome {
            Err(why) => self.retry = Some(Retry::after(self.retry.as_ref(), &wish_key(wish), why, false, now, chance)),
            Ok(()) => {
                if self.retry.as_ref().is_some_and(|retry| !retry.crash) {
                    self.retry = None;
                }
                if let (Some(container), Some(hot)) = (uploaded_into(action), wish.and_then(|wish| wish.hot.as_ref())) {
                    self.uploaded = Some(Uploaded { container: container.into(), digest: hot.clone() });
                }
            }
        }
    }
}

fn uploaded_into(action: &Action) -> Option<&str> {
    action.steps.iter().find_map(|step| match step {
        Step::Upload(container, Files::All | Files::Hot) => Some(container.as_str()),
        _ => None,
    })
}
