//! What the engine lists and inspects, as observed containers. The list says which containers exist; an inspection says
//! how often each was restarted, since when it runs, or how it exited.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use bollard::models::{
    ContainerInspectResponse, ContainerState as State, ContainerStateStatusEnum, ContainerSummary,
    ContainerSummaryStateEnum, EndpointSettings,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::in_force::in_force;
use crate::core::{
    declare::parts::PartDigests,
    digest::Digest,
    labels,
    names::PodId,
    observe::{
        actual::{ContainerState, Exit, ObservedContainer},
        in_force::InForce,
    },
};

/// A container in the list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListedContainer {
    /// The engine's ID.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    pod: PodId,
    digest: Digest,
    parts: PartDigests,
    created_at: OffsetDateTime,
    running: bool,
    status: String,
    networks: Networks,
}

/// What only an inspection shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InspectedContainer {
    state: ContainerState,
    has_run: bool,
    created_at: Option<OffsetDateTime>,
    restarts: u32,
    networks: Networks,
    in_force: Option<Arc<InForce>>,
}

/// A container with our instance's label that belongs to no pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPodLabel {
    /// It has no label with its pod.
    #[error("the container {container} has no label {}", labels::POD_ID)]
    Missing {
        /// The container's name.
        container: String,
    },
    /// Its label is not a pod's.
    #[error("the container {container} has a label {} that is not a pod: {value:?}", labels::POD_ID)]
    Invalid {
        /// The container's name.
        container: String,
        /// The label's value.
        value: String,
    },
}

/// The networks a container is attached to, and its address in each that gave it one.
type Networks = BTreeMap<String, Option<IpAddr>>;

/// Parses an entry; fails if its labels are wrong, in which case it belongs to no pod and must not be touched.
pub(crate) fn entry(summary: ContainerSummary) -> Result<ListedContainer, NoPodLabel> {
    let id = summary.id.unwrap_or_default();
    // A container linked to from others has their aliases too, like "/other/alias".
    let own = |name: &String| !name.trim_start_matches('/').contains('/');
    let name = summary.names.unwrap_or_default().into_iter().find(own).unwrap_or_default();
    let name = name.trim_start_matches('/').to_owned();
    let labels = summary.labels.unwrap_or_default();
    let key = labels.get(labels::POD_ID).ok_or_else(|| NoPodLabel::Missing { container: name.clone() })?;
    let pod =
        PodId::from_key(key).ok_or_else(|| NoPodLabel::Invalid { container: name.clone(), value: key.clone() })?;
    Ok(ListedContainer {
        id,
        name,
        pod,
        digest: Digest::from_label(labels.get(labels::DIGEST).cloned().unwrap_or_default()),
        parts: labels.get(labels::PARTS).map(|label| PartDigests::from_label(label)).unwrap_or_default(),
        created_at: OffsetDateTime::from_unix_timestamp(summary.created.unwrap_or(0))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        running: summary.state == Some(ContainerSummaryStateEnum::RUNNING),
        status: summary.status.unwrap_or_default(),
        networks: networks(summary.network_settings.and_then(|settings| settings.networks)),
    })
}

impl ListedContainer {
    /// Whether an earlier inspection can be used: it runs, and has for a minute or longer.
    pub(crate) fn is_plainly_running(&self) -> bool {
        self.running && !self.status.contains("second")
    }

    /// This entry with a new inspection.
    pub(crate) fn with_inspection(self, inspected: InspectedContainer, node: &str) -> ObservedContainer {
        ObservedContainer {
            name: self.name,
            id: self.id,
            node: node.to_owned(),
            pod: self.pod,
            digest: self.digest,
            parts: self.parts,
            state: inspected.state,
            has_run: inspected.has_run,
            created_at: inspected.created_at.unwrap_or(self.created_at),
            restarts: inspected.restarts,
            networks: inspected.networks.keys().cloned().collect::<BTreeSet<_>>(),
            addresses: inspected
                .networks
                .into_iter()
                .filter_map(|(network, address)| Some((network, address?)))
                .collect(),
            in_force: inspected.in_force,
        }
    }

    /// This entry with an earlier inspection.
    pub(crate) fn with_cached(self, cached: &InspectedContainer, node: &str) -> ObservedContainer {
        let networks = self.networks.clone();
        self.with_inspection(InspectedContainer { networks, ..cached.clone() }, node)
    }

    /// This entry without an inspection.
    pub(crate) fn without_inspection(self, why: String, node: &str) -> ObservedContainer {
        let networks = self.networks.clone();
        let state = ContainerState::Unknown(why);
        let inspected =
            InspectedContainer { state, has_run: false, created_at: None, restarts: 0, networks, in_force: None };
        self.with_inspection(inspected, node)
    }
}

/// Parses an inspection.
pub(crate) fn inspection(response: ContainerInspectResponse) -> InspectedContainer {
    let has_run = |state: &State| state.status != Some(ContainerStateStatusEnum::CREATED);
    InspectedContainer {
        in_force: Some(Arc::new(in_force(&response))),
        has_run: response.state.as_ref().is_some_and(has_run),
        state: response
            .state
            .map_or_else(|| ContainerState::Unknown("the engine does not report its state".into()), state),
        created_at: response.created,
        restarts: response.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        networks: networks(response.network_settings.and_then(|settings| settings.networks)),
    }
}

impl InspectedContainer {
    /// Whether it can be used again: only of a running container.
    pub(crate) fn is_cacheable(&self) -> bool {
        matches!(self.state, ContainerState::Running { .. })
    }
}

fn state(state: State) -> ContainerState {
    let exit = Exit {
        code: state.exit_code.unwrap_or(0),
        out_of_memory: state.oom_killed.unwrap_or(false),
        error: state.error.unwrap_or_default(),
    };
    let unknown = |what: &str| ContainerState::Unknown(what.into());
    match state.status {
        // A failed start leaves it as if it had never been started, except for the error.
        Some(ContainerStateStatusEnum::CREATED) if !exit.error.is_empty() => ContainerState::Exited(exit),
        Some(ContainerStateStatusEnum::CREATED) => ContainerState::Created,
        Some(ContainerStateStatusEnum::RUNNING) => {
            ContainerState::Running { since: state.started_at.as_deref().and_then(since) }
        }
        Some(ContainerStateStatusEnum::RESTARTING) => ContainerState::Restarting(exit),
        Some(ContainerStateStatusEnum::PAUSED) => ContainerState::Paused,
        Some(ContainerStateStatusEnum::EXITED) => ContainerState::Exited(exit),
        Some(ContainerStateStatusEnum::DEAD | ContainerStateStatusEnum::REMOVING) => ContainerState::Dead,
        Some(ContainerStateStatusEnum::STOPPING) => unknown("it is being stopped"),
        Some(ContainerStateStatusEnum::EMPTY) | None => unknown("the engine does not report its state"),
    }
}

/// The engine uses the year 1 for never.
fn since(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().filter(|at| at.year() > 1)
}

fn networks(networks: Option<impl IntoIterator<Item = (String, EndpointSettings)>>) -> Networks {
    let address = |endpoint: EndpointSettings| endpoint.ip_address?.parse().ok();
    networks.into_iter().flatten().map(|(network, endpoint)| (network, address(endpoint))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(status: &str, state: &str, labels: &str) -> ContainerSummary {
        let json = format!(
            r#"{{"Id":"5f","Names":["/other/alias","/alice_assistant-0123"],"Created":1790000000,"State":"{state}","Status":"{status}",
                "Labels":{labels},"NetworkSettings":{{"Networks":{{"agentpod-net":{{"IPAddress":"10.0.0.9"}},"none":{{"IPAddress":""}}}}}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn pod(status: &str, state: &str) -> ListedContainer {
        entry(summary(status, state, r#"{"agentpod.pod-id":"alice_assistant","agentpod.digest":"0123"}"#)).unwrap()
    }

    fn inspected(state: &str) -> InspectedContainer {
        let json = format!(r#"{{"Id":"5f","Created":"2026-11-23T10:00:00.5Z","RestartCount":2,"State":{state}}}"#);
        inspection(serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn a_list_entry_and_an_inspection_make_an_observed_container() {
        let inspected_running = inspected(r#"{"Status":"running","StartedAt":"2026-11-23T10:00:01.25Z","ExitCode":0}"#);
        let seen = pod("Up 2 minutes", "running").with_cached(&inspected_running, "n1");
        assert_eq!((seen.name.as_str(), seen.id.as_str(), seen.restarts), ("alice_assistant-0123", "5f", 2));
        assert_eq!((seen.pod.to_string(), seen.digest.as_str()), ("alice/assistant".into(), "0123"));
        assert_eq!(seen.networks, ["agentpod-net", "none"].map(str::to_owned).into());
        assert!(seen.has_run && !inspected(r#"{"Status":"created","Error":"no network"}"#).has_run);
        assert_eq!(seen.addresses, BTreeMap::from([("agentpod-net".into(), "10.0.0.9".parse().unwrap())]));
        let ContainerState::Running { since: Some(since) } = seen.state else { panic!("{:?}", seen.state) };
        assert_eq!(since.format(&Rfc3339).unwrap(), "2026-11-23T10:00:01.25Z");
    }

    #[test]
    fn an_old_look_holds_only_for_what_has_run_for_a_minute() {
        for status in ["Up About a minute", "Up 2 minutes", "Up 3 days", "Up 2 hours (healthy)"] {
            assert!(pod(status, "running").is_plainly_running(), "{status}");
        }
        for status in ["Up Less than a second", "Up 1 second", "Up 59 seconds (healthy)"] {
            assert!(!pod(status, "running").is_plainly_running(), "{status}");
        }
        assert!(!pod("Exited (0) 2 minutes ago", "exited").is_plainly_running());
        assert!(!pod("Up 2 minutes (Paused)", "paused").is_plainly_running());
    }

    #[test]
    fn every_state_is_distinguished() {
        let exit = |code, out_of_memory, error: &str| Exit { code, out_of_memory, error: error.into() };
        let unknown = |why: &str| ContainerState::Unknown(why.into());
        let cases = [
            (r#"{"Status":"created"}"#, ContainerState::Created),
            (
                r#"{"Status":"created","ExitCode":128,"Error":"no network"}"#,
                ContainerState::Exited(exit(128, false, "no network")),
            ),
            (r#"{"Status":"restarting","ExitCode":3}"#, ContainerState::Restarting(exit(3, false, ""))),
            (r#"{"Status":"paused"}"#, ContainerState::Paused),
            (r#"{"Status":"exited","ExitCode":137,"OOMKilled":true}"#, ContainerState::Exited(exit(137, true, ""))),
            (r#"{"Status":"dead","ExitCode":1}"#, ContainerState::Dead),
            (r#"{"Status":"removing"}"#, ContainerState::Dead),
            (r#"{"Status":""}"#, unknown("the engine does not report its state")),
            (r#"{"Status":"running","StartedAt":"0001-01-01T00:00:00Z"}"#, ContainerState::Running { since: None }),
        ];
        for (json, expected) in cases {
            assert_eq!(inspected(json).state, expected, "{json}");
        }
    }

    #[test]
    fn a_container_without_a_pod_belongs_to_nobody() {
        for labels in ["{}", r#"{"agentpod.pod-id":"nonsense"}"#] {
            assert!(entry(summary("Up 2 minutes", "running", labels)).is_err(), "{labels}");
        }
    }
}
