//! What the engine in memory holds, and the one law it checks by itself. No call is answered in here.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use time::OffsetDateTime;

use crate::{
    core::{
        declare::parts::PartDigests,
        digest::Digest,
        names::PodId,
        observe::{
            actual::{ContainerState, Exit, ObservedContainer},
            in_force::InForce,
            usage::UsageSample,
        },
    },
    engine::{EngineError, Result},
};

/// The name of its machine.
pub(super) const NODE: &str = "local";

/// When an injected fault occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultTiming {
    /// Before the call has any effect.
    Before,
    /// After the call took effect: the answer is lost.
    After,
}

/// A container in the memory engine.
#[derive(Debug, Clone)]
pub struct MemoryContainer {
    /// Its pod.
    pub pod: PodId,
    /// The digest it was created for.
    pub digest: Digest,
    /// The digests of the parts it was created from.
    pub(crate) parts: PartDigests,
    /// The volume it writes to.
    pub volume: String,
    /// Its state.
    pub state: ContainerState,
    /// Whether it ever ran.
    pub has_run: bool,
    /// The networks it is attached to.
    pub networks: BTreeSet<String>,
    /// Its files by path.
    pub files: BTreeMap<String, String>,
    /// How often it was restarted.
    pub(crate) restarts: u32,
    /// Its settings in force; `None` for one that a test put there.
    pub in_force: Option<Arc<InForce>>,
    pub(super) order: u64,
}

impl MemoryContainer {
    /// Its ID.
    pub(crate) fn id(&self) -> String {
        format!("{:064}", self.order)
    }
}

/// Everything the engine holds.
#[derive(Debug, Default)]
pub struct World {
    /// Containers by name.
    pub containers: BTreeMap<String, MemoryContainer>,
    /// Volumes with their labels.
    pub volumes: BTreeMap<String, BTreeMap<String, String>>,
    /// Log lines of containers, by name.
    pub logs: BTreeMap<String, Vec<String>>,
    /// Usage of containers, by name.
    pub readings: BTreeMap<String, UsageSample>,
    /// The address of every container in its networks; without one it has none.
    pub address: Option<IpAddr>,
    /// The address of every port instead, if the engine names another way than the container's address.
    pub reached_at: Option<SocketAddr>,
    /// Networks.
    pub(crate) networks: BTreeSet<String>,
    /// Images that are present.
    pub images: BTreeSet<String>,
    /// IDs of images by name, where they differ from `sha256:NAME`.
    pub image_ids: BTreeMap<String, String>,
    /// Images that no registry has.
    pub missing_images: BTreeSet<String>,
    /// Every call that changed something, in order: `start alice_a-0123abcd`.
    pub writes: Vec<String>,
    /// How often containers were listed.
    pub(crate) lists: u64,
    /// Calls that are refused while they are in here, written as in `writes`: `start alice_a-0123abcd`.
    pub refused: BTreeSet<String>,
    /// Pulls from this registry never end.
    pub hanging_registry: Option<String>,
    /// Images that are being pulled and hang.
    pub pulling: BTreeSet<String>,
    /// Names of containers that are not ours.
    pub taken: BTreeSet<String>,
    /// Whether the engine answers.
    pub unreachable: bool,
    /// Violations of "never two live containers on one volume".
    pub violations: Vec<String>,
    /// The engine's time.
    pub now: Option<OffsetDateTime>,
    pub(super) faults: VecDeque<Option<FaultTiming>>,
    pub(super) made: u64,
}

impl World {
    /// What the containers are, in the order they were created in.
    pub(super) fn observed(&self) -> Vec<ObservedContainer> {
        let mut containers: Vec<_> = self.containers.iter().collect();
        containers.sort_by_key(|(_, container)| container.order);
        let addresses = |networks: &BTreeSet<String>| {
            networks.iter().filter_map(|network| Some((network.clone(), self.address?))).collect()
        };
        let observed = containers.into_iter().map(|(name, container)| ObservedContainer {
            name: name.clone(),
            id: container.id(),
            node: NODE.into(),
            pod: container.pod.clone(),
            digest: container.digest.clone(),
            parts: container.parts.clone(),
            state: container.state.clone(),
            created_at: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(container.order),
            has_run: container.has_run,
            restarts: container.restarts,
            networks: container.networks.clone(),
            addresses: addresses(&container.networks),
            in_force: container.in_force.clone(),
        });
        observed.collect()
    }

    pub(super) fn container(&mut self, name: &str) -> Result<&mut MemoryContainer> {
        self.containers.get_mut(name).ok_or_else(|| EngineError::NotFound(format!("there is no container {name}")))
    }

    /// Another container that runs on the same volume.
    pub(super) fn other_user(&self, name: &str) -> Option<&String> {
        let volume = &self.containers.get(name)?.volume;
        let uses = |(other, there): &(&String, &MemoryContainer)| {
            *other != name && there.volume == *volume && is_live(&there.state)
        };
        self.containers.iter().find(uses).map(|(other, _)| other)
    }

    pub(super) fn has_volume(&self, volume: &str) -> bool {
        self.containers.values().any(|container| container.volume == volume)
    }

    /// As Docker does: a container that failed to start has exited, with the reason.
    pub(super) fn failed_start(&mut self, what: &str) {
        let name = what.strip_prefix("start ").map(str::to_owned);
        if let Some(container) = name.and_then(|name| self.containers.get_mut(&name)) {
            let error = "injected".into();
            container.state = ContainerState::Exited(Exit { code: 128, out_of_memory: false, error });
        }
    }

    pub(super) fn watch_volumes(&mut self) {
        let mut live: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, container) in self.containers.iter().filter(|(_, container)| is_live(&container.state)) {
            if let Some(other) = live.insert(&container.volume, name) {
                self.violations.push(format!("{other} and {name} both run on {}", container.volume));
            }
        }
    }

    pub(super) fn clock(&self) -> OffsetDateTime {
        self.now.unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

pub(super) fn is_live(state: &ContainerState) -> bool {
    matches!(state, ContainerState::Running { .. } | ContainerState::Restarting(_) | ContainerState::Paused)
}
