//! The table of routes: what each takes and returns. Every request is looked up in it, and the description is made from it.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::{
    ROOT,
    answer::{JSON, TEXT},
    manifests::{EditLine, ManifestEdit, ManifestLine},
    params::LONGEST,
    requests::{NewRequest, RequestLine},
    settings::SettingsView,
};
use crate::{
    core::{
        event::{EventKind, Severity},
        names::{AdapterName, PodName, TenantName},
    },
    store::view::{
        AdapterLine, EventLine, Overview, Page, PodColumn, PodDetail, PodLine, RevisionLine, SourceLine, TenantLine,
        UsagePoint,
    },
};

/// An operation's name; also in the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Overview,
    Pods,
    Pod,
    PodEvents,
    PodUsage,
    Manifest,
    EditManifest,
    Logs,
    Tenants,
    Tenant,
    Adapters,
    Source,
    Revisions,
    Revision,
    Events,
    Settings,
    CreateRequest,
    Request,
    OpenApi,
}

/// An operation: a path and a method.
pub(super) struct Operation {
    pub(crate) name: Name,
    pub(crate) method: &'static str,
    /// The path below the root, with `{names}`.
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    /// Query parameters with their schemas.
    pub(crate) query: fn(&mut SchemaGenerator) -> Vec<(&'static str, Value)>,
    /// The schema of the body.
    pub(crate) body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// The schema of the response.
    pub(crate) answer: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) status: u16,
    /// The media type of the response.
    pub(crate) kind: &'static str,
    /// Whether it may not exist.
    pub(crate) can_be_missing: bool,
}

impl Operation {
    /// The parameters' names.
    pub(crate) fn parameters(&self) -> Vec<&'static str> {
        (self.query)(&mut SchemaGenerator::default()).into_iter().map(|(name, _)| name).collect()
    }
}

/// A path in the table.
pub(super) struct Found {
    operations: Vec<&'static Operation>,
    /// The values of `{names}`.
    pub(crate) names: Vec<String>,
}

impl Found {
    /// The operation for a method.
    pub(crate) fn operation(&self, method: &str) -> Option<&'static Operation> {
        self.operations.iter().copied().find(|operation| operation.method == method)
    }

    /// The methods, as in the header `Allow`.
    pub(crate) fn methods(&self) -> String {
        let methods = self.operations.iter().map(|operation| match operation.method {
            "get" => "GET, HEAD",
            _ => "POST",
        });
        methods.collect::<Vec<_>>().join(", ")
    }
}

/// The operations at a path.
pub(super) fn find(path: &str) -> Option<Found> {
    let rest = path.strip_prefix(ROOT)?;
    let mut found = Found { operations: Vec::new(), names: Vec::new() };
    for operation in ALL {
        if let Some(names) = names(operation.path, rest) {
            found.operations.push(operation);
            found.names = names;
        }
    }
    (!found.operations.is_empty()).then_some(found)
}

fn names(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut names = Vec::new();
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(names),
            (Some(expected), Some(part)) if expected.starts_with('{') => {
                // Names are plain, so a path with an escape matches none.
                if part.is_empty() || part.contains('%') {
                    return None;
                }
                names.push(part.to_owned());
            }
            (Some(expected), Some(part)) if expected == part => {}
            _ => return None,
        }
    }
}

/// The schema of a name in a path.
pub(super) fn name_schema(name: &str, generator: &mut SchemaGenerator) -> Value {
    match name {
        "tenant" => generator.subschema_for::<TenantName>().into(),
        "pod" => generator.subschema_for::<PodName>().into(),
        _ => json!({"type": "integer", "format": "int64", "minimum": 1}),
    }
}

const fn get(
    name: Name,
    path: &'static str,
    summary: &'static str,
    answer: fn(&mut SchemaGenerator) -> Schema,
) -> Operation {
    let (query, body) = (nothing as fn(&mut SchemaGenerator) -> Vec<(&'static str, Value)>, None);
    Operation {
        name,
        method: "get",
        path,
        summary,
        query,
        body,
        answer,
        status: 200,
        kind: JSON,
        can_be_missing: false,
    }
}

impl Operation {
    const fn with(mut self, query: fn(&mut SchemaGenerator) -> Vec<(&'static str, Value)>) -> Self {
        self.query = query;
        self
    }

    const fn or_missing(mut self) -> Self {
        self.can_be_missing = true;
        self
    }
}

/// Every operation.
pub(super) const ALL: &[Operation] = &[
    get(Name::Overview, "/overview", "The overview of the fleet", |all| all.subschema_for::<Overview>()),
    get(Name::Pods, "/pods", "Pods, filtered and sorted", |all| all.subschema_for::<Page<PodLine>>()).with(of_pods),
    get(Name::Pod, "/pods/{tenant}/{pod}", "One pod with everything known about it", |all| {
        all.subschema_for::<PodDetail>()
    })
    .or_missing(),
    get(Name::PodEvents, "/pods/{tenant}/{pod}/events", "A pod's events, those that happened last first", |all| {
        all.subschema_for::<Page<EventLine>>()
    })
    .with(of_pod_events)
    .or_missing(),
    get(Name::PodUsage, "/pods/{tenant}/{pod}/usage", "What a pod used over the last day, oldest first", |all| {
        all.subschema_for::<Vec<UsagePoint>>()
    })
    .or_missing(),
    get(Name::Manifest, "/pods/{tenant}/{pod}/manifest", "How a pod is declared; for operators", |all| {
        all.subschema_for::<ManifestLine>()
    })
    .or_missing(),
    Operation {
        method: "post",
        body: Some(|all| all.subschema_for::<ManifestEdit>()),
        ..get(
            Name::EditManifest,
            "/pods/{tenant}/{pod}/manifest",
            "Show or commit a change of a pod in the source",
            |all| all.subschema_for::<EditLine>(),
        )
        .or_missing()
    },
    Operation {
        kind: TEXT,
        query: of_logs,
        ..get(Name::Logs, "/pods/{tenant}/{pod}/logs", "The log of a pod's container, without secrets", |all| {
            all.subschema_for::<String>()
        })
        .or_missing()
    },
    get(Name::Tenants, "/tenants", "Tenants, and how much of their quotas is used", |all| {
        all.subschema_for::<Vec<TenantLine>>()
    }),
    get(Name::Tenant, "/tenants/{tenant}", "One tenant", |all| all.subschema_for::<TenantLine>()).or_missing(),
    get(Name::Adapters, "/adapters", "Adapters and their pods", |all| all.subschema_for::<Vec<AdapterLine>>()),
    get(Name::Source, "/source", "The state of the source", |all| all.subschema_for::<SourceLine>()),
    get(Name::Revisions, "/revisions", "Revisions, newest first", |all| all.subschema_for::<Page<RevisionLine>>())
        .with(of_list),
    get(Name::Revision, "/revisions/{id}", "One revision", |all| all.subschema_for::<RevisionLine>()).or_missing(),
    get(Name::Events, "/events", "All events, those that happened last first", |all| {
        all.subschema_for::<Page<EventLine>>()
    })
    .with(of_events),
    get(Name::Settings, "/settings", "The settings this AgentPod was started with", |all| {
        all.subschema_for::<SettingsView>()
    }),
    Operation {
        method: "post",
        body: Some(|all| all.subschema_for::<NewRequest>()),
        status: 202,
        ..get(Name::CreateRequest, "/requests", "Make a request, which the reconciler carries out", |all| {
            all.subschema_for::<RequestLine>()
        })
        .or_missing()
    },
    get(Name::Request, "/requests/{id}", "One request with its outcome", |all| all.subschema_for::<RequestLine>())
        .or_missing(),
    get(Name::OpenApi, "/openapi.json", "This description", |_| schemars::json_schema!({"type": "object"})),
];

fn nothing(_: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    Vec::new()
}

fn of_list(_: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    vec![
        ("limit", json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100})),
        (
            "after",
            json!({"type": "string", "maxLength": LONGEST, "description": "next of the previous page; anything else gives the first page"}),
        ),
    ]
}

fn of_pods(all: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    let phases = all.subschema_for::<crate::core::report::phase::Phase>();
    let columns = all.subschema_for::<PodColumn>();
    let mut of_pods = of_list(all);
    of_pods.extend([
        ("text", json!({"type": "string", "maxLength": LONGEST, "description": "Part of the ID, adapter, image, URL or message"})),
        ("tenant", all.subschema_for::<TenantName>().into()),
        ("adapter", all.subschema_for::<AdapterName>().into()),
        ("phase", phases.into()),
        ("sort", columns.into()),
        ("order", json!({"enum": ["asc", "desc"], "default": "asc"})),
    ]);
    of_pods
}

fn of_pod_events(all: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    let mut of_events = of_list(all);
    let kinds: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    of_events.extend([
        ("kind", json!({"enum": kinds})),
        ("severity", json!({"enum": Severity::ALL.map(Severity::as_str), "description": "Of this severity and worse"})),
        (
            "since",
            json!({"type": "string", "format": "date-time", "description": "Last happened at this time or later"}),
        ),
    ]);
    of_events
}

fn of_events(all: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    let mut of_events = of_pod_events(all);
    of_events.push(("tenant", all.subschema_for::<TenantName>().into()));
    of_events
}

fn of_logs(_: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    vec![
        ("tail", json!({"type": "integer", "minimum": 0, "maximum": 10000, "default": 200})),
        ("follow", json!({"type": "boolean", "default": false, "description": "Continue with new lines"})),
        ("timestamps", json!({"type": "boolean", "default": false, "description": "Begin each line with its time"})),
        (
            "since",
            json!({"type": "string", "format": "date-time", "description": "Only lines written after this, among the last tail"}),
        ),
    ]
}
