//! The daemon as of its last round: who acts and on what, the state of the source, and every pod's status. Plain values,
//! published after each round; reading them calls neither the engine nor the database.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use super::report::metrics::Metrics;
use crate::{
    core::{
        decide::plan::HeldRemovals,
        declare::commit::Commit,
        names::PodId,
        observe::condition::Condition,
        problem::Problem,
        report::{status::Status, view::PlanLine},
    },
    engine::PullProgress,
};

/// The published state of the daemon, as of its last round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DaemonStatus {
    /// Whether this AgentPod acts, or stands by while another one does.
    pub role: DaemonRole,
    /// When that began.
    #[serde(with = "time::serde::rfc3339::option")]
    pub role_since: Option<OffsetDateTime>,
    /// The instance; empty while another AgentPod leads.
    pub instance: String,
    /// How many rounds were made.
    pub rounds: u64,
    /// When the last one ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_round: Option<OffsetDateTime>,
    /// The source and the newest revision.
    pub source: SourceView,
    /// Why the engine cannot be used, if it cannot.
    pub engine: Option<String>,
    /// Why the database cannot be used, if it cannot.
    pub database: Option<String>,
    /// The removals that are held because they are too many at once, and the hash to approve them by.
    pub held_removals: Option<HeldRemovals>,
    /// What was decided about items that belong to no pod, by name: `network agentpod-net`.
    pub infra: BTreeMap<String, PlanLine>,
    /// The pods that steps are running for, declared or not.
    pub busy: Vec<PodId>,
    /// The pods by `tenant/pod`.
    pub pods: BTreeMap<String, PodView>,
    /// Counters since this AgentPod began to act.
    #[serde(skip)]
    pub metrics: Metrics,
}

/// Which role an AgentPod has among those on one database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DaemonRole {
    /// Another one acts, or may; this one takes over when it can.
    #[default]
    Standby,
    /// It makes rounds.
    Active,
}

impl DaemonStatus {
    /// Everything that keeps it from working; empty means ready. A standby is ready as long as it can try to take over.
    pub(crate) fn unready_reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.database.iter().cloned().collect();
        if self.role == DaemonRole::Standby {
            return reasons;
        }
        if self.rounds == 0 && reasons.is_empty() {
            return vec!["the first round has not finished".into()];
        }
        reasons.extend(self.engine.clone());
        if self.source.accepted.is_none() {
            let first = self.source.problems.first().map(|problem| format!(": {}: {}", problem.file, problem.what));
            reasons.push(format!("no revision is in force{}", first.unwrap_or_default()));
        }
        reasons
    }
}

/// The state of the source and its newest revision.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SourceView {
    /// Where manifests come from.
    pub(crate) origin: String,
    /// The revision in force.
    pub accepted: Option<String>,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) accepted_at: Option<OffsetDateTime>,
    /// The newest commit with its files, if the source has commits.
    pub(crate) commit: Option<Commit>,
    /// Whether it is carried out, as far as that is possible for now.
    pub synced: bool,
    /// Whether every declared pod is ready, or stopped on purpose, and none needs attention.
    pub healthy: bool,
    /// What is wrong with the newest revision, if it was refused.
    pub problems: Vec<Problem>,
    /// The newest revision, if it could be read and was refused.
    pub refused: Option<String>,
    /// Its commit, if the source has commits.
    pub(crate) refused_commit: Option<Commit>,
    /// The last fetched commit, accepted or not, if the source has commits.
    pub(crate) fetched: Option<Commit>,
    /// When the source was last read successfully.
    #[serde(with = "time::serde::rfc3339::option")]
    pub read_at: Option<OffsetDateTime>,
    /// When the last attempt to read it was made.
    #[serde(with = "time::serde::rfc3339::option")]
    pub tried_at: Option<OffsetDateTime>,
    /// When it became stale: not read for three intervals.
    #[serde(with = "time::serde::rfc3339::option")]
    pub stale_since: Option<OffsetDateTime>,
    /// Why it could not be read last.
    pub unread: Option<String>,
}

/// The published state of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodView {
    /// Its status.
    #[serde(flatten)]
    pub status: Status,
    /// When its probe last succeeded, if this AgentPod probes it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_health_at: Option<OffsetDateTime>,
    /// Its other conditions.
    pub conditions: Vec<Condition>,
    /// Its URL.
    pub url: Option<String>,
    /// Its adapter.
    pub adapter: Option<String>,
    /// What is being done for it right now.
    pub doing: Option<String>,
    /// How far its pull has come, while one runs.
    pub pull: Option<PullProgress>,
    /// Whether there is nothing to do and nothing to wait for.
    pub settled: bool,
}
