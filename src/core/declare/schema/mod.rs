//! Checks values against JSON Schemas and reports problems with positions. Used for manifests, adapters and `config`.

mod explain;

use jsonschema::Validator;
use serde_json::Value;

use super::document::{Document, Node};
use crate::core::problem::{Position, Problem};

/// A schema error without a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The path in the checked value, as keys and indexes.
    pub(crate) path: Vec<String>,
    /// What the error is about.
    pub(crate) about: ViolationKind,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl Violation {
    /// The path, including the key if the error is about a key.
    pub(crate) fn key_path(&self) -> Vec<&str> {
        let key = match &self.about {
            ViolationKind::Key(key, _) => Some(key.as_str()),
            ViolationKind::Value | ViolationKind::Type | ViolationKind::Missing(_) => None,
        };
        self.path.iter().map(String::as_str).chain(key).collect()
    }
}

/// What a [`Violation`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ViolationKind {
    /// The value itself.
    Value,
    /// The value's type, which hides all other errors of the value.
    Type,
    /// An unknown key, and the one that was probably meant.
    Key(String, Option<String>),
    /// A missing key.
    Missing(String),
}

/// A schema is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SchemaError {
    /// It violates the meta-schema.
    #[error("the schema is invalid at {at}: {error}")]
    Invalid {
        /// The JSON pointer of the invalid part, or `its root`.
        at: String,
        /// The library's message.
        error: String,
    },
    /// It cannot be compiled.
    #[error("the schema cannot be used: {0}")]
    NotCompiled(String),
}

/// Compiles a schema. Remote references are not followed.
pub(crate) fn compile(schema: &Value) -> Result<Validator, SchemaError> {
    jsonschema::draft202012::meta::validate(schema).map_err(|error| {
        let path = error.instance_path().to_string();
        let at = if path.is_empty() { "its root".into() } else { path };
        SchemaError::Invalid { at, error: error.to_string() }
    })?;
    jsonschema::draft202012::new(schema).map_err(|error| SchemaError::NotCompiled(error.to_string()))
}

/// All violations of a schema by a value, without duplicates.
pub(crate) fn violations(schema: &Value, validator: &Validator, value: &Value) -> Vec<Violation> {
    let all: Vec<Violation> = validator.iter_errors(value).flat_map(|error| explain::explain(schema, &error)).collect();
    all.iter().filter(|violation| !is_duplicate(violation, &all)).cloned().collect()
}

/// Whether another violation explains it better: a wrong type, or a misspelling of the missing key.
fn is_duplicate(violation: &Violation, all: &[Violation]) -> bool {
    all.iter().filter(|other| other.path == violation.path).any(|other| match (&violation.about, &other.about) {
        (ViolationKind::Value, ViolationKind::Type) => true,
        (ViolationKind::Missing(key), ViolationKind::Key(_, Some(meant))) => key == meant,
        _ => false,
    })
}

/// The problems of `node` against a schema, with positions, in the order of the text.
pub(crate) fn check(document: &Document, node: &Node, schema: &Value, validator: &Validator) -> Vec<Problem> {
    let located = |violation: Violation| locate(document, node, violation);
    let mut problems: Vec<Problem> = violations(schema, validator, &node.to_json()).into_iter().map(located).collect();
    problems.sort_by_key(|problem| problem.at);
    problems
}

/// Adds the position to a violation below `node`.
pub(crate) fn locate(document: &Document, node: &Node, violation: Violation) -> Problem {
    let path: Vec<&str> = violation.path.iter().map(String::as_str).collect();
    let at: Position = match &violation.about {
        ViolationKind::Key(key, _) => node.locate_key(path.into_iter().chain([key.as_str()])),
        // A missing key has no position, but the key of its parent has.
        ViolationKind::Missing(_) => node.locate_key(path),
        // An empty value has no position either.
        ViolationKind::Type if node.is_empty_at(&path) => node.locate_key(path),
        ViolationKind::Value | ViolationKind::Type => node.locate(path),
    };
    let problem = document.problem(at, violation.what);
    match violation.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}
