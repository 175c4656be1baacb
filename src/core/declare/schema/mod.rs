//! JSON Schema errors as problems at places. One mechanism for manifests, adapters and each adapter's `config`.

mod explain;

use jsonschema::Validator;
use serde_json::Value;

use super::document::{Document, Node};
use crate::core::problem::{Position, Problem};

/// What one schema error says, before it is given a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where in the checked value, as keys and indexes.
    pub path: Vec<String>,
    /// What it is about there.
    pub about: ViolationKind,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Violation {
    /// The path of what is wrong, down to the key if a key is.
    pub fn key_path(&self) -> Vec<&str> {
        let key = match &self.about {
            ViolationKind::Key(key, _) => Some(key.as_str()),
            ViolationKind::Value | ViolationKind::Type | ViolationKind::Missing(_) => None,
        };
        self.path.iter().map(String::as_str).chain(key).collect()
    }
}

/// What a [`Violation`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViolationKind {
    /// The value itself.
    Value,
    /// The value's type: nothing else can be said of such a value.
    Type,
    /// A key in it that should not be there, and the one that was probably meant.
    Key(String, Option<String>),
    /// A key in it that should be there.
    Missing(String),
}

/// Compiles a schema. Remote references are not followed.
pub fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::draft202012::meta::validate(schema).map_err(|error| {
        let path = error.instance_path().to_string();
        format!("the schema itself is wrong at {}: {error}", if path.is_empty() { "its root" } else { &path })
    })?;
    jsonschema::draft202012::new(schema).map_err(|error| format!("the schema cannot be used: {error}"))
}

/// Everything a value does against a schema; one mistake is told once.
pub fn faults(schema: &Value, validator: &Validator, value: &Value) -> Vec<Violation> {
    let all: Vec<Violation> = validator.iter_errors(value).flat_map(|error| explain::explain(schema, &error)).collect();
    all.iter().filter(|fault| !is_told_already(fault, &all)).cloned().collect()
}

/// Whether another fault says it better: that the value's type is wrong, or that the missing key is misspelt.
fn is_told_already(fault: &Violation, all: &[Violation]) -> bool {
    all.iter().filter(|other| other.path == fault.path).any(|other| match (&fault.about, &other.about) {
        (ViolationKind::Value, ViolationKind::Type) => true,
        (ViolationKind::Missing(key), ViolationKind::Key(_, Some(meant))) => key == meant,
        _ => false,
    })
}

/// The problems of `node` against a schema, each at its place, in the order of the text.
pub fn check(document: &Document, node: &Node, schema: &Value, validator: &Validator) -> Vec<Problem> {
    let place = |fault: Violation| at_place(document, node, fault);
    let mut problems: Vec<Problem> = faults(schema, validator, &node.to_json()).into_iter().map(place).collect();
    problems.sort_by_key(|problem| problem.at);
    problems
}

/// Gives a fault below `node` its place in the document.
pub fn at_place(document: &Document, node: &Node, fault: Violation) -> Problem {
    let path: Vec<&str> = fault.path.iter().map(String::as_str).collect();
    let at: Position = match &fault.about {
        ViolationKind::Key(key, _) => node.locate_key(path.into_iter().chain([key.as_str()])),
        // What is missing has no place; the key of what it is missing in has.
        ViolationKind::Missing(_) => node.locate_key(path),
        // Neither has what is empty.
        ViolationKind::Type if node.is_empty_at(&path) => node.locate_key(path),
        ViolationKind::Value | ViolationKind::Type => node.locate(path),
    };
    let problem = document.problem(at, fault.what);
    match fault.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}
