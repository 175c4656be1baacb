//! How many running pods are interrupted at a time by changes of what is declared: a change of an adapter touches every pod
//! of it, and must not take all of them down at once. May only hold; restarts that somebody requested are not held.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Action, Cause, Decision, FleetState, Hold, Step};
use crate::core::{
    declare::desired::{Desired, DesiredPod},
    names::PodId,
};

/// How many pods may be unavailable at a time because they are replaced: a percentage of those that should run, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MaxUnavailable(pub usize);

impl Default for MaxUnavailable {
    fn default() -> Self {
        Self(10)
    }
}

impl MaxUnavailable {
    fn of(self, pods: usize) -> usize {
        (pods.saturating_mul(self.0) / 100).max(1)
    }
}

/// Whether an action interrupts a pod that runs because what is declared has changed.
pub(crate) fn interrupts(action: &Action) -> bool {
    matches!(action.cause, Cause::Changed { .. }) && action.steps.iter().any(|step| matches!(step, Step::Stop(_)))
}

/// Holds replacements beyond the limit, in order of the pods.
pub(super) fn stagger(pods: &mut BTreeMap<PodId, Decision>, desired: &Desired, state: &FleetState) {
    let limit = state.max_unavailable.of(desired.pods.values().filter(|pod| DesiredPod::is_running(pod)).count());
    let is_replaced = |(id, decision): (&PodId, &Decision)| match decision {
        Decision::Hold(Hold::Busy) => state.pods.get(id).is_some_and(|pod| pod.is_replaced),
        Decision::Hold(Hold::AwaitingReady | Hold::Migrating) => true,
        _ => false,
    };
    let mut unavailable = pods.iter().filter(|(id, decision)| is_replaced((id, decision))).count();
    for decision in pods.values_mut() {
        if decision.action().is_some_and(interrupts) {
            if unavailable < limit {
                unavailable += 1;
            } else {
                *decision = Decision::Hold(Hold::Staggered { limit });
            }
        }
    }
}
