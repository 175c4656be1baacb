//! JSON Schema errors as problems at places. One mechanism for manifests, adapters and each adapter's `config`.

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;

use super::{
    document::{Document, Node},
    problem::{Position, Problem, nearest},
};

/// What one schema error says, before it is given a place.
pub struct Fault {
    /// Where in the checked value, as keys and indexes.
    pub path: Vec<String>,
    /// The offending key below `path`, when it is a key that is wrong.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Compiles a schema. Remote references are not followed.
pub fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::draft202012::meta::validate(schema).map_err(|error| {
        let path = error.instance_path().to_string();
        format!("the schema itself is wrong at {}: {error}", if path.is_empty() { "its root" } else { &path })
    })?;
    jsonschema::draft202012::new(schema).map_err(|error| format!("the schema cannot be used: {error}"))
}

/// Everything a value does against a schema.
pub fn faults(schema: &Value, validator: &Validator, value: &Value) -> Vec<Fault> {
    validator.iter_errors(value).flat_map(|error| explain(schema, &error)).collect()
}

/// The problems of `node` against a schema, each at its place.
pub fn check(document: &Document, node: &Node, schema: &Value, validator: &Validator) -> Vec<Problem> {
    let place = |fault: Fault| at_place(document, node, fault);
    faults(schema, validator, &node.to_json()).into_iter().map(place).collect()
}

/// Gives a fault below `node` its place in the document.
pub fn at_place(document: &Document, node: &Node, fault: Fault) -> Problem {
    let path = || fault.path.iter().map(String::as_str);
    let at: Position = match &fault.key {
        Some(key) => key_place(node, &fault.path, key).unwrap_or_else(|| node.locate(path())),
        None => node.locate(path()),
    };
    let problem = document.problem(at, fault.what);
    match fault.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

fn key_place(node: &Node, path: &[String], key: &str) -> Option<Position> {
    let mut parent = node;
    for step in path {
        parent = match &parent.value {
            super::document::NodeValue::List(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => parent.entry(step)?.1,
        };
    }
    parent.entry(key).map(|(at, _)| at)
}

fn explain(schema: &Value, error: &ValidationError<'_>) -> Vec<Fault> {
    let path = pointer(&error.instance_path().to_string());
    let parent = resolve(schema, &error.schema_path().to_string(), 1);
    let name = path.last().map_or("the document".into(), |key| format!("{key:?}"));
    let fault = |key: Option<String>, what: String, hint: Option<String>| Fault { path: path.clone(), key, what, hint };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|key| {
                let known = known_keys(parent);
                let hint = match nearest(key, known.iter().copied()) {
                    Some(near) => Some(format!("did you mean {near:?}?")),
                    None if known.is_empty() => None,
                    None => Some(format!("known here: {}", known.join(", "))),
                };
                fault(Some(key.clone()), format!("unknown field {key:?}"), hint)
            })
            .collect(),
        ValidationErrorKind::Required { property } => {
            let missing = property.as_str().unwrap_or_default();
            let hint = description(parent.and_then(|p| p.pointer(&format!("/properties/{missing}"))), schema);
            vec![fault(None, format!("{missing:?} is missing"), hint)]
        }
        ValidationErrorKind::Enum { options } => {
            let written = error.instance().as_str().unwrap_or_default();
            let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let hint = match nearest(written, options.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("one of: {}", options.join(", ")),
            };
            vec![fault(None, format!("{name} cannot be {}", error.instance()), Some(hint))]
        }
        ValidationErrorKind::Constant { expected_value } => {
            let what = format!("{name} is {}, but must be {expected_value}", error.instance());
            vec![fault(None, what, None)]
        }
        ValidationErrorKind::Pattern { .. } => {
            let what = format!("{name} cannot be {}", error.instance());
            vec![fault(None, what, description(parent, schema))]
        }
        ValidationErrorKind::PropertyNames { error: inner } => {
            let key = inner.instance().as_str().unwrap_or_default().to_owned();
            let hint = description(resolve(schema, &inner.schema_path().to_string(), 1), schema);
            vec![fault(Some(key.clone()), format!("{key:?} cannot be a name here"), hint)]
        }
        ValidationErrorKind::Type { .. } => {
            let what = format!("{name} has the wrong type: {}", masked(error));
            vec![fault(None, what, description(parent, schema))]
        }
        _ => vec![fault(None, format!("{name}: {error}"), description(parent, schema))],
    }
}

/// The library's sentence with a long value cut short.
fn masked(error: &ValidationError<'_>) -> String {
    let text = error.to_string();
    if text.chars().count() <= 120 { text } else { format!("{}…", text.chars().take(120).collect::<String>()) }
}

fn pointer(text: &str) -> Vec<String> {
    text.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
}

/// The schema at a path, `up` steps above it, following local references on the way.
fn resolve<'a>(schema: &'a Value, path: &str, up: usize) -> Option<&'a Value> {
    let mut steps = pointer(path);
    steps.truncate(steps.len().saturating_sub(up));
    let mut at = schema;
    for step in steps {
        at = match at {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ if step == "$ref" => referred(schema, at)?,
            _ => at.get(&step)?,
        };
    }
    Some(at)
}

fn referred<'a>(schema: &'a Value, at: &'a Value) -> Option<&'a Value> {
    schema.pointer(at.get("$ref")?.as_str()?.strip_prefix('#')?)
}

fn known_keys(object: Option<&Value>) -> Vec<&str> {
    let properties = object.and_then(|o| o.get("properties")).and_then(Value::as_object);
    properties.into_iter().flat_map(|map| map.keys()).map(String::as_str).collect()
}

fn description(at: Option<&Value>, schema: &Value) -> Option<String> {
    let at = at?;
    let own = at.get("description").or_else(|| referred(schema, at)?.get("description"));
    own.and_then(Value::as_str).map(|text| text.split("\n\n").next().unwrap_or(text).replace('\n', " "))
}
