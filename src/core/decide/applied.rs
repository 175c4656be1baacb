//! Whether everything runs as declared, as a whole and pod by pod.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Decision, Hold, Plan};
use crate::core::{declare::desired::Desired, names::PodId, report::status::Status};

/// The declared pods that are settled, and ready if they should run.
pub(crate) fn applied_pods(desired: &Desired, plan: &Plan, statuses: &BTreeMap<PodId, Status>) -> BTreeSet<PodId> {
    let is_applied = |id: &PodId, is_running: bool| {
        let is_up = !is_running || statuses.get(id).is_some_and(|status| status.ready);
        is_up && matches!(plan.pods.get(id), Some(Decision::Settled))
    };
    let applied = desired.pods.iter().filter(|(id, pod)| is_applied(id, pod.is_running()));
    applied.map(|(id, _)| id.clone()).collect()
}

/// Whether every declared pod is applied, and of the others nothing is left but containers that are kept for a while.
pub(crate) fn is_applied(desired: &Desired, plan: &Plan, statuses: &BTreeMap<PodId, Status>) -> bool {
    let is_over = |decision: &Decision| matches!(decision, Decision::Settled | Decision::Hold(Hold::RemovalGrace(_)));
    let others = plan.pods.iter().filter(|(id, _)| !desired.pods.contains_key(*id));
    others.map(|(_, decision)| decision).all(is_over)
        && applied_pods(desired, plan, statuses).len() == desired.pods.len()
}
