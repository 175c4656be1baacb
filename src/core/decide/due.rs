//! When the next round is due by the clock alone: a retry, the end of a grace or a pause, the end of a start budget.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::plan::{Decision, Hold, Plan, PodState};
use crate::core::{declare::desired::Desired, names::PodId};

/// The next time at which a decision may change although nothing happens; `None` if there is none.
pub(crate) fn next_due(
    plan: &Plan,
    states: &BTreeMap<PodId, PodState>,
    desired: Option<&Desired>,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    let holds = plan.infra.values().chain(plan.pods.values()).filter_map(|decision| match decision {
        Decision::Hold(Hold::RetryAt(retry)) => Some(retry.at),
        Decision::Hold(Hold::RemovalGrace(until) | Hold::RemovalSettles(until) | Hold::Repeating { until, .. }) => {
            Some(*until)
        }
        Decision::Hold(Hold::Paused(pause)) => pause.until,
        _ => None,
    });
    let starts = states.iter().filter_map(|(id, pod)| {
        let health = pod.health.as_ref().filter(|health| !health.is_ready())?;
        let spec = &desired?.pods.get(id)?.declared.adapter.spec;
        let budgets = [spec.startup(false), spec.startup(true)];
        budgets.into_iter().map(|budget| budget.after(health.since)).filter(|at| *at > now).min()
    });
    let others = states.values().flat_map(|pod| [&pod.fallback_retry, &pod.cleanup_retry, &pod.liveness_retry]);
    let others = others.filter_map(|retry| Some(retry.as_ref()?.at)).filter(|at| *at > now);
    holds.chain(starts).chain(others).min()
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn the_earliest_of_all_waits_is_due_and_without_one_nothing_is() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let id = |text: &str| text.parse::<PodId>().unwrap();
        let grace = |minutes| Decision::Hold(Hold::RemovalGrace(now + Duration::minutes(minutes)));
        let mut plan = Plan::default();
        assert_eq!(next_due(&plan, &BTreeMap::new(), None, now), None);
        plan.pods = [(id("a/one"), grace(3)), (id("a/two"), grace(2)), (id("a/three"), Decision::Settled)].into();
        assert_eq!(next_due(&plan, &BTreeMap::new(), None, now), Some(now + Duration::minutes(2)));
    }
}
