//! The read model's types beyond a single pod: the overview, the source, tenants, adapters.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::{ActionLine, EventLine, PodLine, Time};
use crate::core::{
    names::{AdapterName, PodId, TenantName},
    problem::Problem,
    report::{health::FleetHealth, phase::Phase},
};

/// How many pods are in a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseCount {
    /// The phase.
    pub phase: Phase,
    /// How many.
    pub pods: i64,
    /// How many of them are ready.
    pub ready: i64,
}

/// A round that did something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoundLine {
    /// Ascends with time.
    pub id: i64,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub began_at: OffsetDateTime,
    /// How long it took, not counting the steps, which run beside it.
    pub milliseconds: i32,
    /// What triggered it: a saved file, a probe, ….
    pub trigger: String,
    /// The pods it acted on, with cause and steps.
    pub actions: Vec<ActionLine>,
    /// How many pods it held.
    pub held: i32,
    /// How many were as declared.
    pub settled: i32,
}

/// The machine the pods run on, as last measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostLine {
    /// Its host name.
    pub node: String,
    /// The number of its processors.
    pub cpus: i32,
    /// Its memory in MiB.
    pub memory_mb: i64,
    /// MiB of memory that all pods use.
    pub pods_memory_mb: i64,
    /// MiB of memory that all running pods may use.
    pub pods_memory_limit_mb: i64,
    /// CPU usage of all pods in percent of one processor.
    pub pods_cpu_percent: f32,
    /// Disk space in MiB where the engine stores its data, if that is on this machine.
    pub disk_mb: Option<i64>,
    /// MiB of that which are free.
    pub disk_free_mb: Option<i64>,
    /// The engine's version.
    pub engine: String,
    /// When it was measured.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub measured_at: OffsetDateTime,
}

/// The state of the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceLine {
    /// When it became stale; `None` if it is not.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub stale_since: Option<OffsetDateTime>,
    /// Why it cannot be read, if that is known.
    pub stale_why: Option<String>,
    /// Where it is read from, while it is stale.
    pub stale_origin: Option<String>,
    /// When it was last read successfully, while it is stale; `None`: never, or it is not stale.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub read_at: Option<OffsetDateTime>,
    /// Since when the source's content cannot be used, if it cannot: no manifest, too large, an unsigned commit.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub unusable_since: Option<OffsetDateTime>,
    /// Why its content cannot be used.
    pub unusable_why: Option<String>,
    /// The revision checked last, accepted or rejected.
    pub fetched: Option<RevisionLine>,
    /// The revision in force.
    pub accepted: Option<RevisionLine>,
    /// The newest revision that was carried out, as far as that was possible.
    pub synced: Option<RevisionLine>,
    /// How the pods are, whatever the revision.
    pub health: FleetHealth,
    /// How many pods need attention; those whose removal is held are not counted.
    pub needs_attention: i64,
}

/// The commit a revision was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitLine {
    /// Its full hash, in hexadecimal digits.
    pub id: String,
    /// As in the commit; not verified.
    pub author: String,
    /// The first line of its message.
    pub summary: String,
    /// The committer's time.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub committed_at: OffsetDateTime,
}

/// A revision in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionLine {
    /// Ascends with time.
    pub id: i64,
    /// The digest of the files' content.
    pub hash: String,
    /// Where it came from.
    pub origin: String,
    /// The newest commit with these files, if the source has commits.
    pub commit: Option<CommitLine>,
    /// `accepted` or `rejected`.
    pub state: String,
    /// What is wrong with a rejected one.
    pub problems: Vec<Problem>,
    /// When it was fetched.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub fetched_at: OffsetDateTime,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub accepted_at: Option<OffsetDateTime>,
    /// When nothing was left to do for it, for the first time.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub synced_at: Option<OffsetDateTime>,
}

/// The overview of the fleet. For a tenant's person: that tenant's pods and events, and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// All pods.
    pub pods: i64,
    /// Those that are ready.
    pub ready: i64,
    /// By phase; phases without pods are left out.
    pub phases: Vec<PhaseCount>,
    /// Pods that need attention: at most fifty, longest first. Those whose removal is held are in `held_removals`.
    pub needs_attention: Vec<PodLine>,
    /// How many pods need attention, not counting those whose removal is held.
    pub needs_attention_count: i64,
    /// Removals that are held until somebody approves them.
    pub held_removals: Option<HeldRemovalsLine>,
    /// The newest twenty events.
    pub events: Vec<EventLine>,
    /// The state of the source; not for a tenant's person.
    pub source: Option<SourceLine>,
    /// The last ten rounds that did something; not for a tenant's person.
    pub rounds: Vec<RoundLine>,
    /// The machine; not for a tenant's person, and absent until measured.
    pub host: Option<HostLine>,
    /// When anything was last written, if anything was.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub written_at: Option<OffsetDateTime>,
    /// The AgentPod that acts; `None`: none does, and everything is as of when one last did.
    pub acting: Option<ActingLine>,
    /// Whether the last one stopped in order; then everything was current until then.
    pub ended_well: bool,
}

/// Removals that are held because they are too many at once. Until somebody approves exactly these, the pods keep running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldRemovalsLine {
    /// The plan's hash, which an approval names; empty if another version of AgentPod held it.
    pub plan: String,
    /// Why they are held, as a sentence.
    pub why: String,
    /// How many pods.
    pub count: i64,
    /// The pods, at most a thousand.
    pub pods: Vec<PodId>,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub since: OffsetDateTime,
    /// Who approved it, if somebody did and it has not been carried out yet.
    pub approved_by: Option<String>,
    /// When it was approved.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub approved_at: Option<OffsetDateTime>,
}

/// The AgentPod that acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActingLine {
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub since: OffsetDateTime,
    /// Where it runs: `host, process 4711`; not for a tenant's person.
    pub process: Option<String>,
}

/// A tenant with its quota and how much of it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TenantLine {
    /// Its name in manifests.
    pub name: TenantName,
    /// The name people see.
    pub display_name: String,
    /// Its e-mail address.
    pub email: Option<String>,
    /// Its declared pods against its limit.
    pub pods: QuotaLine,
    /// Declared memory of its running pods in MiB against its limit.
    pub memory_mb: QuotaLine,
    /// Declared CPU of its running pods in thousandths of a processor against its limit.
    pub milli_cpus: QuotaLine,
    /// How many of its pods are ready.
    pub ready: i64,
    /// MiB of memory that its pods use now.
    pub memory_used_mb: i64,
    /// CPU usage of its pods in percent of one processor.
    pub cpu_percent: f32,
}

/// How much of a limit is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuotaLine {
    /// How much is used.
    pub taken: i64,
    /// The limit; `None`: unlimited.
    pub most: Option<i64>,
}

/// An adapter in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterLine {
    /// Its name.
    pub name: AdapterName,
    /// The agent's own name.
    pub title: String,
    /// One sentence about the agent.
    pub description: String,
    /// The image it runs unless a pod sets another.
    pub image: String,
    /// The port that the agent listens on.
    pub port: u16,
    /// JSON Schema of a pod's `config`.
    pub config_schema: Value,
    /// The secrets that the agent understands, as variable and what it is for.
    pub secrets: BTreeMap<String, String>,
    /// The memory limit of a pod that sets none, like `2Gi`.
    pub memory: Option<String>,
    /// The processors of a pod that sets none, like `0.5`.
    pub cpus: Option<String>,
    /// The least memory that it can work with.
    pub minimum_memory: Option<String>,
    /// How its health is probed, in a few words.
    pub health: String,
    /// Whether a running agent gives a login link.
    pub has_login: bool,
    /// How many of its pods have a container.
    pub containers: i64,
    /// Its pods, at most a thousand.
    pub pods: Vec<PodId>,
}
