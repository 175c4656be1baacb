//! Whether a container is ready, evaluated from the answers of its probe. The reconciler does the probing.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use serde::Serialize;
use time::OffsetDateTime;

use crate::core::{declare::adapter::Probe, quantity::Span};

/// Why a probe failed, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProbeFailure(pub String);

/// Whether a container is ready, in this run of it and as far as it was observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// It was not ready yet.
    Starting,
    /// It is ready.
    Ready,
    /// It was ready and no longer is.
    Lost,
}

/// The readiness of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The container's name.
    pub container: String,
    /// When this run of it began, as far as known; a restart begins a new one.
    pub started: OffsetDateTime,
    /// Whether it is ready.
    pub readiness: Readiness,
    /// When its readiness last changed.
    pub since: OffsetDateTime,
    /// When its probe last succeeded; `None`: not yet in this run of it.
    pub last_success: Option<OffsetDateTime>,
    /// Failures in a row.
    pub failures: u32,
    /// The last failure, as a sentence.
    pub last_failure: Option<String>,
}

impl Health {
    /// A container that is probed for the first time. It may have been running for long, but its earlier health is
    /// unknown, so its startup time begins now.
    pub fn new(container: impl Into<String>, started: OffsetDateTime, now: OffsetDateTime) -> Self {
        Self {
            container: container.into(),
            started,
            readiness: Readiness::Starting,
            since: now.max(started),
            last_success: None,
            failures: 0,
            last_failure: None,
        }
    }

    /// The health of a container that has run since `since`, if the engine says so: unchanged for the same run of the
    /// same container, new otherwise.
    pub(crate) fn of_run(
        before: Option<Self>,
        container: &str,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Self {
        let is_same =
            |health: &Self| health.container == container && since.is_none_or(|since| since <= health.started);
        before.filter(is_same).unwrap_or_else(|| Self::new(container, since.unwrap_or(now), now))
    }

    /// The health after one more answer.
    #[must_use]
    pub(crate) fn after(mut self, answer: Result<(), ProbeFailure>, probe: &Probe, now: OffsetDateTime) -> Self {
        match answer {
            Ok(()) => {
                if !self.is_ready() {
                    (self.readiness, self.since) = (Readiness::Ready, now);
                }
                self.failures = 0;
                self.last_success = Some(now);
                self.last_failure = None;
            }
            Err(why) => {
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(why.0);
                if self.is_ready() && self.failures >= probe.failures {
                    (self.readiness, self.since) = (Readiness::Lost, now);
                }
            }
        }
        self
    }

    /// Whether it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.readiness == Readiness::Ready
    }

    /// Whether its probe has not answered yet.
    pub(crate) fn is_unprobed(&self) -> bool {
        self.readiness == Readiness::Starting && self.last_failure.is_none()
    }

    /// Whether it is not ready and its startup time is over.
    pub(crate) fn is_overdue(&self, startup: Span, now: OffsetDateTime) -> bool {
        !self.is_ready() && now >= startup.after(self.since)
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    fn probe() -> Probe {
        serde_json::from_str(r#"{"tcp": {}, "startup": "60s", "failures": 3}"#).unwrap()
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
    }

    #[test]
    fn one_good_answer_makes_ready_and_three_bad_ones_in_a_row_make_unready() {
        let bad = || Err(ProbeFailure("refused".to_owned()));
        let health = Health::new("a", at(0), at(0)).after(bad(), &probe(), at(1)).after(Ok(()), &probe(), at(2));
        assert!(health.is_ready() && health.since == at(2));
        let health = health.after(bad(), &probe(), at(3)).after(bad(), &probe(), at(4));
        assert!(health.is_ready(), "two failures are not enough");
        let health = health.after(bad(), &probe(), at(5));
        assert!(!health.is_ready() && health.since == at(5) && health.last_failure.as_deref() == Some("refused"));
    }

    #[test]
    fn a_start_is_overdue_only_when_its_own_budget_is_spent() {
        let health = Health::new("a", at(0), at(0));
        assert!(!health.is_overdue(probe().startup, at(59)));
        assert!(health.is_overdue(probe().startup, at(60)));
        let adopted = Health::new("a", at(0), at(500));
        assert!(
            !adopted.is_overdue(probe().startup, at(559)),
            "a container that ran before gets its whole startup time"
        );
        assert!(!health.after(Ok(()), &probe(), at(61)).is_overdue(probe().startup, at(1000)));
    }
}
