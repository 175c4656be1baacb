//! An engine in memory, for tests and benches: the same contract as Docker's, with injected faults and a record of
//! every write. It also checks one law by itself: no two live containers on one volume.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream::BoxStream};
use tokio::sync::broadcast;

mod hanging;
mod world;

use super::{
    Engine, EngineError, EngineEvent, EngineInfo, ExecAnswer, LogLine, LogQuery, NetworkSpec, PullProgress, Result,
};
use crate::core::{
    declare::{
        desired::{ContainerSpec, RenderedFile},
        infra::VolumeSpec,
        parts::PartDigests,
    },
    digest::Digest,
    labels,
    names::PodId,
    observe::{
        actual::{ContainerState, Exit, ObservedContainer, ObservedNetwork, ObservedVolume},
        in_force::InForce,
        usage::{Capacity, UsageSample},
    },
};
use std::net::SocketAddr;
pub use world::{FaultTiming, MemoryContainer, World};
use world::{NODE, is_live};

/// The network of containers that tests put there.
pub const NETWORK: &str = "agentpod-net";

/// The memory engine.
#[derive(Debug)]
pub struct MemoryEngine {
    world: Mutex<World>,
    events: broadcast::Sender<EngineEvent>,
    image_changes: broadcast::Sender<()>,
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self { world: Mutex::default(), events: broadcast::channel(1024).0, image_changes: broadcast::channel(64).0 }
    }
}

impl MemoryEngine {
    /// Reads or changes everything directly.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Injects faults into the next changing calls, one each; `None` lets a call pass.
    pub fn inject(&self, faults: impl IntoIterator<Item = Option<FaultTiming>>) {
        self.world().faults = faults.into_iter().collect();
    }

    /// Sends an event to whoever watches; returns whether anybody does.
    pub fn say(&self, event: EngineEvent) -> bool {
        self.events.send(event).is_ok()
    }

    /// Says that images changed; returns whether anybody listens.
    pub fn say_images_changed(&self) -> bool {
        self.image_changes.send(()).is_ok()
    }

    /// How many of the injected faults have not occurred yet.
    pub fn faults_left(&self) -> usize {
        self.world().faults.iter().flatten().count()
    }

    /// Puts a container on [`NETWORK`], as if an earlier AgentPod had created it.
    pub fn place(&self, pod: &PodId, digest: &Digest, volume: &str, state: ContainerState) -> String {
        let name = crate::core::declare::desired::container_name(pod, digest);
        let mut world = self.world();
        world.made += 1;
        let order = world.made;
        let container = MemoryContainer {
            pod: pod.clone(),
            digest: digest.clone(),
            parts: PartDigests::default(),
            volume: volume.into(),
            has_run: state != ContainerState::Created,
            state,
            networks: BTreeSet::from([NETWORK.to_owned()]),
            files: BTreeMap::new(),
            restarts: 0,
            in_force: None,
            order,
        };
        world.containers.insert(name.clone(), container);
        name
    }

    /// The name of a container, by its name or ID.
    fn name(&self, container: &str) -> String {
        let world = self.world();
        let by_id = world.containers.iter().find(|(_, there)| there.id() == container);
        by_id.map_or(container, |(name, _)| name).to_owned()
    }

    /// Everything, for a call that changes nothing.
    fn check_answers(&self) -> Result<MutexGuard<'_, World>> {
        let world = self.world();
        if world.unreachable {
            return Err(EngineError::Unreachable("the memory engine is stopped".into()));
        }
        Ok(world)
    }

    /// Runs one changing call with the next injected fault.
    fn change<T>(&self, what: String, effect: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
        let mut world = self.check_answers()?;
        let fault = world.faults.pop_front().flatten();
        if fault == Some(FaultTiming::Before) {
            return Err(EngineError::Other(format!("injected before: {what}")));
        }
        if world.refused.contains(&what) {
            world.failed_start(&what);
            return Err(EngineError::Refused(format!("injected: {what}")));
        }
        let answer = effect(&mut world)?;
        world.writes.push(what.clone());
        world.watch_volumes();
        match fault {
            Some(FaultTiming::After) => Err(EngineError::Other(format!("injected after: {what}"))),
            _ => Ok(answer),
        }
    }
}

#[async_trait]
impl Engine for MemoryEngine {
    fn reach(&self, container: &ObservedContainer, network: &str, port: u16) -> Option<SocketAddr> {
        let address = container.addresses.get(network).copied();
        self.world().reached_at.or_else(|| Some(SocketAddr::new(address?, port)))
    }

    async fn info(&self) -> Result<EngineInfo> {
        Ok(EngineInfo { version: "memory".into(), api: "1.41".into() })
    }

    async fn observe(&self) -> Result<Vec<ObservedContainer>> {
        let mut world = self.check_answers()?;
        world.lists += 1;
        Ok(world.observed())
    }

    async fn container_exists(&self, id: &str) -> Result<bool> {
        Ok(self.check_answers()?.containers.values().any(|container| container.id() == id))
    }

    async fn ensure_image(&self, image: &str, _: &(dyn Fn(PullProgress) + Send + Sync)) -> Result<()> {
        if self.world().images.contains(image) {
            return Ok(());
        }
        self.hang_if_asked(image).await;
        if self.world().missing_images.contains(image) {
            return Err(EngineError::NotFound(format!("{image} is not on this machine, and no registry has it")));
        }
        self.change(format!("pull {image}"), |world| {
            world.images.insert(image.into());
            Ok(())
        })
    }

    async fn image_id(&self, image: &str) -> Result<Option<String>> {
        let world = self.check_answers()?;
        let id = || world.image_ids.get(image).cloned().unwrap_or_else(|| format!("sha256:{image}"));
        Ok(world.images.contains(image).then(id))
    }

    async fn network_conflict(&self, _: &NetworkSpec) -> Result<Option<String>> {
        Ok(None)
    }

    async fn ensure_network(&self, network: &NetworkSpec) -> Result<BTreeMap<String, String>> {
        if self.world().networks.contains(&network.name) {
            return Ok(network.labels.clone());
        }
        self.change(format!("network {}", network.name), |world| {
            world.networks.insert(network.name.clone());
            Ok(network.labels.clone())
        })
    }

    async fn network_exists(&self, name: &str) -> Result<bool> {
        Ok(self.check_answers()?.networks.contains(name))
    }

    async fn ensure_volume(&self, volume: &VolumeSpec) -> Result<()> {
        let VolumeSpec { name, labels } = volume;
        let there = self.world().volumes.get(name).cloned();
        match there {
            Some(there) if there.get(labels::INSTANCE) == labels.get(labels::INSTANCE) => Ok(()),
            Some(_) => Err(EngineError::NameTaken(format!("volume {name} is not ours"))),
            None => self.change(format!("volume {name}"), |world| {
                world.volumes.insert(name.into(), labels.clone());
                Ok(())
            }),
        }
    }

    async fn create(&self, container: &ContainerSpec, _: &BTreeMap<String, String>) -> Result<()> {
        let ContainerSpec { name, digest, blueprint } = container;
        if let Some(there) = self.world().containers.get(name) {
            return if there.digest == *digest {
                Ok(())
            } else {
                Err(EngineError::NameTaken(format!("another container has the name {name}")))
            };
        }
        if self.world().taken.contains(name) {
            return Err(EngineError::NameTaken(format!("another container has the name {name}")));
        }
        let key = blueprint.labels.get(labels::POD_ID).and_then(|key| PodId::from_key(key));
        let pod = key.ok_or_else(|| EngineError::Refused("a container without a pod".into()))?;
        self.change(format!("create {name}"), |world| {
            if !world.images.contains(&blueprint.image) || !world.volumes.contains_key(&blueprint.volume) {
                return Err(EngineError::NotFound(format!("creating {name}: there is no such image or volume")));
            }
            world.made += 1;
            let image = &blueprint.image;
            let image = world.image_ids.get(image).cloned().unwrap_or_else(|| format!("sha256:{image}"));
            let made = MemoryContainer {
                pod,
                digest: digest.clone(),
                parts: PartDigests::of(&container.blueprint),
                volume: blueprint.volume.clone(),
                state: ContainerState::Created,
                has_run: false,
                networks: BTreeSet::from([blueprint.network.clone()]),
                files: BTreeMap::new(),
                restarts: 0,
                in_force: Some(Arc::new(InForce { image: Some(image), ..InForce::of_blueprint(blueprint) })),
                order: world.made,
            };
            world.containers.insert(name.clone(), made);
            Ok(())
        })
    }

    async fn deliver_files(&self, container: &str, files: &[RenderedFile]) -> Result<()> {
        let container = &self.name(container);
        self.change(format!("upload {container}"), |world| {
            let target = world.container(container)?;
            target.files.extend(files.iter().map(|file| (file.path.clone(), file.text.clone())));
            Ok(())
        })
    }

    async fn attach(&self, container: &str, network: &str) -> Result<()> {
        let container = &self.name(container);
        if self.world().container(container)?.networks.contains(network) {
            return Ok(());
        }
        self.change(format!("attach {container}"), |world| {
            if !world.networks.contains(network) {
                return Err(EngineError::NotFound(format!("network {network}")));
            }
            world.container(container)?.networks.insert(network.into());
            Ok(())
        })
    }

    async fn start(&self, container: &str) -> Result<()> {
        let container = &self.name(container);
        if matches!(self.world().container(container)?.state, ContainerState::Running { .. }) {
            return Ok(());
        }
        self.change(format!("start {container}"), |world| {
            if let Some(other) = world.other_user(container) {
                return Err(EngineError::InUse(format!("starting {container}: {other} runs on the same volume")));
            }
            let since = Some(world.clock());
            let target = world.container(container)?;
            target.state = ContainerState::Running { since };
            target.has_run = true;
            target.restarts = 0;
            Ok(())
        })
    }

    async fn stop(&self, container: &str) -> Result<()> {
        let container = &self.name(container);
        if !self.world().containers.get(container).is_some_and(|there| is_live(&there.state)) {
            return Ok(());
        }
        self.change(format!("stop {container}"), |world| {
            world.container(container)?.state = ContainerState::Exited(Exit::default());
            Ok(())
        })
    }

    async fn remove(&self, container: &str) -> Result<()> {
        let container = &self.name(container);
        let live = self.world().containers.get(container).map(|there| is_live(&there.state));
        match live {
            None => Ok(()),
            Some(true) => Err(EngineError::Refused(format!("{container} is running"))),
            Some(false) => self.change(format!("remove {container}"), |world| {
                world.containers.remove(container);
                Ok(())
            }),
        }
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>> {
        let world = self.check_answers()?;
        let ours = world.volumes.iter().filter(|(_, labels)| labels.contains_key(labels::INSTANCE));
        let observed = |(name, labels): (&String, &BTreeMap<String, String>)| ObservedVolume {
            name: name.clone(),
            pod: labels.get(labels::POD_ID).and_then(|key| PodId::from_key(key)),
            created_at: None,
            in_use: world.has_volume(name),
        };
        Ok(ours.map(observed).collect())
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        let there = self.world().volumes.get(name).cloned();
        match there {
            None => Ok(()),
            Some(labels) if !labels.contains_key(labels::INSTANCE) => {
                Err(EngineError::NameTaken(format!("volume {name} is not ours")))
            }
            Some(_) if self.world().has_volume(name) => Err(EngineError::Refused(format!("volume {name} is in use"))),
            Some(_) => self.change(format!("remove volume {name}"), |world| {
                world.volumes.remove(name);
                Ok(())
            }),
        }
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>> {
        let observed = |name: &String| ObservedNetwork { name: name.clone(), created_at: None };
        Ok(self.check_answers()?.networks.iter().map(observed).collect())
    }

    async fn exec(&self, _: &str, _: &[String], _: Duration) -> Result<ExecAnswer> {
        Ok(ExecAnswer::default())
    }

    async fn logs(&self, container: &str, query: LogQuery) -> Result<BoxStream<'static, Result<LogLine>>> {
        let lines = self.world().logs.get(container).cloned().unwrap_or_default();
        let first = lines.len().saturating_sub(query.tail);
        let line = |text| Ok(LogLine { stderr: true, text });
        Ok(futures_util::stream::iter(lines.into_iter().skip(first).map(line)).boxed())
    }

    async fn stats(&self, container: &str) -> Result<UsageSample> {
        let world = self.check_answers()?;
        let reading = world.readings.get(container).copied();
        reading.ok_or_else(|| EngineError::NotFound(format!("there is no container {container}")))
    }

    async fn volume_size(&self, _: &str) -> Result<Option<u64>> {
        Ok(None)
    }

    async fn capacity(&self) -> Result<Capacity> {
        Ok(Capacity { node: NODE.into(), cpus: 1, ..Capacity::default() })
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        let next = async |mut events: broadcast::Receiver<EngineEvent>| {
            let event = events.recv().await.ok()?;
            Some((Ok(event), events))
        };
        Ok(futures_util::stream::unfold(self.events.subscribe(), next).boxed())
    }

    async fn watch_images(&self) -> Result<BoxStream<'static, Result<()>>> {
        let next = async |mut changes: broadcast::Receiver<()>| {
            changes.recv().await.ok()?;
            Some((Ok(()), changes))
        };
        Ok(futures_util::stream::unfold(self.image_changes.subscribe(), next).boxed())
    }
}
