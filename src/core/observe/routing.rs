//! Whether a pod's host name leads to its container, as far as that can be observed: by the labels that the proxy reads
//! and by the network on which it reaches containers. No request is sent. This only reports; it leads to no step.

use super::{
    actual::{ContainerState, ObservedContainer},
    condition::{Condition, ConditionKind},
};
use crate::core::{declare::desired::ContainerSpec, labels, report::reason::Reason};

/// The condition of a pod with this current container.
pub fn routed(desired: Option<&ContainerSpec>, container: Option<&ObservedContainer>) -> Condition {
    let not = |why: String| Condition::new(ConditionKind::Routed, false, Reason::NotRouted, why);
    let Some(desired) = desired else {
        return match container.is_some_and(ObservedContainer::is_live) {
            true => Condition::unknown(ConditionKind::Routed, "it is no longer declared and still runs"),
            false => not("it is no longer declared".into()),
        };
    };
    let Some(container) = container else { return not("it has no container".into()) };
    match &container.state {
        ContainerState::Running { .. } => {}
        ContainerState::Unknown(why) => {
            return Condition::unknown(ConditionKind::Routed, format!("its container: {why}"));
        }
        ContainerState::Paused => return not("its container is paused".into()),
        ContainerState::Restarting(_) => return not("its container exited and is being restarted".into()),
        ContainerState::Created | ContainerState::Exited(_) | ContainerState::Dead => {
            return not("its container is stopped".into());
        }
    }
    let blueprint = &desired.blueprint;
    if !container.networks.contains(&blueprint.network) {
        return not(format!(
            "its container is not attached to the network {}, where the proxy reaches containers",
            blueprint.network
        ));
    }
    let Some(labels) = container.in_force.as_ref().and_then(|in_force| in_force.proxy_labels.as_ref()) else {
        return Condition::unknown(ConditionKind::Routed, "its container's labels could not be read");
    };
    let desired = blueprint.labels.iter().filter(|(key, _)| labels::is_proxy_label(key));
    let stale: Vec<&str> =
        desired.filter(|(key, value)| labels.get(*key) != Some(*value)).map(|(key, _)| key.as_str()).collect();
    if !stale.is_empty() {
        return not(format!("its container's labels are not those of its declaration: {}", stale.join(", ")));
    }
    let message = "its labels and network lead its host name to it; no request was sent to check";
    Condition::new(ConditionKind::Routed, true, Reason::Routed, message)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::core::observe::{actual::Exit, hardening::samples, in_force::InForce};

    fn of(change: impl FnOnce(&mut ObservedContainer)) -> (Option<bool>, String) {
        let desired = samples::desired();
        let mut container = samples::container(&desired);
        change(&mut container);
        let condition = routed(Some(&desired), Some(&container));
        assert_eq!(
            condition.reason,
            [Reason::Unknown, Reason::NotRouted, Reason::Routed][condition.is_true.map_or(0, |is| 1 + usize::from(is))]
        );
        (condition.is_true, condition.message)
    }

    fn with_labels(labels: &[(&str, &str)]) -> Option<Arc<InForce>> {
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Some(Arc::new(InForce { proxy_labels: Some(labels), ..InForce::default() }))
    }

    #[test]
    fn a_host_name_leads_to_a_running_container_with_its_labels_on_its_network() {
        assert_eq!(of(|_| {}).0, Some(true));
        let rule = ("traefik.http.routers.alice_assistant.rule", "Host(`alice.example.com`)");
        assert_eq!(
            of(|it| it.in_force = with_labels(&[rule, ("traefik.enable", "true"), ("traefik.more", "x")])).0,
            Some(true)
        );
        let other = ObservedContainer {
            digest: crate::core::digest::Digest::from_label("before"),
            parts: crate::core::declare::parts::PartDigests::default(),
            ..samples::container(&samples::desired())
        };
        assert_eq!(routed(Some(&samples::desired()), Some(&other)).is_true, Some(true), "its labels are the same");
    }

    #[test]
    fn routed_says_what_keeps_a_host_name_from_its_container() {
        let stopped = of(|it| it.state = ContainerState::Exited(Exit::default()));
        assert_eq!(stopped, (Some(false), "its container is stopped".into()));
        assert_eq!(of(|it| it.state = ContainerState::Paused), (Some(false), "its container is paused".into()));
        assert_eq!(of(|it| it.state = ContainerState::Restarting(Exit::default())).0, Some(false));
        let off = of(|it| it.networks = ["elsewhere".to_owned()].into());
        assert_eq!(
            off,
            (
                Some(false),
                "its container is not attached to the network agentpod-net, where the proxy reaches containers".into()
            )
        );
        let stale = of(|it| {
            it.in_force = with_labels(&[
                ("traefik.http.routers.alice_assistant.rule", "Host(`old.example.com`)"),
                ("traefik.enable", "true"),
            ]);
        });
        let expected =
            "its container's labels are not those of its declaration: traefik.http.routers.alice_assistant.rule";
        assert_eq!(stale, (Some(false), expected.into()));
        assert_eq!(routed(Some(&samples::desired()), None).is_true, Some(false));
        assert_eq!(routed(None, None).is_true, Some(false));
    }

    #[test]
    fn a_container_that_was_not_inspected_is_unknown() {
        assert_eq!(of(|it| it.in_force = None).0, None);
        assert_eq!(of(|it| it.state = ContainerState::Unknown("no answer".into())).0, None);
        assert_eq!(
            routed(None, Some(&samples::container(&samples::desired()))).is_true,
            None,
            "undeclared, and it runs"
        );
    }
}
