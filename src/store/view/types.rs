//! What the read model answers with, about pods and events: plain data, the same for pages, JSON and its description, and
//! read back by the command line. Times are UTC.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

pub use crate::core::report::view::{ActionLine, ContainerSummary, FileSummary, PlanLine, SummaryLine};
use crate::core::{
    declare::desired_status::DesiredStatus,
    event::{EventKind, Severity},
    names::{AdapterName, PodId, TenantName},
    observe::condition::ConditionKind,
    report::{phase::Phase, reason::Reason},
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    pub reason: Reason,
    /// Why, as a sentence.
    pub message: String,
    /// What about its container is not as closed as it should be, if anything.
    pub deviation: Option<String>,
    /// The container that stands for it.
    pub container: Option<String>,
    /// The image it should run; unknown for one that was declared last by an older AgentPod.
    pub image: Option<String>,
    /// The revision that last changed what it should be.
    pub revision: Option<i64>,
    /// The revision its container is from.
    pub applied_revision: Option<i64>,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConditionLine {
    /// What it is about: `Ready`, `ConfigApplied`, `Hardened`, `Routed`.
    pub kind: ConditionKind,
    /// Whether it is so; `None`: not known.
    pub is_true: Option<bool>,
    /// Why, as one word.
    pub reason: Reason,
    /// Why, as a sentence.
    pub message: String,
    /// Since when, if that is known.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub since: Option<OffsetDateTime>,
}

/// A pod, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PodDetail {
    /// As in a list.
    #[serde(flatten)]
    pub line: PodLine,
    /// The first label of its host name.
    pub subdomain: String,
    /// Statements about it.
    pub conditions: Vec<ConditionLine>,
    /// What the last round that decided anything about it decided; unknown when no round did since this is kept.
    pub plan: Option<PlanLine>,
    /// The digest of the container it should have.
    pub digest: Option<String>,
    /// What it should be; unknown for one that was declared last by an older AgentPod.
    pub desired_container: Option<ContainerSummary>,
    /// What its container was made as; unknown when there is none, or an older AgentPod made it.
    pub actual_container: Option<ContainerSummary>,
    /// Both line by line.
    pub comparison: Vec<SummaryLine>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectedLine {
    /// Which.
    pub digest: String,
    /// Why.
    pub why: String,
}

/// An action that failed and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    pub kind: Option<EventKind>,
    /// How many at most, 1 to 1000; 0 means 100.
    pub limit: u32,
    /// Go on after this: the `next` of the page before.
    pub after: Option<String>,
}

/// An event in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventLine {
    /// Grows with time.
    pub id: i64,
    /// The pod it is about, if about one.
    pub pod: Option<PodId>,
    /// What kind of thing.
    pub kind: EventKind,
    /// How much attention it asks for.
    pub severity: Severity,
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
