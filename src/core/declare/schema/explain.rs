//! Explains the schema library's errors in plain words: which value is wrong, and what to do. Values below `secrets` are
//! never quoted, since a wrong one is most likely the secret itself.

use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;

use super::{Violation, ViolationKind, Violations};
use crate::core::{printable, problem::nearest};

/// The most characters of a value in a message.
const MAX_QUOTED: usize = 60;

/// Explains an error in at most `most` violations, several if several keys are wrong, and counts the others.
pub(crate) fn explain(schema: &Value, error: &ValidationError<'_>, most: usize) -> Violations {
    let (mut described, more) = match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let path = pointer(&error.instance_path().to_string());
            let rule = resolve(schema, &error.schema_path().to_string(), 1);
            let shown = unexpected.iter().take(most).map(|key| unknown_key(key, rule, &path)).collect();
            (shown, unexpected.len().saturating_sub(most))
        }
        _ if most == 0 => (Vec::new(), 1),
        _ => (explain_one(schema, error, 0), 0),
    };
    let cut = described.len().saturating_sub(most);
    described.truncate(most);
    Violations { described, more: more.saturating_add(cut) }
}

/// How many alternatives inside alternatives are explained; those deeper are reported as one.
const MOST_NESTED: usize = 4;

fn explain_one(schema: &Value, error: &ValidationError<'_>, depth: usize) -> Vec<Violation> {
    let path = pointer(&error.instance_path().to_string());
    let rule = resolve(schema, &error.schema_path().to_string(), 1);
    let name = named(&path);
    let value = quoted(error.instance(), &path);
    let help = || description(rule, schema).or_else(|| container_description(schema, &error.schema_path().to_string()));
    let violation = |about: ViolationKind, what: String, hint: Option<String>| {
        vec![Violation { path: path.clone(), about, what, hint }]
    };
    let about_value = |what: String| violation(ViolationKind::Value, what, help());
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().take(MOST_KEYS).map(|key| unknown_key(key, rule, &path)).collect()
        }
        Kind::Required { property } => {
            let missing = property.as_str().unwrap_or_default();
            let hint = description(rule.and_then(|rule| rule.pointer(&format!("/properties/{missing}"))), schema);
            violation(
                ViolationKind::Missing(missing.into()),
                format!("{missing:?} is missing{}", location(&path)),
                hint,
            )
        }
        Kind::Enum { options } => one_of(options.as_array().into_iter().flatten(), error, &violation, &name, &value),
        Kind::OneOfNotValid { context } | Kind::AnyOf { context } => {
            let constants: Vec<&Value> = context.iter().filter_map(|errors| constant(errors)).collect();
            if constants.len() == context.len() {
                return one_of(constants.into_iter(), error, &violation, &name, &value);
            }
            // An optional value is "this or null": only the errors about "this" are useful.
            let branches: Vec<_> = context.iter().filter(|errors| !is_nothing(errors, schema)).collect();
            match branches.as_slice() {
                [errors] if depth < MOST_NESTED => {
                    let nested = depth.saturating_add(1);
                    errors.iter().take(MOST_KEYS).flat_map(|error| explain_one(schema, error, nested)).collect()
                }
                _ => about_value(format!("{name} has none of the allowed forms")),
            }
        }
        Kind::OneOfMultipleValid { .. } => {
            about_value(format!("{name} has several of the allowed forms; use only one"))
        }
        Kind::Constant { expected_value } => {
            violation(ViolationKind::Value, format!("{name} is {value}, but must be {expected_value}"), None)
        }
        Kind::PropertyNames { error: inner } => {
            let key = inner.instance().as_str().unwrap_or_default().to_owned();
            let hint = description(resolve(schema, &inner.schema_path().to_string(), 1), schema);
            let what = match key.as_str() {
                "" => "an empty name is not valid here".into(),
                key => format!("{:?} is not a valid name here", printable::line(key, MAX_QUOTED)),
            };
            violation(ViolationKind::Key(key, None), what, hint)
        }
        Kind::Type { .. } => wrong_type(rule, error.instance(), &violation, &name, help()),
        Kind::Pattern { .. } if error.instance().as_str() == Some("") => about_value(format!("{name} is empty")),
        Kind::Pattern { .. } => about_value(format!("{name} cannot be {value}")),
        Kind::Minimum { limit } => about_value(format!("{name} is {value}, less than {limit}")),
        Kind::Maximum { limit } => about_value(format!("{name} is {value}, more than {limit}")),
        Kind::MaxLength { limit } => about_value(format!("{name} is longer than {limit} characters")),
        Kind::MinLength { limit: 1 } => about_value(format!("{name} is empty")),
        Kind::MinLength { limit } => about_value(format!("{name} is shorter than {limit} characters")),
        Kind::MinItems { limit } | Kind::MinProperties { limit } => {
            about_value(format!("{name} has too few entries; at least {limit} are needed"))
        }
        Kind::MaxItems { limit } | Kind::MaxProperties { limit } => {
            about_value(format!("{name} has too many entries; at most {limit} are allowed"))
        }
        Kind::ExclusiveMinimum { limit } => about_value(format!("{name} is {value}, but must be more than {limit}")),
        Kind::ExclusiveMaximum { limit } => about_value(format!("{name} is {value}, but must be less than {limit}")),
        Kind::MultipleOf { multiple_of } => {
            about_value(format!("{name} is {value}, which is not a multiple of {multiple_of}"))
        }
        Kind::UniqueItems => about_value(format!("{name} has the same entry twice")),
        Kind::AdditionalItems { limit } => {
            about_value(format!("{name} has too many entries; at most {limit} are allowed"))
        }
        Kind::UnevaluatedItems { .. } => about_value(format!("{name} has entries that are not allowed")),
        Kind::Contains => about_value(format!("{name} lacks an entry that must be there")),
        Kind::FalseSchema => about_value(format!("{name} is not allowed here")),
        Kind::Not { .. } => about_value(format!("{name} cannot be {value}")),
        Kind::Format { format } => about_value(format!("{name} is {value}, which is not in the format {format:?}")),
        _ => about_value(format!("{name} is not valid")),
    }
}

/// The most keys and branches that are explained of one alternative.
const MOST_KEYS: usize = 20;

fn unknown_key(key: &str, rule: Option<&Value>, path: &[String]) -> Violation {
    let known = known_keys(rule);
    let near = nearest(key, known.iter().copied()).map(str::to_owned);
    let hint = match &near {
        Some(near) => Some(format!("did you mean {near:?}?")),
        None if known.is_empty() => None,
        None => Some(format!("allowed here: {}", known.join(", "))),
    };
    let what = format!("unknown field {:?}", printable::line(key, MAX_QUOTED));
    Violation { path: path.into(), about: ViolationKind::Key(key.into(), near), what, hint }
}

type MakeViolation<'a> = dyn Fn(ViolationKind, String, Option<String>) -> Vec<Violation> + 'a;

fn one_of<'a>(
    options: impl Iterator<Item = &'a Value>,
    error: &ValidationError<'_>,
    violation: &MakeViolation<'_>,
    name: &str,
    value: &str,
) -> Vec<Violation> {
    let options: Vec<String> =
        options.map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned)).collect();
    let near = error.instance().as_str().and_then(|written| nearest(written, options.iter().map(String::as_str)));
    let hint = match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("one of: {}", options.join(", ")),
    };
    let what =
        if error.instance().is_null() { format!("{name} is empty") } else { format!("{name} cannot be {value}") };
    violation(ViolationKind::Value, what, Some(hint))
}

/// The expected value, if there is exactly one.
fn constant<'a>(errors: &'a [ValidationError<'_>]) -> Option<&'a Value> {
    match errors {
        [error] => match error.kind() {
            Kind::Constant { expected_value } => Some(expected_value),
            Kind::Enum { options } => options.as_array().filter(|options| options.len() == 1)?.first(),
            _ => None,
        },
        // A constant whose type is wrong too.
        _ => errors.iter().find_map(|error| match error.kind() {
            Kind::Constant { expected_value } => Some(&**expected_value),
            _ => None,
        }),
    }
}

/// Whether a branch only states that the value is not null.
fn is_nothing(errors: &[ValidationError<'_>], schema: &Value) -> bool {
    errors.iter().any(|error| {
        let rule = resolve(schema, &error.schema_path().to_string(), 1);
        matches!(error.kind(), Kind::Type { .. })
            && rule.and_then(|rule| rule.get("type")).is_some_and(|kind| kind == "null")
    })
}

fn wrong_type(
    rule: Option<&Value>,
    value: &Value,
    violation: &MakeViolation<'_>,
    name: &str,
    help: Option<String>,
) -> Vec<Violation> {
    let expected: Vec<&str> = match rule.and_then(|rule| rule.get("type")) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => {
            several.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect()
        }
        _ => Vec::new(),
    };
    if value.is_null() {
        let hint = help.map(|help| format!("set a value, or remove the line. {help}"));
        return violation(
            ViolationKind::Type,
            format!("{name} is empty"),
            hint.or_else(|| Some("set a value, or remove the line".into())),
        );
    }
    let words: Vec<&str> = expected.iter().map(|kind| in_words(kind)).collect();
    let hint = match (expected.as_slice(), value) {
        // The help already shows the syntax.
        _ if help.as_ref().is_some_and(|help| help.contains('{')) => help,
        (["object"], _) => Some("write settings below it, indented, one per line like key: value".into()),
        (["array"], _) => Some("write it in brackets like [a, b], or one entry per line after a hyphen".into()),
        (["boolean"], _) => Some("write true or false, without quotes".into()),
        (["string"], Value::Number(_) | Value::Bool(_)) => {
            Some(format!("put it in quotes if this is intended: \"{}\"", kind_of(value)))
        }
        _ => help,
    };
    violation(ViolationKind::Type, format!("{name} must be {}, not {}", words.join(" or "), kind_of(value)), hint)
}

fn in_words(kind: &str) -> &'static str {
    match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "something else",
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "empty".into(),
        Value::Bool(_) | Value::Number(_) => printable::line(&value.to_string(), MAX_QUOTED),
        Value::String(_) => "a text".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

/// The name of the value at a path, for messages.
fn named(path: &[String]) -> String {
    match path {
        [] => "the document".into(),
        [.., holder, last] if is_index(last) => {
            let number = last.parse().map_or(0, |index: usize| index.saturating_add(1));
            format!("entry {number} of {:?}", printable::line(holder, MAX_QUOTED))
        }
        [.., last] => format!("{:?}", printable::line(last, MAX_QUOTED)),
    }
}

fn location(path: &[String]) -> String {
    if path.is_empty() { String::new() } else { format!(" in {}", named(path)) }
}

fn is_index(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_secret(path: &[String]) -> bool {
    path.iter().any(|key| key == "secrets")
}

/// A value for a message, cut to its maximum. Lists and mappings are not written out: they can be large.
fn quoted(value: &Value, path: &[String]) -> String {
    match value {
        _ if is_secret(path) => "this value".into(),
        Value::String(text) => Value::from(printable::line(text, MAX_QUOTED)).to_string(),
        value => kind_of(value),
    }
}

fn pointer(text: &str) -> Vec<String> {
    text.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
}

/// The schema `up` steps above a path, following local references.
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

/// The description of the list or mapping that contains the value, if the value's rule has none.
fn container_description(schema: &Value, path: &str) -> Option<String> {
    let steps = pointer(path);
    let [.., holder, _] = steps.as_slice() else { return None };
    matches!(holder.as_str(), "items" | "additionalProperties")
        .then(|| description(resolve(schema, path, 2), schema))?
}
