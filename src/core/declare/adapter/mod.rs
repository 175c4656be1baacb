//! Adapters: what AgentPod knows about one kind of agent, as data. A folder `adapters/NAME/` with an `adapter.yaml`
//! and templates in `templates/NAME/`; adding a kind of agent needs no Rust.

mod probe;
mod read;

use std::collections::BTreeMap;

use jsonschema::Validator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use probe::{BodyCheck, Probe, ProbeKind};
pub use read::{AdapterFiles, read};

use super::{manifest::Resources, template::Templates};
use crate::core::{declare::template::Format, names::AdapterName, quantity::Span};

/// What `adapter.yaml` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AdapterManifest {
    /// Always `agentpod.dev/v1`.
    #[schemars(extend("const" = "agentpod.dev/v1"))]
    pub api_version: String,
    /// Always `Adapter`.
    #[schemars(extend("const" = "Adapter"))]
    pub kind: String,
    /// Its name and what people read about it.
    pub metadata: AdapterMetadata,
    /// How such an agent is run.
    pub spec: AdapterSpec,
}

/// An adapter's name and what people read about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdapterMetadata {
    /// The folder's name.
    pub name: AdapterName,
    /// The agent's own name.
    pub title: String,
    /// One sentence about the agent.
    #[serde(default)]
    pub description: String,
}

/// How such an agent is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AdapterSpec {
    /// The image, pinned.
    #[schemars(regex(pattern = super::manifest::IMAGE_PATTERN))]
    pub image: String,
    /// Other images a pod may ask for, by the beginning of their name; the adapter's own repository always is.
    #[serde(default)]
    pub allowed_images: Vec<String>,
    /// What to run in place of the image's own command.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// The user it runs as: `uid:gid`, not root.
    #[schemars(regex(pattern = r"^[1-9][0-9]*:[0-9]+$"))]
    pub user: String,
    /// The port the agent listens on, to which the proxy routes.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Where the agent keeps what must outlive its container.
    pub data: AbsolutePath,
    /// Writable memory: path to size, like `/tmp: 64Mi`.
    #[serde(default)]
    pub tmpfs: BTreeMap<AbsolutePath, crate::core::quantity::Memory>,
    /// Whether the agent lives with a read-only root; say why not in a comment.
    #[serde(default = "yes")]
    pub read_only_root: bool,
    /// How long a stop may take before the agent is killed.
    #[serde(default = "ten_seconds")]
    pub stop_timeout: Span,
    /// What a pod gets that does not say.
    pub resources: Resources,
    /// The least it can live with; a pod asking for less is a problem.
    #[serde(default)]
    pub minimum: Resources,
    /// Environment variables as templates; one that renders to nothing is left out.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Files rendered for the agent.
    #[serde(default)]
    pub files: Vec<FileSpec>,
    /// JSON Schema (2020-12) of a pod's `config`.
    #[serde(default)]
    pub config_schema: Map<String, Value>,
    /// When the agent is ready.
    pub health: Probe,
    /// How a person gets in, if the agent must be asked for a link.
    #[serde(default)]
    pub login: Option<Login>,
}

/// A file rendered for the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// The template, below `templates/NAME/`.
    pub template: String,
    /// Where the agent finds it. Its folder is a volume of the container's own; never a file in the image.
    pub path: AbsolutePath,
    /// What the rendered text must parse as.
    pub format: Format,
    /// Its permissions, in octal; it belongs to root, and the agent may only read it.
    #[serde(default = "mode_0444")]
    #[schemars(regex(pattern = "^0[0-7]{3}$"))]
    pub mode: String,
    /// What a change of it does.
    #[serde(default)]
    pub apply: Apply,
}

/// What a change of a rendered file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Apply {
    /// The container is replaced.
    #[default]
    Replace,
    /// The file is uploaded into the running container; the agent re-reads it by itself.
    Upload,
}

/// How the running agent is asked for a login link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Login {
    /// The command, run in the container; its standard output is JSON.
    pub exec: Vec<String>,
    /// Where in the answer the text stands that carries the ticket, as a JSON pointer.
    pub pointer: String,
    /// The text is a URL, and the ticket is this parameter of its query or fragment.
    #[serde(default)]
    pub parameter: Option<String>,
    /// The link, a template that knows `pod` and `ticket`.
    pub link: String,
    /// How long the link can be used, for telling people.
    #[serde(default)]
    pub valid_for: Option<Span>,
}

/// A path inside a container: absolute, and without `..` or anything a mount could trip over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct AbsolutePath(#[schemars(regex(pattern = r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$"))] pub String);

impl AbsolutePath {
    /// The folder a file stands in.
    pub fn parent(&self) -> &str {
        match self.0.rfind('/') {
            Some(0) | None => "/",
            Some(end) => &self.0[..end],
        }
    }

    /// Whether it is `folder` or below it.
    pub fn is_below(&self, folder: &Self) -> bool {
        self.0.strip_prefix(&folder.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// An adapter ready for use.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// What its file says.
    pub metadata: AdapterMetadata,
    /// How such an agent is run.
    pub spec: AdapterSpec,
    /// `configSchema` as one value.
    pub config_schema: Value,
    /// `configSchema`, compiled.
    pub config_validator: std::sync::Arc<Validator>,
    /// Samples to check the templates with: pods' `config` by file name.
    pub samples: BTreeMap<String, Map<String, Value>>,
}

/// All adapters and their templates.
#[derive(Debug, Default)]
pub struct Adapters {
    /// By name.
    pub all: BTreeMap<AdapterName, std::sync::Arc<Adapter>>,
    /// The templates of all of them.
    pub templates: Templates,
}

impl Adapter {
    /// Whether a pod may ask for `image`: the adapter's own repository, or one it lists.
    pub fn allows_image(&self, image: &str) -> bool {
        let repository = |image: &str| -> String {
            let plain = image.split('@').next().unwrap_or(image);
            match plain.rfind(':') {
                Some(colon) if !plain[colon..].contains('/') => plain[..colon].into(),
                _ => plain.into(),
            }
        };
        let asked = repository(image);
        asked == repository(&self.spec.image)
            || self
                .spec
                .allowed_images
                .iter()
                .any(|allowed| asked == *allowed || (allowed.ends_with('/') && asked.starts_with(allowed)))
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
