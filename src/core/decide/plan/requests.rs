//! What people asked for, as the planner takes it: which pod is to be restarted now, why one starts again, and which
//! requests are over. A pause lasts as long as its request is open.

use std::collections::BTreeMap;

use super::{Cause, FleetState, PodState};
use crate::core::{
    decide::request::{EndedRequest, OpenRequest, RequestSpec},
    declare::desired::Desired,
    names::PodId,
    observe::actual::{ContainerState, ObservedContainer},
};

/// What was asked for, by pod, and what is over.
#[derive(Debug, Default)]
pub(crate) struct PodRequests<'a> {
    /// The restart each pod waits for.
    pub restarts: BTreeMap<&'a PodId, &'a OpenRequest>,
    /// Why a pod whose pause is over starts again.
    pub resumed: BTreeMap<&'a PodId, Cause>,
    /// The requests that are over.
    pub ended: Vec<EndedRequest>,
}

/// Reads the requests about pods. Those of a pod with steps under way wait.
pub(crate) fn read<'a>(
    desired: &Desired,
    observed: &BTreeMap<PodId, Vec<ObservedContainer>>,
    state: &'a FleetState,
) -> PodRequests<'a> {
    let blank = PodState::default();
    let mut asked = PodRequests::default();
    for open in &state.requests {
        let Some(pod) = open.request.what.pod() else { continue };
        let pod_state = state.pods.get(pod).unwrap_or(&blank);
        if pod_state.busy {
            continue;
        }
        match &open.request.what {
            RequestSpec::Pause { until, .. } => {
                if pod_state.pause.as_ref().is_none_or(|pause| pause.request != open.id) {
                    let is_over = until.is_some_and(|until| until <= state.now);
                    asked.ended.push(open.done(if is_over { "it is over" } else { "it was resumed" }));
                    if is_over {
                        asked.resumed.insert(pod, Cause::PauseOver(open.request.actor.clone()));
                    }
                }
            }
            RequestSpec::Resume { .. } => {
                asked.ended.push(open.done("its pause is over"));
                asked.resumed.insert(pod, Cause::of(open));
            }
            RequestSpec::Restart { .. } => {
                let desired_pod = desired.pods.get(pod).filter(|desired_pod| desired_pod.is_running());
                let containers = observed.get(pod).map_or(&[][..], Vec::as_slice);
                if desired_pod.is_none() {
                    asked.ended.push(open.refused("it should not run any more"));
                } else if let Some(pause) = &pod_state.pause {
                    asked.ended.push(open.refused(format!("it is paused by {}", pause.words())));
                } else if was_restarted(open, containers, pod_state) {
                    asked.ended.push(open.done("it was started again"));
                } else if open.expires_at.is_some_and(|at| at <= state.now) {
                    let why = pod_state.retry.as_ref().map(|retry| format!(": {}", retry.why)).unwrap_or_default();
                    asked.ended.push(open.refused(format!("it could not be done in time{why}")));
                } else {
                    asked.restarts.entry(pod).or_insert(open);
                }
            }
            RequestSpec::Sync | RequestSpec::Approve { .. } => {}
        }
    }
    asked
}

/// Whether a pod's container was started since that was asked for, by whomever: who dies in between need not do it twice.
fn was_restarted(open: &OpenRequest, containers: &[ObservedContainer], pod_state: &PodState) -> bool {
    let since_then = |container: &ObservedContainer| match container.state {
        ContainerState::Running { since: Some(since) } => since > open.requested_at,
        _ => false,
    };
    containers.iter().any(since_then)
        || pod_state.restart.as_ref().is_some_and(|restart| restart.request == open.id && restart.done)
}
