//! What a pod is doing, in one word, and how urgent that is. Pages, the API, the command line and metrics
//! take names and severities from here.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::event::Severity;

/// What a pod is doing, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// It is declared, and nothing was done yet.
    Pending,
    /// Its image is being pulled.
    Pulling,
    /// Its container starts and is not ready yet.
    Starting,
    /// It runs and is ready.
    Running,
    /// It runs and should be ready, but is not.
    Unhealthy,
    /// Its container keeps exiting; AgentPod waits before it starts it again.
    CrashLoopBackOff,
    /// It is stopped, as declared.
    Stopped,
    /// Its new container failed; the previous one runs.
    RolledBack,
    /// It is no longer declared.
    Deleting,
    /// Something keeps AgentPod from acting.
    Held,
    /// The engine does not answer.
    Unknown,
}

impl Phase {
    /// All of them: first those that need a person, then those that change by themselves, then those at rest.
    pub(crate) const BY_URGENCY: [Self; 11] = [
        Self::CrashLoopBackOff,
        Self::Unhealthy,
        Self::RolledBack,
        Self::Held,
        Self::Unknown,
        Self::Pending,
        Self::Pulling,
        Self::Starting,
        Self::Deleting,
        Self::Running,
        Self::Stopped,
    ];

    /// Its stable name: in tables, the API and on pages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Pulling => "Pulling",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Unhealthy => "Unhealthy",
            Self::CrashLoopBackOff => "CrashLoopBackOff",
            Self::Stopped => "Stopped",
            Self::RolledBack => "RolledBack",
            Self::Deleting => "Deleting",
            Self::Held => "Held",
            Self::Unknown => "Unknown",
        }
    }

    /// How urgent it is.
    pub(crate) fn severity(self) -> Severity {
        match self {
            Self::Unhealthy | Self::CrashLoopBackOff => Severity::Error,
            Self::Held | Self::RolledBack | Self::Unknown => Severity::Warning,
            Self::Running => Severity::Success,
            Self::Pending | Self::Pulling | Self::Starting | Self::Stopped | Self::Deleting => Severity::Info,
        }
    }

    /// Whether a person should look at it.
    pub(crate) fn needs_attention(self) -> bool {
        self.severity().is_bad()
    }

    /// Whether it is on its way to running.
    pub(crate) fn is_on_its_way(self) -> bool {
        matches!(self, Self::Pending | Self::Pulling | Self::Starting)
    }

    /// Those that a person should look at.
    pub(crate) fn all_that_need_attention() -> impl Iterator<Item = Self> {
        Self::BY_URGENCY.into_iter().filter(|phase| phase.needs_attention())
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no phase of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no phase of that name")]
pub struct UnknownPhase;

impl FromStr for Phase {
    type Err = UnknownPhase;
    fn from_str(name: &str) -> Result<Self, UnknownPhase> {
        Self::BY_URGENCY.into_iter().find(|phase| phase.as_str() == name).ok_or(UnknownPhase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_read_back_from_its_name_and_json_says_the_same() {
        for phase in Phase::BY_URGENCY {
            assert_eq!(phase.as_str().parse(), Ok(phase));
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
            assert_eq!(format!("{phase:?}"), phase.as_str(), "none is spelled otherwise");
        }
        assert_eq!("running".parse::<Phase>(), Err(UnknownPhase));
    }

    #[test]
    fn what_needs_a_person_comes_first() {
        let attention: Vec<bool> = Phase::BY_URGENCY.iter().map(|phase| phase.needs_attention()).collect();
        assert!(attention.is_sorted_by(|a, b| a >= b), "{attention:?}");
        assert_eq!(Phase::all_that_need_attention().count(), 5);
    }
}
