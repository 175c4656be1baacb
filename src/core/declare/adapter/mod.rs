//! Adapters: how to run one kind of agent, as data. A folder `adapters/NAME/` with an `adapter.yaml`, and templates in
//! `templates/NAME/`; a new kind of agent needs no Rust.

mod check;
mod login;
mod probe;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use check::MOST_OF_VARIABLE;
pub(crate) use login::PodLogin;
pub use probe::Probe;
pub(crate) use probe::ProbeKind;
pub(crate) use read::read_into;
pub use read::{AdapterFiles, read};

use super::{manifest::Resources, template::Templates};
use crate::core::{declare::template::Format, names::AdapterName, quantity::Span};

/// The content of `adapter.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AdapterManifest {
    /// Always `agentpod.dev/v1`.
    #[schemars(extend("const" = "agentpod.dev/v1"))]
    pub(crate) api_version: String,
    /// Always `Adapter`.
    #[schemars(extend("const" = "Adapter"))]
    pub(crate) kind: String,
    /// The adapter's name and description.
    pub(crate) metadata: AdapterMetadata,
    /// How to run such an agent.
    pub(crate) spec: AdapterSpec,
}

/// An adapter's name and description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdapterMetadata {
    /// The folder's name.
    pub(crate) name: AdapterName,
    /// The agent's own name.
    pub(crate) title: String,
    /// One sentence about the agent.
    #[serde(default)]
    pub(crate) description: String,
}

/// How to run such an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AdapterSpec {
    /// The image, with a tag or digest.
    #[schemars(regex(pattern = super::manifest::IMAGE_PATTERN))]
    pub(crate) image: String,
    /// Other image repositories that a pod may use, or prefixes that end in `/`; the adapter's own is always allowed.
    #[serde(default)]
    pub(crate) allowed_images: Vec<String>,
    /// The command to run instead of the image's own.
    #[serde(default)]
    pub(crate) command: Option<Vec<String>>,
    /// The user to run as, `uid:gid`; not root.
    #[schemars(regex(pattern = r"^[1-9][0-9]*:[0-9]+$"))]
    pub(crate) user: String,
    /// The port the agent listens on, which the proxy routes to.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) port: u16,
    /// The folder of the data that outlives the container.
    pub(crate) data: AbsolutePath,
    /// Writable memory by path, like `/tmp: 64Mi`.
    #[serde(default)]
    pub(crate) tmpfs: BTreeMap<AbsolutePath, crate::core::quantity::Memory>,
    /// Whether the root file system is read-only; if not, say why in a comment.
    #[serde(default = "yes")]
    pub(crate) read_only_root: bool,
    /// How long a stop may take before the agent is killed.
    #[serde(default = "ten_seconds")]
    pub(crate) stop_timeout: Span,
    /// The resources of a pod that sets none.
    pub(crate) resources: Resources,
    /// The least resources the agent needs; less is a problem.
    #[serde(default)]
    pub(crate) minimum: Resources,
    /// Environment variables as templates; one that renders to an empty text is omitted.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// Files to render for the agent.
    #[serde(default)]
    pub(crate) files: Vec<FileSpec>,
    /// Secrets of the agent's own, as name and what depends on it: each pod gets a random value once, which a rotation of the
    /// token does not change. Templates use them as `generated.NAME`.
    #[serde(default)]
    pub(crate) generated: BTreeMap<GeneratedName, String>,
    /// The JSON Schema (2020-12) of a pod's `config`.
    #[serde(default)]
    pub(crate) config_schema: Map<String, Value>,
    /// How to check that the agent is ready.
    pub(crate) health: Probe,
    /// What a change of the image means.
    #[serde(default)]
    pub(crate) upgrade: Upgrade,
    /// When to restart a container that runs and does not answer; not at all if this is missing.
    #[serde(default)]
    pub(crate) liveness: Option<Liveness>,
    /// How to get a login link, if the agent creates one on request.
    #[serde(default)]
    pub(crate) login: Option<Login>,
    /// The secrets that the agent understands, as variable and what it is for. People see them; a pod may set others.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, String>,
}

/// What a change of the image means.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upgrade {
    /// Whether a new image may change the data so that older ones cannot use it. Then the previous container is not started
    /// again once the new one has run.
    #[serde(default)]
    pub(crate) migrates: bool,
    /// How long the first start after a change of the image may take [default: as every start].
    #[serde(default)]
    pub(crate) startup: Option<Span>,
}

/// When to restart a container that was ready, runs, and does not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Liveness {
    /// After how many failed probes in a row.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) failures: u32,
}

impl AdapterSpec {
    /// How long a start may take until the agent is ready; `is_upgrade`: the first one with another image.
    pub(crate) fn startup(&self, is_upgrade: bool) -> Span {
        self.upgrade.startup.filter(|_| is_upgrade).unwrap_or(self.health.startup)
    }
}

/// A file to render for the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileSpec {
    /// The template, below `templates/NAME/`.
    pub(crate) template: String,
    /// The path inside the container. Its folder becomes a volume of its own, so no file of the image is replaced.
    pub(crate) path: AbsolutePath,
    /// The format that the rendered text must parse as.
    pub(crate) format: Format,
    /// The permissions in octal. The file belongs to root, so the agent can only read it.
    #[serde(default = "mode_0444")]
    #[schemars(regex(pattern = "^0[0-7]{3}$"))]
    pub(crate) mode: String,
    /// How a change takes effect.
    #[serde(default)]
    pub(crate) apply: Apply,
}

/// How a change of a rendered file takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Apply {
    /// The container is replaced.
    #[default]
    Replace,
    /// The file is uploaded into the running container, and the agent re-reads it by itself.
    Upload,
}

/// How to get a login link from a running agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Login {
    /// The command to run in the container; its standard output is JSON.
    pub(crate) exec: Vec<String>,
    /// The JSON pointer of the text with the ticket.
    pub(crate) pointer: String,
    /// If the text is a URL, the parameter of its query or fragment that is the ticket.
    #[serde(default)]
    pub(crate) parameter: Option<String>,
    /// The template of the link, with the values `pod` and `ticket`.
    pub(crate) link: String,
    /// How long the link is valid, to tell people.
    #[serde(default)]
    pub(crate) valid_for: Option<Span>,
}

/// The name of a generated secret, as templates write it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub(crate) struct GeneratedName(#[schemars(regex(pattern = "^[a-z][A-Za-z0-9]{0,59}$"))] pub String);

/// An absolute path inside a container, without `..` or special characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub(crate) struct AbsolutePath(#[schemars(regex(pattern = r"^(/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+$"))] pub String);

impl AbsolutePath {
    /// The folder of a file.
    pub(crate) fn parent(&self) -> &str {
        match self.0.rfind('/') {
            Some(0) | None => "/",
            Some(end) => &self.0[..end],
        }
    }

    /// Whether it is `folder` or below it.
    pub(crate) fn is_below(&self, folder: &Self) -> bool {
        self.0.strip_prefix(&folder.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// A parsed adapter.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// The adapter's name and description.
    pub(crate) metadata: AdapterMetadata,
    /// How to run such an agent.
    pub(crate) spec: AdapterSpec,
    /// `configSchema`, as a complete schema.
    pub config_schema: Value,
    /// `configSchema`, compiled.
    pub(crate) config_validator: std::sync::Arc<Validator>,
    /// Sample configs to check the templates with, by file name.
    pub samples: BTreeMap<String, Map<String, Value>>,
}

/// All adapters and their templates.
#[derive(Debug, Default)]
pub struct Adapters {
    /// The adapters, by name.
    pub all: BTreeMap<AdapterName, std::sync::Arc<Adapter>>,
    /// The folders of adapters with problems: they exist, and no more is known of them.
    pub(crate) broken: BTreeSet<String>,
    /// The templates of all adapters.
    pub(crate) templates: Templates,
}

impl Adapter {
    /// Whether a pod may use `image`: from the adapter's own repository, or an allowed one.
    pub(crate) fn allows_image(&self, image: &str) -> bool {
        let repository = |image: &str| -> String {
            let plain = image.split('@').next().unwrap_or(image);
            match plain.rfind(':') {
                Some(colon) if !plain[colon..].contains('/') => plain[..colon].into(),
                _ => plain.into(),
            }
        };
        let requested = repository(image);
        requested == repository(&self.spec.image)
            || self
                .spec
                .allowed_images
                .iter()
                .any(|allowed| requested == *allowed || (allowed.ends_with('/') && requested.starts_with(allowed)))
    }
}

fn yes() -> bool {
    true
}

fn ten_seconds() -> Span {
    Span::seconds(10)
}

fn mode_0444() -> String {
    "0444".into()
}
