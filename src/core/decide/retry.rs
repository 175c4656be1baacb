//! When to try again: ten seconds after the first failure, doubling to five minutes, with jitter, and at once for a
//! different target. A retry is a row in the store and an input of the next plan; nobody sleeps for it.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};
use time::{Duration, OffsetDateTime};

/// The wait after the first failure.
pub const FIRST: Duration = Duration::seconds(10);
/// The longest wait.
pub(crate) const LONGEST: Duration = Duration::minutes(5);

/// A pod whose last action failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// What the pod should have become when it failed; anything else is tried at once.
    pub target: RetryTarget,
    /// Failures in a row.
    pub failures: u32,
    /// Not before then.
    pub at: OffsetDateTime,
    /// Why it failed.
    pub why: String,
    /// How it failed the last time.
    pub kind: FailureKind,
}

/// How a pod failed to become what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Its container kept exiting.
    Crash,
    /// The engine refuses to start its container as it is declared.
    Refused,
    /// A step failed for a reason that is not the container's: the engine, its network, its disk, a registry.
    Step,
}

impl FailureKind {
    /// Its name in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Refused => "refused",
            Self::Step => "step",
        }
    }

    /// The kind of that name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Crash, Self::Refused, Self::Step].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What a pod should become, as far as trying again goes: a retry holds for one target only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryTarget {
    /// Nothing of it but its data: it is no longer declared.
    Gone,
    /// Stopped, because somebody paused it.
    Paused,
    /// Stopped, as declared.
    Stopped,
    /// Running, with this container and these files.
    Running {
        /// The first digits of the container's digest.
        container: String,
        /// Those of the files that its agent re-reads by itself.
        files: Option<String>,
    },
    /// Running with the container it had before its declaration changed.
    PreviousContainer,
    /// Existing; of an item that belongs to no pod.
    Present,
}

/// The text is no target of a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no target of a retry")]
pub struct NotATarget;

impl fmt::Display for RetryTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("gone"),
            Self::Paused => f.write_str("paused"),
            Self::Stopped => f.write_str("stopped"),
            Self::Running { container, files: None } => write!(f, "running:{container}"),
            Self::Running { container, files: Some(files) } => write!(f, "running:{container}:{files}"),
            Self::PreviousContainer => f.write_str("previous"),
            Self::Present => f.write_str("present"),
        }
    }
}

impl FromStr for RetryTarget {
    type Err = NotATarget;
    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("gone"), None, ..) => Ok(Self::Gone),
            (Some("paused"), None, ..) => Ok(Self::Paused),
            (Some("stopped"), None, ..) => Ok(Self::Stopped),
            (Some("previous"), None, ..) => Ok(Self::PreviousContainer),
            (Some("present"), None, ..) => Ok(Self::Present),
            (Some("running"), Some(container), files, None) => {
                Ok(Self::Running { container: container.into(), files: files.map(str::to_owned) })
            }
            _ => Err(NotATarget),
        }
    }
}

impl Serialize for RetryTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Retry {
    /// The retry after one more failure of `target`. `jitter` is between 0 and 1 and spreads the retries of many pods.
    pub(crate) fn after(
        last: Option<&Self>,
        target: &RetryTarget,
        why: impl Into<String>,
        kind: FailureKind,
        now: OffsetDateTime,
        jitter: f64,
    ) -> Self {
        let failures = last.filter(|last| last.target == *target).map_or(0, |last| last.failures).saturating_add(1);
        let doublings = failures.saturating_sub(1).min(10);
        let wait = FIRST.saturating_mul(2i32.saturating_pow(doublings)).min(LONGEST);
        let jitter = 0.9 + 0.2 * jitter.clamp(0.0, 1.0);
        let at = now.saturating_add(Duration::saturating_seconds_f64(wait.as_seconds_f64() * jitter));
        Self { target: target.clone(), failures, at, why: why.into(), kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(container: &str) -> RetryTarget {
        RetryTarget::Running { container: container.into(), files: None }
    }

    #[test]
    fn a_target_is_read_back_from_the_text_in_its_column() {
        let files = RetryTarget::Running { container: "4be1c09a".into(), files: Some("91d7e2f4".into()) };
        for target in [
            RetryTarget::Gone,
            RetryTarget::Paused,
            RetryTarget::Stopped,
            RetryTarget::PreviousContainer,
            RetryTarget::Present,
            running("a"),
            files,
        ] {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        for text in ["", "running", "gone:1", "running:a:b:c", "somewhere"] {
            assert_eq!(text.parse::<RetryTarget>(), Err(NotATarget), "{text:?}");
        }
    }

    #[test]
    fn waits_double_from_ten_seconds_to_five_minutes_and_a_new_target_starts_over() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut last = None;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let next = Retry::after(last.as_ref(), &running("a"), "no", FailureKind::Step, now, 0.5);
            waits.push((next.at - now).whole_seconds());
            last = Some(next);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
        let fresh = Retry::after(last.as_ref(), &running("b"), "no", FailureKind::Step, now, 0.5);
        assert_eq!(fresh.failures, 1);
    }

    #[test]
    fn jitter_spreads_retries_by_a_tenth_either_way() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let at = |jitter| {
            (Retry::after(None, &running("w"), "no", FailureKind::Step, now, jitter).at - now).whole_milliseconds()
        };
        assert_eq!((at(0.0), at(1.0)), (9_000, 11_000));
    }
}
