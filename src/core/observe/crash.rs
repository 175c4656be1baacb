//! Crash loops. The engine's own restart policy hardly backs off, so restarts are counted here: after five within ten
//! minutes the container is stopped, and started again after our own, longer waits.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;

use time::{Duration, OffsetDateTime};

/// How many restarts within [`WINDOW`] make a crash loop.
pub(crate) const RESTARTS: u32 = 5;
/// How far back restarts count.
pub(crate) const WINDOW: Duration = Duration::minutes(10);

/// Restart counts of one container over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CrashWatch {
    container: String,
    counts: VecDeque<(OffsetDateTime, u32)>,
}

impl CrashWatch {
    /// Starts to count for a container that was restarted `restarts` times so far.
    pub(crate) fn new(container: impl Into<String>, restarts: u32, now: OffsetDateTime) -> Self {
        Self { container: container.into(), counts: VecDeque::from([(now, restarts)]) }
    }

    /// The container.
    pub(crate) fn container(&self) -> &str {
        &self.container
    }

    /// Records one more observation.
    pub(crate) fn record(&mut self, restarts: u32, now: OffsetDateTime) {
        if self.counts.back().is_some_and(|(_, last)| restarts < *last) {
            // Started deliberately since then: the engine counts from zero again.
            self.counts.clear();
        }
        self.counts.push_back((now, restarts));
        // Keep the newest count from before the window: everything after it happened within the window.
        while self.counts.len() > 2 && self.counts[1].0 <= now.saturating_sub(WINDOW) {
            self.counts.pop_front();
        }
    }

    /// Whether it restarts too often.
    pub(crate) fn is_looping(&self) -> bool {
        match (self.counts.front(), self.counts.back()) {
            (Some((_, first)), Some((_, last))) => last.saturating_sub(*first) >= RESTARTS,
            _ => false,
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
        let mut fast = CrashWatch::new("a", 0, at(0));
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
        let mut watch = CrashWatch::new("a", 40, at(0));
        watch.record(44, at(1));
        assert!(!watch.is_looping());
        watch.record(0, at(2));
        watch.record(4, at(3));
        assert!(!watch.is_looping());
        watch.record(5, at(3));
        assert!(watch.is_looping());
    }
}
