//! What the read model answers with: plain data, the same for pages, JSON and its description. Times are UTC.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

pub use crate::core::view::{ActionLine, FileShape, PlanLine, Shape, ShapeLine};
use crate::{
    core::{
        names::{AdapterName, PodId, TenantName},
        problem::Problem,
        status::Phase,
    },
    store::DesiredStatus,
};

/// How a time stands in JSON.
pub struct Time;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// A part of a long list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Page<T> {
    /// This part.
    pub items: Vec<T>,
    /// What to ask for the next part with; absent at the end.
    pub next: Option<String>,
}

/// What a list of pods can be sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PodColumn {
    /// Tenant, then name.
    #[default]
    Name,
    /// Tenant; the same order.
    Tenant,
    /// What it is doing; what needs a person first.
    Phase,
    /// Ready or not.
    Ready,
    /// Kind of agent.
    Adapter,
    /// Image.
    Image,
    /// The revision that last changed it.
    Revision,
    /// When it was first declared.
    Age,
    /// Memory in use.
    Memory,
    /// Processor time in use.
    Cpu,
    /// Data in its volume.
    Storage,
    /// Restarts of its container.
    Restarts,
}

/// Which pods are asked for, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodQuery {
    /// Stands in its id, adapter, image, host name or message; letter case does not matter.
    pub text: Option<String>,
    /// Of this tenant.
    pub tenant: Option<TenantName>,
    /// In one of these phases; none means all.
    pub phases: Vec<Phase>,
    /// Of this kind.
    pub adapter: Option<AdapterName>,
    /// What to sort by.
    pub sort: PodColumn,
    /// The other way round.
    pub descending: bool,
    /// How many at most, 1 to 1000; 0 means 100.
    pub limit: u32,
    /// Go on after this: the `next` of the page before.
    pub after: Option<String>,
}

/// A pod in a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PodLine {
    /// `tenant/pod`.
    pub id: PodId,
    /// Its tenant.
    pub tenant: TenantName,
    /// Its own name.
    pub name: String,
    /// Its kind of agent.
    pub adapter: String,
    /// Where people reach it.
    pub url: String,
    /// What it should be doing.
    pub desired: DesiredStatus,
    /// What it is doing.
    pub phase: Phase,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub phase_since: OffsetDateTime,
    /// The `Ready` condition.
    pub ready: bool,
    /// Why, as one word.
    pub reason: String,
    /// Why, as a sentence.
    pub message: String,
    /// The container that stands for it.
    pub container: Option<String>,
    /// The image it should run; unknown for one that was declared last by an older AgentPod.
    pub image: Option<String>,
    /// The revision that last changed what it should be.
    pub revision: Option<i64>,
    /// How often its container was restarted.
    pub restarts: u32,
    /// When it was first declared.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    /// MiB of memory in use when last measured; absent when it does not run or was not measured.
    pub memory_mb: Option<i32>,
    /// MiB of memory it may take.
    pub memory_limit_mb: Option<i32>,
    /// Processor time in use, 100 being one processor.
    pub cpu_percent: Option<f32>,
    /// MiB in its volume when last measured.
    pub storage_mb: Option<i32>,
    /// When it was measured.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub measured_at: Option<OffsetDateTime>,
}

/// One statement about a pod that is true, false, or not known.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Condition {
    /// What it is about: `Ready`, `ConfigApplied`.
    pub kind: String,
    /// Whether it is so; `None`: not known.
    pub is_true: Option<bool>,
    /// Why, as one word.
    pub reason: String,
    /// Why, as a sentence.
    pub message: String,
    /// Since when, if that is known.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub since: Option<OffsetDateTime>,
}

/// A pod, whole.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PodDetail {
    /// As in a list.
    #[serde(flatten)]
    pub line: PodLine,
    /// The first label of its host name.
    pub subdomain: String,
    /// Statements about it.
    pub conditions: Vec<Condition>,
    /// What the last round that decided anything about it decided; unknown when no round did since this is kept.
    pub plan: Option<PlanLine>,
    /// The digest of the container it should have.
    pub digest: Option<String>,
    /// What it should be; unknown for one that was declared last by an older AgentPod.
    pub desired_shape: Option<Shape>,
    /// What its container was made as; unknown when there is none, or an older AgentPod made it.
    pub actual_shape: Option<Shape>,
    /// Both line by line.
    pub shapes: Vec<ShapeLine>,
    /// Its settings, hidden where they look like secrets.
    pub config: Map<String, Value>,
    /// A digest that was tried and failed, and why.
    pub rejected: Option<RejectedLine>,
    /// When its last failed action is tried again, if it failed.
    pub retry: Option<RetryLine>,
    /// Since when it is not declared any more.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub undeclared_at: Option<OffsetDateTime>,
}

/// A digest that was tried and failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RejectedLine {
    /// Which.
    pub digest: String,
    /// Why.
    pub why: String,
}

/// An action that failed and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RetryLine {
    /// How often in a row it failed.
    pub failures: i32,
    /// When next.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub at: OffsetDateTime,
    /// Why it failed last.
    pub why: String,
}

/// What a pod used over a span of time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UsagePoint {
    /// The span's beginning.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub at: OffsetDateTime,
    /// Its length in seconds: 60 for the last two hours, 600 before that.
    pub seconds: i32,
    /// MiB of memory.
    pub memory_mb: i32,
    /// Processor time, 100 being one processor.
    pub cpu_percent: f32,
    /// MiB in its volume, if that was measured.
    pub storage_mb: Option<i32>,
}

/// What a pod used when last measured.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UsageNow {
    /// Which.
    pub id: PodId,
    /// MiB of memory.
    pub memory_mb: i32,
    /// Processor time, 100 being one processor.
    pub cpu_percent: f32,
    /// MiB in its volume, if that was measured.
    pub storage_mb: Option<i32>,
}

/// Which events are asked for; newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Of this pod.
    pub pod: Option<PodId>,
    /// Of this tenant's pods.
    pub tenant: Option<TenantName>,
    /// Of this kind.
    pub kind: Option<String>,
    /// How many at most, 1 to 1000; 0 means 100.
    pub limit: u32,
    /// Go on after this: the `next` of the page before.
    pub after: Option<String>,
}

/// An event in a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EventLine {
    /// Grows with time.
    pub id: i64,
    /// The pod it is about, if about one.
    pub pod: Option<PodId>,
    /// What kind of thing, one word.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// Why.
    pub cause: Option<String>,
    /// The revision it was done for.
    pub revision: Option<i64>,
    /// The container it is about.
    pub container: Option<String>,
    /// More: last log lines, exit code.
    pub details: Option<Value>,
    /// How often.
    pub count: i32,
    /// When first.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    /// When last.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub last_at: OffsetDateTime,
}

/// How many pods are in a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PhaseCount {
    /// The phase.
    pub phase: Phase,
    /// How many.
    pub pods: i64,
}

/// A pod that is held or failing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TroubledPod {
    /// Which.
    pub id: PodId,
    /// What it is doing.
    pub phase: Phase,
    /// Why, as one word.
    pub reason: String,
    /// Why, as a sentence.
    pub message: String,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub since: OffsetDateTime,
}

/// A round that did something.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SourceLine {
    /// Since when it could not be read, if it cannot.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub stale_since: Option<OffsetDateTime>,
    /// Why not, if that is known.
    pub stale_why: Option<String>,
    /// The revision judged last, accepted or rejected.
    pub fetched: Option<RevisionLine>,
    /// The revision in force.
    pub accepted: Option<RevisionLine>,
    /// The newest revision after which everything was as it declares.
    pub applied: Option<RevisionLine>,
}

/// The commit a revision was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Glance {
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
}

/// A tenant with what its pods take of its quota.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuotaLine {
    /// How much is taken.
    pub taken: i64,
    /// The most; `None`: no limit.
    pub most: Option<i64>,
}

/// An adapter in force.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
