//! The read model's types about pods and events: plain data, the same for pages, JSON and the OpenAPI description, and
//! parsed by the command line. Times are UTC.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

pub use crate::core::report::diagnosis::Diagnosis;
pub use crate::core::report::view::{ActionLine, ContainerSummary, FileSummary, PlanLine, SummaryLine};
use crate::core::{
    declare::desired_status::DesiredStatus,
    event::{EventKind, Severity},
    names::{AdapterName, PodId, TenantName},
    observe::condition::ConditionKind,
    report::{phase::Phase, reason::Reason},
};

/// The format of a time in JSON.
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

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// The cursor of the next page; absent on the last one.
    pub next: Option<String>,
}

/// What a list of pods can be sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PodColumn {
    /// Tenant, then name.
    #[default]
    Name,
    /// Tenant, then name.
    Tenant,
    /// Phase; those that need attention first.
    Phase,
    /// Ready or not.
    Ready,
    /// Adapter.
    Adapter,
    /// Image.
    Image,
    /// The last revision that changed it.
    Revision,
    /// When its phase began.
    Since,
    /// When it was first declared.
    Age,
    /// Memory in use.
    Memory,
    /// CPU usage.
    Cpu,
    /// Size of its volume.
    Storage,
    /// Restarts of its container.
    Restarts,
}

/// The filter and order of a list of pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodQuery {
    /// Part of its ID, adapter, image, host name or message; case is ignored.
    pub text: Option<String>,
    /// Only of this tenant.
    pub tenant: Option<TenantName>,
    /// Only in these phases; empty means all.
    pub phases: Vec<Phase>,
    /// Only of this adapter.
    pub adapter: Option<AdapterName>,
    /// Only those that have their phase for this reason.
    pub reason: Option<Reason>,
    /// Only those that have it for another reason than this.
    pub not_reason: Option<Reason>,
    /// What to sort by.
    pub sort: PodColumn,
    /// Descending.
    pub descending: bool,
    /// The page size, 1 to 1000; 0 means 100.
    pub limit: u32,
    /// Continue after this: `next` of the previous page.
    pub after: Option<String>,
}

/// A pod in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PodLine {
    /// `tenant/pod`.
    pub id: PodId,
    /// Its tenant.
    pub tenant: TenantName,
    /// Its name.
    pub name: String,
    /// Its adapter.
    pub adapter: String,
    /// Its URL.
    pub url: String,
    /// Its declared state.
    pub desired: DesiredStatus,
    /// Its phase.
    pub phase: Phase,
    /// When the phase began.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub phase_since: OffsetDateTime,
    /// The `Ready` condition.
    pub ready: bool,
    /// Why, as one word.
    pub reason: Reason,
    /// Why, as a sentence.
    pub message: String,
    /// How its container deviates from its hardening, if it does.
    pub deviation: Option<String>,
    /// The name of its current container.
    pub container: Option<String>,
    /// The desired image; absent if an older AgentPod declared it last.
    pub image: Option<String>,
    /// The last revision that changed its declaration.
    pub revision: Option<i64>,
    /// The revision that its container matches.
    pub applied_revision: Option<i64>,
    /// How often its container was restarted.
    pub restarts: u32,
    /// When it was first declared.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    /// MiB of memory in use when last measured; absent if it does not run or was not measured.
    pub memory_mb: Option<i32>,
    /// Its memory limit in MiB.
    pub memory_limit_mb: Option<i32>,
    /// CPU usage in percent of one processor.
    pub cpu_percent: Option<f32>,
    /// MiB in its volume when last measured.
    pub storage_mb: Option<i32>,
    /// When it was measured.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub measured_at: Option<OffsetDateTime>,
}

/// A condition of a pod: true, false or unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConditionLine {
    /// Its name: `Ready`, `ConfigApplied`, `Hardened`, `Routed`.
    pub kind: ConditionKind,
    /// Whether it is true; `None`: unknown.
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

/// A pod with everything known about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PodDetail {
    /// Its line in a list.
    #[serde(flatten)]
    pub line: PodLine,
    /// The first label of its host name.
    pub subdomain: String,
    /// Its conditions.
    pub conditions: Vec<ConditionLine>,
    /// The last decision about it; absent if none was stored yet.
    pub plan: Option<PlanLine>,
    /// The machine that its current container is on; absent if it has none.
    pub node: Option<String>,
    /// The digest of its desired container.
    pub digest: Option<String>,
    /// Its desired container; absent if an older AgentPod declared it last.
    pub desired_container: Option<ContainerSummary>,
    /// What its current container was created from; absent if there is none, or an older AgentPod created it.
    pub actual_container: Option<ContainerSummary>,
    /// Both, line by line.
    pub comparison: Vec<SummaryLine>,
    /// Its settings; values that look like secrets are hidden.
    pub config: Map<String, Value>,
    /// A rejected digest, and why.
    pub rejected: Option<RejectedLine>,
    /// When its last failed action is tried again, if it failed.
    pub retry: Option<RetryLine>,
    /// What is wrong with it, what happens next and what to do; absent if it needs no attention.
    pub diagnosis: Option<Diagnosis>,
    /// Since when it has not been ready; absent if it is, or was never observed.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub not_ready_since: Option<OffsetDateTime>,
    /// When it was removed from the manifests; `None` while it is declared.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub undeclared_at: Option<OffsetDateTime>,
}

/// A rejected digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectedLine {
    /// The digest.
    pub digest: String,
    /// Why.
    pub why: String,
}

/// A failed action that is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryLine {
    /// Failures in a row.
    pub failures: i32,
    /// When it is tried again.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub at: OffsetDateTime,
    /// Why it failed last.
    pub why: String,
}

/// What a pod used over a span of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsagePoint {
    /// The start of the span.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub at: OffsetDateTime,
    /// Its length in seconds: 60 for the last two hours, 600 before that.
    pub seconds: i32,
    /// MiB of memory.
    pub memory_mb: i32,
    /// CPU usage in percent of one processor.
    pub cpu_percent: f32,
    /// MiB in its volume, if that was measured.
    pub storage_mb: Option<i32>,
}

/// What a pod used when last measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageNow {
    /// The pod.
    pub id: PodId,
    /// MiB of memory.
    pub memory_mb: i32,
    /// CPU usage in percent of one processor.
    pub cpu_percent: f32,
    /// MiB in its volume, if that was measured.
    pub storage_mb: Option<i32>,
}

/// The filter of a list of events; those that happened last come first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only of this pod.
    pub pod: Option<PodId>,
    /// Only of this tenant's pods.
    pub tenant: Option<TenantName>,
    /// Only of this kind.
    pub kind: Option<EventKind>,
    /// Only of this severity and worse.
    pub severity: Option<Severity>,
    /// Only those that last happened at this time or later.
    pub since: Option<OffsetDateTime>,
    /// The page size, 1 to 1000; 0 means 100.
    pub limit: u32,
    /// Continue after this: `next` of the previous page.
    pub after: Option<String>,
}

/// An event in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventLine {
    /// Ascends with the time when it first happened.
    pub id: i64,
    /// The pod it is about, if any.
    pub pod: Option<PodId>,
    /// Its kind.
    pub kind: EventKind,
    /// How urgent it is.
    pub severity: Severity,
    /// What happened.
    pub message: String,
    /// Why.
    pub cause: Option<String>,
    /// The revision in force.
    pub revision: Option<i64>,
    /// The container it is about.
    pub container: Option<String>,
    /// Details: last log lines, exit code.
    pub details: Option<Value>,
    /// How often it happened, from the first time to the last.
    pub count: i32,
    /// When it first happened.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub first_at: OffsetDateTime,
    /// When it last happened.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub last_at: OffsetDateTime,
}
