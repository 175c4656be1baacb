//! A form from an adapter's `configSchema`, and the config from the filled form. Fields with their default are left out of
//! the config, so that a manifest has only what somebody chose.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::core::declare::document;

/// The filled fields by name, in order; a name may occur more than once.
#[derive(Debug, Clone, Default)]
pub struct Filled(pub Vec<(String, String)>);

impl Filled {
    /// The last value of a field, trimmed.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value.trim())
    }

    /// The same, or an empty text.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Whether a checkbox on the form is ticked; `None` if it was not on the form.
    fn ticked(&self, name: &str) -> Option<bool> {
        let was_shown = self.0.iter().any(|(field, value)| field == "shown" && value == name);
        was_shown.then(|| self.get(name).is_some())
    }
}

/// A field of the form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name: `config.telegram.allowFrom`.
    pub name: String,
    /// `text`, `number`, `integer`, `boolean`, `choice`, `list`, `free` or `object`.
    pub kind: &'static str,
    /// Its label.
    pub(crate) title: String,
    /// Its description.
    pub(crate) description: String,
    /// Whether it is required.
    pub(crate) required: bool,
    /// Its value as text; for an object, empty.
    pub value: String,
    /// Its default.
    pub(crate) default: String,
    /// The placeholder while it is empty.
    pub(crate) placeholder: String,
    /// The choices.
    pub(crate) options: Vec<String>,
    /// The minimum.
    pub(crate) least: String,
    /// The maximum.
    pub(crate) most: String,
    /// The fields of an object.
    pub fields: Vec<Field>,
}

/// The fields of a schema's properties, each with its filled value or its default.
pub fn fields(schema: &Value, filled: &Filled) -> Vec<Field> {
    below("config", schema, filled)
}

fn below(above: &str, schema: &Value, filled: &Filled) -> Vec<Field> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, inner)| field(&format!("{above}.{name}"), name, is_required(schema, name), inner, filled))
        .collect()
}

fn field(path: &str, name: &str, required: bool, schema: &Value, filled: &Filled) -> Field {
    let kind = kind(schema);
    let default = schema.get("default").map(|value| shown(kind, value)).unwrap_or_default();
    let bound = |key: &str| schema.get(key).map(ToString::to_string).unwrap_or_default();
    let value = match kind {
        "boolean" => filled.ticked(path).unwrap_or(default == "true").to_string(),
        _ => filled.get(path).map_or_else(|| default.clone(), str::to_owned),
    };
    Field {
        name: path.into(),
        kind,
        title: schema["title"].as_str().unwrap_or(name).into(),
        description: schema["description"].as_str().unwrap_or_default().into(),
        required: required && kind != "boolean",
        value,
        placeholder: default.clone(),
        default,
        options: schema["enum"].as_array().into_iter().flatten().map(plain).collect(),
        least: bound("minimum"),
        most: bound("maximum"),
        fields: if kind == "object" { below(path, schema, filled) } else { Vec::new() },
    }
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
}

fn kind(schema: &Value) -> &'static str {
    if schema["enum"].is_array() {
        return "choice";
    }
    match schema["type"].as_str() {
        Some("boolean") => "boolean",
        Some("integer") => "integer",
        Some("number") => "number",
        Some("array") if matches!(schema["items"]["type"].as_str(), Some("string")) => "list",
        Some("object") if schema["properties"].as_object().is_some_and(|all| !all.is_empty()) => "object",
        Some("string") => "text",
        _ => "free",
    }
}

/// A value as the text of a field.
fn shown(kind: &str, value: &Value) -> String {
    match (kind, value) {
        ("list", Value::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join("\n"),
        ("free", Value::Object(entries)) if entries.is_empty() => String::new(),
        ("free", Value::Array(items)) if items.is_empty() => String::new(),
        (_, value) => plain(value),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The config of the filled form, without defaults.
pub(crate) fn config(schema: &Value, filled: &Filled) -> Map<String, Value> {
    object("config", schema, filled)
}

fn object(above: &str, schema: &Value, filled: &Filled) -> Map<String, Value> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let chosen = properties.filter_map(|(name, inner)| {
        let path = format!("{above}.{name}");
        let value = if kind(inner) == "object" {
            let inner = object(&path, inner, filled);
            (!inner.is_empty()).then(|| Value::Object(inner))
        } else {
            chosen(&path, inner, filled)
        };
        Some((name.clone(), value?))
    });
    chosen.collect()
}

/// The value of a field; `None` if it has its default.
fn chosen(path: &str, schema: &Value, filled: &Filled) -> Option<Value> {
    typed(path, schema, filled).filter(|value| !is_default(schema, value))
}

fn is_default(schema: &Value, value: &Value) -> bool {
    let is_unticked = kind(schema) == "boolean" && *value == false;
    schema.get("default").map_or(is_unticked, |default| default == value)
}

/// The value of a field with the type that the schema wants; `None` if it is empty or was not on the form.
fn typed(path: &str, schema: &Value, filled: &Filled) -> Option<Value> {
    let kind = kind(schema);
    if kind == "boolean" {
        return filled.ticked(path).map(Value::Bool);
    }
    let text = filled.get(path).filter(|text| !text.is_empty())?;
    Some(match kind {
        "integer" => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        "number" => text.parse::<f64>().map_or_else(|_| text.into(), Value::from),
        "choice" => schema["enum"].as_array()?.iter().find(|one| plain(one) == text).cloned().unwrap_or(text.into()),
        "list" => text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Value::from).collect(),
        // What is not YAML stays a text; the schema's check then reports it.
        "free" => {
            document::read("", text.as_bytes()).0.first().map_or_else(|| text.into(), |found| found.root.to_json())
        }
        _ => text.into(),
    })
}

/// The form as filled with an existing config.
pub(crate) fn filled_with(schema: &Value, config: &Value) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    fill("config", schema, config, &mut fields);
    fields
}

fn fill(above: &str, schema: &Value, config: &Value, fields: &mut Vec<(String, String)>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let (path, value) = (format!("{above}.{name}"), config.get(name));
        match (kind(inner), value) {
            ("object", value) => fill(&path, inner, value.unwrap_or(&Value::Null), fields),
            ("boolean", value) => {
                fields.push(("shown".into(), path.clone()));
                if value.or(inner.get("default")) == Some(&Value::Bool(true)) {
                    fields.push((path, "true".into()));
                }
            }
            (kind, Some(value)) => fields.push((path, shown(kind, value))),
            (_, None) => {}
        }
    }
}

/// An existing config as the filled form changes it: what the form does not know stays, and a default is written only
/// where there was a value before.
pub(crate) fn edited(schema: &Value, filled: &Filled, before: &Map<String, Value>) -> Map<String, Value> {
    edit("config", schema, filled, before)
}

fn edit(above: &str, schema: &Value, filled: &Filled, before: &Map<String, Value>) -> Map<String, Value> {
    let mut after = before.clone();
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let (path, old) = (format!("{above}.{name}"), before.get(name));
        let value = if kind(inner) == "object" {
            let nested = edit(&path, inner, filled, old.and_then(Value::as_object).unwrap_or(&Map::new()));
            (!nested.is_empty()).then(|| Value::Object(nested))
        } else {
            typed(&path, inner, filled).filter(|value| old.is_some() || !is_default(inner, value))
        };
        match value {
            Some(value) => drop(after.insert(name.clone(), value)),
            None => drop(after.remove(name)),
        }
    }
    after
}

/// A schema with a field of every kind, for samples and tests.
pub(crate) fn sample_schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "model": {"type": "string", "title": "Model", "description": "The model the agent thinks with, as provider/model.", "default": "anthropic/claude-sonnet-4-6"},
            "fallbackModels": {"type": "array", "title": "Fallback models", "description": "Models to try in order when the first one fails.", "items": {"type": "string"}, "default": []},
            "maxTurns": {"type": "integer", "title": "Turns", "description": "The most turns of one conversation.", "minimum": 1, "maximum": 100, "default": 20},
            "temperature": {"type": "number", "title": "Temperature"},
            "chatCompletions": {"type": "boolean", "title": "OpenAI-compatible endpoint", "description": "Whether /v1/chat/completions answers, with the gateway token.", "default": false},
            "logLevel": {"type": "string", "title": "Log level", "description": "How much the gateway logs.", "enum": ["error", "warn", "info", "debug"], "default": "info"},
            "telegram": {
                "type": "object", "title": "Telegram", "description": "The Telegram channel; its bot token is the secret TELEGRAM_BOT_TOKEN.", "required": ["allowFrom"],
                "properties": {"allowFrom": {"type": "array", "title": "Allowed users", "description": "The numeric ids of the people who may talk to the agent.", "items": {"type": "string"}}}
            },
            "providers": {"type": "object", "title": "Model providers", "description": "Further model providers by name.", "additionalProperties": {"type": "object"}, "default": {}}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(fields: &[(&str, &str)]) -> Filled {
        Filled(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn every_kind_of_setting_has_its_field() {
        let fields = fields(&sample_schema(), &Filled::default());
        let kinds: Vec<_> = fields.iter().map(|field| field.kind).collect();
        assert_eq!(kinds, ["text", "list", "integer", "number", "boolean", "choice", "object", "free"]);
        assert_eq!((fields[0].value.as_str(), fields[5].value.as_str()), ("anthropic/claude-sonnet-4-6", "info"));
        assert!(fields[6].fields[0].required && fields[6].fields[0].name == "config.telegram.allowFrom");
    }

    #[test]
    fn what_is_left_alone_is_not_in_the_config() {
        let untouched: Vec<(String, String)> =
            fields(&sample_schema(), &Filled::default()).into_iter().map(|field| (field.name, field.value)).collect();
        let untouched = Filled(untouched.into_iter().filter(|(name, _)| name != "config.chatCompletions").collect());
        assert_eq!(Value::Object(config(&sample_schema(), &untouched)), json!({}));
    }

    #[test]
    fn what_was_chosen_has_the_type_that_the_schema_wants() {
        let filled = filled(&[
            ("config.model", "local/test"),
            ("config.fallbackModels", "a/b\n\n c/d "),
            ("config.maxTurns", "7"),
            ("config.temperature", "0.5"),
            ("shown", "config.chatCompletions"),
            ("config.chatCompletions", "true"),
            ("config.logLevel", "debug"),
            ("config.telegram.allowFrom", "123"),
            ("config.providers", "local: {baseUrl: http://x}"),
        ]);
        let expected = json!({"model": "local/test", "fallbackModels": ["a/b", "c/d"], "maxTurns": 7, "temperature": 0.5,
            "chatCompletions": true, "logLevel": "debug", "telegram": {"allowFrom": ["123"]}, "providers": {"local": {"baseUrl": "http://x"}}});
        assert_eq!(Value::Object(config(&sample_schema(), &filled)), expected);
    }

    #[test]
    fn a_config_in_the_form_and_back_is_itself_and_a_change_changes_what_was_changed() {
        let config = json!({"model": "anthropic/claude-sonnet-4-6", "fallbackModels": ["a/b"], "chatCompletions": true,
            "telegram": {"allowFrom": ["1"]}, "providers": {"x": {"y": [1]}}, "unknown": 7, "temperature": 0.5});
        let before = config.as_object().unwrap();
        let mut fields = filled_with(&sample_schema(), &config);
        assert_eq!(Value::Object(edited(&sample_schema(), &Filled(fields.clone()), before)), config);
        fields.retain(|(name, _)| name != "config.chatCompletions" && name != "config.telegram.allowFrom");
        fields.push(("config.maxTurns".into(), "20".into()));
        fields.push(("config.logLevel".into(), "debug".into()));
        let after = Value::Object(edited(&sample_schema(), &Filled(fields), before));
        assert_eq!(
            after,
            json!({"model": "anthropic/claude-sonnet-4-6", "fallbackModels": ["a/b"], "chatCompletions": false,
                "providers": {"x": {"y": [1]}}, "unknown": 7, "temperature": 0.5, "logLevel": "debug"})
        );
    }

    #[test]
    fn nonsense_goes_into_the_config_as_it_is_and_is_for_the_schema_to_refuse() {
        let filled = filled(&[("config.maxTurns", "many"), ("config.providers", "{a")]);
        assert_eq!(Value::Object(config(&sample_schema(), &filled)), json!({"maxTurns": "many", "providers": "{a"}));
    }
}
