//! What the read model answers about everything beside one pod: the fleet at a glance, the source, tenants, adapters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::{ActionLine, EventLine, Time};
use crate::core::{
    names::{AdapterName, PodId, TenantName},
    problem::Problem,
    report::{phase::Phase, reason::Reason},
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

/// A pod that is held or failing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TroubledPod {
    /// Which.
    pub id: PodId,
    /// What it is doing.
    pub phase: Phase,
    /// Why, as one word.
    pub reason: Reason,
    /// Why, as a sentence.
    pub message: String,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub since: OffsetDateTime,
}

/// A round that did something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoundLine {
    /// Grows with time.
    pub id: i64,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub began_at: OffsetDateTime,
    /// How long it took, without the steps, which go on beside it.
    pub milliseconds: i32,
    /// What it was made for: a saved file, a probe, ….
    pub trigger: String,
    /// The pods it acted on, each with its cause and its steps.
    pub actions: Vec<ActionLine>,
    /// How many pods it held.
    pub held: i32,
    /// How many were as they should be.
    pub settled: i32,
}

/// The machine the pods run on, as last measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostLine {
    /// Its name.
    pub node: String,
    /// Its processors.
    pub cpus: i32,
    /// Its memory in MiB.
    pub memory_mb: i64,
    /// Memory in MiB that all pods together use.
    pub pods_memory_mb: i64,
    /// Memory in MiB that all running pods together may use.
    pub pods_memory_limit_mb: i64,
    /// Processor time all pods together use, 100 being one processor.
    pub pods_cpu_percent: f32,
    /// Room in MiB where the engine keeps its things, if it is on this machine.
    pub disk_mb: Option<i64>,
    /// How much of that is free.
    pub disk_free_mb: Option<i64>,
    /// The engine's version.
    pub engine: String,
    /// When it was measured.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub measured_at: OffsetDateTime,
}

/// What became of the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceLine {
    /// Since when it could not be read, if it cannot.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub stale_since: Option<OffsetDateTime>,
    /// Why not, if that is known.
    pub stale_why: Option<String>,
    /// Where it is read from, while it is stale.
    pub stale_origin: Option<String>,
    /// When it was last read well, while it is stale; `None`: never, or it is not stale.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub read_at: Option<OffsetDateTime>,
    /// Since when what the source holds cannot be taken at all, if it cannot: no manifest in it, one too large, an unsigned
    /// commit.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub unusable_since: Option<OffsetDateTime>,
    /// Why not.
    pub unusable_why: Option<String>,
    /// The revision judged last, accepted or rejected.
    pub fetched: Option<RevisionLine>,
    /// The revision in force.
    pub accepted: Option<RevisionLine>,
    /// The newest revision after which everything was as it declares.
    pub applied: Option<RevisionLine>,
}

/// The commit a revision was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitLine {
    /// Its full id, in hexadecimal digits.
    pub id: String,
    /// As the commit says; anybody can write anything there.
    pub author: String,
    /// The first line of its message.
    pub summary: String,
    /// By its committer's clock.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub committed_at: OffsetDateTime,
}

/// A revision in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionLine {
    /// Grows with time.
    pub id: i64,
    /// Of the files' content.
    pub hash: String,
    /// Where it came from.
    pub origin: String,
    /// The newest commit with these files, where the source keeps commits.
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
    /// When everything was first as it declares.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub applied_at: Option<OffsetDateTime>,
}

/// The fleet at a glance. For a tenant's person: that tenant's pods and events, and nothing of the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// All pods.
    pub pods: i64,
    /// Those that are ready.
    pub ready: i64,
    /// By phase, without phases that none is in.
    pub phases: Vec<PhaseCount>,
    /// Held or failing ones, at most fifty, those that are so longest first.
    pub troubled: Vec<TroubledPod>,
    /// How many there are in all.
    pub troubled_count: i64,
    /// The newest twenty events.
    pub events: Vec<EventLine>,
    /// What became of the source; not for a tenant's person.
    pub source: Option<SourceLine>,
    /// The last ten rounds that did something; not for a tenant's person.
    pub rounds: Vec<RoundLine>,
    /// The machine; not for a tenant's person, and unknown until measured.
    pub host: Option<HostLine>,
    /// When anything was last written, if anything was.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub written_at: Option<OffsetDateTime>,
    /// The AgentPod that acts; `None`: none does, and what is shown is from when one did.
    pub acting: Option<ActingLine>,
    /// Whether the last one that acted said that it ends; then everything was so until then.
    pub ended_well: bool,
}

/// The AgentPod that acts, and does not stand by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActingLine {
    /// Since when, if the database tells.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub since: Option<OffsetDateTime>,
}

/// A tenant with what its pods take of its quota.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TenantLine {
    /// Its name in manifests.
    pub name: TenantName,
    /// The name people see.
    pub display_name: String,
    /// Where to reach them.
    pub email: Option<String>,
    /// Its declared pods, against the most it may have.
    pub pods: QuotaLine,
    /// Memory of its running pods in MiB, as declared, against the most.
    pub memory_mb: QuotaLine,
    /// Thousandths of a processor of its running pods, as declared, against the most.
    pub milli_cpus: QuotaLine,
    /// How many of its pods are ready.
    pub ready: i64,
    /// MiB of memory its pods use now.
    pub memory_used_mb: i64,
    /// Processor time its pods use now, 100 being one processor.
    pub cpu_percent: f32,
}

/// How much of a quota is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuotaLine {
    /// How much is taken.
    pub taken: i64,
    /// The most; `None`: no limit.
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
    /// The image it runs unless a pod asks for another.
    pub image: String,
    /// The port the agent listens on.
    pub port: u16,
    /// JSON Schema of a pod's `config`.
    pub config_schema: Value,
    /// The pods on it, at most a thousand.
    pub pods: Vec<PodId>,
}
