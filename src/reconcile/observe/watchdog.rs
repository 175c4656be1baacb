//! The watchdog of the source: notices, once in every round, that the source was not read for too long. It goes by the
//! time of the last successful read and not by what a reader reports, so a reader that hangs or died is noticed like a
//! missing folder.

use time::{Duration, OffsetDateTime};

use crate::{core::observe::stale, source::SourceHealth, store::SourceState};

/// Whether the source is stale, and what was known when that last changed.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    stale_since: Option<OffsetDateTime>,
    /// When it was last read successfully, as of then.
    read_at: Option<OffsetDateTime>,
    /// Overrides the source's own interval.
    interval: Option<Duration>,
}

impl Watchdog {
    /// Restores what is stored: a stale source stays stale until it is read.
    pub(crate) fn load(&mut self, stored: &SourceState) {
        (self.stale_since, self.read_at) = (stored.stale_since, stored.read_at);
    }

    /// Overrides the source's own interval.
    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = Some(interval);
    }

    /// When the source became stale, as of the last change.
    pub(crate) fn stale_since(&self) -> Option<OffsetDateTime> {
        self.stale_since
    }

    /// When the source was last read successfully, by this process or one before it.
    pub(crate) fn read_at(&self, health: &SourceHealth) -> Option<OffsetDateTime> {
        health.last_read.or(self.read_at)
    }

    /// What has to be stored, if the source became stale or is read again.
    pub(crate) fn change(
        &self,
        origin: &str,
        health: &SourceHealth,
        began: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Option<SourceState> {
        let stale_since = self.evaluate(health, began, now);
        (stale_since.is_some() != self.stale_since.is_some()).then(|| SourceState {
            origin: origin.to_owned(),
            read_at: self.read_at(health),
            stale_since,
            why: health.last_error.clone(),
        })
    }

    /// When the source became stale, as of now.
    fn evaluate(&self, health: &SourceHealth, began: OffsetDateTime, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let was_read_since = health.last_read.is_some() && health.last_read != self.read_at;
        let still = self.stale_since.filter(|_| !was_read_since);
        let interval = self.interval.or_else(|| Duration::try_from(health.interval).ok()).unwrap_or(Duration::MAX);
        still.or_else(|| stale::stale_since(health.last_read.unwrap_or(began), interval, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
    }

    fn health(last_read: Option<i64>) -> SourceHealth {
        let interval = std::time::Duration::from_secs(30);
        SourceHealth { last_read: last_read.map(at), last_tried: None, last_error: None, fetched: None, interval }
    }

    #[test]
    fn a_reader_that_says_nothing_at_all_is_noticed_by_the_time_alone() {
        let watchdog = Watchdog::default();
        assert_eq!(watchdog.evaluate(&health(None), at(0), at(89)), None);
        assert_eq!(watchdog.evaluate(&health(None), at(0), at(90)), Some(at(90)));
        assert_eq!(watchdog.evaluate(&health(Some(1000)), at(0), at(1089)), None);
        assert_eq!(watchdog.evaluate(&health(Some(1000)), at(0), at(5000)), Some(at(1090)));
    }

    #[test]
    fn what_was_stale_before_a_restart_is_so_until_it_is_read() {
        let kept = SourceState { origin: "here".into(), read_at: None, stale_since: Some(at(50)), why: None };
        let mut watchdog = Watchdog::default();
        watchdog.load(&kept);
        let evaluate = |last_read| watchdog.evaluate(&health(last_read), at(1000), at(1001));
        assert_eq!(evaluate(None), Some(at(50)), "it was stale before this process started");
        assert_eq!(evaluate(Some(1001)), None);
    }
}
