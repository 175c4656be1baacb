//! The engine as a leader uses it: calls that change something are made only while this process is confirmed to lead, and are
//! abandoned when that is no longer so. Adds nothing else to the engine it wraps.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{
    core::{
        declare::{
            desired::{ContainerSpec, RenderedFile},
            infra::{NetworkSpec, VolumeSpec},
        },
        observe::{
            actual::{ObservedContainer, ObservedNetwork, ObservedVolume},
            usage::{Capacity, UsageSample},
        },
    },
    engine::{Engine, EngineError, EngineEvent, EngineInfo, ExecAnswer, LogLine, LogQuery, PullProgress, Result},
    store::{Store, Term},
};

/// The engine for the leader whose store this is; the engine itself if the store is nobody's.
pub(crate) fn fenced(engine: Arc<dyn Engine>, store: &Store) -> Arc<dyn Engine> {
    match store.term() {
        Some(term) => Arc::new(FencedEngine { engine, term: term.clone() }),
        None => engine,
    }
}

struct FencedEngine {
    engine: Arc<dyn Engine>,
    term: Term,
}

impl FencedEngine {
    /// Makes a call that changes something. The other side may still carry out a call that is abandoned, which is why a start
    /// also makes sure that nothing else uses the container's volume.
    async fn change<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        if !self.term.is_current() {
            return Err(EngineError::NotLeading);
        }
        tokio::select! {
            biased;
            answer = call => answer,
            () = self.term.unconfirmed() => Err(EngineError::NotLeading),
        }
    }
}

#[async_trait]
impl Engine for FencedEngine {
    fn reach(&self, container: &ObservedContainer, network: &str, port: u16) -> Option<SocketAddr> {
        self.engine.reach(container, network, port)
    }

    async fn info(&self) -> Result<EngineInfo> {
        self.engine.info().await
    }

    async fn observe(&self) -> Result<Vec<ObservedContainer>> {
        self.engine.observe().await
    }

    async fn container_exists(&self, id: &str) -> Result<bool> {
        self.engine.container_exists(id).await
    }

    async fn ensure_image(&self, image: &str, progress: &(dyn Fn(PullProgress) + Send + Sync)) -> Result<()> {
        self.change(self.engine.ensure_image(image, progress)).await
    }

    async fn image_id(&self, image: &str) -> Result<Option<String>> {
        self.engine.image_id(image).await
    }

    async fn network_conflict(&self, network: &NetworkSpec) -> Result<Option<String>> {
        self.engine.network_conflict(network).await
    }

    async fn ensure_network(&self, network: &NetworkSpec) -> Result<BTreeMap<String, String>> {
        self.change(self.engine.ensure_network(network)).await
    }

    async fn network_exists(&self, name: &str) -> Result<bool> {
        self.engine.network_exists(name).await
    }

    async fn ensure_volume(&self, volume: &VolumeSpec) -> Result<()> {
        self.change(self.engine.ensure_volume(volume)).await
    }

    async fn create(&self, container: &ContainerSpec, environment: &BTreeMap<String, String>) -> Result<()> {
        self.change(self.engine.create(container, environment)).await
    }

    async fn deliver_files(&self, container: &str, files: &[RenderedFile]) -> Result<()> {
        self.change(self.engine.deliver_files(container, files)).await
    }

    async fn attach(&self, container: &str, network: &str) -> Result<()> {
        self.change(self.engine.attach(container, network)).await
    }

    async fn start(&self, container: &str) -> Result<()> {
        self.change(self.engine.start(container)).await
    }

    async fn stop(&self, container: &str) -> Result<()> {
        self.change(self.engine.stop(container)).await
    }

    async fn remove(&self, container: &str) -> Result<()> {
        self.change(self.engine.remove(container)).await
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>> {
        self.engine.volumes().await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.change(self.engine.remove_volume(name)).await
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>> {
        self.engine.networks().await
    }

    async fn exec(&self, container: &str, command: &[String], timeout: Duration) -> Result<ExecAnswer> {
        self.engine.exec(container, command, timeout).await
    }

    async fn logs(&self, container: &str, query: LogQuery) -> Result<BoxStream<'static, Result<LogLine>>> {
        self.engine.logs(container, query).await
    }

    async fn stats(&self, container: &str) -> Result<UsageSample> {
        self.engine.stats(container).await
    }

    async fn volume_size(&self, name: &str) -> Result<Option<u64>> {
        self.engine.volume_size(name).await
    }

    async fn capacity(&self) -> Result<Capacity> {
        self.engine.capacity().await
    }

    async fn watch_images(&self) -> Result<BoxStream<'static, Result<()>>> {
        self.engine.watch_images().await
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        self.engine.watch().await
    }
}
