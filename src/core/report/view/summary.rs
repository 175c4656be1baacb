//! A container's summary: everything that defines it, as it may be shown. It has secrets by name, with a
//! mark that only tells whether the value is still the same, and files by path and digest.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::conceal::{HIDDEN, conceal, is_named_secret};
use crate::core::{
    declare::desired::{DesiredPod, RenderedFile},
    digest::Digest,
    quantity::{Cpus, Memory},
};

/// Everything that defines a container, without secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerSummary {
    /// The image.
    pub(crate) image: String,
    /// The command, if it is not the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Vec<String>>,
    /// `uid:gid`.
    pub(crate) user: String,
    /// Memory limit, without swap: `2Gi`.
    pub(crate) memory: String,
    /// CPU limit, in processors: `0.5`.
    pub(crate) cpus: String,
    /// The limit on processes and threads.
    pub(crate) pids: u32,
    /// The network.
    pub(crate) network: String,
    /// The data volume.
    pub(crate) volume: String,
    /// Where the data volume is mounted.
    pub(crate) data: String,
    /// Whether the root file system is read-only.
    pub(crate) read_only_root: bool,
    /// In-memory file systems: path to size.
    pub(crate) tmpfs: BTreeMap<String, String>,
    /// The stop timeout, in seconds.
    pub(crate) stop_timeout: u64,
    /// Environment variables that are not declared secrets; the value of one named like a secret is hidden.
    pub environment: BTreeMap<String, String>,
    /// Secrets by name, each with a mark that changes with its value and says nothing about it.
    pub secrets: BTreeMap<String, String>,
    /// The version of the gateway token: 1, plus one for each rotation.
    pub(crate) token_version: i32,
    /// The version of the generated secrets; left out if the adapter has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) generated_version: Option<i32>,
    /// Rendered files by path.
    pub(crate) files: BTreeMap<String, FileSummary>,
    /// Labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// The agent's settings with all defaults; values that look like secrets are hidden.
    pub(crate) config: Map<String, Value>,
}

/// A rendered file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileSummary {
    /// Its permissions in octal.
    pub(crate) mode: String,
    /// The beginning of its digest.
    pub(crate) digest: String,
}

/// One line of two summaries side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SummaryLine {
    /// The path of the value, like `environment.GREETING`.
    pub path: String,
    /// The desired value, if there is one.
    pub desired: Option<String>,
    /// The actual value, if there is one.
    pub actual: Option<String>,
    /// Whether they differ.
    pub differs: bool,
}

impl ContainerSummary {
    /// The summary of a pod's desired container.
    pub(crate) fn of(pod: &DesiredPod) -> Self {
        let blueprint = &pod.container.blueprint;
        let adapter = &pod.declared.adapter;
        let named = |(name, value): (&String, &String)| {
            let value = if is_named_secret(name) && !value.starts_with('[') { HIDDEN } else { value };
            (name.clone(), value.to_owned())
        };
        // The pod's name goes in, so that the same value in two pods has two marks.
        let mark = |name: &str, fingerprint: &str| Digest::of(&(pod.declared.id.key(), name, fingerprint));
        Self {
            image: blueprint.image.clone(),
            command: blueprint.command.clone(),
            user: blueprint.user.clone(),
            memory: Memory(blueprint.memory).to_string(),
            cpus: Cpus(blueprint.nano_cpus).to_string(),
            pids: blueprint.pids,
            network: blueprint.network.clone(),
            volume: blueprint.volume.clone(),
            data: blueprint.data.clone(),
            read_only_root: blueprint.read_only_root,
            tmpfs: blueprint.tmpfs.iter().map(|(path, size)| (path.clone(), Memory(*size).to_string())).collect(),
            stop_timeout: blueprint.stop_timeout,
            environment: (blueprint.environment.iter())
                .filter(|(name, _)| !pod.declared.secrets.contains_key(*name))
                .map(named)
                .collect(),
            secrets: (pod.declared.secrets.keys())
                .map(|name| {
                    let mark = blueprint.secrets.get(name).map(|fingerprint| mark(name, fingerprint).to_string());
                    (name.clone(), mark.unwrap_or_else(|| "cannot be read".into()))
                })
                .collect(),
            token_version: blueprint.token_version,
            generated_version: blueprint.generated_version,
            files: blueprint.files.iter().map(|file| (file.path.clone(), FileSummary::of(file))).collect(),
            labels: blueprint.labels.clone(),
            config: conceal(&pod.declared.config, &adapter.config_schema),
        }
    }

    /// As lines, by path.
    fn lines(&self) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::new();
        flatten("", &serde_json::to_value(self).unwrap_or_default(), &mut lines);
        lines
    }
}

impl FileSummary {
    fn of(file: &RenderedFile) -> Self {
        Self { mode: format!("{:04o}", file.mode), digest: Digest::of_bytes(file.text.as_bytes()).to_string() }
    }
}

/// Two summaries line by line, ordered by path, equal lines included.
pub fn side_by_side(desired: Option<&ContainerSummary>, actual: Option<&ContainerSummary>) -> Vec<SummaryLine> {
    let (desired, actual) = (
        desired.map(ContainerSummary::lines).unwrap_or_default(),
        actual.map(ContainerSummary::lines).unwrap_or_default(),
    );
    let mut paths: Vec<&String> = desired.keys().chain(actual.keys()).collect();
    paths.sort();
    paths.dedup();
    let line = |path: &String| {
        let (desired, actual) = (desired.get(path).cloned(), actual.get(path).cloned());
        SummaryLine { path: path.clone(), differs: desired != actual, desired, actual }
    };
    paths.into_iter().map(line).collect()
}

fn flatten(path: &str, value: &Value, lines: &mut BTreeMap<String, String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(entries) => entries.iter().for_each(|(name, value)| flatten(&below(name), value, lines)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().enumerate().for_each(|(index, item)| flatten(&below(&index.to_string()), item, lines));
        }
        Value::String(text) => drop(lines.insert(path.into(), text.clone())),
        other => drop(lines.insert(path.into(), other.to_string())),
    }
}
