//! What people asked for, as the planner takes it: which pod is to be restarted now, why one starts again, and which
//! requests are over. A pause lasts as long as its request is open.

use std::collections::BTreeMap;

use super::{Cause, Circumstances, PodCircumstances};
use crate::core::{
    actual::{ContainerState, Sighting},
    desired::Desired,
    names::PodId,
    request::{Ended, Open, What},
};

/// What was asked for, by pod, and what is over.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    /// The restart each pod waits for.
    pub restarts: BTreeMap<&'a PodId, &'a Open>,
    /// Why a pod whose pause is over starts again.
    pub resumed: BTreeMap<&'a PodId, Cause>,
    /// The requests that are over.
    pub ended: Vec<Ended>,
}

/// Reads the requests about pods. Those of a pod with steps under way wait.
pub(super) fn read<'a>(
    desired: &Desired,
    seen: &BTreeMap<PodId, Vec<Sighting>>,
    circumstances: &'a Circumstances,
) -> Asked<'a> {
    let blank = PodCircumstances::default();
    let mut asked = Asked::default();
    for open in &circumstances.requests {
        let Some(pod) = open.request.what.pod() else { continue };
        let known = circumstances.pods.get(pod).unwrap_or(&blank);
        if known.busy {
            continue;
        }
        match &open.request.what {
            What::Pause { until, .. } => {
                if known.pause.as_ref().is_none_or(|pause| pause.request != open.id) {
                    let is_over = until.is_some_and(|until| until <= circumstances.now);
                    asked.ended.push(open.done(if is_over { "it is over" } else { "it was resumed" }));
                    if is_over {
                        asked.resumed.insert(pod, Cause::PauseOver(open.request.actor.clone()));
                    }
                }
            }
            What::Resume { .. } => {
                asked.ended.push(open.done("its pause is over"));
                asked.resumed.insert(pod, Cause::of(open));
            }
            What::Restart { .. } => {
                let wish = desired.pods.get(pod).filter(|wish| wish.is_running());
                let containers = seen.get(pod).map_or(&[][..], Vec::as_slice);
                if wish.is_none() {
                    asked.ended.push(open.refused("it should not run any more"));
                } else if let Some(pause) = &known.pause {
                    asked.ended.push(open.refused(format!("it is paused by {}", pause.words())));
                } else if was_restarted(open, containers, known) {
                    asked.ended.push(open.done("it was started again"));
                } else if open.expires_at.is_some_and(|at| at <= circumstances.now) {
                    let why = known.retry.as_ref().map(|retry| format!(": {}", retry.why)).unwrap_or_default();
                    asked.ended.push(open.refused(format!("it could not be done in time{why}")));
                } else {
                    asked.restarts.entry(pod).or_insert(open);
                }
            }
            What::Sync | What::Approve { .. } => {}
        }
    }
    asked
}

/// Whether a pod's container was started since that was asked for, by whomever: who dies in between need not do it twice.
fn was_restarted(open: &Open, containers: &[Sighting], known: &PodCircumstances) -> bool {
    let since_then = |container: &Sighting| match container.state {
        ContainerState::Running { since: Some(since) } => since > open.asked_at,
        _ => false,
    };
    containers.iter().any(since_then)
        || known.restart.as_ref().is_some_and(|restart| restart.request == open.id && restart.done)
}
