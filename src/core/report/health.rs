//! How the pods of a fleet are, in one word, whatever the revision: a revision can be synced while a pod of it is not well.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::phase::Phase;

/// How the pods are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FleetHealth {
    /// Every pod is ready, or at rest on purpose.
    #[default]
    Healthy,
    /// Some pods are on their way, and none needs attention.
    Progressing,
    /// Some pods need attention.
    Degraded,
}

impl FleetHealth {
    /// From how many pods are in each phase.
    pub(crate) fn of(phases: impl IntoIterator<Item = (Phase, i64)>) -> Self {
        let one = |(phase, pods): (Phase, i64)| match pods {
            ..=0 => Self::Healthy,
            _ if phase.needs_attention() => Self::Degraded,
            _ if phase.is_on_its_way() => Self::Progressing,
            _ => Self::Healthy,
        };
        phases.into_iter().map(one).max_by_key(|health| *health as u8).unwrap_or_default()
    }
}

impl fmt::Display for FleetHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Progressing => "progressing",
            Self::Degraded => "degraded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pod_that_needs_attention_makes_a_fleet_degraded_and_one_on_its_way_makes_it_progress() {
        let health = |phases: &[(Phase, i64)]| FleetHealth::of(phases.iter().copied());
        assert_eq!(health(&[]), FleetHealth::Healthy);
        assert_eq!(health(&[(Phase::Running, 9), (Phase::Stopped, 1), (Phase::Held, 0)]), FleetHealth::Healthy);
        assert_eq!(health(&[(Phase::Running, 9), (Phase::Starting, 1)]), FleetHealth::Progressing);
        assert_eq!(health(&[(Phase::Held, 1), (Phase::Starting, 1), (Phase::Running, 9)]), FleetHealth::Degraded);
    }
}
