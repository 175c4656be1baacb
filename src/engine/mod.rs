//! The container engine, as the one trait through which AgentPod reaches it. Plain calls; every decision was made
//! before.
//!
//! Every call is idempotent: created and ours, started, stopped or gone already counts as success. Errors are named by
//! what to do next, so that callers need not know the engine's own.

pub mod docker;
pub mod memory;
pub(crate) mod wire;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::Serialize;

use crate::core::{
    declare::{
        desired::{ContainerSpec, RenderedFile},
        infra::{NetworkSpec, VolumeSpec},
    },
    names::{InstanceName, PodId},
    observe::{
        actual::{ObservedContainer, ObservedNetwork, ObservedVolume},
        usage::{Capacity, UsageSample},
    },
};

/// What to do about a failed call. Each holds a whole sentence: what was being done, what went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The engine does not answer: hold everything, and try again soon.
    #[error("the container engine does not answer: {0}")]
    Unreachable(String),
    /// This process has too many files open to ask: nothing is known, neither about the engine nor about a container.
    #[error("AgentPod has too many files open to ask the container engine: {0}")]
    OutOfFiles(String),
    /// The object does not exist: observe again.
    #[error("{0}")]
    NotFound(String),
    /// Something that is not ours has the name: a person must decide.
    #[error("{0}")]
    NameTaken(String),
    /// The engine refuses it, and will again if nothing changes.
    #[error("{0}")]
    Refused(String),
    /// Something else runs on the container's volume: observe again.
    #[error("{0}")]
    InUse(String),
    /// This process is not confirmed to lead, so it changes nothing: plan again once it is.
    #[error("nothing was changed: the database has not confirmed for some seconds that this AgentPod leads")]
    NotLeading,
    /// The call was abandoned: its result is no longer wanted.
    #[error("it was not finished, because what is declared has changed")]
    Cancelled,
    /// Anything else: try again later.
    #[error("{0}")]
    Other(String),
}

impl EngineError {
    /// A stable code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "engine_unreachable",
            Self::OutOfFiles(_) => "engine_out_of_files",
            Self::NotFound(_) => "engine_not_found",
            Self::NameTaken(_) => "engine_name_taken",
            Self::Refused(_) => "engine_refused",
            Self::InUse(_) => "engine_in_use",
            Self::NotLeading => "engine_not_leading",
            Self::Cancelled => "engine_cancelled",
            Self::Other(_) => "engine_failed",
        }
    }
}

impl EngineError {
    /// The same error with another text.
    #[must_use]
    pub(crate) fn map(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Unreachable(text) => Self::Unreachable(change(text)),
            Self::NotFound(text) => Self::NotFound(change(text)),
            Self::NameTaken(text) => Self::NameTaken(change(text)),
            Self::Refused(text) => Self::Refused(change(text)),
            Self::OutOfFiles(text) => Self::OutOfFiles(change(text)),
            Self::InUse(text) => Self::InUse(change(text)),
            Self::Other(text) => Self::Other(change(text)),
            Self::NotLeading => Self::NotLeading,
            Self::Cancelled => Self::Cancelled,
        }
    }
}

/// The result of an engine call.
pub type Result<T> = std::result::Result<T, EngineError>;

/// The engine's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Its version: `20.10.24`.
    pub(crate) version: String,
    /// Its API's version: `1.41`.
    pub api: String,
}

/// The environment and files of a container with their real values; never logged, compared or stored.
#[derive(Clone, Default)]
pub struct Materials {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// All rendered files.
    pub files: Vec<RenderedFile>,
}

impl std::fmt::Debug for Materials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Materials { .. }")
    }
}

/// Something happened to a container: a reason to observe again, never a fact to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// The pod it belongs to, from its label.
    pub pod: Option<PodId>,
    /// The container's name.
    pub container: String,
    /// What happened.
    pub change: ContainerChange,
}

/// What can happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerChange {
    /// It was started.
    Started,
    /// It exited.
    Exited {
        /// Its exit code, if the engine reports it.
        code: Option<i64>,
    },
    /// One of its processes was killed because it ran out of memory.
    OutOfMemory,
    /// It was removed.
    Removed,
    /// Its limits were changed while it existed.
    LimitsChanged,
    /// Anything else that a new observation shows: stopped, paused, resumed, renamed.
    Other,
}

/// How far a pull has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PullProgress {
    /// Bytes received so far, over all layers known by now.
    pub received: u64,
    /// Total bytes, as far as known by now.
    pub total: u64,
    /// Whether nothing has been received for a minute.
    pub stalled: bool,
}

/// The result of a command in a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecAnswer {
    /// Its exit code.
    pub code: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// One line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whether it was written to standard error.
    pub stderr: bool,
    /// The line, without its end. Begins with an RFC 3339 time and a space if timestamps were requested.
    pub text: String,
}

/// Which log lines to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogQuery {
    /// How many of the last lines.
    pub tail: usize,
    /// Whether to continue with new lines.
    pub follow: bool,
    /// Whether each line begins with its time.
    pub timestamps: bool,
}

/// A container engine. Calls are independent of each other and may run concurrently for different containers.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// The address of a container's port from here; `None` while there is none. Nobody else looks for an address: an
    /// engine with several machines may return another one than the container's own.
    fn reach(&self, container: &ObservedContainer, network: &str, port: u16) -> Option<SocketAddr> {
        let address = container.addresses.get(network).or_else(|| container.addresses.values().next())?;
        Some(SocketAddr::new(*address, port))
    }

    /// The engine's identity; also the way to check whether it answers.
    async fn info(&self) -> Result<EngineInfo>;

    /// Every container with our instance's label, whatever its state, in order of creation. One list call; inspects
    /// only containers that are new, changed or not plainly running, and the others now and then.
    async fn observe(&self) -> Result<Vec<ObservedContainer>>;

    /// Whether a container of that ID exists, whatever its state.
    async fn container_exists(&self, id: &str) -> Result<bool>;

    /// Pulls the image unless it is present. `progress` is called now and then during a pull.
    async fn ensure_image(&self, image: &str, progress: &(dyn Fn(PullProgress) + Send + Sync)) -> Result<()>;

    /// The ID of an image; `None` if the engine does not have it.
    async fn image_id(&self, image: &str) -> Result<Option<String>>;

    /// Why the network cannot be created on this machine, if it does not exist and cannot.
    async fn network_conflict(&self, network: &NetworkSpec) -> Result<Option<String>>;

    /// Creates the network unless it exists; an existing network of that name is used as it is, whoever created it.
    /// Returns the network's labels.
    async fn ensure_network(&self, network: &NetworkSpec) -> Result<BTreeMap<String, String>>;

    /// Whether a network of that name exists, whoever created it.
    async fn network_exists(&self, name: &str) -> Result<bool>;

    /// Creates the volume with its labels unless it exists; a foreign one is [`EngineError::NameTaken`].
    async fn ensure_volume(&self, volume: &VolumeSpec) -> Result<()>;

    /// Creates the container, with `environment` in place of the blueprint's placeholders. It is not started. An image that
    /// cannot run here, lacks the program, or would put data where it is lost is [`EngineError::Refused`].
    async fn create(&self, container: &ContainerSpec, environment: &BTreeMap<String, String>) -> Result<()>;

    /// Writes files into a container, running or not; owned by root, readable by the agent. How is up to the engine:
    /// Docker copies them.
    async fn deliver_files(&self, container: &str, files: &[RenderedFile]) -> Result<()>;

    /// Attaches a container to an existing network, running or not.
    async fn attach(&self, container: &str, network: &str) -> Result<()>;

    /// Starts a container.
    async fn start(&self, container: &str) -> Result<()>;

    /// Stops a container, with its own stop signal and stop timeout.
    async fn stop(&self, container: &str) -> Result<()>;

    /// Removes a stopped container and its anonymous volumes.
    async fn remove(&self, container: &str) -> Result<()>;

    /// Every volume with our instance's label, anonymous ones included, by name.
    async fn volumes(&self) -> Result<Vec<ObservedVolume>>;

    /// Deletes a volume with its data. A foreign one is [`EngineError::NameTaken`], one that a container still uses is
    /// [`EngineError::Refused`].
    async fn remove_volume(&self, name: &str) -> Result<()>;

    /// Every network with our instance's label, by name.
    async fn networks(&self) -> Result<Vec<ObservedNetwork>>;

    /// Runs a command in a running container and waits for its end, at most `timeout`.
    async fn exec(&self, container: &str, command: &[String], timeout: std::time::Duration) -> Result<ExecAnswer>;

    /// A container's log lines.
    async fn logs(&self, container: &str, query: LogQuery) -> Result<BoxStream<'static, Result<LogLine>>>;

    /// What a running container uses now.
    async fn stats(&self, container: &str) -> Result<UsageSample>;

    /// Bytes in a volume; `None` if that is unknown or too expensive to measure.
    async fn volume_size(&self, name: &str) -> Result<Option<u64>>;

    /// The machine's resources.
    async fn capacity(&self) -> Result<Capacity>;

    /// Events of our containers from now on. At its end or an error: subscribe again, then observe.
    async fn watch(&self) -> Result<BoxStream<'static, Result<EngineEvent>>>;

    /// An item for every change of the engine's images from now on: one that appeared, went, or has another name.
    async fn watch_images(&self) -> Result<BoxStream<'static, Result<()>>>;
}

/// The address of the container engine: the named one, else that in `DOCKER_HOST`, else the local socket.
pub(crate) fn address(host: Option<&str>) -> String {
    docker::address(host)
}

/// The container engine at an address: `unix:///var/run/docker.sock`, `tcp://HOST:PORT`; without one the address in
/// `DOCKER_HOST`, or the local socket. It need not answer yet.
pub(crate) fn connect(instance: InstanceName, host: Option<&str>) -> Result<Arc<dyn Engine>> {
    Ok(Arc::new(docker::Docker::connect(instance, host)?))
}
