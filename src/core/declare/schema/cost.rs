//! Bounds a JSON Schema before it is compiled: checking a value against it must end, and soon. A schema that leads back to
//! itself, or whose alternatives multiply, would not.

use serde_json::{Map, Value};

/// The most parts of a schema, each reference counted with what it leads to.
const MAX_PARTS: usize = 2_000;
/// How deep alternatives (`anyOf`, `oneOf`, `not`, `if`) may be nested.
const MAX_ALTERNATIVES: usize = 6;
/// How deep parts may be nested, through references too.
const MAX_DEPTH: usize = 64;

/// Keywords whose value is a schema, a list of them, or a mapping to them.
const SCHEMAS: [&str; 8] = [
    "items",
    "additionalProperties",
    "additionalItems",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
const ALTERNATIVES: [&str; 6] = ["anyOf", "oneOf", "not", "if", "then", "else"];
const LISTS: [&str; 2] = ["allOf", "prefixItems"];
const MAPPINGS: [&str; 3] = ["properties", "patternProperties", "dependentSchemas"];
/// Keywords that give references another meaning.
const UNSUPPORTED: [&str; 7] =
    ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"];

/// Why a schema is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CostError {
    /// It has too many parts.
    #[error("the schema has more than {MAX_PARTS} parts, counting each $ref with what it leads to")]
    TooManyParts,
    /// It is nested too deep.
    #[error("the schema is nested too deep")]
    TooDeep,
    /// Its alternatives are nested too deep.
    #[error("anyOf, oneOf, not and if are nested more than {MAX_ALTERNATIVES} deep")]
    TooManyAlternatives,
    /// A reference leads back to a schema it stands in.
    #[error("the reference {0:?} leads back to a schema that contains it")]
    Circular(String),
    /// A reference leads nowhere, or out of the schema.
    #[error("the reference {0:?} leads nowhere; write it like #/$defs/name")]
    NoSuchReference(String),
    /// A keyword is not supported.
    #[error("the keyword {0} is not supported")]
    Unsupported(&'static str),
}

/// Checks that a schema is bounded.
pub(super) fn check(schema: &Value) -> Result<(), CostError> {
    Walk { root: schema, parts: 0, references: Vec::new() }.part(schema, 0, 0)
}

struct Walk<'a> {
    root: &'a Value,
    parts: usize,
    references: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn part(&mut self, schema: &'a Value, depth: usize, alternatives: usize) -> Result<(), CostError> {
        self.parts = self.parts.saturating_add(1);
        let Value::Object(object) = schema else { return Ok(()) };
        if self.parts > MAX_PARTS {
            return Err(CostError::TooManyParts);
        }
        if depth > MAX_DEPTH {
            return Err(CostError::TooDeep);
        }
        if alternatives > MAX_ALTERNATIVES {
            return Err(CostError::TooManyAlternatives);
        }
        if let Some(keyword) = UNSUPPORTED.iter().find(|keyword| object.contains_key(**keyword)) {
            return Err(CostError::Unsupported(keyword));
        }
        let below = depth.saturating_add(1);
        if let Some(Value::String(reference)) = object.get("$ref") {
            self.reference(reference, below, alternatives)?;
        }
        self.children(object, &SCHEMAS, below, alternatives)?;
        self.children(object, &LISTS, below, alternatives)?;
        self.children(object, &ALTERNATIVES, below, alternatives.saturating_add(1))?;
        for mapping in MAPPINGS.iter().filter_map(|keyword| object.get(*keyword)) {
            for child in mapping.as_object().into_iter().flat_map(Map::values) {
                self.part(child, below, alternatives)?;
            }
        }
        Ok(())
    }

    fn children(
        &mut self,
        object: &'a Map<String, Value>,
        keywords: &[&str],
        depth: usize,
        alternatives: usize,
    ) -> Result<(), CostError> {
        for child in keywords.iter().filter_map(|keyword| object.get(*keyword)) {
            match child {
                Value::Array(several) => {
                    several.iter().try_for_each(|child| self.part(child, depth, alternatives))?;
                }
                child => self.part(child, depth, alternatives)?,
            }
        }
        Ok(())
    }

    fn reference(&mut self, reference: &'a str, depth: usize, alternatives: usize) -> Result<(), CostError> {
        let quoted = || crate::core::printable::line(reference, 60);
        if self.references.contains(&reference) || reference == "#" {
            return Err(CostError::Circular(quoted()));
        }
        let pointer = reference.strip_prefix('#').filter(|pointer| pointer.starts_with('/') && !pointer.contains('%'));
        let meant = pointer.and_then(|pointer| self.root.pointer(pointer));
        let meant = meant.ok_or_else(|| CostError::NoSuchReference(quoted()))?;
        self.references.push(reference);
        self.part(meant, depth, alternatives)?;
        self.references.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_whose_check_would_not_end_is_refused() {
        assert_eq!(check(&json!({"$ref": "#"})), Err(CostError::Circular("#".into())));
        let circle =
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}});
        assert_eq!(check(&circle), Err(CostError::Circular("#/$defs/a".into())));
        // A path that leads through the schema that contains it.
        assert!(check(&json!({"properties": {"a": {"$ref": "#/properties"}}})).is_ok());
        assert!(check(&json!({"properties": {"a": {"items": {"$ref": "#/properties/a"}}}})).is_err());
        for keyword in UNSUPPORTED {
            assert_eq!(check(&json!({"items": {keyword: "x"}})), Err(CostError::Unsupported(keyword)));
        }
        assert!(
            check(&json!({"$ref": "http://localhost/x"})).is_err() && check(&json!({"$ref": "#/$defs/x"})).is_err()
        );
    }

    #[test]
    fn alternatives_that_multiply_are_refused() {
        let mut nested = json!({"type": "string"});
        for _ in 0..25 {
            nested = json!({"anyOf": [nested, {"type": "null"}]});
        }
        assert_eq!(check(&nested), Err(CostError::TooManyAlternatives));
        let mut doubled = Map::new();
        for level in 0..20 {
            let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
            doubled.insert(level.to_string(), json!({"allOf": [next, next]}));
        }
        doubled.insert("20".into(), json!({}));
        assert_eq!(check(&json!({"$ref": "#/$defs/0", "$defs": doubled})), Err(CostError::TooManyParts));
        assert_eq!(check(&json!({"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}})), Ok(()));
    }
}
