//! The Docker engine: each call of the trait as the API calls it takes, and nothing more. What to say is settled in
//! [`super::wire`], what an error means in `errors`; when to call is decided far above.
//!
//! Every call that changes or reads a container looks first whether the container is ours and goes on with its id, so
//! that a foreign container of the same name is never touched, however the names may change meanwhile.

mod containers;
mod errors;
mod exec;
mod image;
mod networks;
mod observe;
mod orphans;
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
const USUAL: Duration = Duration::from_secs(60);
/// How long a call may take that writes a lot, like unpacking files or removing what a container wrote.
const LONG: Duration = Duration::from_secs(180);

/// What the client answers.
type ClientResult<T> = std::result::Result<T, bollard::errors::Error>;
/// An answer whose failure still shows the engine's status.
type CallResult<T> = std::result::Result<T, CallError>;

/// A Docker engine, seen by one AgentPod.
pub struct Docker {
    instance: InstanceName,
    host: String,
    client: OnceLock<bollard::Docker>,
    calls: AtomicU64,
    looks: Arc<Mutex<observe::InspectCache>>,
}

/// A container that was found to be ours a moment ago.
struct OwnedContainer {
    id: String,
    inspected: ContainerInspectResponse,
}

impl Docker {
    /// The engine at `host`, else at `DOCKER_HOST`, else at the local socket. An engine that does not answer yet is no
    /// error here but at every call, so that AgentPod may start before it.
    pub fn connect(instance: InstanceName, host: Option<&str>) -> Result<Self> {
        let host = match host {
            Some(host) => host.to_owned(),
            None => {
                std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()).unwrap_or_else(|| LOCAL_SOCKET.into())
            }
        };
        let host = if host.starts_with('/') { format!("unix://{host}") } else { host };
        let docker = Self { instance, host, client: OnceLock::new(), calls: AtomicU64::new(0), looks: Arc::default() };
        match docker.client() {
            Ok(_) | Err(EngineError::Unreachable(_)) => Ok(docker),
            Err(error) => Err(error),
        }
    }

    /// How many API calls were made so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The client; made when it is first wanted and the socket is there.
    fn client(&self) -> Result<&bollard::Docker> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made =
            bollard::Docker::connect_with_host(&self.host).map_err(|error| self.failure("connecting", error).error)?;
        Ok(self.client.get_or_init(|| made))
    }

    /// One API call within the usual time.
    async fn call<T, F>(&self, what: impl Display, call: impl FnOnce(bollard::Docker) -> F) -> CallResult<T>
    where
        F: Future<Output = ClientResult<T>>,
    {
        self.call_within(USUAL, what, call).await
    }

    /// One API call. `what` says for people what was being done.
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
        // The client's own limit ends where the answer's body begins.
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

    /// The container of that name (or id), if it is ours.
    async fn ours(&self, container: &str) -> Result<OwnedContainer> {
        let what = format!("looking at the container {container}");
        let inspected = self.call(&what, async |client| client.inspect_container(container, None).await).await?;
        let (id, name) = (inspected.id.clone().unwrap_or_default(), inspected.name.as_deref().unwrap_or_default());
        if name.trim_start_matches('/') != container && id != container {
            // The engine also takes the beginning of an id for a name.
            return Err(EngineError::NotFound(format!("there is no container {container}")));
        }
        let own = inspected.config.as_ref().and_then(|config| config.labels.as_ref());
        let is_ours =
            labels::owned(&self.instance).iter().all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value));
        if !is_ours {
            return Err(EngineError::NameTaken(format!(
                "a container named {container} is there, but this AgentPod ({}) did not make it; rename or remove it by hand",
                self.instance
            )));
        }
        Ok(OwnedContainer { id, inspected })
    }
}

#[async_trait]
impl Engine for Docker {
    async fn info(&self) -> Result<EngineInfo> {
        let version = self.call("asking for its version", async |client| client.version().await).await?;
        Ok(EngineInfo { version: version.version.unwrap_or_default(), api: version.api_version.unwrap_or_default() })
    }

    async fn observe(&self) -> Result<Vec<ObservedContainer>> {
        self.look_around().await
    }

    async fn ensure_image(&self, image: &str, progress: &(dyn Fn(PullProgress) + Send + Sync)) -> Result<()> {
        self.have_image(image, progress).await
    }

    async fn ensure_network(&self, network: &NetworkSpec) -> Result<BTreeMap<String, String>> {
        self.have_network(network).await
    }

    async fn network_exists(&self, name: &str) -> Result<bool> {
        Ok(self.network_labels(name).await?.is_some())
    }

    async fn ensure_volume(&self, volume: &VolumeSpec) -> Result<()> {
        self.have_volume(&volume.name, &volume.labels).await
    }

    async fn create(&self, container: &ContainerSpec, environment: &BTreeMap<String, String>) -> Result<()> {
        self.make(container, environment).await
    }

    async fn deliver_files(&self, container: &str, files: &[RenderedFile]) -> Result<()> {
        self.put_files(container, files).await
    }

    async fn attach(&self, container: &str, network: &str) -> Result<()> {
        self.connect_to(container, network).await
    }

    async fn start(&self, container: &str) -> Result<()> {
        self.switch_on(container).await
    }

    async fn stop(&self, container: &str) -> Result<()> {
        self.switch_off(container).await
    }

    async fn remove(&self, container: &str) -> Result<()> {
        self.take_away(container).await
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>> {
        self.list_volumes().await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.delete_volume(name).await
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>> {
        self.list_networks().await
    }

    async fn exec(&self, container: &str, command: &[String], timeout: Duration) -> Result<ExecAnswer> {
        self.run_inside(container, command, timeout).await
    }

    async fn logs(&self, container: &str, query: LogQuery) -> Result<BoxStream<'static, Result<LogLine>>> {
        self.read_logs(container, query).await
    }

    async fn stats(&self, container: &str) -> Result<UsageSample> {
        self.read_meters(container).await
    }

    async fn volume_size(&self, name: &str) -> Result<Option<u64>> {
        self.measure_volume(name).await
    }

    async fn capacity(&self) -> Result<Capacity> {
        self.look_at_machine().await
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        self.listen().await
    }
}
