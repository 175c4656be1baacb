//! Whether a revision is carried out, and whether the fleet is healthy: two things. One pod that does not come up leaves a
//! revision synced, because there is nothing left to do for it, and the fleet unhealthy.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Decision, Hold, Plan};
use crate::core::{
    declare::desired::Desired,
    names::PodId,
    report::{phase::Phase, status::Status},
};

/// The declared pods that are settled, and ready if they should run.
pub(crate) fn applied_pods(desired: &Desired, plan: &Plan, statuses: &BTreeMap<PodId, Status>) -> BTreeSet<PodId> {
    let is_applied = |id: &PodId, is_running: bool| {
        let is_up = !is_running || statuses.get(id).is_some_and(|status| status.ready);
        is_up && matches!(plan.pods.get(id), Some(Decision::Settled))
    };
    let applied = desired.pods.iter().filter(|(id, pod)| is_applied(id, pod.is_running()));
    applied.map(|(id, _)| id.clone()).collect()
}

/// Whether everything is done that can be done for now: no pod has steps to take or is being looked at.
pub(crate) fn is_synced(desired: &Desired, plan: &Plan) -> bool {
    let all_planned = desired.pods.keys().all(|id| plan.pods.contains_key(id));
    all_planned && plan.pods.values().all(is_done)
}

/// Whether nothing more is done about a pod until something else changes: a person, a secret, the time of a retry.
fn is_done(decision: &Decision) -> bool {
    match decision {
        Decision::Settled => true,
        Decision::Act(_) => false,
        Decision::Hold(hold) => match hold {
            Hold::Unknown(_)
            | Hold::Busy
            | Hold::AwaitingReady
            | Hold::Migrating
            | Hold::Staggered { .. }
            | Hold::Repeating { .. }
            | Hold::SubdomainTaken(_)
            | Hold::RemovalSettles(_) => false,
            // The revision removes these pods, and has not.
            Hold::TooManyRemovals(_) => false,
            Hold::RetryAt(_)
            | Hold::SecretsMissing(_)
            | Hold::VolumeGone { .. }
            | Hold::RolledBack(_)
            | Hold::RemovalGrace(_)
            | Hold::Paused(_)
            | Hold::PausedByHand
            | Hold::NeverDeclared => true,
        },
    }
}

/// Whether every declared pod is at rest or ready, and none needs attention.
pub(crate) fn is_healthy(desired: &Desired, statuses: &BTreeMap<PodId, Status>) -> bool {
    let is_well = |status: &Status| !status.phase.needs_attention() && (status.ready || status.phase == Phase::Stopped);
    desired.pods.keys().all(|id| statuses.get(id).is_some_and(is_well))
}
