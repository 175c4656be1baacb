//! The desired state: every declared pod with the container it needs, rendered and digested.
//!
//! The core renders with placeholders for secrets and digests the result together with the secrets' fingerprints. The edge
//! renders again with the real values right before it passes them to the engine.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    adapter::{Adapters, Apply, GeneratedName, MOST_OF_VARIABLE},
    infra::{InfraSpec, NetworkSpec, VolumeSpec},
    manifest::{Manifests, RunState, Tenant},
    references,
    resolve::{self, ResolvedPod},
};
use crate::core::{
    digest::Digest,
    labels,
    names::{PodId, TenantName},
    problem::{Problem, Problems},
    secret::{Fingerprint, Fingerprints},
    site::Site,
};

/// The desired state of the fleet.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The declared tenants.
    pub tenants: BTreeMap<TenantName, Tenant>,
    /// The declared pods.
    pub pods: BTreeMap<PodId, DesiredPod>,
    /// What pods share.
    pub infra: Vec<InfraSpec>,
}

/// The desired state of one pod.
#[derive(Debug, Clone)]
pub struct DesiredPod {
    /// The declaration with all defaults.
    pub declared: Arc<ResolvedPod>,
    /// The pod's public address.
    pub(crate) url: String,
    /// The desired container.
    pub container: ContainerSpec,
    /// The network that container is attached to.
    pub network: NetworkSpec,
    /// The volume with its data.
    pub volume: VolumeSpec,
    /// The digest of the files that the agent re-reads by itself; `None` if the adapter has none.
    pub hot: Option<Digest>,
    /// Secrets that cannot be read, each with the reason. The pod is held until they can.
    pub missing_secrets: Vec<String>,
}

/// A desired container, with placeholders for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// `<tenant>_<pod>-<digest8>`.
    pub name: String,
    /// The blueprint's digest.
    pub digest: Digest,
    /// What the container is created from.
    pub blueprint: Blueprint,
}

/// What a container is created from. All of it is digested: a change replaces the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blueprint {
    /// The image.
    pub image: String,
    /// The command; `None` for the image's own.
    pub command: Option<Vec<String>>,
    /// The user, as `uid:gid`.
    pub user: String,
    /// Environment variables, with placeholders for secrets.
    pub environment: BTreeMap<String, String>,
    /// Rendered files whose change replaces the container.
    pub files: Vec<RenderedFile>,
    /// Folders of rendered files, each an anonymous volume that is removed with the container.
    pub folders: Vec<String>,
    /// The name of the volume with the pod's data.
    pub volume: String,
    /// The path at which the data volume is mounted.
    pub data: String,
    /// Sizes of tmpfs mounts in bytes, by path.
    pub tmpfs: BTreeMap<String, u64>,
    /// Whether the root file system is read-only.
    pub read_only_root: bool,
    /// Memory in bytes, without swap.
    pub memory: u64,
    /// Processor time in billionths of a core.
    pub nano_cpus: u64,
    /// The most processes and threads.
    pub pids: u32,
    /// The network to attach it to.
    pub network: String,
    /// All labels except the digests.
    pub labels: BTreeMap<String, String>,
    /// How long a stop may take, in seconds.
    pub stop_timeout: u64,
    /// The secrets' fingerprints, by environment variable.
    pub secrets: BTreeMap<String, Fingerprint>,
    /// The number of the gateway token, from 1; a rotation increments it.
    pub token_version: i32,
    /// The number of the adapter's generated secrets, from 1; `None` if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated_version: Option<i32>,
}

/// A rendered file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenderedFile {
    /// The path inside the container.
    pub path: String,
    /// The permission bits.
    pub mode: u32,
    /// The content.
    pub text: String,
    /// Whether a change is uploaded into the running container.
    #[serde(skip)]
    pub hot: bool,
}

/// What a pod keeps from when it was first declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodIdentity {
    /// The name of its volume, which stays even if naming rules change.
    pub volume: String,
    /// The number of its gateway token, from 1; a rotation increments it.
    pub token_version: i32,
    /// The number of its generated secrets, from 1; a rotation increments it.
    pub generated_version: i32,
}

/// Texts for templates: placeholders for secrets, or the real values.
#[derive(Debug, Clone)]
pub(crate) struct SecretTexts {
    /// The secrets, by environment variable.
    pub(crate) secrets: BTreeMap<String, String>,
    /// The pod's gateway token.
    pub(crate) token: String,
    /// The adapter's generated secrets, by name.
    pub(crate) generated: BTreeMap<String, String>,
}

impl SecretTexts {
    /// Placeholders, for everything except the engine.
    pub(crate) fn placeholders(pod: &ResolvedPod) -> Self {
        let secrets = pod.secrets.keys().map(|name| (name.clone(), format!("[secret {name}]"))).collect();
        let generated = pod.adapter.spec.generated.keys();
        let generated = generated.map(|GeneratedName(name)| (name.clone(), format!("[generated {name}]"))).collect();
        Self { secrets, token: "[gateway token]".into(), generated }
    }
}

/// A pod's rendered templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// All files, including hot ones.
    pub files: Vec<RenderedFile>,
}

/// Builds the desired state, or returns every problem. Unreadable secrets are not problems: they only hold their pod.
pub fn build(
    manifests: &Manifests,
    adapters: &Adapters,
    site: &Site,
    identities: &BTreeMap<PodId, PodIdentity>,
    fingerprints: &Fingerprints,
) -> Result<Desired, Vec<Problem>> {
    let mut problems = Problems::default();
    let desired = build_into(manifests, adapters, site, identities, fingerprints, &mut problems);
    if problems.is_empty() { Ok(desired) } else { Err(problems.finish()) }
}

/// Like [`build`], adding to problems found elsewhere; with any, the desired state is not whole.
pub(crate) fn build_into(
    manifests: &Manifests,
    adapters: &Adapters,
    site: &Site,
    identities: &BTreeMap<PodId, PodIdentity>,
    fingerprints: &Fingerprints,
    problems: &mut Problems,
) -> Desired {
    let resolved = resolve::resolve_into(manifests, adapters, problems);
    references::check(manifests, &resolved, &site.secrets, problems);
    let mut pods = BTreeMap::new();
    // A mistake in a template is one problem, however many pods use it.
    let mut template_problems: BTreeMap<Problem, Vec<PodId>> = BTreeMap::new();
    for (id, pod) in resolved.pods {
        let pod = Arc::new(pod);
        match render(adapters, site, &pod, &SecretTexts::placeholders(&pod)) {
            Ok(rendered) => {
                pods.insert(id.clone(), desired_pod(site, &pod, rendered, identities.get(&id), fingerprints));
            }
            Err(found) => {
                found.into_iter().for_each(|problem| template_problems.entry(problem).or_default().push(id.clone()));
            }
        }
    }
    problems.extend(template_problems.into_iter().map(|(problem, pods)| naming_pods(problem, &pods)));
    Desired { tenants: resolved.tenants, pods, infra: site.infra() }
}

fn naming_pods(problem: Problem, pods: &[PodId]) -> Problem {
    let pods = match pods {
        [] => return problem,
        [one] => format!("for {one}"),
        [one, two] => format!("for {one} and {two}"),
        [one, more @ ..] => format!("for {one} and {} more pods", more.len()),
    };
    Problem { what: format!("{} ({pods})", problem.what), ..problem }
}

/// Renders a pod's environment and files.
pub(crate) fn render(
    adapters: &Adapters,
    site: &Site,
    pod: &ResolvedPod,
    texts: &SecretTexts,
) -> Result<Rendered, Vec<Problem>> {
    let (adapter, spec) = (&pod.adapter.metadata.name, &pod.adapter.spec);
    let values = template_values(site, pod, texts);
    let mut problems = Vec::new();
    let mut environment = texts.secrets.clone();
    for name in spec.environment.keys() {
        match adapters.templates.render_environment(adapter, name, &values) {
            Ok(value) if value.is_empty() => {}
            Ok(value) => {
                problems.extend(unusable_variable(pod, name, &value));
                environment.insert(name.clone(), value);
            }
            Err(why) => {
                let file = format!("adapters/{adapter}/adapter.yaml");
                problems.push(Problem::of_file(file, format!("spec.environment.{name} cannot be rendered: {why}")));
            }
        }
    }
    let mut files = Vec::new();
    for file in &spec.files {
        match adapters.templates.render_file(adapter, &file.template, file.format, &values) {
            Ok(text) => files.push(RenderedFile {
                path: file.path.0.clone(),
                mode: u32::from_str_radix(&file.mode, 8).unwrap_or(0o444),
                text,
                hot: file.apply == Apply::Upload,
            }),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(Rendered { environment, files }) } else { Err(problems) }
}

/// The problem of a variable that the system would refuse when the container starts.
fn unusable_variable(pod: &ResolvedPod, name: &str, value: &str) -> Option<Problem> {
    let (what, hint) = match value {
        _ if value.contains('\0') => ("contains a NUL byte", "remove \\0 from the setting it is made of"),
        _ if name.len().saturating_add(value.len()) >= MOST_OF_VARIABLE => {
            ("is longer than 128 KiB", "shorten the setting it is made of")
        }
        _ => return None,
    };
    let adapter = &pod.adapter.metadata.name;
    let what = format!("the environment variable {name}, which the adapter {adapter} makes of the config, {what}");
    Some(Problem::of_file(&pod.file, what).hint(hint))
}

fn template_values(site: &Site, pod: &ResolvedPod, texts: &SecretTexts) -> Value {
    json!({
        "pod": pod_values(site, pod),
        "config": pod.config,
        "limits": {
            "memoryMi": pod.limits.memory.0 >> 20,
            "cpus": pod.limits.cpus.0 as f64 / 1e9,
            "pids": pod.limits.pids,
        },
        "proxy": {"address": site.proxy_address},
        "data": pod.adapter.spec.data,
        "secrets": texts.secrets,
        "token": texts.token,
        "generated": texts.generated,
    })
}

/// The template value `pod`.
pub(crate) fn pod_values(site: &Site, pod: &ResolvedPod) -> Value {
    json!({
        "id": pod.id.key(),
        "tenant": pod.id.tenant,
        "name": pod.id.pod,
        "subdomain": pod.subdomain,
        "host": site.host(&pod.subdomain),
        "url": site.url(&pod.subdomain),
    })
}

fn desired_pod(
    site: &Site,
    pod: &Arc<ResolvedPod>,
    rendered: Rendered,
    identity: Option<&PodIdentity>,
    fingerprints: &Fingerprints,
) -> DesiredPod {
    let spec = &pod.adapter.spec;
    let (hot_files, files): (Vec<_>, Vec<_>) = rendered.files.into_iter().partition(|file| file.hot);
    let mut folders: Vec<String> = spec.files.iter().map(|file| file.path.parent().to_owned()).collect();
    folders.sort();
    folders.dedup();
    let mut secrets = BTreeMap::new();
    let mut missing_secrets = Vec::new();
    for (name, reference) in &pod.secrets {
        match fingerprints.get(reference) {
            Some(Ok(fingerprint)) => {
                secrets.insert(name.clone(), fingerprint.clone());
            }
            Some(Err(error)) => missing_secrets.push(format!("{name} from {reference}: {error}")),
            None => missing_secrets.push(format!("{name} from {reference}: it was not read")),
        }
    }
    let network = site.network_of(&pod.id.tenant);
    let blueprint = Blueprint {
        image: pod.image.clone(),
        command: spec.command.clone(),
        user: spec.user.clone(),
        environment: rendered.environment,
        files,
        folders,
        volume: identity.map_or_else(|| site.volume_of(&pod.id), |identity| identity.volume.clone()),
        data: spec.data.0.clone(),
        tmpfs: spec.tmpfs.iter().map(|(path, size)| (path.0.clone(), size.0)).collect(),
        read_only_root: spec.read_only_root,
        memory: pod.limits.memory.0,
        nano_cpus: pod.limits.cpus.0,
        pids: pod.limits.pids,
        network: network.name.clone(),
        labels: labels::of_container(site, &pod.id, &pod.adapter.metadata.name, &pod.subdomain, spec.port),
        stop_timeout: spec.stop_timeout.0.div_ceil(1000),
        secrets,
        token_version: identity.map_or(1, |identity| identity.token_version),
        generated_version: (!spec.generated.is_empty())
            .then(|| identity.map_or(1, |identity| identity.generated_version)),
    };
    let digest = Digest::of(&blueprint);
    DesiredPod {
        url: site.url(&pod.subdomain),
        hot: (!hot_files.is_empty()).then(|| Digest::of(&hot_files)),
        missing_secrets,
        network: network.clone(),
        volume: VolumeSpec { name: blueprint.volume.clone(), labels: labels::of_pod(site, &pod.id) },
        container: ContainerSpec { name: container_name(&pod.id, &digest), digest, blueprint },
        declared: pod.clone(),
    }
}

/// The name `<tenant>_<pod>-<digest8>`: old and new never collide, and no step needs an ID from an earlier step.
pub fn container_name(id: &PodId, digest: &Digest) -> String {
    format!("{}-{}", id.key(), digest.short())
}

impl DesiredPod {
    /// Whether it should run.
    pub fn is_running(&self) -> bool {
        self.declared.state == RunState::Running
    }
}
