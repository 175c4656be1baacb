//! Changes, as the database announces them when a transaction commits: which row, never its content. Received on a
//! connection of its own; what is announced while that is lost is missed.

use std::{collections::BTreeSet, time::Duration};

use sqlx::postgres::PgListener;

use super::{Store, error::Result, listen};
use crate::core::names::PodId;

/// The notification channel; triggers in the migration notify it.
pub(super) const CHANGED: &str = "agentpod_changed";
/// How long after the first change others are collected, to be announced together.
const COLLECT_FOR: Duration = Duration::from_millis(40);

/// Rows that changed, some of them deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Pods: declaration, status or plan.
    pub(crate) pods: BTreeSet<PodId>,
    /// Events that are new, or were counted again.
    pub(crate) events: BTreeSet<i64>,
    /// Revisions.
    pub(crate) revisions: BTreeSet<i64>,
    /// Requests.
    pub(crate) requests: BTreeSet<i64>,
    /// Whether usage was measured.
    pub(crate) usage: bool,
}

/// Receives changes.
#[derive(Debug)]
pub(crate) struct Changes(PgListener);

impl Store {
    /// Starts to listen. Earlier changes are missed.
    pub(crate) async fn changes(&self) -> Result<Changes> {
        Ok(Changes(self.listener(CHANGED).await?))
    }
}

impl Changes {
    /// Waits for changes, and collects those that follow at once. Fails when the connection is lost.
    pub(crate) async fn next(&mut self) -> Result<Changed> {
        let mut changed = Changed::default();
        changed.take(&self.one().await?);
        let deadline = crate::clock::runtime_instant() + COLLECT_FOR;
        while let Ok(more) = tokio::time::timeout_at(deadline, self.one()).await {
            changed.take(&more?);
        }
        Ok(changed)
    }

    async fn one(&mut self) -> Result<String> {
        listen::next(&mut self.0).await
    }
}

impl Changed {
    /// Parses one notification; unknown ones from another version are ignored.
    fn take(&mut self, word: &str) {
        let (what, which) = word.split_once(' ').unwrap_or((word, ""));
        match what {
            "pod" => self.pods.extend(PodId::from_key(which)),
            "event" => self.events.extend(which.parse::<i64>()),
            "revision" => self.revisions.extend(which.parse::<i64>()),
            "request" => self.requests.extend(which.parse::<i64>()),
            "usage" => self.usage = true,
            _ => {}
        }
    }
}
