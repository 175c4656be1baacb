//! Resolves manifests and adapters: every pod with all its defaults, and every problem that involves several files. It
//! renders nothing.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    adapter::{Adapter, Adapters},
    document::{Document, Node},
    manifest::{Declared, Manifests, Pod, Resources, RunState, Tenant},
    schema::{self, Violation, ViolationKind, Violations},
};
use crate::core::{
    names::{AdapterName, PodId, Subdomain, TenantName},
    problem::{Position, Problem, Problems, nearest},
    quantity::{Cpus, Memory},
    secret::SecretRef,
};

/// A pod with all its defaults, independent of secrets and of the site.
#[derive(Debug, Clone)]
pub struct ResolvedPod {
    /// The pod's identity.
    pub id: PodId,
    /// The kind of agent.
    pub(crate) adapter: Arc<Adapter>,
    /// The first label of its host name.
    pub subdomain: Subdomain,
    /// Whether it should run.
    pub(crate) state: RunState,
    /// The image to run.
    pub(crate) image: String,
    /// The resource limits.
    pub(crate) limits: Limits,
    /// The agent's config, with all defaults.
    pub config: Map<String, Value>,
    /// References to secrets, by environment variable.
    pub(crate) secrets: BTreeMap<String, SecretRef>,
    /// The manifest's file, for messages.
    pub(crate) file: String,
}

/// A pod's resource limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Memory in bytes, without swap.
    pub(crate) memory: Memory,
    /// Processor time.
    pub(crate) cpus: Cpus,
    /// The most processes and threads.
    pub(crate) pids: u32,
}

/// The limits of a pod if neither manifest, defaults nor adapter set them.
const DEFAULT_LIMITS: Limits = Limits { memory: Memory(1 << 30), cpus: Cpus(1_000_000_000), pids: 512 };

/// The most names of adapters in a message.
const MOST_NAMED: usize = 20;

/// Everything declared, resolved.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    /// The tenants, by name.
    pub(crate) tenants: BTreeMap<TenantName, Tenant>,
    /// The pods, by identity.
    pub pods: BTreeMap<PodId, ResolvedPod>,
}

/// Resolves manifests and adapters. A pod with a problem is left out; the caller then rejects the whole revision.
pub fn resolve(manifests: &Manifests, adapters: &Adapters) -> (Resolved, Vec<Problem>) {
    let mut problems = Problems::default();
    let resolved = resolve_into(manifests, adapters, &mut problems);
    (resolved, problems.finish())
}

/// Like [`resolve`], adding to problems found elsewhere. What depends on a broken document is left out without a problem.
pub(crate) fn resolve_into(manifests: &Manifests, adapters: &Adapters, problems: &mut Problems) -> Resolved {
    let mut resolved = Resolved::default();
    for (name, tenant) in &manifests.tenants {
        resolved.tenants.insert(name.clone(), tenant.value.clone());
    }
    for (id, pod) in &manifests.pods {
        if !manifests.tenants.contains_key(&id.tenant) && !manifests.broken.may_have_tenant(&id.tenant) {
            let problem = unknown_tenant(id, pod, manifests, problems.may_suggest());
            problems.push(problem);
        }
        if let Some(pod) = resolve_pod(id, pod, manifests, adapters, problems) {
            resolved.pods.insert(id.clone(), pod);
        }
    }
    unused_defaults(manifests, adapters, problems);
    problems.extend(shared_subdomains(manifests));
    if !manifests.broken.may_have_defaults() {
        over_quotas(manifests, &resolved, problems);
    }
    resolved
}

fn resolve_pod(
    id: &PodId,
    declared: &Declared<Pod>,
    manifests: &Manifests,
    adapters: &Adapters,
    problems: &mut Problems,
) -> Option<ResolvedPod> {
    let before = problems.len();
    let (document, spec) = (&declared.document, &declared.value.spec);
    let Some(adapter) = adapters.all.get(&spec.adapter) else {
        if !adapters.broken.contains(spec.adapter.as_str()) {
            let at = declared.locate(["spec", "adapter"]);
            let problem = unknown_adapter(document, at, spec.adapter.as_str(), adapters, problems.may_suggest());
            problems.push(problem);
        }
        return None;
    };
    // Without the defaults nothing can be said about what they would have set.
    let defaults_unknown = manifests.broken.may_have_defaults();
    let defaults = manifests.defaults.as_ref().map(|defaults| &defaults.value.spec);

    if let Some(image) = spec.image.as_ref().filter(|image| !adapter.allows_image(image)) {
        let what = format!("the adapter {} does not allow the image {image}", spec.adapter);
        let hint = format!(
            "its own is {}; others are listed under allowedImages in adapters/{}/adapter.yaml",
            adapter.spec.image, spec.adapter
        );
        problems.push(document.problem(declared.locate(["spec", "image"]), what).hint(hint));
    }

    let requested =
        spec.resources.over(defaults.map_or(Resources::default(), |d| d.resources)).over(adapter.spec.resources);
    let limits = Limits {
        memory: requested.memory.unwrap_or(DEFAULT_LIMITS.memory),
        cpus: requested.cpus.unwrap_or(DEFAULT_LIMITS.cpus),
        pids: requested.pids.unwrap_or(DEFAULT_LIMITS.pids),
    };
    if !defaults_unknown {
        problems.extend(below_minimum(declared, adapter, limits));
    }

    let mut config = defaults.and_then(|d| d.config.get(&spec.adapter)).cloned().unwrap_or_default();
    merge(&mut config, &spec.config);
    fill_defaults(&adapter.config_schema, &mut config);
    let spec_node = document.root.entry("spec").map_or(&document.root, |(_, node)| node);
    let config_node: &Node = spec_node.entry("config").map_or(spec_node, |(_, node)| node);
    let room = problems.room(&document.file);
    let config_value = Value::Object(config.clone());
    let Violations { described, more } =
        schema::violations(&adapter.config_schema, &adapter.config_validator, &config_value, room);
    let is_certain =
        |violation: &Violation| !(defaults_unknown && matches!(violation.about, ViolationKind::Missing(_)));
    problems.extend(described.into_iter().filter(is_certain).map(|violation| {
        match in_defaults(manifests, "config", adapter, &violation.key_path()) {
            // If the value comes from Defaults, the problem is there.
            Some((defaults, node)) if config_node.get(&violation.key_path()).is_none() => {
                schema::locate(defaults, node, violation)
            }
            _ => schema::locate(document, config_node, violation),
        }
    }));
    problems.count(&document.file, more);

    let mut secrets = defaults.and_then(|d| d.secrets.get(&spec.adapter)).cloned().unwrap_or_default();
    secrets.extend(spec.secrets.clone());
    for name in secrets.keys().filter(|name| adapter.spec.environment.contains_key(*name)) {
        let what = format!("the adapter {} sets {name} itself", spec.adapter);
        let problem = match in_defaults(manifests, "secrets", adapter, &[name.as_str()]) {
            Some((defaults, node)) if !spec.secrets.contains_key(name) => {
                defaults.problem(node.locate_key([name.as_str()]), what)
            }
            _ => document.problem(document.root.locate_key(["spec", "secrets", name]), what),
        };
        problems.push(problem.hint("remove it; use the adapter's config instead"));
    }

    (problems.len() == before).then(|| ResolvedPod {
        id: id.clone(),
        adapter: adapter.clone(),
        subdomain: spec.subdomain.clone(),
        state: spec.state,
        image: spec.image.clone().unwrap_or_else(|| adapter.spec.image.clone()),
        limits,
        config,
        secrets,
        file: document.file.clone(),
    })
}

/// The node of `Defaults` at a path below an adapter's `config` or `secrets`, if there is one.
fn in_defaults<'a>(
    manifests: &'a Manifests,
    section: &str,
    adapter: &Adapter,
    path: &[&str],
) -> Option<(&'a Document, &'a Node)> {
    let document = &manifests.defaults.as_ref()?.document;
    let node = document.root.get(&["spec", section, adapter.metadata.name.as_str()])?;
    node.get(path).map(|_| (&**document, node))
}

/// Adds the problems of defaults for adapters that do not exist.
fn unused_defaults(manifests: &Manifests, adapters: &Adapters, problems: &mut Problems) {
    let Some(defaults) = &manifests.defaults else { return };
    let spec = &defaults.value.spec;
    let named =
        spec.config.keys().map(|name| ("config", name)).chain(spec.secrets.keys().map(|name| ("secrets", name)));
    let is_known = |name: &AdapterName| adapters.all.contains_key(name) || adapters.broken.contains(name.as_str());
    for (section, name) in named.filter(|(_, name)| !is_known(name)) {
        let at = defaults.document.root.locate_key(["spec", section, name.as_str()]);
        let problem = unknown_adapter(&defaults.document, at, name.as_str(), adapters, problems.may_suggest());
        problems.push(problem);
    }
}

fn unknown_adapter(document: &Document, at: Position, name: &str, adapters: &Adapters, suggest: bool) -> Problem {
    let known = || adapters.all.keys().map(|name| name.as_str());
    let near = if suggest { nearest(name, known()) } else { None };
    let hint = match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are: {}", known().take(MOST_NAMED).collect::<Vec<_>>().join(", ")),
    };
    document.problem(at, format!("there is no adapter {name:?}")).hint(hint)
}

fn unknown_tenant(id: &PodId, pod: &Declared<Pod>, manifests: &Manifests, suggest: bool) -> Problem {
    let at = pod.locate(["metadata", "tenant"]);
    let known = manifests.tenants.keys().map(|name| name.as_str());
    let near = if suggest { nearest(id.tenant.as_str(), known) } else { None };
    let hint = match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("declare it: kind: Tenant, metadata: {{name: {}}}", id.tenant),
    };
    pod.document.problem(at, format!("there is no tenant {:?}", id.tenant.as_str())).hint(hint)
}

fn below_minimum(pod: &Declared<Pod>, adapter: &Adapter, limits: Limits) -> Vec<Problem> {
    let minimum = adapter.spec.minimum;
    let mut problems = Vec::new();
    let mut check = |name: &str, enough: bool, given: String, least: String| {
        if !enough {
            let what = format!("{name} {given} is less than {} needs", adapter.metadata.title);
            problems.push(
                pod.document
                    .problem(pod.locate(["spec", "resources", name]), what)
                    .hint(format!("set at least {least}")),
            );
        }
    };
    if let Some(least) = minimum.memory {
        check("memory", limits.memory >= least, limits.memory.to_string(), least.to_string());
    }
    if let Some(least) = minimum.cpus {
        check("cpus", limits.cpus >= least, limits.cpus.to_string(), least.to_string());
    }
    if let Some(least) = minimum.pids {
        check("pids", limits.pids >= least, limits.pids.to_string(), least.to_string());
    }
    problems
}

fn shared_subdomains(manifests: &Manifests) -> Vec<Problem> {
    let mut first: BTreeMap<&Subdomain, (&PodId, &Declared<Pod>)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (id, pod) in &manifests.pods {
        let subdomain = &pod.value.spec.subdomain;
        let Some((other_id, other)) = first.get(subdomain) else {
            first.insert(subdomain, (id, pod));
            continue;
        };
        let first_at = other.locate(["spec", "subdomain"]);
        let what = format!("the subdomain {:?} is used twice: by {other_id} and by {id}", subdomain.as_str());
        let hint = format!(
            "it is first used at {}:{}:{}; choose another",
            other.document.file, first_at.line, first_at.column
        );
        problems.push(pod.document.problem(pod.locate(["spec", "subdomain"]), what).hint(hint));
    }
    problems
}

/// What a tenant's pods request together.
#[derive(Default, Clone, Copy)]
struct Requested {
    pods: u32,
    memory: Memory,
    cpus: Cpus,
}

fn over_quotas(manifests: &Manifests, resolved: &Resolved, problems: &mut Problems) {
    let mut requested: BTreeMap<&TenantName, Requested> = BTreeMap::new();
    for pod in resolved.pods.values() {
        let Requested { pods, memory, cpus } = requested.entry(&pod.id.tenant).or_default();
        *pods = pods.saturating_add(1);
        if pod.state == RunState::Running {
            memory.0 = memory.0.saturating_add(pod.limits.memory.0);
            cpus.0 = cpus.0.saturating_add(pod.limits.cpus.0);
        }
    }
    for (name, tenant) in &manifests.tenants {
        let requested = requested.get(name).copied().unwrap_or_default();
        problems.extend(over_quota(name, tenant, requested));
    }
}

fn over_quota(name: &TenantName, tenant: &Declared<Tenant>, requested: Requested) -> Vec<Problem> {
    let Some(quota) = tenant.value.spec.quota else { return Vec::new() };
    let Requested { pods: count, memory, cpus } = requested;
    let mut problems = Vec::new();
    let mut check = |item: &str, over: bool, taken: String, allowed: String| {
        if over {
            let (what, hint) = match item {
                "pods" => (
                    format!("tenant {name} has {taken} pods, more than the quota of {allowed}"),
                    "raise the quota, or remove a pod",
                ),
                _ => (
                    format!(
                        "the running pods of tenant {name} request {item} {taken} in total, more than the quota of {allowed}"
                    ),
                    "raise the quota, reduce a pod's resources, or stop a pod",
                ),
            };
            let at = tenant.locate(["spec", "quota", item]);
            problems.push(tenant.document.problem(at, what).hint(hint));
        }
    };
    check(
        "pods",
        quota.pods.is_some_and(|most| count > most),
        count.to_string(),
        quota.pods.unwrap_or_default().to_string(),
    );
    check(
        "memory",
        quota.memory.is_some_and(|most| memory > most),
        memory.to_string(),
        quota.memory.unwrap_or_default().to_string(),
    );
    check(
        "cpus",
        quota.cpus.is_some_and(|most| cpus > most),
        cpus.to_string(),
        quota.cpus.unwrap_or_default().to_string(),
    );
    problems
}

/// Merges `over` into `below`: mappings recursively, other values as a whole.
fn merge(below: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (below.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(over)) => merge(below, over),
            _ => {
                below.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Fills in the `default`s of a schema, in nested objects too.
pub(crate) fn fill_defaults(schema: &Value, config: &mut Map<String, Value>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (key, property) in properties {
        if let (false, Some(default)) = (config.contains_key(key), property.get("default")) {
            config.insert(key.clone(), default.clone());
        }
        if let Some(Value::Object(inner)) = config.get_mut(key) {
            fill_defaults(property, inner);
        }
    }
}
