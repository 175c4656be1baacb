//! What changed, as the database says it when a transaction is in: which row, never how. Kept by a connection of its own;
//! what was said while that was lost is not known.

use std::{collections::BTreeSet, time::Duration};

use sqlx::postgres::PgListener;

use super::{Store, error::Result, listen};
use crate::core::names::PodId;

/// What the word is called on the server; said by triggers, see the migrations.
pub(super) const CHANGED: &str = "agentpod_changed";
/// How long after the first change others are waited for, to be told together.
const TOGETHER: Duration = Duration::from_millis(40);

/// Rows that changed, some of them gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Pods: what they should be, what they do, what was decided about them.
    pub pods: BTreeSet<PodId>,
    /// Events that happened, or happened again.
    pub events: BTreeSet<i64>,
    /// Revisions.
    pub revisions: BTreeSet<i64>,
    /// Requests.
    pub requests: BTreeSet<i64>,
    /// Whether usage was measured.
    pub usage: bool,
}

/// Hears of changes.
#[derive(Debug)]
pub struct Changes(PgListener);

impl Store {
    /// Begins to hear of changes. Those from before are not heard of.
    pub async fn changes(&self) -> Result<Changes> {
        Ok(Changes(self.listener(CHANGED).await?))
    }
}

impl Changes {
    /// Waits for changes, and for those that follow at once. An error when the connection is lost.
    pub async fn next(&mut self) -> Result<Changed> {
        let mut changed = Changed::default();
        changed.take(&self.one().await?);
        let deadline = crate::clock::runtime_instant() + TOGETHER;
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
    /// Takes one word in; another AgentPod's new words are nothing to us.
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
