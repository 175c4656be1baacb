//! The description of the API, made from the table of addresses and the types of the answers.

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
            "description": "Everything the dashboard shows. Sign in with Authorization: Bearer and an API token. Lists come in pages: \
                            ask again with after= the next of the page before. Every answer has an ETag. Changes as they come: the \
                            WebSocket /api/v1/watch, described in docs/API.md.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}, "session": {"type": "apiKey", "in": "cookie", "name": "agentpod_session"}},
        },
        "security": [{"token": []}, {"session": []}, {}],
    })
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
        // One such object a line.
        content[answer::LINES] = json!({"schema": {"type": "string"}});
    }
    let mut responses = json!({
        operation.status.to_string(): {"description": operation.summary, "content": content},
        "400": refused("A parameter, or what was sent, is not as it should be"),
        "401": refused("Nobody knows who asks"),
        "403": refused("Who asks may not"),
        "406": refused("It is not there in what was asked for"),
        "503": refused("The database is away, or the log cannot be shown without secrets"),
    });
    if operation.method == "get" {
        responses["304"] = json!({"description": "It is what If-None-Match names"});
    } else {
        responses["409"] = refused("It does not go with what is");
        responses["413"] = refused("More was sent than is taken");
    }
    if operation.can_be_missing {
        responses["404"] = refused("There is no such thing, or none that who asks may know of");
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
            "title": {"type": "string", "description": "A word or two for the status"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What happened and what to do"},
        },
    })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_schema_of_one_name_is_one_schema() {
        let mut all: Vec<String> = table::ALL.iter().map(|operation| format!("{:?}", operation.name)).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "no two questions are called the same");
    }
}
