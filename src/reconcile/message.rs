//! The messages to the reconciler's task: what woke it, and what the tasks it started report back. They carry what
//! happened, for events and status; the planner never sees them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use tokio::sync::oneshot;

use super::{act::redact::Redactor, report::pod_event::PodEvent};
use crate::{
    core::{
        decide::plan::{Action, ActionFailure, Step},
        declare::{desired::DesiredPod, infra::InfraId},
        names::PodId,
        observe::health::ProbeFailure,
    },
    engine::{EngineError, EngineEvent, PullProgress},
};

/// A container, and what finds its secrets in text.
pub(crate) type Revealed = Result<(String, Redactor), LogUnavailable>;

/// The ID of each image by its name; `None` for one that the engine does not have.
pub(crate) type ImageIds = BTreeMap<String, Option<String>>;

/// Why there is no log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogUnavailable {
    /// The pod has no container.
    #[error("it has no container")]
    NoContainer,
    /// It is unknown whether the pod has a container.
    #[error("the container engine does not answer")]
    EngineAway,
    /// The values to redact are unknown.
    #[error("{0}")]
    Unsafe(String),
    /// The engine did not return it.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The reconciler is busy with something long, or has ended.
    #[error("AgentPod did not answer in time; try again in a moment")]
    NoAnswer,
}

/// A message to the reconciler.
pub(crate) enum Report {
    /// Something in the watched folders changed.
    FilesChanged,
    /// A fetch brought a new commit or a new error.
    Fetched,
    /// What was read of the source is judged.
    Judged,
    /// The engine reports an event of one of our containers.
    Engine(EngineEvent),
    /// The engine's images changed.
    ImagesChanged,
    /// The IDs of the declared pods' images.
    Images(ImageIds),
    /// The engine's event stream broke off or started again: events may have been missed.
    EngineReconnected,
    /// The source was fetched for these requests.
    Synced(BTreeSet<i64>),
    /// Another process stored a request.
    Requested,
    /// A pod's step is about to be attempted.
    Step(PodId, Step),
    /// A pod's image is being pulled.
    Pulling(PodId, PullProgress),
    /// A pod's action ended.
    Finished {
        pod: PodId,
        action: Box<Action>,
        cause: String,
        desired_pod: Option<Box<DesiredPod>>,
        outcome: Result<(), ActionFailure>,
    },
    /// The action of an item that belongs to no pod ended.
    InfraFinished { item: InfraId, action: Box<Action>, cause: String, outcome: Result<(), ActionFailure> },
    /// A container's probe was answered.
    Probed { pod: PodId, container: String, answer: Result<(), ProbeFailure> },
    /// The log lines for a pod's event were read.
    Event(PodId, PodEvent),
    /// Somebody wants to read a pod's log.
    Reveal(PodId, oneshot::Sender<Revealed>),
}

impl Report {
    /// Its kind of trigger.
    pub(crate) fn trigger(&self) -> Trigger {
        match self {
            Self::FilesChanged | Self::Judged => Trigger::File,
            Self::Fetched => Trigger::Fetch,
            Self::Requested | Self::Synced(_) => Trigger::Request,
            Self::Engine(_) | Self::EngineReconnected | Self::ImagesChanged | Self::Images(_) => Trigger::Engine,
            Self::Step(..) | Self::Pulling(..) | Self::Finished { .. } | Self::InfraFinished { .. } => Trigger::Steps,
            Self::Probed { .. } => Trigger::Probe,
            Self::Event(..) | Self::Reveal(..) => Trigger::Log,
        }
    }
}

/// What caused a round. For events and logs only; no decision depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trigger {
    Start,
    Clock,
    File,
    Fetch,
    Request,
    Engine,
    Steps,
    Probe,
    Log,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "startup",
            Self::Clock => "the clock",
            Self::File => "a saved file",
            Self::Fetch => "a fetch",
            Self::Request => "a request",
            Self::Engine => "an engine event",
            Self::Steps => "finished steps",
            Self::Probe => "a probe",
            Self::Log => "a log",
        })
    }
}
