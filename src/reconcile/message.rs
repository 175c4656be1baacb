//! The messages that reach the reconciler's task: what woke it, and what the tasks it started report back. They carry what
//! happened, for events and status; the planner never sees them.

use std::collections::BTreeSet;

use tokio::sync::oneshot;

use super::{act::redact::Redactor, report::pod_event::PodEvent};
use crate::{
    core::{
        decide::plan::{Action, ActionFailure, Step},
        declare::desired::DesiredPod,
        names::PodId,
    },
    engine::{EngineError, EngineEvent, PullProgress},
};

/// A container, and what finds its secrets.
pub(crate) type Revealed = Result<(String, Redactor), NoLog>;

/// Why there is no log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLog {
    /// Nothing stands for the pod.
    #[error("it has no container")]
    NoContainer,
    /// Nobody can tell whether something does.
    #[error("the container engine does not answer")]
    Unseen,
    /// What must be left out is not known.
    #[error("{0}")]
    Unsafe(String),
    /// The engine did not give it.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The reconciler is busy with something that takes long, or has ended.
    #[error("AgentPod did not say in time what must be left out")]
    NoAnswer,
}

/// A message to the reconciler.
pub(crate) enum Report {
    /// Something in the watched folders changed.
    FilesChanged,
    /// A fetch brought something else than the one before.
    Fetched,
    /// The engine says something happened to a container of ours.
    Engine(EngineEvent),
    /// The engine's events broke off or began again: something may have been missed.
    LookAgain,
    /// The source was fetched for these requests.
    Synced(BTreeSet<i64>),
    /// Another process said that somebody asked for something.
    Asked,
    /// A pod's step is about to be tried.
    Step(PodId, Step),
    /// A pod's image is being pulled.
    Pulling(PodId, PullProgress),
    /// A pod's action ended; why it was taken, and why it failed, if it did.
    Finished {
        pod: PodId,
        action: Box<Action>,
        cause: String,
        desired_pod: Option<Box<DesiredPod>>,
        outcome: Result<(), ActionFailure>,
    },
    /// A container's probe was answered.
    Probed { pod: PodId, container: String, answer: Result<(), String> },
    /// What is to be told of a pod is complete: its container's last log lines were read.
    Noted(PodId, PodEvent),
    /// Somebody wants to read a pod's log.
    Reveal(PodId, oneshot::Sender<Revealed>),
}

impl Report {
    /// What it is, in words for the record.
    pub fn what(&self) -> &'static str {
        match self {
            Self::FilesChanged => "a saved file",
            Self::Fetched => "a fetch",
            Self::Asked | Self::Synced(_) => "somebody's request",
            Self::Engine(_) | Self::LookAgain => "the engine's events",
            Self::Step(..) | Self::Pulling(..) | Self::Finished { .. } => "steps that ended",
            Self::Probed { .. } => "a probe",
            Self::Noted(..) | Self::Reveal(..) => "a log that was read",
        }
    }
}
