//! The watchdog over the source: notices, once in every round, that it was not read well for too long. It goes by the
//! time of the last good reading alone and not by what a reader says of itself, so a reader that hangs or died is
//! noticed like a folder that is gone.

use time::{Duration, OffsetDateTime};
use tracing::{info, warn};

use crate::{
    core::{event::EventKind, observe::stale},
    reconcile::Reconciler,
    source::SourceHealth,
    store::{Event, SourceState, StoreError},
};

/// Whether the source is stale, and what was known of its reading when that last changed.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    /// Since when it is stale.
    pub stale_since: Option<OffsetDateTime>,
    /// When it was last read well, as of then.
    pub read_at: Option<OffsetDateTime>,
    /// In place of the source's own interval.
    pub interval: Option<Duration>,
}

impl Watchdog {
    /// Takes over what the store had at the start: what was stale is so until it is read.
    pub fn loaded(&mut self, kept: &SourceState) {
        (self.stale_since, self.read_at) = (kept.stale_since, kept.read_at);
    }

    /// When the source was last read well, by us or by an AgentPod before us.
    pub fn read_at(&self, health: &SourceHealth) -> Option<OffsetDateTime> {
        health.last_read.or(self.read_at)
    }

    /// Since when the source is stale, now.
    fn judge(&self, health: &SourceHealth, began: OffsetDateTime, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let was_read_since = health.last_read.is_some() && health.last_read != self.read_at;
        let still = self.stale_since.filter(|_| !was_read_since);
        let interval = self.interval.or_else(|| Duration::try_from(health.interval).ok()).unwrap_or(Duration::MAX);
        still.or_else(|| stale::stale_since(health.last_read.unwrap_or(began), interval, now))
    }
}

impl Reconciler {
    /// Tells, and keeps, that the source became stale or is read again. Writes only then.
    pub(crate) async fn watch_source(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let health = self.inputs.health();
        let stale_since = self.watchdog.judge(&health, self.began, now);
        if stale_since.is_some() == self.watchdog.stale_since.is_some() {
            return Ok(());
        }
        let (origin, read_at, why) = (self.inputs.origin(), self.watchdog.read_at(&health), health.last_error);
        let state = SourceState { origin: origin.clone(), read_at, stale_since, why: why.clone() };
        self.store.set_source_state(&state, now).await?;
        (self.watchdog.stale_since, self.watchdog.read_at) = (stale_since, read_at);
        let (kind, message) = if stale_since.is_some() {
            let since = match read_at {
                Some(at) => format!("for {} s", (now - at).whole_seconds()),
                None => "since AgentPod was started".into(),
            };
            let message = format!("{origin} was not read {since}; what was accepted last stays in force");
            warn!(why, "{message}");
            (EventKind::SourceStale, message)
        } else {
            info!("{origin} is read again");
            (EventKind::SourceFresh, format!("{origin} is read again"))
        };
        self.journal.event(Event { cause: why, revision: self.revision_row, ..Event::of_none(kind, message) });
        Ok(())
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
        assert_eq!(watchdog.judge(&health(None), at(0), at(89)), None);
        assert_eq!(watchdog.judge(&health(None), at(0), at(90)), Some(at(90)));
        assert_eq!(watchdog.judge(&health(Some(1000)), at(0), at(1089)), None);
        assert_eq!(watchdog.judge(&health(Some(1000)), at(0), at(5000)), Some(at(1090)));
    }

    #[test]
    fn what_was_stale_before_a_restart_is_so_until_it_is_read() {
        let kept = SourceState { origin: "here".into(), read_at: None, stale_since: Some(at(50)), why: None };
        let mut watchdog = Watchdog::default();
        watchdog.loaded(&kept);
        let judge = |last_read| watchdog.judge(&health(last_read), at(1000), at(1001));
        assert_eq!(judge(None), Some(at(50)), "this process has not waited that long, and it was told before");
        assert_eq!(judge(Some(1001)), None);
    }
}
