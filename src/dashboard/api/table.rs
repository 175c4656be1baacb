//! Which addresses there are, what each takes and answers: looked up for every question, and told in the description.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::{
    ROOT,
    answer::{JSON, TEXT},
    params::LONGEST,
    requests::{NewRequest, RequestLine},
    settings::SettingsView,
};
use crate::{
    core::names::{AdapterName, PodName, TenantName},
    store::view::{
        AdapterLine, EventLine, Overview, Page, PodColumn, PodDetail, PodLine, RevisionLine, SourceLine, TenantLine,
        UsagePoint,
    },
};

/// What a question is called; also in the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Overview,
    Pods,
    Pod,
    PodEvents,
    PodUsage,
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

/// One question: an address and a method.
pub(super) struct Operation {
    pub name: Name,
    pub method: &'static str,
    /// Below the root, with `{names}`.
    pub path: &'static str,
    pub summary: &'static str,
    /// Parameters behind the question mark, and what each must be.
    pub query: fn(&mut SchemaGenerator) -> Vec<(&'static str, Value)>,
    /// What is sent.
    pub body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// What is answered.
    pub answer: fn(&mut SchemaGenerator) -> Schema,
    pub status: u16,
    /// What the answer is written in.
    pub kind: &'static str,
    /// Whether there may be nothing of that name.
    pub can_be_missing: bool,
}

impl Operation {
    /// The parameters' names.
    pub fn parameters(&self) -> Vec<&'static str> {
        (self.query)(&mut SchemaGenerator::default()).into_iter().map(|(name, _)| name).collect()
    }
}

/// An address that there is.
pub(super) struct Found {
    operations: Vec<&'static Operation>,
    /// What stands in place of names.
    pub names: Vec<String>,
}

impl Found {
    /// What is done by a method here.
    pub fn operation(&self, method: &str) -> Option<&'static Operation> {
        self.operations.iter().copied().find(|operation| operation.method == method)
    }

    /// The methods, as the header `Allow` lists them.
    pub fn methods(&self) -> String {
        let methods = self.operations.iter().map(|operation| match operation.method {
            "get" => "GET, HEAD",
            _ => "POST",
        });
        methods.collect::<Vec<_>>().join(", ")
    }
}

/// What is at an address.
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
            (Some(wanted), Some(part)) if wanted.starts_with('{') => {
                // Only plain names stand in addresses, so what is escaped is none.
                if part.is_empty() || part.contains('%') {
                    return None;
                }
                names.push(part.to_owned());
            }
            (Some(wanted), Some(part)) if wanted == part => {}
            _ => return None,
        }
    }
}

/// What a name in an address must be.
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

/// Everything there is.
pub(super) const ALL: &[Operation] = &[
    get(Name::Overview, "/overview", "The fleet at a glance", |all| all.subschema_for::<Overview>()),
    get(Name::Pods, "/pods", "Pods, filtered and sorted", |all| all.subschema_for::<Page<PodLine>>()).with(of_pods),
    get(Name::Pod, "/pods/{tenant}/{pod}", "One pod, whole", |all| all.subschema_for::<PodDetail>()).or_missing(),
    get(Name::PodEvents, "/pods/{tenant}/{pod}/events", "A pod's events, newest first", |all| {
        all.subschema_for::<Page<EventLine>>()
    })
    .with(of_pod_events)
    .or_missing(),
    get(Name::PodUsage, "/pods/{tenant}/{pod}/usage", "What a pod used over the last day, oldest first", |all| {
        all.subschema_for::<Vec<UsagePoint>>()
    })
    .or_missing(),
    Operation {
        kind: TEXT,
        query: of_logs,
        ..get(Name::Logs, "/pods/{tenant}/{pod}/logs", "What a pod's container wrote, without its secrets", |all| {
            all.subschema_for::<String>()
        })
        .or_missing()
    },
    get(Name::Tenants, "/tenants", "Tenants, and what their pods take", |all| all.subschema_for::<Vec<TenantLine>>()),
    get(Name::Tenant, "/tenants/{tenant}", "One tenant", |all| all.subschema_for::<TenantLine>()).or_missing(),
    get(Name::Adapters, "/adapters", "Kinds of agents, and the pods on them", |all| {
        all.subschema_for::<Vec<AdapterLine>>()
    }),
    get(Name::Source, "/source", "What became of the source", |all| all.subschema_for::<SourceLine>()),
    get(Name::Revisions, "/revisions", "Revisions, newest first", |all| all.subschema_for::<Page<RevisionLine>>())
        .with(of_list),
    get(Name::Revision, "/revisions/{id}", "One revision", |all| all.subschema_for::<RevisionLine>()).or_missing(),
    get(Name::Events, "/events", "Events of all pods and of none, newest first", |all| {
        all.subschema_for::<Page<EventLine>>()
    })
    .with(of_events),
    get(Name::Settings, "/settings", "How this AgentPod was started", |all| all.subschema_for::<SettingsView>()),
    Operation {
        method: "post",
        body: Some(|all| all.subschema_for::<NewRequest>()),
        status: 202,
        ..get(Name::CreateRequest, "/requests", "Make a request; the reconciler carries it out", |all| {
            all.subschema_for::<RequestLine>()
        })
        .or_missing()
    },
    get(Name::Request, "/requests/{id}", "What became of a request", |all| all.subschema_for::<RequestLine>())
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
            json!({"type": "string", "maxLength": LONGEST, "description": "The next of the page before; anything else is the first page"}),
        ),
    ]
}

fn of_pods(all: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    let phases = all.subschema_for::<crate::core::report::phase::Phase>();
    let columns = all.subschema_for::<PodColumn>();
    let mut of_pods = of_list(all);
    of_pods.extend([
        ("text", json!({"type": "string", "maxLength": LONGEST, "description": "Stands in id, adapter, image, url or message"})),
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
    of_events.push(("kind", json!({"type": "string", "maxLength": LONGEST})));
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
        ("follow", json!({"type": "boolean", "default": false, "description": "Go on as lines come"})),
        ("timestamps", json!({"type": "boolean", "default": false, "description": "Lines begin with their time"})),
        (
            "since",
            json!({"type": "string", "format": "date-time", "description": "Only lines written after this, of the last tail"}),
        ),
    ]
}
