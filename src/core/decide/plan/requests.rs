//! Open requests as the planner reads them: which pod to restart now, why a paused one starts again, and which
//! requests end. A pause lasts as long as its request is open.

use std::collections::BTreeMap;

use super::{Cause, FleetState, PodState};
use crate::core::{
    decide::request::{EndedRequest, OpenRequest, RequestSpec},
    declare::desired::Desired,
    names::PodId,
    observe::actual::{ContainerState, ObservedContainer},
};

/// What open requests mean for each pod, and which of them end.
#[derive(Debug, Default)]
pub(crate) struct PodRequests<'a> {
    /// The restart requested of each pod.
    pub(crate) restarts: BTreeMap<&'a PodId, &'a OpenRequest>,
    /// Why each pod whose pause is over starts again.
    pub(crate) resumed: BTreeMap<&'a PodId, Cause>,
    /// The requests that end.
    pub(crate) ended: Vec<EndedRequest>,
}

/// Reads the requests about pods. Those about a busy pod wait.
pub fn read<'a>(
    desired: &Desired,
    observed: &BTreeMap<PodId, Vec<ObservedContainer>>,
    state: &'a FleetState,
) -> PodRequests<'a> {
    let default_state = PodState::default();
    let mut requests = PodRequests::default();
    for open in &state.requests {
        let Some(pod) = open.request.what.pod() else { continue };
        let pod_state = state.pods.get(pod).unwrap_or(&default_state);
        if pod_state.busy {
            continue;
        }
        match &open.request.what {
            RequestSpec::Pause { until, .. } => {
                if pod_state.pause.as_ref().is_none_or(|pause| pause.request != open.id) {
                    let is_over = until.is_some_and(|until| until <= state.now);
                    requests.ended.push(open.done(if is_over { "the pause is over" } else { "it was resumed" }));
                    if is_over {
                        requests.resumed.insert(pod, Cause::PauseOver(open.request.actor.clone()));
                    }
                }
            }
            RequestSpec::Resume { .. } => {
                requests.ended.push(open.done("the pause is over"));
                requests.resumed.insert(pod, Cause::of(open));
            }
            // Their effect is in the pod's state, which was updated before the decision.
            RequestSpec::StartEmpty { .. } if pod_state.volume_since.is_some() => {
                requests.ended.push(open.refused("its data volume is not gone"));
            }
            RequestSpec::StartEmpty { .. } => requests.ended.push(open.done("it starts with an empty volume")),
            RequestSpec::Retry { .. } => requests.ended.push(open.done("it is tried again now")),
            RequestSpec::Restart { .. } => {
                let desired_pod = desired.pods.get(pod).filter(|desired_pod| desired_pod.is_running());
                let containers = observed.get(pod).map_or(&[][..], Vec::as_slice);
                if desired_pod.is_none() {
                    requests.ended.push(open.refused("it is no longer declared running"));
                } else if let Some(pause) = &pod_state.pause {
                    requests.ended.push(open.refused(format!("it is paused by {}", pause.describe())));
                } else if was_restarted(open, containers, pod_state) {
                    requests.ended.push(open.done("the container was restarted"));
                } else if open.expires_at.is_some_and(|at| at <= state.now) {
                    let why = pod_state.retry.as_ref().map(|retry| format!(": {}", retry.why)).unwrap_or_default();
                    requests.ended.push(open.refused(format!("the container could not be restarted in time{why}")));
                } else {
                    requests.restarts.entry(pod).or_insert(open);
                }
            }
            RequestSpec::Sync | RequestSpec::Approve { .. } => {}
        }
    }
    requests
}

/// Whether a container of the pod was started after the request, by whomever: a daemon that died in between must not
/// restart it twice.
fn was_restarted(open: &OpenRequest, containers: &[ObservedContainer], pod_state: &PodState) -> bool {
    let since_then = |container: &ObservedContainer| match container.state {
        ContainerState::Running { since: Some(since) } => since > open.requested_at,
        _ => false,
    };
    containers.iter().any(since_then)
        || pod_state.restart.as_ref().is_some_and(|restart| restart.request == open.id && restart.done)
}
