//! How a source fares: when it was read, and what came of it. Says nothing of what is in the files.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;

use crate::core::declare::commit::Commit;

/// How a source fares, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHealth {
    /// When it was last read whole. A source that was only found unchanged was read, too.
    pub last_read: Option<OffsetDateTime>,
    /// When it was last tried, whatever came of it.
    pub last_tried: Option<OffsetDateTime>,
    /// Why the last try failed, if it did; never with a credential in it.
    pub last_error: Option<String>,
    /// The commit that was fetched last, whether or not it can be used; `None` for a source without commits.
    pub fetched: Option<Commit>,
    /// How often it is read while all is well.
    pub interval: Duration,
}

/// What is remembered of the tries; clones share it.
#[derive(Debug, Clone)]
pub struct SharedHealth(Arc<Mutex<SourceHealth>>);

impl SharedHealth {
    /// Nothing was tried yet.
    pub(super) fn every(interval: Duration) -> Self {
        let health = SourceHealth { last_read: None, last_tried: None, last_error: None, fetched: None, interval };
        Self(Arc::new(Mutex::new(health)))
    }

    /// As of now.
    pub(super) fn health(&self) -> SourceHealth {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what came of a try: the commit that was read, if the source has commits, or why nothing could be read.
    pub(super) fn note(&self, outcome: Result<Option<Commit>, String>) {
        let mut health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = crate::clock::now();
        health.last_tried = Some(now);
        match outcome {
            Ok(commit) => {
                (health.last_read, health.last_error) = (Some(now), None);
                health.fetched = commit;
            }
            Err(why) => health.last_error = Some(why),
        }
    }
}
