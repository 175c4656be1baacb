//! The desired status of a pod, as stored in `pods.desired_status`.

use std::{fmt, str::FromStr};

use super::manifest::RunState;

/// The desired status of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DesiredStatus {
    /// The container runs.
    Running,
    /// The container is stopped.
    Stopped,
    /// The pod is no longer declared.
    Deleted,
}

impl DesiredStatus {
    /// The stable name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Deleted => "deleted",
        }
    }
}

impl From<RunState> for DesiredStatus {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Running => Self::Running,
            RunState::Stopped => Self::Stopped,
        }
    }
}

impl fmt::Display for DesiredStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is not a [`DesiredStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected running, stopped or deleted")]
pub struct UnknownDesiredStatus;

impl FromStr for DesiredStatus {
    type Err = UnknownDesiredStatus;

    fn from_str(text: &str) -> Result<Self, UnknownDesiredStatus> {
        let all = [Self::Running, Self::Stopped, Self::Deleted];
        all.into_iter().find(|status| status.as_str() == text).ok_or(UnknownDesiredStatus)
    }
}
