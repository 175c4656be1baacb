//! The health of a source: when it was read, and with what result.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;

use super::SourceError;
use crate::core::declare::commit::Commit;

/// The health of a source at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHealth {
    /// The last successful read. A check that found nothing new counts too.
    pub last_read: Option<OffsetDateTime>,
    /// The last attempt, successful or not.
    pub(crate) last_tried: Option<OffsetDateTime>,
    /// Why the last attempt failed, without credentials.
    pub last_error: Option<String>,
    /// The commit that was last fetched, usable or not; `None` for a source without commits.
    pub fetched: Option<Commit>,
    /// How often it is read in normal operation.
    pub(crate) interval: Duration,
}

/// The health that clones of a source share.
#[derive(Debug, Clone)]
pub struct SharedHealth(Arc<Mutex<SourceHealth>>);

impl SharedHealth {
    /// The health before the first attempt.
    pub(super) fn every(interval: Duration) -> Self {
        let health = SourceHealth { last_read: None, last_tried: None, last_error: None, fetched: None, interval };
        Self(Arc::new(Mutex::new(health)))
    }

    /// The current health.
    pub(super) fn health(&self) -> SourceHealth {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records an attempt: the commit that was read, if the source has commits, or the error.
    pub(super) fn record(&self, outcome: Result<Option<Commit>, &SourceError>) {
        let mut health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = crate::clock::now();
        health.last_tried = Some(now);
        match outcome {
            Ok(commit) => {
                (health.last_read, health.last_error) = (Some(now), None);
                health.fetched = commit;
            }
            Err(error) => health.last_error = Some(error.to_string()),
        }
    }
}
