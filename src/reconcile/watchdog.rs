//! The watchdog over the source: notices, once in every round, that it was not read well for too long. It goes by the
//! time of the last good reading alone and not by what a reader says of itself, so a reader that hangs or died is
//! noticed like a folder that is gone.

use time::{Duration, OffsetDateTime};
use tracing::{info, warn};

use super::Reconciler;
use crate::{
    core::stale,
    store::{Event, SourceState, StoreError},
};

/// What is known of the source's reading.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    /// When it was last read well.
    pub read_at: Option<OffsetDateTime>,
    /// Since when it is stale.
    pub stale_since: Option<OffsetDateTime>,
    /// Why it could not be read last.
    pub why: Option<String>,
    /// It was read well since it became stale.
    answered: bool,
}

impl Watchdog {
    /// Takes over what the store had at the start: what was stale is so until it is read.
    pub fn loaded(&mut self, kept: SourceState) {
        self.read_at = self.read_at.or(kept.read_at);
        self.stale_since = kept.stale_since;
        self.why = self.why.take().or(kept.why);
    }

    /// Takes in how a reading ended.
    pub fn saw(&mut self, outcome: Result<OffsetDateTime, String>) {
        match outcome {
            Ok(at) => {
                (self.read_at, self.why) = (self.read_at.max(Some(at)), None);
                self.answered = true;
            }
            Err(why) => self.why = Some(why),
        }
    }

    /// Since when the source is stale, now.
    fn judge(&self, began: OffsetDateTime, interval: Duration, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let still = self.stale_since.filter(|_| !self.answered);
        still.or_else(|| stale::stale_since(self.read_at.unwrap_or(began), interval, now))
    }
}

impl Reconciler {
    /// Tells, and keeps, that the source became stale or is read again. Writes only then.
    pub(super) async fn watch_source(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let interval = Duration::try_from(self.tick).unwrap_or(Duration::MAX);
        let before = self.watchdog.stale_since;
        let stale_since = self.watchdog.judge(self.began, interval, now);
        if stale_since.is_some() == before.is_some() {
            return Ok(());
        }
        let origin = self.inputs.origin();
        let (read_at, why) = (self.watchdog.read_at, self.watchdog.why.clone());
        let state = SourceState { origin: origin.clone(), read_at, stale_since, why: why.clone() };
        self.store.set_source_state(&state, now).await?;
        self.watchdog.stale_since = stale_since;
        self.watchdog.answered = false;
        let (kind, message) = match stale_since {
            Some(_) => {
                let since = match read_at {
                    Some(at) => format!("for {} s", (now - at).whole_seconds()),
                    None => "since AgentPod was started".into(),
                };
                let message = format!("{origin} was not read {since}; what was accepted last stays in force");
                warn!(why, "{message}");
                ("source_stale", message)
            }
            None => {
                let message = format!("{origin} is read again");
                info!("{message}");
                ("source_fresh", message)
            }
        };
        self.journal.event(Event { cause: why, ..Event::of_none(kind, message) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stale_before_a_restart_is_so_until_it_is_read() {
        let at = |seconds| OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let kept = SourceState { origin: "here".into(), read_at: None, stale_since: Some(at(50)), why: None };
        let mut watchdog = Watchdog::default();
        watchdog.loaded(kept);
        let judge = |watchdog: &Watchdog| watchdog.judge(at(1000), Duration::seconds(30), at(1001));
        assert_eq!(judge(&watchdog), Some(at(50)), "this process has not waited that long, and it was told before");
        watchdog.saw(Err("gone".into()));
        assert_eq!(judge(&watchdog), Some(at(50)));
        watchdog.saw(Ok(at(1001)));
        assert_eq!(judge(&watchdog), None);
    }
}
