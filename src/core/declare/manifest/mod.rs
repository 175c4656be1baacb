//! Manifests: what people declare, as types. The types are the schema: `agentpod schema` prints what is derived here,
//! and every manifest is checked against it before it is read into them.

mod read;

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use read::{read, schema};

use super::document::Document;
use crate::core::{
    names::{AdapterName, PodId, PodName, Subdomain, TenantName},
    problem::Position,
    quantity::{Cpus, Memory},
    secret::SecretRef,
};

/// The one version of the format.
pub const API_VERSION: &str = "agentpod.dev/v1";

/// Somebody agents are hosted for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tenant {
    /// Always `agentpod.dev/v1`.
    #[schemars(extend("const" = "agentpod.dev/v1"))]
    pub api_version: String,
    /// Always `Tenant`.
    #[schemars(extend("const" = "Tenant"))]
    pub kind: String,
    /// Which tenant.
    pub metadata: TenantMetadata,
    /// What is said of it.
    #[serde(default)]
    pub spec: TenantSpec,
}

/// Which tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantMetadata {
    /// The tenant's name.
    pub name: TenantName,
}

/// What is said of a tenant.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TenantSpec {
    /// The name people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Where to reach them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The most all of the tenant's pods may take together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// The most all of a tenant's running pods may take together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// How many pods, stopped ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<u32>,
    /// Memory of the running ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Processors of the running ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
}

/// One agent of one tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pod {
    /// Always `agentpod.dev/v1`.
    #[schemars(extend("const" = "agentpod.dev/v1"))]
    pub api_version: String,
    /// Always `Pod`.
    #[schemars(extend("const" = "Pod"))]
    pub kind: String,
    /// Which pod of which tenant.
    pub metadata: PodMetadata,
    /// What it should be.
    pub spec: PodSpec,
}

/// Which pod of which tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PodMetadata {
    /// The pod's name, unique within its tenant. Changing it makes another pod with empty data.
    pub name: PodName,
    /// The tenant it belongs to.
    pub tenant: TenantName,
}

/// What a pod should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PodSpec {
    /// The kind of agent: the name of a folder below `adapters/`.
    pub adapter: AdapterName,
    /// The pod answers at `SUBDOMAIN.<domain>`; unique over all tenants.
    pub subdomain: Subdomain,
    /// Whether it should run.
    #[serde(default)]
    pub state: RunState,
    /// Another image than the adapter's, with a tag or a digest: registry/name:tag or registry/name@sha256:…; the
    /// adapter says which are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "image")]
    pub image: Option<String>,
    /// How much it may take.
    #[serde(default)]
    pub resources: Resources,
    /// The agent's settings, checked against the adapter's `configSchema`.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Environment variables whose values stand elsewhere, or here encrypted.
    #[serde(default)]
    #[schemars(schema_with = "secrets")]
    pub secrets: BTreeMap<String, SecretRef>,
}

/// Whether a pod should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its container runs.
    #[default]
    Running,
    /// Its container is stopped; container and data stay.
    Stopped,
}

/// How much a pod may take; what is left out comes from `Defaults`, then from the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Memory, without swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// Processes and threads, from 16 to 65536.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 65536))]
    pub pids: Option<u32>,
}

impl Resources {
    /// These, and where they are silent, `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let Self { memory, cpus, pids } = self;
        Self { memory: memory.or(below.memory), cpus: cpus.or(below.cpus), pids: pids.or(below.pids) }
    }
}

/// What every pod starts from; at most one in a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Defaults {
    /// Always `agentpod.dev/v1`.
    #[schemars(extend("const" = "agentpod.dev/v1"))]
    pub api_version: String,
    /// Always `Defaults`.
    #[schemars(extend("const" = "Defaults"))]
    pub kind: String,
    /// The defaults.
    pub spec: DefaultsSpec,
}

/// The defaults of every pod.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultsSpec {
    /// How much a pod may take that does not say.
    #[serde(default)]
    pub resources: Resources,
    /// Settings by adapter: `config: {openclaw: {model: …}}`.
    #[serde(default)]
    pub config: BTreeMap<AdapterName, Map<String, Value>>,
    /// Secrets by adapter: `secrets: {openclaw: {NAME: {env: …}}}`.
    #[serde(default)]
    #[schemars(schema_with = "secrets_by_adapter")]
    pub secrets: BTreeMap<AdapterName, BTreeMap<String, SecretRef>>,
}

/// A declared object and the document it stands in.
#[derive(Debug, Clone)]
pub struct Declared<T> {
    /// What was declared.
    pub value: T,
    /// Where.
    pub document: Arc<Document>,
}

impl<T> Declared<T> {
    /// The place of a path in the document.
    pub fn locate<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Position {
        self.document.root.locate(path)
    }
}

/// Everything a source declares.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    /// By name.
    pub tenants: BTreeMap<TenantName, Declared<Tenant>>,
    /// By identity.
    pub pods: BTreeMap<PodId, Declared<Pod>>,
    /// The one `Defaults`, if there is one.
    pub defaults: Option<Declared<Defaults>>,
}

fn image(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "pattern": IMAGE_PATTERN, "maxLength": 255,
        "description": "An image with a tag or a digest: registry/name:tag or registry/name@sha256:…"})
}

/// An image reference with a tag or digest; a floating `latest` by omission is refused.
pub const IMAGE_PATTERN: &str =
    r"^[a-z0-9][a-z0-9._:/-]*[a-z0-9](:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})$";

fn secrets(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let reference = generator.subschema_for::<SecretRef>();
    schemars::json_schema!({"type": "object", "additionalProperties": reference,
        "propertyNames": {"pattern": crate::core::secret::ENV_PATTERN,
            "description": "The name of an environment variable: letters, digits and _, not beginning with a digit."},
        "description": "Environment variables whose values stand elsewhere, or here encrypted: {NAME: {env: NAME}}, {NAME: {file: /path}} or {NAME: {age: …}}."})
}

fn secrets_by_adapter(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let each = secrets(generator);
    schemars::json_schema!({"type": "object", "additionalProperties": each, "description": "Secrets by adapter name."})
}
