//! Crash loops. The engine's own restart policy hardly backs off, so restarts are counted here: after five within ten
//! minutes the container is stopped, and started again after our own, longer waits.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;

use time::{Duration, OffsetDateTime};

/// How many restarts within [`WINDOW`] make a crash loop.
pub(crate) const RESTARTS: u32 = 5;
/// How far back restarts count.
pub(crate) const WINDOW: Duration = Duration::minutes(10);

/// How often one container ended, whoever started it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CrashWatch {
    container: String,
    /// The engine's count of its own restarts.
    restarts: u32,
    /// When it ended, as far as it was observed; oldest first, the last [`RESTARTS`] at most.
    ends: VecDeque<OffsetDateTime>,
}

impl CrashWatch {
    /// Starts to count for a container that was restarted `restarts` times so far.
    pub(crate) fn new(container: impl Into<String>, restarts: u32) -> Self {
        Self { container: container.into(), restarts, ends: VecDeque::new() }
    }

    /// The container.
    pub(crate) fn container(&self) -> &str {
        &self.container
    }

    /// Records what the engine counts now.
    pub(crate) fn record(&mut self, restarts: u32, now: OffsetDateTime) {
        if restarts < self.restarts {
            // Started deliberately since then: the engine counts from zero again.
            self.ends.clear();
        }
        for _ in 0..restarts.saturating_sub(self.restarts).min(RESTARTS) {
            self.end(now);
        }
        self.restarts = restarts;
        self.ends.retain(|at| *at > now.saturating_sub(WINDOW));
    }

    /// Records that this program started it again because it had ended.
    pub(crate) fn started_again(&mut self, now: OffsetDateTime) {
        self.end(now);
        self.restarts = 0;
    }

    /// Forgets what was counted: it has rested, and starts anew.
    pub(crate) fn forgive(&mut self) {
        self.ends.clear();
        self.restarts = 0;
    }

    /// Whether it restarts too often.
    pub(crate) fn is_looping(&self) -> bool {
        self.ends.len() >= RESTARTS as usize
    }

    fn end(&mut self, now: OffsetDateTime) {
        self.ends.push_back(now);
        if self.ends.len() > RESTARTS as usize {
            self.ends.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::minutes(minutes)
    }

    #[test]
    fn five_restarts_in_ten_minutes_are_a_loop_and_five_in_a_week_are_not() {
        let mut fast = CrashWatch::new("a", 0);
        let mut slow = fast.clone();
        for restart in 1..=5 {
            fast.record(restart, at(restart.into()));
            slow.record(restart, at(i64::from(restart) * 1440));
        }
        assert!(fast.is_looping());
        assert!(!slow.is_looping());
    }

    #[test]
    fn restarts_from_before_the_first_observation_do_not_count_and_a_deliberate_start_resets_them() {
        let mut watch = CrashWatch::new("a", 40);
        watch.record(44, at(1));
        assert!(!watch.is_looping());
        watch.record(0, at(2));
        watch.record(4, at(3));
        assert!(!watch.is_looping());
        watch.record(5, at(3));
        assert!(watch.is_looping());
    }

    #[test]
    fn ends_count_whoever_starts_it_again_until_it_has_rested() {
        let mut watch = CrashWatch::new("a", 0);
        for seconds in 0..4 {
            watch.started_again(OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds));
            watch.record(0, at(0));
            assert!(!watch.is_looping());
        }
        watch.record(1, at(1));
        assert!(watch.is_looping());
        watch.forgive();
        watch.record(0, at(2));
        assert!(!watch.is_looping());
    }
}
