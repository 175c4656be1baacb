//! Changes, as the database announces them when a transaction commits: which row, never its content.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Store,
    notifications::{Notice, Notices},
};
use crate::core::names::PodId;

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
pub(crate) struct Changes(Notices);

impl Store {
    /// Starts to listen, once the database can be reached. Earlier changes are missed.
    pub(crate) async fn changes(&self) -> Changes {
        Changes(self.notices().await)
    }
}

impl Changes {
    /// Waits for changes, and collects those that follow at once. `None`: some may have been missed.
    pub(crate) async fn next(&mut self) -> Option<Changed> {
        let mut changed = Changed::default();
        changed.take(&self.one().await?);
        let deadline = crate::clock::runtime_instant() + COLLECT_FOR;
        while let Ok(more) = tokio::time::timeout_at(deadline, self.one()).await {
            changed.take(&more?);
        }
        Some(changed)
    }

    async fn one(&mut self) -> Option<String> {
        loop {
            match self.0.next().await {
                Notice::Changed(word) => return Some(word),
                Notice::Missed => return None,
                Notice::Requested => {}
            }
        }
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
