//! Checks values against JSON Schemas and reports problems with positions. Used for manifests, adapters and `config`.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod cost;
mod explain;

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::Value;

use self::cost::CostError;
use super::document::{Document, Node};
use crate::core::{
    printable,
    problem::{Position, Problem},
};

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
    #[error("the schema is invalid at {at}{value}")]
    Invalid {
        /// The JSON pointer of the invalid part, or `its root`.
        at: String,
        /// What stands there, after a colon, if it is short.
        value: String,
    },
    /// Checking against it would not end, or not soon.
    #[error(transparent)]
    TooCostly(#[from] CostError),
    /// It cannot be compiled.
    #[error("the schema cannot be used at {at}: {}", if *.is_pattern { "a pattern is not a regular expression" } else { "a value is not what its keyword needs" })]
    NotCompiled {
        /// The JSON pointer of the part.
        at: String,
        /// Whether it is about a regular expression.
        is_pattern: bool,
    },
}

/// Compiles a schema. Remote references are not followed.
pub(crate) fn compile(schema: &Value) -> Result<Validator, SchemaError> {
    let place = |path: String| if path.is_empty() { "its root".into() } else { printable::line(&path, 200) };
    cost::check(schema)?;
    jsonschema::draft202012::meta::validate(schema).map_err(|error| {
        let value = match error.instance().as_ref() {
            Value::Object(_) | Value::Array(_) => String::new(),
            value => printable::line(&format!(": it cannot be {value}"), 80),
        };
        SchemaError::Invalid { at: place(error.instance_path().to_string()), value }
    })?;
    jsonschema::draft202012::new(schema).map_err(|error| SchemaError::NotCompiled {
        at: place(error.instance_path().to_string()),
        is_pattern: matches!(error.kind().keyword(), "pattern" | "patternProperties" | "format"),
    })
}

/// The violations of a schema by a value.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    /// The first ones, without duplicates.
    pub(crate) described: Vec<Violation>,
    /// How many more there are.
    pub(crate) more: usize,
}

/// At most `most` violations of a schema by a value, without duplicates, and how many more there are.
pub(crate) fn violations(schema: &Value, validator: &Validator, value: &Value, most: usize) -> Violations {
    let mut all = Violations::default();
    for error in validator.iter_errors(value) {
        let room = most.saturating_sub(all.described.len());
        let explained = explain::explain(schema, &error, room);
        all.described.extend(explained.described);
        all.more = all.more.saturating_add(explained.more);
    }
    let (mut wrong_types, mut misspelled) = (BTreeSet::new(), BTreeSet::new());
    for Violation { path, about, .. } in &all.described {
        match about {
            ViolationKind::Type => _ = wrong_types.insert(path.clone()),
            ViolationKind::Key(_, Some(meant)) => _ = misspelled.insert((path.clone(), meant.clone())),
            _ => {}
        }
    }
    // Another violation explains it better: a wrong type, or a misspelling of the missing key.
    all.described.retain(|violation| match &violation.about {
        ViolationKind::Value => !wrong_types.contains(&violation.path),
        ViolationKind::Missing(key) => !misspelled.contains(&(violation.path.clone(), key.clone())),
        _ => true,
    });
    all
}

/// At most `most` problems of `node` against a schema, with positions, and how many more there are.
pub(crate) fn check(
    document: &Document,
    node: &Node,
    schema: &Value,
    validator: &Validator,
    most: usize,
) -> (Vec<Problem>, usize) {
    let Violations { described, more } = violations(schema, validator, &node.to_json(), most);
    (described.into_iter().map(|violation| locate(document, node, violation)).collect(), more)
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
