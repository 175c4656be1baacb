//! What the engine lists and shows, as sightings. The list says which containers there are; a closer look says how
//! often each was restarted, since when it runs, or how it ended.

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
        hardening::InForce,
    },
};

/// One container as the list has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedContainer {
    /// The engine's id for it.
    pub id: String,
    /// Its name.
    pub name: String,
    pod: PodId,
    digest: Digest,
    parts: PartDigests,
    created_at: OffsetDateTime,
    running: bool,
    status: String,
    networks: Networks,
}

/// What only a closer look shows.
#[derive(Debug, Clone, PartialEq)]
pub struct InspectedContainer {
    state: ContainerState,
    has_run: bool,
    created_at: Option<OffsetDateTime>,
    restarts: u32,
    networks: Networks,
    in_force: Option<Arc<InForce>>,
}

/// The networks a container is attached to, and its address in each that gave it one.
type Networks = BTreeMap<String, Option<IpAddr>>;

/// Reads an entry; or says what is wrong with its labels, in which case it belongs to no pod and nobody may touch it.
pub fn entry(summary: ContainerSummary) -> Result<ListedContainer, String> {
    let id = summary.id.unwrap_or_default();
    // A container linked to from others carries their names for it too, like "/other/alias".
    let own = |name: &String| !name.trim_start_matches('/').contains('/');
    let name = summary.names.unwrap_or_default().into_iter().find(own).unwrap_or_default();
    let name = name.trim_start_matches('/').to_owned();
    let labels = summary.labels.unwrap_or_default();
    let key =
        labels.get(labels::POD_ID).ok_or_else(|| format!("the container {name} has no label {}", labels::POD_ID))?;
    let pod = PodId::from_key(key)
        .ok_or_else(|| format!("the container {name} has a label {} that names no pod: {key:?}", labels::POD_ID))?;
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
    /// Whether a look from before still holds: it runs, and has for a minute or longer.
    pub fn is_plainly_running(&self) -> bool {
        self.running && !self.status.contains("second")
    }

    /// This entry with a closer look taken just now.
    pub fn seen(self, look: InspectedContainer) -> ObservedContainer {
        ObservedContainer {
            name: self.name,
            id: self.id,
            pod: self.pod,
            digest: self.digest,
            parts: self.parts,
            state: look.state,
            has_run: look.has_run,
            created_at: look.created_at.unwrap_or(self.created_at),
            restarts: look.restarts,
            networks: look.networks.keys().cloned().collect::<BTreeSet<_>>(),
            addresses: look.networks.into_iter().filter_map(|(network, address)| Some((network, address?))).collect(),
            in_force: look.in_force,
        }
    }

    /// This entry with a closer look from before.
    pub fn seen_before(self, look: &InspectedContainer) -> ObservedContainer {
        let networks = self.networks.clone();
        self.seen(InspectedContainer { networks, ..look.clone() })
    }

    /// This entry when a closer look was not to be had.
    pub fn unseen(self, why: String) -> ObservedContainer {
        let networks = self.networks.clone();
        let state = ContainerState::Unknown(why);
        self.seen(InspectedContainer { state, has_run: false, created_at: None, restarts: 0, networks, in_force: None })
    }
}

/// Reads a closer look.
pub fn look(inspected: ContainerInspectResponse) -> InspectedContainer {
    let has_run = |state: &State| state.status != Some(ContainerStateStatusEnum::CREATED);
    InspectedContainer {
        in_force: Some(Arc::new(in_force(&inspected))),
        has_run: inspected.state.as_ref().is_some_and(has_run),
        state: inspected
            .state
            .map_or_else(|| ContainerState::Unknown("the engine does not say what it is doing".into()), state),
        created_at: inspected.created,
        restarts: inspected.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        networks: networks(inspected.network_settings.and_then(|settings| settings.networks)),
    }
}

impl InspectedContainer {
    /// Whether it may be used again: only of a running container.
    pub fn is_lasting(&self) -> bool {
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
        // A start that failed leaves it as if it were never tried, but for the error.
        Some(ContainerStateStatusEnum::CREATED) if !exit.error.is_empty() => ContainerState::Exited(exit),
        Some(ContainerStateStatusEnum::CREATED) => ContainerState::Created,
        Some(ContainerStateStatusEnum::RUNNING) => {
            ContainerState::Running { since: state.started_at.as_deref().and_then(since) }
        }
        Some(ContainerStateStatusEnum::RESTARTING) => ContainerState::Restarting(exit),
        Some(ContainerStateStatusEnum::PAUSED) => ContainerState::Paused,
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD) => ContainerState::Exited(exit),
        Some(ContainerStateStatusEnum::REMOVING) => unknown("it is being removed"),
        Some(ContainerStateStatusEnum::STOPPING) => unknown("it is being stopped"),
        Some(ContainerStateStatusEnum::EMPTY) | None => unknown("the engine does not say what it is doing"),
    }
}

/// The engine writes the year 1 for never.
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

    fn looked(state: &str) -> InspectedContainer {
        let json = format!(r#"{{"Id":"5f","Created":"2026-11-23T10:00:00.5Z","RestartCount":2,"State":{state}}}"#);
        look(serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn an_entry_and_a_look_make_a_sighting() {
        let look = looked(r#"{"Status":"running","StartedAt":"2026-11-23T10:00:01.25Z","ExitCode":0}"#);
        let seen = pod("Up 2 minutes", "running").seen_before(&look);
        assert_eq!((seen.name.as_str(), seen.id.as_str(), seen.restarts), ("alice_assistant-0123", "5f", 2));
        assert_eq!((seen.pod.to_string(), seen.digest.as_str()), ("alice/assistant".into(), "0123"));
        assert_eq!(seen.networks, ["agentpod-net", "none"].map(str::to_owned).into());
        assert!(seen.has_run && !looked(r#"{"Status":"created","Error":"no network"}"#).has_run);
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
    fn every_state_is_told_apart() {
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
            (r#"{"Status":"dead","ExitCode":1}"#, ContainerState::Exited(exit(1, false, ""))),
            (r#"{"Status":"removing"}"#, unknown("it is being removed")),
            (r#"{"Status":""}"#, unknown("the engine does not say what it is doing")),
            (r#"{"Status":"running","StartedAt":"0001-01-01T00:00:00Z"}"#, ContainerState::Running { since: None }),
        ];
        for (json, expected) in cases {
            assert_eq!(looked(json).state, expected, "{json}");
        }
    }

    #[test]
    fn a_container_without_a_pod_belongs_to_nobody() {
        for labels in ["{}", r#"{"agentpod.pod-id":"nonsense"}"#] {
            assert!(entry(summary("Up 2 minutes", "running", labels)).is_err(), "{labels}");
        }
    }
}
