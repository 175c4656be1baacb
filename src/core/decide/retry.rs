//! When to try again: ten seconds after the first failure, doubling to five minutes, with jitter, and at once for a
//! different wish. A retry is a row in the store and an input of the next plan; nobody sleeps for it.

use serde::Serialize;
use time::{Duration, OffsetDateTime};

/// The wait after the first failure.
pub const FIRST: Duration = Duration::seconds(10);
/// The longest wait.
pub const LONGEST: Duration = Duration::minutes(5);

/// A pod whose last action failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// What was wished for when it failed; any other wish is tried at once.
    pub target: String,
    /// Failures in a row.
    pub failures: u32,
    /// Not before then.
    pub at: OffsetDateTime,
    /// Why it failed.
    pub why: String,
    /// Whether it failed by crashing rather than by a refused step.
    pub crash: bool,
}

/// How an action failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionFailure {
    /// In a sentence.
    pub why: String,
    /// The step that failed, if one was tried.
    pub step: Option<String>,
    /// Whether somebody else was faster: it is looked at again at once, but only once.
    pub is_race: bool,
}

impl From<String> for ActionFailure {
    fn from(why: String) -> Self {
        Self { why, step: None, is_race: false }
    }
}

impl Retry {
    /// The retry after one more failure of `target`. `chance` is between 0 and 1 and spreads the retries of many pods.
    pub fn after(
        last: Option<&Self>,
        target: &str,
        why: impl Into<String>,
        crash: bool,
        now: OffsetDateTime,
        chance: f64,
    ) -> Self {
        let failures = last.filter(|last| last.target == target).map_or(0, |last| last.failures).saturating_add(1);
        let wait = (FIRST * 2f64.powi(failures.saturating_sub(1).min(10) as i32)).min(LONGEST);
        let at = now + wait * (0.9 + 0.2 * chance);
        Self { target: target.into(), failures, at, why: why.into(), crash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_ten_seconds_to_five_minutes_and_a_new_wish_starts_over() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut last = None;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let next = Retry::after(last.as_ref(), "running:a", "no", false, now, 0.5);
            waits.push((next.at - now).whole_seconds());
            last = Some(next);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
        let fresh = Retry::after(last.as_ref(), "running:b", "no", false, now, 0.5);
        assert_eq!(fresh.failures, 1);
    }

    #[test]
    fn jitter_spreads_retries_by_a_tenth_either_way() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let at = |chance| (Retry::after(None, "w", "no", false, now, chance).at - now).whole_milliseconds();
        assert_eq!((at(0.0), at(1.0)), (9_000, 11_000));
    }
}
