//! Manifests, as types. The JSON Schema is derived from them: `agentpod schema` prints it, and every manifest is checked
//! against it before it is parsed.

mod copies;
mod read;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use read::read_into;
pub use read::{read, schema};

use super::document::Document;
use crate::core::{
    names::{AdapterName, PodId, PodName, Subdomain, TenantName},
    problem::Position,
    quantity::{Cpus, Memory},
    secret::SecretRef,
};

/// The only version of the format.
pub(crate) const API_VERSION: &str = "agentpod.dev/v1";

/// A tenant, which agents are hosted for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tenant {
    /// Always `agentpod.dev/v1`.
    #[schemars(extend("const" = "agentpod.dev/v1"))]
    pub(crate) api_version: String,
    /// Always `Tenant`.
    #[schemars(extend("const" = "Tenant"))]
    pub(crate) kind: String,
    /// The tenant's name.
    pub(crate) metadata: TenantMetadata,
    /// The tenant's settings.
    #[serde(default)]
    pub spec: TenantSpec,
}

/// A tenant's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantMetadata {
    /// The tenant's name.
    pub(crate) name: TenantName,
}

/// A tenant's settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TenantSpec {
    /// The name shown to people, at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "display_name")]
    pub display_name: Option<String>,
    /// The contact address, like name@example.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "email")]
    pub(crate) email: Option<String>,
    /// The limits of all the tenant's pods together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// The limits of all of a tenant's pods together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// The most pods, including stopped ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pods: Option<u32>,
    /// The most memory of running pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
    /// The most processors of running pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpus: Option<Cpus>,
}

/// One agent of one tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pod {
    /// Always `agentpod.dev/v1`.
    #[schemars(extend("const" = "agentpod.dev/v1"))]
    pub(crate) api_version: String,
    /// Always `Pod`.
    #[schemars(extend("const" = "Pod"))]
    pub(crate) kind: String,
    /// The pod's name and tenant.
    pub(crate) metadata: PodMetadata,
    /// The desired state.
    pub spec: PodSpec,
}

/// A pod's name and tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PodMetadata {
    /// The pod's name, unique within its tenant. Changing it creates another pod with empty data.
    pub(crate) name: PodName,
    /// The tenant it belongs to.
    pub(crate) tenant: TenantName,
}

/// The desired state of a pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PodSpec {
    /// The kind of agent: the name of a folder below `adapters/`.
    pub(crate) adapter: AdapterName,
    /// The pod answers at `SUBDOMAIN.<domain>`; unique across all tenants.
    pub(crate) subdomain: Subdomain,
    /// Whether it should run.
    #[serde(default)]
    pub(crate) state: RunState,
    /// An image instead of the adapter's, with a tag or a digest: registry/name:tag or registry/name@sha256:…. The
    /// adapter limits which images are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "image")]
    pub(crate) image: Option<String>,
    /// The resource limits.
    #[serde(default)]
    pub(crate) resources: Resources,
    /// The agent's settings, checked against the adapter's `configSchema`.
    #[serde(default)]
    pub(crate) config: Map<String, Value>,
    /// Environment variables with secret values, by reference or encrypted.
    #[serde(default)]
    #[schemars(schema_with = "secrets")]
    pub secrets: BTreeMap<String, SecretRef>,
}

/// Whether a pod should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RunState {
    /// The container runs.
    #[default]
    Running,
    /// The container is stopped; container and data stay.
    Stopped,
}

/// A pod's resource limits; what is omitted comes from `Defaults`, then from the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resources {
    /// Memory, without swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
    /// Processor cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpus: Option<Cpus>,
    /// The most processes and threads, from 16 to 65536.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 65536))]
    pub(crate) pids: Option<u32>,
}

impl Resources {
    /// These limits, with missing ones from `below`.
    #[must_use]
    pub(crate) fn over(self, below: Self) -> Self {
        let Self { memory, cpus, pids } = self;
        Self { memory: memory.or(below.memory), cpus: cpus.or(below.cpus), pids: pids.or(below.pids) }
    }
}

/// Defaults of all pods; at most one in a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Defaults {
    /// Always `agentpod.dev/v1`.
    #[schemars(extend("const" = "agentpod.dev/v1"))]
    pub(crate) api_version: String,
    /// Always `Defaults`.
    #[schemars(extend("const" = "Defaults"))]
    pub(crate) kind: String,
    /// The defaults.
    pub(crate) spec: DefaultsSpec,
}

/// The defaults of every pod.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefaultsSpec {
    /// The resource limits of pods that set none.
    #[serde(default)]
    pub(crate) resources: Resources,
    /// Config by adapter: `config: {openclaw: {model: …}}`.
    #[serde(default)]
    pub(crate) config: BTreeMap<AdapterName, Map<String, Value>>,
    /// Secrets by adapter: `secrets: {openclaw: {NAME: {env: …}}}`.
    #[serde(default)]
    #[schemars(schema_with = "secrets_by_adapter")]
    pub(crate) secrets: BTreeMap<AdapterName, BTreeMap<String, SecretRef>>,
}

/// A declared object with its document.
#[derive(Debug, Clone)]
pub struct Declared<T> {
    /// The declared object.
    pub value: T,
    /// The document that declares it.
    pub(crate) document: Arc<Document>,
}

impl<T> Declared<T> {
    /// The position of a path in the document.
    pub(crate) fn locate<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Position {
        self.document.root.locate(path)
    }
}

/// Everything a source declares.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    /// The tenants, by name.
    pub tenants: BTreeMap<TenantName, Declared<Tenant>>,
    /// The pods, by identity.
    pub pods: BTreeMap<PodId, Declared<Pod>>,
    /// The defaults, if there are any.
    pub(crate) defaults: Option<Declared<Defaults>>,
    /// What broken documents declare.
    pub(crate) broken: Broken,
}

/// What documents with problems declare: it exists, and no more is known of it. Nothing is said about what depends on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Broken {
    /// Tenants.
    pub(crate) tenants: BTreeSet<TenantName>,
    /// Whether the defaults are broken.
    pub(crate) defaults: bool,
    /// Whether there is a document that does not even say what it declares.
    pub(crate) anything: bool,
}

impl Broken {
    /// Whether a tenant may be declared, though it is not among the whole ones.
    pub(crate) fn may_have_tenant(&self, name: &TenantName) -> bool {
        self.anything || self.tenants.contains(name)
    }

    /// Whether there may be defaults that could not be read.
    pub(crate) fn may_have_defaults(&self) -> bool {
        self.anything || self.defaults
    }
}

fn display_name(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["string", "null"], "pattern": r"\S", "maxLength": 100,
        "description": "The name shown to people, at most 100 characters."})
}

fn email(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["string", "null"], "pattern": r"^[^@\s]+@[^@\s]+$", "maxLength": 254,
        "description": "The contact address, like name@example.com."})
}

fn image(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "pattern": IMAGE_PATTERN, "maxLength": 255,
        "description": "An image with a tag or a digest: registry/name:tag or registry/name@sha256:…"})
}

/// The pattern of an image with a tag or digest; an implicit `latest` is refused.
pub(crate) const IMAGE_PATTERN: &str =
    r"^[a-z0-9][a-z0-9._:/-]*[a-z0-9](:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})$";

fn secrets(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let reference = generator.subschema_for::<SecretRef>();
    schemars::json_schema!({"type": "object", "additionalProperties": reference,
        "propertyNames": {"pattern": crate::core::secret::ENV_PATTERN,
            "description": "The name of an environment variable: letters, digits and _, not starting with a digit."},
        "description": "Environment variables with secret values, by reference or encrypted: {NAME: {env: NAME}}, {NAME: {file: /path}} or {NAME: {age: …}}."})
}

fn secrets_by_adapter(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let each = secrets(generator);
    schemars::json_schema!({"type": "object", "additionalProperties": each, "description": "Secrets by adapter name."})
}
