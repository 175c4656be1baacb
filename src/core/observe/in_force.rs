//! The settings in force for a container, as the engine reports them, and those that its blueprint expects.

use std::collections::BTreeMap;

use crate::core::{declare::desired::Blueprint, labels};

/// What stores a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogDriver {
    /// Its name.
    pub(crate) name: String,
    /// Whether the log cannot grow without end.
    pub(crate) is_bounded: bool,
}

/// The settings in force for a container. `None`: the engine does not report it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InForce {
    /// `uid:gid`; empty is root.
    pub(crate) user: Option<String>,
    /// Dropped capabilities.
    pub(crate) capabilities_dropped: Option<Vec<String>>,
    /// Added capabilities.
    pub(crate) capabilities_added: Option<Vec<String>>,
    /// Security options: `no-new-privileges:true`.
    pub(crate) security_options: Option<Vec<String>>,
    /// Whether it is privileged.
    pub privileged: Option<bool>,
    /// Whether an init process runs in it.
    pub(crate) init: Option<bool>,
    /// Bytes of memory; 0 or less: unlimited.
    pub(crate) memory: Option<i64>,
    /// Bytes of memory and swap together; 0: twice the memory, less: unlimited.
    pub(crate) memory_and_swap: Option<i64>,
    /// Billionths of a processor; 0: unlimited.
    pub(crate) nano_cpus: Option<i64>,
    /// Processes and threads; 0 or less: unlimited.
    pub pids: Option<i64>,
    /// Whether its root file system is read-only.
    pub(crate) read_only_root: Option<bool>,
    /// Its `network`, `pid`, `ipc`, `uts` and `userns` namespaces: `host`, `private`, the name of a network, ….
    pub(crate) namespaces: Option<BTreeMap<&'static str, String>>,
    /// Ports published on the host.
    pub(crate) ports: Option<Vec<String>>,
    /// Devices of the host.
    pub(crate) devices: Option<Vec<String>>,
    /// Bind mounts: paths of the host.
    pub(crate) host_paths: Option<Vec<String>>,
    /// Volumes by name.
    pub(crate) volumes: Option<Vec<String>>,
    /// The volume's name by the path at which it is mounted.
    pub(crate) volume_at: Option<BTreeMap<String, String>>,
    /// The ID of its image.
    pub(crate) image: Option<String>,
    /// What stores its log.
    pub(crate) log: Option<LogDriver>,
    /// Its labels that the proxy reads.
    pub proxy_labels: Option<BTreeMap<String, String>>,
}

impl InForce {
    /// The settings that a container created from its blueprint has.
    pub(crate) fn of_blueprint(blueprint: &Blueprint) -> Self {
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
            volume_at: Some([(blueprint.data.clone(), blueprint.volume.clone())].into()),
            image: None,
            log: Some(LogDriver { name: "local".into(), is_bounded: true }),
            proxy_labels: Some(proxy_labels.collect()),
        }
    }
}
