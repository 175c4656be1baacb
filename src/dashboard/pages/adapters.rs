//! `/dashboard/adapters`: each adapter, with its settings as a table.

use serde::Serialize;
use serde_json::Value;

use super::{PageContent, words::Fact};

/// The page of adapters.
#[derive(Debug, Clone, Serialize)]
pub struct AdaptersPage {
    pub(crate) adapters: Vec<AdapterCard>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct AdapterCard {
    pub(crate) name: String,
    /// The agent's own name.
    pub(crate) title: String,
    /// One sentence about the agent.
    pub(crate) description: String,
    /// How many pods use it, as text.
    pub(crate) pods: String,
    pub(crate) facts: Vec<Fact>,
    /// The secrets that the agent understands.
    pub(crate) secrets: Vec<KnownSecret>,
    /// Its settings.
    pub(crate) settings: Vec<Setting>,
}

/// A secret that an agent understands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct KnownSecret {
    /// The variable.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) text: String,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// Its path: `telegram.allowFrom`.
    pub(crate) path: String,
    /// Its type, for people.
    pub(crate) kind: String,
    /// Whether it is required.
    pub(crate) required: bool,
    /// Its default.
    pub(crate) default: String,
    /// Its description.
    pub(crate) text: String,
    /// Its limits, for people.
    pub(crate) limits: String,
}

/// The settings of a schema, nested ones after their parents.
pub(crate) fn settings(schema: &Value) -> Vec<Setting> {
    let mut settings = Vec::new();
    collect("", schema, &mut settings);
    settings
}

fn collect(above: &str, schema: &Value, settings: &mut Vec<Setting>) {
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{above}{name}");
        settings.push(Setting {
            kind: kind(inner),
            required: required(name),
            default: inner.get("default").filter(|value| **value != "").map(ToString::to_string).unwrap_or_default(),
            text: text(inner),
            limits: limits(inner),
            path: path.clone(),
        });
        collect(&format!("{path}."), inner, settings);
    }
}

fn text(schema: &Value) -> String {
    let word = |key: &str| schema[key].as_str().unwrap_or_default();
    match (word("title"), word("description")) {
        ("", text) | (text, "") => text.into(),
        (title, text) => format!("{title}: {text}"),
    }
}

/// The type of a value, for people: `text`, `whole number`, `list of texts`.
pub(crate) fn kind(schema: &Value) -> String {
    if schema["enum"].is_array() {
        return "one of".into();
    }
    let word = schema["type"].as_str().unwrap_or("anything");
    match word {
        "string" => "text".into(),
        "integer" => "whole number".into(),
        "boolean" => "yes or no".into(),
        "array" => format!("list of {}", plural(&kind(&schema["items"]))),
        "object" => "group".into(),
        other => other.into(),
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "one of" | "anything" => "values".into(),
        "yes or no" => "yes or no".into(),
        other => format!("{other}s"),
    }
}

fn limits(schema: &Value) -> String {
    let mut limits = Vec::new();
    if let Some(values) = schema["enum"].as_array() {
        let words: Vec<String> =
            values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
        limits.push(words.join(", "));
    }
    for (key, say) in [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters at least"),
        ("maxLength", "characters at most"),
        ("minItems", "entries at least"),
        ("maxItems", "entries at most"),
        ("pattern", "matches"),
    ] {
        match &schema[key] {
            Value::Null => {}
            Value::String(text) => limits.push(format!("{say} {text}")),
            number if say.starts_with("at ") => limits.push(format!("{say} {number}")),
            number if number.as_u64() == Some(1) => {
                limits.push(format!("1 {}", say.replace("characters", "character").replace("entries", "entry")));
            }
            number => limits.push(format!("{number} {say}")),
        }
    }
    limits.join("; ")
}

impl PageContent for AdaptersPage {
    const TEMPLATE: &'static str = "adapters.html";
    const TAB: &'static str = "adapters";

    fn title(&self) -> String {
        "Adapters".into()
    }

    fn sample() -> Self {
        let schema = super::fields::sample_schema();
        let card =
            |name: &str, title: &str, description: &str, pods: &str, image: &str, settings: Vec<Setting>| AdapterCard {
                name: name.into(),
                title: title.into(),
                description: description.into(),
                pods: pods.into(),
                facts: vec![
                    Fact::code("Image", image),
                    Fact::words("Image here", "yes: 31 pods run it"),
                    Fact::words("Port", "8080"),
                    Fact::words("Resources", "2Gi, 2 processors; at least 1280Mi"),
                    Fact::words("Health", "GET /ready every 10s; up to 3m to start"),
                    Fact::words("Login link", "yes"),
                ],
                secrets: vec![KnownSecret { name: "API_KEY".into(), text: "The key of the models.".into() }],
                settings,
            };
        Self {
            adapters: vec![
                card(
                    "openclaw",
                    "OpenClaw",
                    "A personal AI assistant with its own gateway, chat channels and tools.",
                    "31 pods",
                    "agentpod/openclaw:2026.9.6",
                    settings(&schema),
                ),
                card(
                    "echo",
                    "Echo",
                    "A small agent of our own that shows what it was given.",
                    "1 pod",
                    "agentpod/echo:1",
                    Vec::new(),
                ),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_becomes_lines_that_can_be_read() {
        let settings = settings(&crate::dashboard::pages::fields::sample_schema());
        let line = |path: &str| settings.iter().find(|setting| setting.path == path).unwrap();
        assert_eq!(line("logLevel").limits, "error, warn, info, debug");
        assert_eq!(line("fallbackModels").kind, "list of texts");
        assert!(line("telegram.allowFrom").required);
        assert_eq!(line("maxTurns").limits, "at least 1; at most 100");
        assert_eq!(
            limits(&serde_json::json!({"minLength": 1, "maxItems": 1})),
            "1 character at least; 1 entry at most"
        );
    }
}
