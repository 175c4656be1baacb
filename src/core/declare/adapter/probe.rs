//! When an agent is ready, as its adapter declares it. Asking is the reconciler's work; judging the answer is here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::quantity::Span;

/// How to find out whether an agent is ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Probe {
    /// What to ask.
    #[serde(flatten)]
    pub kind: ProbeKind,
    /// How long a start may take until the first good answer.
    #[serde(default = "two_minutes")]
    pub startup: Span,
    /// The time between two questions once it is ready.
    #[serde(default = "ten_seconds")]
    pub interval: Span,
    /// How long one answer may take.
    #[serde(default = "five_seconds")]
    pub timeout: Span,
    /// How many bad answers in a row make a ready agent unready.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub failures: u32,
}

/// What to ask; exactly one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ProbeKind {
    /// A GET that must answer 200 and pass the body check.
    Http(HttpProbe),
    /// A connection that must open.
    Tcp(TcpProbe),
    /// A command in the container that must exit 0.
    Exec(ExecProbe),
    /// A WebSocket that must open, and may have to say something first.
    Websocket(WebsocketProbe),
}

/// A GET on the agent's port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// The path to get.
    #[schemars(regex(pattern = "^/"))]
    pub path: String,
    /// What the body must say; agents answer 200 to anything.
    #[serde(default)]
    pub body: Option<BodyCheck>,
}

/// A connection to the agent's port.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {}

/// A command in the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecProbe {
    /// The command and its arguments.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
}

/// A WebSocket on the agent's port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebsocketProbe {
    /// The path to open.
    #[schemars(regex(pattern = "^/"))]
    pub path: String,
    /// Text the first message must hold, if the agent speaks first.
    #[serde(default)]
    pub expect: Option<String>,
}

/// What the body of an answer must say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BodyCheck {
    /// It is JSON and holds these keys with these values.
    Json(serde_json::Map<String, Value>),
    /// It contains this text.
    Contains(String),
}

impl BodyCheck {
    /// Whether a body passes, or why not.
    pub fn judge(&self, body: &str) -> Result<(), String> {
        match self {
            Self::Contains(text) if body.contains(text.as_str()) => Ok(()),
            Self::Contains(text) => Err(format!("the answer does not contain {text:?}")),
            Self::Json(wanted) => {
                let answer: Value = serde_json::from_str(body).map_err(|_| "the answer is not JSON".to_owned())?;
                match wanted.iter().find(|(key, value)| answer.get(key.as_str()) != Some(value)) {
                    None => Ok(()),
                    Some((key, value)) => Err(format!("the answer's {key:?} is not {value}")),
                }
            }
        }
    }
}

fn two_minutes() -> Span {
    Span::seconds(120)
}

fn ten_seconds() -> Span {
    Span::seconds(10)
}

fn five_seconds() -> Span {
    Span::seconds(5)
}

fn three() -> u32 {
    3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_answers_200_to_anything_does_not_pass_for_ready() {
        let check = BodyCheck::Json(serde_json::from_str(r#"{"ready": true}"#).unwrap());
        assert_eq!(check.judge(r#"{"ready":true,"more":1}"#), Ok(()));
        assert_eq!(check.judge("<html>").unwrap_err(), "the answer is not JSON");
        assert_eq!(check.judge(r#"{"ready":false}"#).unwrap_err(), "the answer's \"ready\" is not true");
        assert!(BodyCheck::Contains("ok".into()).judge("it is ok").is_ok());
    }
}
