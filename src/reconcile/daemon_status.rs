//! What others may know of the daemon as of its last round: who acts and on what, what became of the source, and every
//! pod's status. Plain values, published after each round; reading them asks nobody anything.

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

/// What others may see of the reconciler, as of its last round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DaemonStatus {
    /// Whether this AgentPod acts, or stands by while another one does.
    pub role: DaemonRole,
    /// Since when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub role_since: Option<OffsetDateTime>,
    /// Whose overview this is; empty while another AgentPod leads.
    pub instance: String,
    /// How many rounds were made.
    pub rounds: u64,
    /// When the last one ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_round: Option<OffsetDateTime>,
    /// Where manifests come from, and what became of the newest revision.
    pub source: SourceView,
    /// Why the engine cannot be used, if it cannot.
    pub engine: Option<String>,
    /// Why the database cannot be used, if it cannot.
    pub database: Option<String>,
    /// The removals that are held because they are too many at once, and the hash to approve them by.
    pub held_removals: Option<HeldRemovals>,
    /// What was decided about items that belong to no pod, by name: `network agentpod-net`.
    pub infra: BTreeMap<String, PlanLine>,
    /// The pods that steps are under way for, declared or not.
    pub busy: Vec<PodId>,
    /// The pods by `tenant/pod`.
    pub pods: BTreeMap<String, PodView>,
    /// What was counted since this AgentPod acts.
    #[serde(skip)]
    pub metrics: Metrics,
}

/// Which of the AgentPods on one database this is.
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
    /// Everything that keeps it from doing what it is there for; nothing means ready. What stands by is ready as long as
    /// it can ask whether to take over.
    pub fn unready(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.database.iter().cloned().collect();
        if self.role == DaemonRole::Standby {
            return reasons;
        }
        if self.rounds == 0 && reasons.is_empty() {
            return vec!["no round was made yet".into()];
        }
        reasons.extend(self.engine.clone());
        if self.source.accepted.is_none() {
            let first = self.source.problems.first().map(|problem| format!(": {}: {}", problem.file, problem.what));
            reasons.push(format!("no revision is in force{}", first.unwrap_or_default()));
        }
        reasons
    }
}

/// What became of the newest revision.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SourceView {
    /// Where manifests come from.
    pub origin: String,
    /// The revision in force.
    pub accepted: Option<String>,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub accepted_at: Option<OffsetDateTime>,
    /// The newest commit with its files, where the source keeps commits.
    pub commit: Option<Commit>,
    /// Whether everything is as it says.
    pub applied: bool,
    /// What is wrong with the newest revision, if it was refused.
    pub problems: Vec<Problem>,
    /// The newest revision, if it could be read and was refused.
    pub refused: Option<String>,
    /// Its commit, where the source keeps commits.
    pub refused_commit: Option<Commit>,
    /// The commit that was fetched last, whatever became of it, where the source keeps commits.
    pub fetched: Option<Commit>,
    /// When the source was last read well.
    #[serde(with = "time::serde::rfc3339::option")]
    pub read_at: Option<OffsetDateTime>,
    /// When it was last tried, whatever came of it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub tried_at: Option<OffsetDateTime>,
    /// Since when it counts as stale: not read for three intervals.
    #[serde(with = "time::serde::rfc3339::option")]
    pub stale_since: Option<OffsetDateTime>,
    /// Why it could not be read last.
    pub unread: Option<String>,
}

/// What others may see of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodView {
    /// Its status.
    #[serde(flatten)]
    pub status: Status,
    /// When its probe last succeeded, while AgentPod probes it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_health_at: Option<OffsetDateTime>,
    /// What else is true of it, or is not.
    pub conditions: Vec<Condition>,
    /// Where it answers.
    pub url: Option<String>,
    /// The kind of agent.
    pub adapter: Option<String>,
    /// What is being done for it right now.
    pub doing: Option<String>,
    /// How far its pull has come, during one.
    pub pull: Option<PullProgress>,
    /// Whether nothing is left to do or to wait for.
    pub settled: bool,
}
