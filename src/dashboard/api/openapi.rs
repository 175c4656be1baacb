//! The OpenAPI description, generated from the table of routes and the types of the responses.

use std::sync::LazyLock;

use schemars::{
    SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};

use super::{
    ROOT, answer,
    table::{self, Name, Operation},
};

/// OpenAPI 3.1 as JSON.
pub(super) fn document() -> Vec<u8> {
    static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| serde_json::to_vec_pretty(&describe()).unwrap_or_default());
    TEXT.clone()
}

fn describe() -> Value {
    let settings = |contract| {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        settings.contract = contract;
        settings.into_generator()
    };
    let (mut answers, mut asks) = (settings(Contract::Serialize), settings(Contract::Deserialize));
    let mut paths = Map::new();
    for operation in table::ALL {
        let path = paths.entry(format!("{ROOT}{}", operation.path)).or_insert_with(|| json!({}));
        path[operation.method] = one(operation, &mut answers, &mut asks);
    }
    for (path, summary, answer) in other_routes() {
        paths.insert(format!("{ROOT}{path}"), json!({"get": plain(path, summary, &answer)}));
    }
    let mut schemas = answers.take_definitions(true);
    for (name, schema) in asks.take_definitions(true) {
        schemas.entry(name).or_insert(schema);
    }
    schemas.insert("Problem_json".into(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "AgentPod",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Everything the dashboard shows. Authenticate with an API token: Authorization: Bearer. Lists are paged: for the \
                            next page pass after= the next of this one. Answers have an ETag. For changes as they happen there is \
                            the WebSocket /api/v1/watch, described in docs/api.md.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "agentpod_session_INSTANCE",
                    "description": "For browsers. Each AgentPod has a cookie of its own; behind TLS its name begins with __Host-agentpod.",
                },
            },
        },
        "security": [{"token": []}, {"session": []}, {}],
    })
}

/// Paths that have routes of their own, with summary and responses.
fn other_routes() -> [(&'static str, &'static str, Value); 3] {
    let busy = json!({
        "type": "object",
        "required": ["instance", "busy"],
        "properties": {
            "instance": {"type": "string"},
            "busy": {"type": "array", "items": {"type": "string"}, "description": "Pods with running steps, as TENANT/POD"},
        },
    });
    let json = |schema: &Value| json!({"200": {"description": "As of the last round", "content": {"application/json": {"schema": schema}}}});
    let socket = json!({
        "101": {"description": "A WebSocket; its messages are described in docs/api.md"},
        "400": refused("A parameter is invalid"),
        "426": refused("The request does not upgrade to a WebSocket"),
        "503": refused("Too many viewers"),
    });
    [
        (
            "/status",
            "The daemon's status as of its last round: its role, the source, and every pod",
            json(&json!({"type": "object"})),
        ),
        ("/busy", "The pods with running steps", json(&busy)),
        ("/watch", "Changes as they happen, over a WebSocket", socket),
    ]
}

fn plain(path: &str, summary: &str, responses: &Value) -> Value {
    let mut responses = responses.clone();
    responses["401"] = refused("Authentication is required");
    responses["403"] = refused("Permission denied");
    json!({"operationId": path.trim_start_matches('/'), "summary": summary, "responses": responses})
}

fn one(operation: &Operation, answers: &mut SchemaGenerator, asks: &mut SchemaGenerator) -> Value {
    let named = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = named
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": table::name_schema(name, answers)}))
        .collect();
    let query = (operation.query)(answers).into_iter();
    parameters
        .extend(query.map(|(name, schema)| json!({"name": name, "in": "query", "required": false, "schema": schema})));
    let kind = operation.kind.split(';').next().unwrap_or(operation.kind);
    let schema: Value = (operation.answer)(answers).into();
    let mut content = json!({kind: {"schema": schema}});
    if operation.name == Name::Logs {
        // One such object per line.
        content[answer::LINES] = json!({"schema": {"type": "string"}});
    }
    let mut responses = json!({
        operation.status.to_string(): {"description": operation.summary, "content": content},
        "400": refused("A parameter or the body is invalid"),
        "401": refused("Authentication is required"),
        "403": refused("Permission denied"),
        "406": refused("None of the accepted media types is available"),
        "503": refused("The database does not answer, or the log cannot be shown without secrets"),
    });
    if operation.method == "get" {
        responses["304"] = json!({"description": "Not modified since the tag in If-None-Match"});
    } else {
        responses["409"] = refused("It conflicts with the current state");
        responses["413"] = refused("The body is too large");
    }
    if operation.can_be_missing {
        responses["404"] = refused("It does not exist, or the visitor may not see it");
    }
    let mut described = json!({
        "operationId": format!("{:?}", operation.name),
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = operation.body {
        let schema: Value = body(asks).into();
        described["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    described
}

fn refused(why: &str) -> Value {
    let schema = json!({"$ref": "#/components/schemas/Problem_json"});
    json!({"description": why, "content": {"application/problem+json": {"schema": schema}}})
}

/// RFC 9457.
fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string", "description": "The status in one or two words"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What happened and what to do"},
        },
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// Every `$ref` in a value.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(entries) => {
                found.extend(entries.get("$ref").and_then(Value::as_str));
                entries.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn everything_the_description_points_to_is_in_it() {
        let document = describe();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let path = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(path).is_some(), "{reference}");
        }
    }

    /// The paths below the root that have routes of their own, read from the sources.
    fn routed() -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    let routes = text.split("path!(\"api\" / \"v1\" / \"").skip(1);
                    found.extend(routes.filter_map(|rest| Some(format!("/{}", rest.split_once("\")")?.0))));
                }
            }
        }
        found
    }

    #[test]
    fn the_description_and_the_manual_have_every_address() {
        let of_table = table::ALL.iter().map(|one| format!("{} {}", one.method.to_uppercase(), one.path));
        let of_routes = routed().into_iter().map(|path| format!("GET {path}"));
        let served: BTreeSet<String> = of_table.chain(of_routes).collect();
        assert!(served.contains("GET /watch"), "{served:?}");

        let document = describe();
        let described = document["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
            let path = path.strip_prefix(ROOT).unwrap();
            methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        });
        assert_eq!(described.collect::<BTreeSet<_>>(), served, "the description (left) has every address (right)");

        let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
        let documented = rows.map(|(address, _)| address.to_owned()).filter(|address| address.contains(" /"));
        assert_eq!(documented.collect::<BTreeSet<_>>(), served, "docs/api.md (left) has every address (right)");
    }

    #[test]
    fn a_schema_of_one_name_is_one_schema() {
        let mut all: Vec<String> = table::ALL.iter().map(|operation| format!("{:?}", operation.name)).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "every operation has its own name");
    }
}
