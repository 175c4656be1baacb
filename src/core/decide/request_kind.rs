//! The table of request kinds: what each is called, who may make it, what it takes and how it is answered. The command
//! line, the API, pages, the store and the reconciler read it. What a kind does is not here: the planner decides that.

use std::{fmt, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequestKind {
    /// Stop a pod's container and start it again.
    Restart,
    /// Stop a pod's container and keep it stopped.
    Pause,
    /// End a pod's pause.
    Resume,
    /// Try again at once what failed, or was rejected.
    Retry,
    /// Start a pod whose data volume is gone with an empty one.
    #[serde(rename = "start-empty")]
    StartEmpty,
    /// Read the source now.
    Sync,
    /// Approve the removals that a plan holds.
    Approve,
}

/// What a request is about, and with that who may make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RequestScope {
    /// One pod: operators who see its tenant.
    Pod,
    /// The whole fleet: operators who see all tenants.
    Fleet,
}

/// What a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestArgument {
    /// A pod, as TENANT/POD.
    Pod,
    /// How long it lasts.
    Duration,
    /// The hash of a plan.
    Plan,
}

/// A row of the table.
#[derive(Debug, Serialize)]
pub struct RequestKindInfo {
    /// In the database, the API, addresses, and as a command.
    pub(crate) name: &'static str,
    /// What it does, for the command's help.
    pub summary: &'static str,
    /// On its button.
    pub label: &'static str,
    /// On its button, by the name in `icons.svg`.
    pub(crate) icon: &'static str,
    /// What it is about.
    pub scope: RequestScope,
    /// What it takes.
    pub takes: &'static [RequestArgument],
    /// What a page asks before it is made, if it is not done lightly.
    pub(crate) question: Option<&'static str>,
    /// What a page says once it is stored.
    pub confirmation: &'static str,
    /// How long it may wait; `None`: until it is done.
    #[serde(skip)]
    pub(crate) expires_after: Option<Duration>,
    /// Whether the next round answers it, so that the command waits for that.
    pub(crate) is_answered_at_once: bool,
}

use RequestArgument as Takes;

const RESTART: RequestKindInfo = RequestKindInfo {
    name: "restart",
    summary: "Stop a pod's container and start it again",
    label: "Restart",
    icon: "restart",
    scope: RequestScope::Pod,
    takes: &[Takes::Pod],
    question: Some("Its agent is not reachable while it starts again. Its data stays."),
    confirmation: "Restart requested. AgentPod restarts the container now.",
    // One that comes hours later would only surprise.
    expires_after: Some(Duration::from_hours(1)),
    is_answered_at_once: false,
};
const PAUSE: RequestKindInfo = RequestKindInfo {
    name: "pause",
    summary: "Stop a pod's container and keep it stopped, whatever its manifest says",
    label: "Pause",
    icon: "pause",
    takes: &[Takes::Pod, Takes::Duration],
    question: None,
    confirmation: "Pause requested. AgentPod stops the container now.",
    expires_after: None,
    ..RESTART
};
const RESUME: RequestKindInfo = RequestKindInfo {
    name: "resume",
    summary: "End a pod's pause",
    label: "Resume",
    icon: "resume",
    question: None,
    confirmation: "Resume requested. AgentPod starts the container now.",
    expires_after: None,
    ..RESTART
};
const RETRY: RequestKindInfo = RequestKindInfo {
    name: "retry",
    summary: "Try a pod's last change again at once, also one that was rolled back",
    label: "Try again",
    icon: "restart",
    confirmation: "Retry requested. AgentPod tries again now.",
    is_answered_at_once: true,
    ..RESTART
};
const START_EMPTY: RequestKindInfo = RequestKindInfo {
    name: "start-empty",
    summary: "Start a pod whose data volume is gone without its data",
    label: "Start without its data",
    icon: "restart",
    confirmation: "Start requested. AgentPod creates an empty volume and starts the pod.",
    is_answered_at_once: true,
    ..RESTART
};
const SYNC: RequestKindInfo = RequestKindInfo {
    name: "sync",
    summary: "Read the source now",
    label: "Sync now",
    icon: "restart",
    scope: RequestScope::Fleet,
    takes: &[],
    question: None,
    confirmation: "Sync requested. AgentPod reads the source now.",
    expires_after: Some(Duration::from_hours(1)),
    is_answered_at_once: true,
};
const APPROVE: RequestKindInfo = RequestKindInfo {
    name: "approve",
    summary: "Approve the removals that a plan holds: exactly these, once",
    label: "Approve this plan",
    icon: "check",
    takes: &[Takes::Plan],
    question: Some(
        "Their containers are stopped now, and removed after a while. Their data is kept until somebody purges it.",
    ),
    confirmation: "Plan approved. AgentPod removes its pods now.",
    // It means what its author has just read.
    expires_after: Some(Duration::from_hours(24)),
    ..SYNC
};

impl RequestKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Restart, Self::Pause, Self::Resume, Self::Retry, Self::StartEmpty, Self::Sync, Self::Approve];

    /// Its row of the table.
    pub const fn info(self) -> &'static RequestKindInfo {
        match self {
            Self::Restart => &RESTART,
            Self::Pause => &PAUSE,
            Self::Resume => &RESUME,
            Self::Retry => &RETRY,
            Self::StartEmpty => &START_EMPTY,
            Self::Sync => &SYNC,
            Self::Approve => &APPROVE,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        self.info().name
    }
}

impl RequestArgument {
    /// The field of a form, and the name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Duration => "for",
            Self::Plan => "plan",
        }
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is the name of no kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such kind of request; there are restart, pause, resume, retry, start-empty, sync and approve")]
pub struct UnknownRequestKind;

impl FromStr for RequestKind {
    type Err = UnknownRequestKind;
    fn from_str(name: &str) -> Result<Self, UnknownRequestKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or(UnknownRequestKind)
    }
}
