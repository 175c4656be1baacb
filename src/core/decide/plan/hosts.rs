//! Who answers at which host name, and who is to: one name must never lead to two pods, also while pods trade names. May
//! only say who is in whose way; what is then done to a pod is decided in `decide` and `running`.

use std::collections::{BTreeMap, BTreeSet};

use super::FleetState;
use crate::core::{
    declare::desired::{Desired, DesiredPod},
    labels,
    names::{PodId, Subdomain},
    observe::actual::ObservedContainer,
};

/// Who answers where.
pub(crate) struct Hosts<'a> {
    desired: &'a Desired,
    /// The pods with a live container that carries a proxy's rule.
    served: BTreeMap<&'a str, BTreeSet<&'a PodId>>,
    /// The pods that should run, by the rule they claim.
    claimed: BTreeMap<&'a str, &'a PodId>,
    /// The subdomains of pods that still run and are not declared any more, whatever is known of their labels.
    leaving: BTreeMap<&'a Subdomain, &'a PodId>,
}

impl<'a> Hosts<'a> {
    pub fn of(
        desired: &'a Desired,
        observed: &'a BTreeMap<PodId, Vec<ObservedContainer>>,
        state: &'a FleetState,
    ) -> Self {
        let mut hosts = Self { desired, served: BTreeMap::new(), claimed: BTreeMap::new(), leaving: BTreeMap::new() };
        for (id, containers) in observed {
            for rule in containers.iter().filter(|container| container.is_live()).flat_map(rules) {
                hosts.served.entry(rule).or_default().insert(id);
            }
            let pod_state = state.pods.get(id).filter(|pod_state| pod_state.undeclared_since.is_some());
            let is_leaving = !desired.pods.contains_key(id) && containers.iter().any(ObservedContainer::is_live);
            if let Some(subdomain) = pod_state.filter(|_| is_leaving).and_then(|pod_state| pod_state.subdomain.as_ref())
            {
                hosts.leaving.insert(subdomain, id);
            }
        }
        for (id, desired_pod) in desired.pods.iter().filter(|(_, desired_pod)| desired_pod.is_running()) {
            hosts.claimed.extend(labels::rules(&desired_pod.container.blueprint.labels).map(|rule| (rule, id)));
        }
        hosts
    }

    /// The other pod that still answers where this one is to.
    pub fn taken(&self, id: &PodId, desired_pod: &DesiredPod) -> Option<&'a PodId> {
        let leaving = self.leaving.get(&desired_pod.declared.subdomain).copied();
        let others = |rule: &str| self.served.get(rule)?.iter().copied().find(|other| *other != id);
        leaving.or_else(|| labels::rules(&desired_pod.container.blueprint.labels).find_map(others))
    }

    /// The other pod that is to answer where this container does.
    pub fn claimed_by_other(&self, id: &PodId, container: &ObservedContainer) -> Option<&'a PodId> {
        rules(container).find_map(|rule| self.claimed.get(rule).copied().filter(|other| *other != id))
    }

    /// Whether this pod has to make room first: pods wait for each other in a circle, and one of them has to begin.
    pub fn begins(&self, id: &PodId) -> bool {
        let mut waiting = id;
        for _ in 0..self.desired.pods.len() {
            let Some((_, desired_pod)) = self.desired.pods.get_key_value(waiting) else { return false };
            match self.taken(waiting, desired_pod) {
                Some(next) if next == id => return true,
                // Only one begins: the first by name.
                Some(next) if next > id => waiting = next,
                _ => return false,
            }
        }
        false
    }
}

/// The rules by which the proxy leads requests to a container.
fn rules(container: &ObservedContainer) -> impl Iterator<Item = &str> {
    container.in_force.iter().filter_map(|in_force| in_force.proxy_labels.as_ref()).flat_map(labels::rules)
}
