//! The engine's events: which we ask for, and what one says.

use std::collections::HashMap;

use bollard::models::EventMessage;

use crate::{
    core::{
        labels,
        names::{InstanceName, PodId},
    },
    engine::EngineEvent,
};

/// What happens to a container that changes what a look would show. Not `exec_*`: health probes would flood us; not
/// `kill`: every stop sends it, and a death follows it as `die`.
const ACTIONS: [&str; 10] = ["die", "start", "oom", "destroy", "stop", "pause", "unpause", "restart", "rename", UPDATE];
/// Somebody changed a container's limits: no list shows that.
const UPDATE: &str = "update";

/// Only our containers, in a list.
pub fn list_filters(instance: &InstanceName) -> HashMap<String, Vec<String>> {
    HashMap::from([(
        "label".to_owned(),
        labels::owned(instance).iter().map(|(key, value)| format!("{key}={value}")).collect(),
    )])
}

/// Only what happens to our containers.
pub fn filters(instance: &InstanceName) -> HashMap<String, Vec<String>> {
    let mut filters = list_filters(instance);
    filters.insert("type".into(), vec!["container".into()]);
    filters.insert("event".into(), ACTIONS.map(str::to_owned).into());
    filters
}

/// The id of a container of which what was seen before does not hold any more, though no list would show it.
pub fn changed_unseen(message: &EventMessage) -> Option<&str> {
    message.actor.as_ref()?.id.as_deref().filter(|_| message.action.as_deref() == Some(UPDATE))
}

/// What one says; `None` if it is not about a container's life.
pub fn event(message: EventMessage) -> Option<EngineEvent> {
    let action = message.action?;
    if !ACTIONS.contains(&action.as_str()) {
        return None;
    }
    let attributes = message.actor.and_then(|actor| actor.attributes).unwrap_or_default();
    let attribute = |key: &str| attributes.get(key).map(String::as_str);
    Some(EngineEvent {
        action,
        pod: attribute(labels::POD_ID).and_then(PodId::from_key),
        container: attribute("name").unwrap_or_default().into(),
        exit_code: attribute("exitCode").and_then(|code| code.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> EventMessage {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_death_says_whose_container_died_and_how() {
        let message = message(
            r#"{"Type":"container","Action":"die","Actor":{"ID":"5f","Attributes":{
                "agentpod.pod-id":"alice_assistant","exitCode":"137","image":"agentpod/echo:1","name":"alice_assistant-0123"}}}"#,
        );
        let expected = EngineEvent {
            action: "die".into(),
            pod: Some("alice/assistant".parse().unwrap()),
            container: "alice_assistant-0123".into(),
            exit_code: Some(137),
        };
        assert_eq!(event(message), Some(expected));
    }

    #[test]
    fn commands_run_inside_a_container_are_not_its_life() {
        assert_eq!(
            event(message(r#"{"Type":"container","Action":"exec_die","Actor":{"ID":"5f","Attributes":{}}}"#)),
            None
        );
    }

    #[test]
    fn only_our_own_containers_are_asked_for() {
        let filters = filters(&"mine".parse().unwrap());
        assert_eq!(filters["label"], ["agentpod.instance=mine", "agentpod.managed=true"]);
        assert_eq!(filters["type"], ["container"]);
    }
}
