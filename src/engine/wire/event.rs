//! Docker's events: the subscription's filters, and how an event is parsed.

use std::collections::HashMap;

use bollard::models::EventMessage;

use crate::{
    core::{
        labels,
        names::{InstanceName, PodId},
    },
    engine::{ContainerChange, EngineEvent},
};

/// The actions that change an observation. Without `exec_*`, which every probe would send, and without `kill`, which
/// every stop sends before its `die`.
const ACTIONS: [&str; 10] = ["die", "start", "oom", "destroy", "stop", "pause", "unpause", "restart", "rename", UPDATE];
/// Somebody changed a container's limits; the list of containers does not show that.
const UPDATE: &str = "update";

/// Only our containers, in a list.
pub(crate) fn list_filters(instance: &InstanceName) -> HashMap<String, Vec<String>> {
    HashMap::from([(
        "label".to_owned(),
        labels::owned(instance).iter().map(|(key, value)| format!("{key}={value}")).collect(),
    )])
}

/// Only events of our containers.
pub(crate) fn filters(instance: &InstanceName) -> HashMap<String, Vec<String>> {
    let mut filters = list_filters(instance);
    filters.insert("type".into(), vec!["container".into()]);
    filters.insert("event".into(), ACTIONS.map(str::to_owned).into());
    filters
}

/// Only changes of images. They have none of our labels.
pub(crate) fn image_filters() -> HashMap<String, Vec<String>> {
    let actions = ["pull", "load", "import", "tag", "untag", "delete"];
    HashMap::from([
        ("type".to_owned(), vec!["image".to_owned()]),
        ("event".to_owned(), actions.map(str::to_owned).into()),
    ])
}

/// The ID of a container that has to be inspected again although the list would not show why.
pub(crate) fn needs_inspection(message: &EventMessage) -> Option<&str> {
    message.actor.as_ref()?.id.as_deref().filter(|_| message.action.as_deref() == Some(UPDATE))
}

/// The event; `None` if it is not about a container's life.
pub(crate) fn event(message: EventMessage) -> Option<EngineEvent> {
    let action = message.action?;
    if !ACTIONS.contains(&action.as_str()) {
        return None;
    }
    let attributes = message.actor.and_then(|actor| actor.attributes).unwrap_or_default();
    let attribute = |key: &str| attributes.get(key).map(String::as_str);
    let change = match action.as_str() {
        "start" => ContainerChange::Started,
        "die" => ContainerChange::Exited { code: attribute("exitCode").and_then(|code| code.parse().ok()) },
        "oom" => ContainerChange::OutOfMemory,
        "destroy" => ContainerChange::Removed,
        UPDATE => ContainerChange::LimitsChanged,
        _ => ContainerChange::Other,
    };
    Some(EngineEvent {
        pod: attribute(labels::POD_ID).and_then(PodId::from_key),
        container: attribute("name").unwrap_or_default().into(),
        change,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> EventMessage {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_exit_says_which_pods_container_exited_and_how() {
        let message = message(
            r#"{"Type":"container","Action":"die","Actor":{"ID":"5f","Attributes":{
                "agentpod.pod-id":"alice_assistant","exitCode":"137","image":"agentpod/echo:1","name":"alice_assistant-0123"}}}"#,
        );
        let expected = EngineEvent {
            pod: Some("alice/assistant".parse().unwrap()),
            container: "alice_assistant-0123".into(),
            change: ContainerChange::Exited { code: Some(137) },
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
    fn only_our_own_containers_are_listed() {
        let filters = filters(&"mine".parse().unwrap());
        assert_eq!(filters["label"], ["agentpod.instance=mine", "agentpod.managed=true"]);
        assert_eq!(filters["type"], ["container"]);
    }
}
