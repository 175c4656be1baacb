//! Which containers have to be probed: the standing container of every pod that should run, while it runs.

use time::OffsetDateTime;

use crate::core::{
    declare::desired::{Desired, DesiredPod},
    names::PodId,
    observe::actual::{Actual, ContainerState, ObservedContainer},
    report::status::current_container,
};

/// A container to be probed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbeTarget<'a> {
    /// Its pod.
    pub(crate) pod: &'a PodId,
    /// What the pod should be.
    pub(crate) desired: &'a DesiredPod,
    /// The container.
    pub(crate) container: &'a ObservedContainer,
    /// When this run of it began, if the engine says so.
    pub(crate) since: Option<OffsetDateTime>,
}

/// Every container that has to be probed, in order of the pods.
pub(crate) fn probe_targets<'a>(desired: &'a Desired, actual: &'a Actual) -> impl Iterator<Item = ProbeTarget<'a>> {
    let target = |(pod, declared): (&'a PodId, &'a DesiredPod)| {
        let Actual::Observed(observed) = actual else { return None };
        let container = current_container(observed.get(pod)?)?;
        match container.state {
            ContainerState::Running { since } if declared.is_running() => {
                Some(ProbeTarget { pod, desired: declared, container, since })
            }
            _ => None,
        }
    };
    desired.pods.iter().filter_map(target)
}
