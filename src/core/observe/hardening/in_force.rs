//! What the engine says is in force for a container, in plain words; and what should be, by its blueprint.

use std::collections::BTreeMap;

use crate::core::{declare::desired::Blueprint, labels};

/// What the engine says is in force for a container. `None`: it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InForce {
    /// `uid:gid`; empty is root.
    pub user: Option<String>,
    /// Capabilities taken away.
    pub capabilities_dropped: Option<Vec<String>>,
    /// Capabilities given.
    pub capabilities_added: Option<Vec<String>>,
    /// Security options: `no-new-privileges:true`.
    pub security_options: Option<Vec<String>>,
    /// Whether it may do all the host may.
    pub privileged: Option<bool>,
    /// Whether an init process runs in it.
    pub init: Option<bool>,
    /// Bytes of memory; 0 or less: no limit.
    pub memory: Option<i64>,
    /// Bytes of memory and swap together; 0: twice the memory, less: no limit.
    pub memory_and_swap: Option<i64>,
    /// Billionths of a processor; 0: no limit.
    pub nano_cpus: Option<i64>,
    /// Processes and threads; 0 or less: no limit.
    pub pids: Option<i64>,
    /// Whether the image's files cannot be changed.
    pub read_only_root: Option<bool>,
    /// How it stands to the host's `network`, `pid`, `ipc`, `uts` and `userns`: `host`, `private`, the name of a network, ….
    pub namespaces: Option<BTreeMap<&'static str, String>>,
    /// Ports it has on the host.
    pub ports: Option<Vec<String>>,
    /// Devices of the host.
    pub devices: Option<Vec<String>>,
    /// What it mounts that is no volume: paths of the host.
    pub host_paths: Option<Vec<String>>,
    /// Volumes by name.
    pub volumes: Option<Vec<String>>,
    /// What keeps its log, and whether that has an end.
    pub log: Option<(String, bool)>,
    /// The labels the proxy reads.
    pub proxy_labels: Option<BTreeMap<String, String>>,
}

impl InForce {
    /// What should be in force for a container that is made as its blueprint says.
    pub fn asked(blueprint: &Blueprint) -> Self {
        let signed = |number: u64| Some(i64::try_from(number).unwrap_or(i64::MAX));
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let proxy_labels = blueprint.labels.clone().into_iter().filter(|(key, _)| labels::is_proxy_label(key));
        Self {
            user: Some(blueprint.user.clone()),
            capabilities_dropped: words(&["ALL"]),
            capabilities_added: Some(Vec::new()),
            security_options: words(&["no-new-privileges:true"]),
            privileged: Some(false),
            init: Some(true),
            memory: signed(blueprint.memory),
            memory_and_swap: signed(blueprint.memory),
            nano_cpus: signed(blueprint.nano_cpus),
            pids: Some(i64::from(blueprint.pids)),
            read_only_root: Some(blueprint.read_only_root),
            namespaces: Some(BTreeMap::from([("network", blueprint.network.clone()), ("ipc", "private".into())])),
            ports: Some(Vec::new()),
            devices: Some(Vec::new()),
            host_paths: Some(Vec::new()),
            volumes: Some(vec![blueprint.volume.clone()]),
            log: Some(("local".into(), true)),
            proxy_labels: Some(proxy_labels.collect()),
        }
    }
}
