//! What should be: every declared pod as the container it needs, rendered and digested.
//!
//! The core renders with placeholders where secrets go and digests the result together with the secrets' fingerprints;
//! the edge renders once more with the real values just before they are handed to the engine.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    adapter::{Adapters, Apply},
    manifest::{Manifests, RunState, Tenant},
    resolve::{self, ResolvedPod},
};
use crate::core::{
    digest::Digest,
    labels,
    names::{PodId, TenantName},
    problem::Problem,
    secret::{Fingerprint, Fingerprints},
    site::Site,
};

/// Everything that should be.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The declared tenants.
    pub tenants: BTreeMap<TenantName, Tenant>,
    /// The declared pods.
    pub pods: BTreeMap<PodId, DesiredPod>,
}

/// What one pod should be.
#[derive(Debug, Clone)]
pub struct DesiredPod {
    /// The declaration, with all defaults.
    pub declared: Arc<ResolvedPod>,
    /// Where people reach it.
    pub url: String,
    /// The container it needs.
    pub container: ContainerSpec,
    /// The files an agent re-reads by itself, and their digest; `None` if the adapter has none.
    pub hot: Option<Digest>,
    /// Secrets that could not be read: which, and why. The pod is held until they can.
    pub missing_secrets: Vec<String>,
}

/// The container a pod needs. Secret values are placeholders in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// `<tenant>_<pod>-<digest8>`.
    pub name: String,
    /// The digest of the blueprint.
    pub digest: Digest,
    /// Everything that, when changed, must replace the container.
    pub blueprint: Blueprint,
}

/// Everything that, when changed, must replace the container. All of it goes into the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blueprint {
    /// The image.
    pub image: String,
    /// What to run in place of the image's own command.
    pub command: Option<Vec<String>>,
    /// `uid:gid`.
    pub user: String,
    /// Environment variables, secrets as placeholders.
    pub environment: BTreeMap<String, String>,
    /// Rendered files whose change replaces the container.
    pub files: Vec<RenderedFile>,
    /// Folders that hold rendered files: each an anonymous volume that goes with the container.
    pub folders: Vec<String>,
    /// The named volume with the pod's data.
    pub volume: String,
    /// Where it is mounted.
    pub data: String,
    /// Writable memory: path to bytes.
    pub tmpfs: BTreeMap<String, u64>,
    /// Whether the image's files cannot be changed.
    pub read_only_root: bool,
    /// Bytes of memory, without swap.
    pub memory: u64,
    /// Billionths of a processor.
    pub nano_cpus: u64,
    /// Processes and threads.
    pub pids: u32,
    /// The network it is attached to.
    pub network: String,
    /// All labels but the digest.
    pub labels: BTreeMap<String, String>,
    /// Seconds a stop may take.
    pub stop_timeout: u64,
    /// The secrets' fingerprints by variable name.
    pub secrets: BTreeMap<String, Fingerprint>,
    /// Counts rotations of the gateway token.
    pub token_version: i32,
}

/// A file as the agent will find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenderedFile {
    /// Where, inside the container.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// Its text.
    pub text: String,
    /// Whether it is uploaded into the running container when it changes.
    #[serde(skip)]
    pub hot: bool,
}

/// What is remembered of a pod from when it was first declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodIdentity {
    /// The name of its volume; never derived again.
    pub volume: String,
    /// Counts rotations of its gateway token.
    pub token_version: i32,
}

/// The texts that stand in for secret values, or the values themselves.
#[derive(Debug, Clone)]
pub struct SecretTexts {
    /// By variable name.
    pub secrets: BTreeMap<String, String>,
    /// The pod's gateway token.
    pub token: String,
}

impl SecretTexts {
    /// Placeholders: what everything but the engine gets to see.
    pub fn placeholders(pod: &ResolvedPod) -> Self {
        let secrets = pod.secrets.keys().map(|name| (name.clone(), format!("[secret {name}]"))).collect();
        Self { secrets, token: "[gateway token]".into() }
    }
}

/// What a pod's templates render to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// All files, hot and not.
    pub files: Vec<RenderedFile>,
}

/// Builds what should be, or tells every reason why not. Unreadable secrets are no reason: they hold their pod alone.
pub fn build(
    manifests: &Manifests,
    adapters: &Adapters,
    site: &Site,
    known: &BTreeMap<PodId, PodIdentity>,
    fingerprints: &Fingerprints,
) -> Result<Desired, Vec<Problem>> {
    let (resolved, mut problems) = resolve::resolve(manifests, adapters);
    let mut pods = BTreeMap::new();
    // One mistake in a template is one problem, however many pods it is rendered for.
    let mut unrendered: BTreeMap<Problem, Vec<PodId>> = BTreeMap::new();
    for (id, pod) in resolved.pods {
        let pod = Arc::new(pod);
        match render(adapters, site, &pod, &SecretTexts::placeholders(&pod)) {
            Ok(rendered) => {
                pods.insert(id.clone(), desired_pod(site, &pod, rendered, known.get(&id), fingerprints));
            }
            Err(found) => found.into_iter().for_each(|problem| unrendered.entry(problem).or_default().push(id.clone())),
        }
    }
    problems.extend(unrendered.into_iter().map(|(problem, pods)| of_pods(problem, &pods)));
    problems.sort();
    problems.dedup();
    if problems.is_empty() { Ok(Desired { tenants: resolved.tenants, pods }) } else { Err(problems) }
}

fn of_pods(problem: Problem, pods: &[PodId]) -> Problem {
    let pods = match pods {
        [] => return problem,
        [one] => format!("for {one}"),
        [one, two] => format!("for {one} and {two}"),
        [one, more @ ..] => format!("for {one} and {} more pods", more.len()),
    };
    Problem { what: format!("{} ({pods})", problem.what), ..problem }
}

/// Renders a pod's environment and files.
pub fn render(
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
    })
}

/// What templates know about a pod.
pub fn pod_values(site: &Site, pod: &ResolvedPod) -> Value {
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
    known: Option<&PodIdentity>,
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
            Some(Err(why)) => missing_secrets.push(format!("{name} from {reference}: {why}")),
            None => missing_secrets.push(format!("{name} from {reference}: it was not looked up")),
        }
    }
    let blueprint = Blueprint {
        image: pod.image.clone(),
        command: spec.command.clone(),
        user: spec.user.clone(),
        environment: rendered.environment,
        files,
        folders,
        volume: known.map_or_else(|| site.volume_of(&pod.id), |known| known.volume.clone()),
        data: spec.data.0.clone(),
        tmpfs: spec.tmpfs.iter().map(|(path, size)| (path.0.clone(), size.0)).collect(),
        read_only_root: spec.read_only_root,
        memory: pod.limits.memory.0,
        nano_cpus: pod.limits.cpus.0,
        pids: pod.limits.pids,
        network: site.network_of(&pod.id.tenant).into(),
        labels: labels::of_container(site, &pod.id, &pod.adapter.metadata.name, &pod.subdomain, spec.port),
        stop_timeout: spec.stop_timeout.0.div_ceil(1000),
        secrets,
        token_version: known.map_or(1, |known| known.token_version),
    };
    let digest = Digest::of(&blueprint);
    DesiredPod {
        url: site.url(&pod.subdomain),
        hot: (!hot_files.is_empty()).then(|| Digest::of(&hot_files)),
        missing_secrets,
        container: ContainerSpec { name: container_name(&pod.id, &digest), digest, blueprint },
        declared: pod.clone(),
    }
}

/// `<tenant>_<pod>-<digest8>`: old and new never collide, and no step needs an id that an earlier step returned.
pub fn container_name(id: &PodId, digest: &Digest) -> String {
    format!("{}-{}", id.key(), digest.short())
}

impl DesiredPod {
    /// Whether it should run.
    pub fn is_running(&self) -> bool {
        self.declared.state == RunState::Running
    }
}
