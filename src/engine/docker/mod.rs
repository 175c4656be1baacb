//! The Docker engine: each call of the trait as the API calls it takes, and nothing more. [`super::wire`] builds and
//! parses the messages, `errors` interprets failures; when to call is decided in the core.
//!
//! Every call that changes or reads a container first checks that the container is ours and continues with its ID, so
//! that a foreign container of the same name is never touched, even if names change meanwhile.

mod containers;
mod errors;
mod exec;
mod image;
mod networks;
mod observe;
mod orphans;
mod prepare;
mod stats;
mod stream;

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bollard::models::ContainerInspectResponse;
use futures_util::stream::BoxStream;
use tokio::sync::OnceCell;

use self::errors::CallError;
use super::{
    Engine, EngineError, EngineEvent, EngineInfo, ExecAnswer, LogLine, LogQuery, NetworkSpec, PullProgress, Result,
};
use crate::core::{
    declare::{
        desired::{ContainerSpec, RenderedFile},
        infra::VolumeSpec,
    },
    labels,
    names::InstanceName,
    observe::{
        actual::{ObservedContainer, ObservedNetwork, ObservedVolume},
        usage::{Capacity, UsageSample},
    },
};

const LOCAL_SOCKET: &str = "unix:///var/run/docker.sock";
/// How long an ordinary call may take; a busy engine needs seconds for what usually takes milliseconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a call may take that writes a lot, like unpacking files or removing a container with much data.
const LONG_TIMEOUT: Duration = Duration::from_secs(180);

/// The result of a call of the client.
type ClientResult<T> = std::result::Result<T, bollard::errors::Error>;
/// A result whose failure still has the engine's status.
type CallResult<T> = std::result::Result<T, CallError>;

/// A Docker engine, as one AgentPod uses it.
pub struct Docker {
    instance: InstanceName,
    host: String,
    client: OnceLock<bollard::Docker>,
    calls: AtomicU64,
    cache: Arc<Mutex<observe::InspectCache>>,
    /// The machine's name, read once.
    node: OnceCell<String>,
}

/// The engine's address: the named one, else that in `DOCKER_HOST`, else the local socket. A path is a socket's.
pub(super) fn address(host: Option<&str>) -> String {
    let from_environment = || std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    let host = host.map(str::to_owned).or_else(from_environment).unwrap_or_else(|| LOCAL_SOCKET.into());
    if host.starts_with('/') { format!("unix://{host}") } else { host }
}

/// A container that was ours when it was checked.
struct OwnedContainer {
    id: String,
    inspected: ContainerInspectResponse,
}

impl Docker {
    /// The engine at `host`, else at `DOCKER_HOST`, else at the local socket. An engine that does not answer yet is no
    /// error here but at every call, so that AgentPod can start before it.
    pub fn connect(instance: InstanceName, host: Option<&str>) -> Result<Self> {
        let docker = Self {
            instance,
            host: address(host),
            client: OnceLock::new(),
            calls: AtomicU64::new(0),
            cache: Arc::default(),
            node: OnceCell::new(),
        };
        match docker.client() {
            Ok(_) | Err(EngineError::Unreachable(_) | EngineError::OutOfFiles(_)) => Ok(docker),
            Err(error) => Err(error),
        }
    }

    /// The name of the engine's machine: asked once, and again only while the answer is missing. Empty if it is unknown.
    async fn node(&self) -> &str {
        let read = async || Ok::<_, EngineError>(self.read_capacity().await?.node);
        self.node.get_or_try_init(read).await.map_or("", String::as_str)
    }

    /// How many API calls were made so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The client; created when it is first needed and the socket exists.
    fn client(&self) -> Result<&bollard::Docker> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made =
            bollard::Docker::connect_with_host(&self.host).map_err(|error| self.failure("connecting", error).error)?;
        Ok(self.client.get_or_init(|| made))
    }

    /// One API call with the usual timeout.
    async fn call<T, F>(&self, what: impl Display, call: impl FnOnce(bollard::Docker) -> F) -> CallResult<T>
    where
        F: Future<Output = ClientResult<T>>,
    {
        self.call_within(CALL_TIMEOUT, what, call).await
    }

    /// One API call. `what` says for people what is being done.
    async fn call_within<T, F>(
        &self,
        limit: Duration,
        what: impl Display,
        call: impl FnOnce(bollard::Docker) -> F,
    ) -> CallResult<T>
    where
        F: Future<Output = ClientResult<T>>,
    {
        let client = self.client()?.clone().with_timeout(limit);
        self.calls.fetch_add(1, Ordering::Relaxed);
        // The client's own timeout ends where the answer's body begins.
        self.within(limit, what, call(client)).await
    }

    /// A part of a call.
    async fn within<T>(
        &self,
        limit: Duration,
        what: impl Display,
        answer: impl Future<Output = ClientResult<T>>,
    ) -> CallResult<T> {
        let answer = tokio::time::timeout(limit, answer).await;
        answer.unwrap_or(Err(bollard::errors::Error::RequestTimeoutError)).map_err(|error| self.failure(what, error))
    }

    fn failure(&self, what: impl Display, error: bollard::errors::Error) -> CallError {
        errors::explain(&self.host, &what.to_string(), &error)
    }

    /// The container of that name or ID, if it is ours.
    async fn ours(&self, container: &str) -> Result<OwnedContainer> {
        let what = format!("inspecting the container {container}");
        let inspected = self.call(&what, async |client| client.inspect_container(container, None).await).await?;
        let (id, name) = (inspected.id.clone().unwrap_or_default(), inspected.name.as_deref().unwrap_or_default());
        if name.trim_start_matches('/') != container && id != container {
            // The engine also accepts the beginning of an ID as a name.
            return Err(EngineError::NotFound(format!("there is no container {container}")));
        }
        let own = inspected.config.as_ref().and_then(|config| config.labels.as_ref());
        let is_ours =
            labels::owned(&self.instance).iter().all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value));
        if !is_ours {
            return Err(EngineError::NameTaken(format!(
                "a container named {container} exists, but this AgentPod ({}) did not create it; rename or remove it by hand",
                self.instance
            )));
        }
        Ok(OwnedContainer { id, inspected })
    }
}

#[async_trait]
impl Engine for Docker {
    async fn info(&self) -> Result<EngineInfo> {
        let version = self.call("reading its version", async |client| client.version().await).await?;
        Ok(EngineInfo { version: version.version.unwrap_or_default(), api: version.api_version.unwrap_or_default() })
    }

    async fn observe(&self) -> Result<Vec<ObservedContainer>> {
        self.observe_containers().await
    }

    async fn container_exists(&self, id: &str) -> Result<bool> {
        self.has_container(id).await
    }

    async fn ensure_image(&self, image: &str, progress: &(dyn Fn(PullProgress) + Send + Sync)) -> Result<()> {
        self.pull_unless_present(image, progress).await
    }

    async fn image_id(&self, image: &str) -> Result<Option<String>> {
        self.find_image(image).await
    }

    async fn network_conflict(&self, network: &NetworkSpec) -> Result<Option<String>> {
        self.host_conflict(network).await
    }

    async fn ensure_network(&self, network: &NetworkSpec) -> Result<BTreeMap<String, String>> {
        self.create_network(network).await
    }

    async fn network_exists(&self, name: &str) -> Result<bool> {
        Ok(self.network_labels(name).await?.is_some())
    }

    async fn ensure_volume(&self, volume: &VolumeSpec) -> Result<()> {
        self.create_volume(&volume.name, &volume.labels).await
    }

    async fn create(&self, container: &ContainerSpec, environment: &BTreeMap<String, String>) -> Result<()> {
        self.create_container(container, environment).await
    }

    async fn deliver_files(&self, container: &str, files: &[RenderedFile]) -> Result<()> {
        self.write_files(container, files).await
    }

    async fn attach(&self, container: &str, network: &str) -> Result<()> {
        self.attach_container(container, network).await
    }

    async fn start(&self, container: &str) -> Result<()> {
        self.start_container(container).await
    }

    async fn stop(&self, container: &str) -> Result<()> {
        self.stop_container(container).await
    }

    async fn remove(&self, container: &str) -> Result<()> {
        self.remove_container(container).await
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>> {
        self.list_volumes().await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.remove_owned_volume(name).await
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>> {
        self.list_networks().await
    }

    async fn exec(&self, container: &str, command: &[String], timeout: Duration) -> Result<ExecAnswer> {
        self.exec_command(container, command, timeout).await
    }

    async fn logs(&self, container: &str, query: LogQuery) -> Result<BoxStream<'static, Result<LogLine>>> {
        self.log_lines(container, query).await
    }

    async fn stats(&self, container: &str) -> Result<UsageSample> {
        self.read_stats(container).await
    }

    async fn volume_size(&self, name: &str) -> Result<Option<u64>> {
        self.measure(name).await
    }

    async fn capacity(&self) -> Result<Capacity> {
        self.read_capacity().await
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        self.event_stream().await
    }

    async fn watch_images(&self) -> Result<BoxStream<'static, Result<()>>> {
        self.image_event_stream()
    }
}
