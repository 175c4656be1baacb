//! A declared pod and a matching container, for the tests of this folder and its neighbors.

use std::{collections::BTreeMap, sync::Arc};

use time::OffsetDateTime;

use super::InForce;
use crate::core::{
    declare::{
        desired::{Blueprint, ContainerSpec},
        parts::PartDigests,
    },
    digest::Digest,
    observe::actual::{ContainerState, ObservedContainer},
};

/// What alice/assistant should be.
pub(crate) fn desired() -> ContainerSpec {
    let labels = [
        ("agentpod.pod-id", "alice_assistant"),
        ("traefik.enable", "true"),
        ("traefik.http.routers.alice_assistant.rule", "Host(`alice.example.com`)"),
    ];
    let blueprint = Blueprint {
        image: "agentpod/echo:1".into(),
        command: None,
        user: "1000:1000".into(),
        environment: BTreeMap::new(),
        files: Vec::new(),
        folders: vec!["/config".into()],
        volume: "mine_alice_assistant".into(),
        data: "/data".into(),
        tmpfs: BTreeMap::new(),
        read_only_root: true,
        memory: 64 << 20,
        nano_cpus: 500_000_000,
        pids: 64,
        network: "agentpod-net".into(),
        labels: labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
        stop_timeout: 10,
        secrets: BTreeMap::new(),
        token_version: 1,
        generated_version: None,
    };
    ContainerSpec { name: "alice_assistant-01234567".into(), digest: Digest::from_label("0123456789"), blueprint }
}

/// Its container, running, with all expected settings in force.
///
/// # Panics
/// Never: the name it parses is a constant.
pub(crate) fn container(desired: &ContainerSpec) -> ObservedContainer {
    ObservedContainer {
        name: desired.name.clone(),
        id: "5f".into(),
        node: "local".into(),
        pod: "alice/assistant".parse().unwrap(),
        digest: desired.digest.clone(),
        parts: PartDigests::default(),
        state: ContainerState::Running { since: None },
        has_run: true,
        created_at: OffsetDateTime::UNIX_EPOCH,
        restarts: 0,
        networks: [desired.blueprint.network.clone()].into(),
        addresses: BTreeMap::new(),
        in_force: Some(Arc::new(InForce::of_blueprint(&desired.blueprint))),
    }
}
