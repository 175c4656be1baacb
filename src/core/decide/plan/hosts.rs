//! Which pod serves which host name, and which is to: a name must never lead to two pods, even while pods swap names.
//! May only say which pod blocks which; `decide` and `running` decide what to do.

use std::collections::{BTreeMap, BTreeSet};

use super::FleetState;
use crate::core::{
    declare::desired::{Desired, DesiredPod},
    labels,
    names::{PodId, Subdomain},
    observe::actual::ObservedContainer,
};

/// Which pod serves which host name.
pub(crate) struct Hosts<'a> {
    desired: &'a Desired,
    /// The pods with a live container, by the routing rule it carries.
    served: BTreeMap<&'a str, BTreeSet<&'a PodId>>,
    /// The pods that should run, by the routing rule they are declared with.
    declared: BTreeMap<&'a str, &'a PodId>,
    /// Removed pods that still run, by the subdomain they had; their labels may be unknown.
    leaving: BTreeMap<&'a Subdomain, &'a PodId>,
}

impl<'a> Hosts<'a> {
    pub(crate) fn of(
        desired: &'a Desired,
        observed: &'a BTreeMap<PodId, Vec<ObservedContainer>>,
        state: &'a FleetState,
    ) -> Self {
        let mut hosts = Self { desired, served: BTreeMap::new(), declared: BTreeMap::new(), leaving: BTreeMap::new() };
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
            hosts.declared.extend(labels::rules(&desired_pod.container.blueprint.labels).map(|rule| (rule, id)));
        }
        hosts
    }

    /// The other pod that still serves this one's host name.
    pub(crate) fn taken(&self, id: &PodId, desired_pod: &DesiredPod) -> Option<&'a PodId> {
        let leaving = self.leaving.get(&desired_pod.declared.subdomain).copied();
        let others = |rule: &str| self.served.get(rule)?.iter().copied().find(|other| *other != id);
        leaving.or_else(|| labels::rules(&desired_pod.container.blueprint.labels).find_map(others))
    }

    /// The other pod that is declared with this container's host name.
    pub(crate) fn declared_by_other(&self, id: &PodId, container: &ObservedContainer) -> Option<&'a PodId> {
        rules(container).find_map(|rule| self.declared.get(rule).copied().filter(|other| *other != id))
    }

    /// Whether this pod must give up its host name first: pods wait for each other in a cycle, and one must begin.
    pub(crate) fn yields_first(&self, id: &PodId) -> bool {
        let mut waiting = id;
        for _ in 0..self.desired.pods.len() {
            let Some((_, desired_pod)) = self.desired.pods.get_key_value(waiting) else { return false };
            match self.taken(waiting, desired_pod) {
                Some(next) if next == id => return true,
                // Exactly one begins: the first by name.
                Some(next) if next > id => waiting = next,
                _ => return false,
            }
        }
        false
    }
}

/// The rules by which the proxy routes requests to a container.
fn rules(container: &ObservedContainer) -> impl Iterator<Item = &str> {
    container.in_force.iter().filter_map(|in_force| in_force.proxy_labels.as_ref()).flat_map(labels::rules)
}
