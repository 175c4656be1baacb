//! Readiness probes, as adapters declare them, and the check of an answer's body. The reconciler sends the probes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::quantity::Span;

/// How to check whether an agent is ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Probe {
    /// The kind of probe.
    #[serde(flatten)]
    pub(crate) kind: ProbeKind,
    /// How long a start may take until the first success.
    #[serde(default = "two_minutes")]
    pub(crate) startup: Span,
    /// The time between two probes of a ready agent.
    #[serde(default = "ten_seconds")]
    pub(crate) interval: Span,
    /// How long one probe may take.
    #[serde(default = "five_seconds")]
    pub(crate) timeout: Span,
    /// How many failures in a row make a ready agent unready.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) failures: u32,
}

impl Probe {
    /// How it probes, in a few words, like `GET /ready every 10s; up to 3m to start`.
    pub(crate) fn describe(&self) -> String {
        let what = match &self.kind {
            ProbeKind::Http(http) => format!("GET {}", http.path),
            ProbeKind::Tcp(_) => "a connection to its port".into(),
            ProbeKind::Exec(_) => "a command in its container".into(),
            ProbeKind::Websocket(_) => "a WebSocket".into(),
        };
        format!("{what} every {}; up to {} to start", self.interval, self.startup)
    }
}

/// The kind of probe; exactly one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ProbeKind {
    /// A GET request that must return 200 and pass the body check.
    Http(HttpProbe),
    /// A connection that must open.
    Tcp(TcpProbe),
    /// A command in the container that must exit 0.
    Exec(ExecProbe),
    /// A WebSocket that must open, and perhaps send a first message.
    Websocket(WebsocketProbe),
}

/// A GET request to the agent's port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpProbe {
    /// The path to request.
    #[schemars(regex(pattern = "^/"))]
    pub(crate) path: String,
    /// The check of the body, since some agents return 200 for any path.
    #[serde(default)]
    pub(crate) body: Option<BodyCheck>,
}

/// A connection to the agent's port.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TcpProbe {}

/// A command in the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecProbe {
    /// The command and its arguments.
    #[schemars(length(min = 1))]
    pub(crate) command: Vec<String>,
}

/// A WebSocket on the agent's port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebsocketProbe {
    /// The path to open.
    #[schemars(regex(pattern = "^/"))]
    pub(crate) path: String,
    /// A text in the first message, if the agent sends one.
    #[serde(default)]
    pub(crate) expect: Option<String>,
}

/// A check of an answer's body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum BodyCheck {
    /// It is a JSON object with these keys and values.
    Json(serde_json::Map<String, Value>),
    /// It contains this text.
    Contains(String),
}

/// Why a body does not pass its check.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum BodyMismatch {
    /// The text is not in it.
    #[error("the answer does not contain {0:?}")]
    Text(String),
    /// It is not JSON.
    #[error("the answer is not JSON")]
    NotJson,
    /// A key has another value.
    #[error("the answer's {key:?} is not {expected}")]
    Value {
        /// The key.
        key: String,
        /// The value it should have.
        expected: Value,
    },
}

impl BodyCheck {
    /// Checks a body.
    pub(crate) fn check(&self, body: &str) -> Result<(), BodyMismatch> {
        match self {
            Self::Contains(text) if body.contains(text.as_str()) => Ok(()),
            Self::Contains(text) => Err(BodyMismatch::Text(text.clone())),
            Self::Json(expected) => {
                let answer: Value = serde_json::from_str(body).map_err(|_| BodyMismatch::NotJson)?;
                match expected.iter().find(|(key, value)| answer.get(key.as_str()) != Some(value)) {
                    None => Ok(()),
                    Some((key, value)) => Err(BodyMismatch::Value { key: key.clone(), expected: value.clone() }),
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
    fn a_page_that_returns_200_for_anything_does_not_count_as_ready() {
        let check = BodyCheck::Json(serde_json::from_str(r#"{"ready": true}"#).unwrap());
        assert_eq!(check.check(r#"{"ready":true,"more":1}"#), Ok(()));
        assert_eq!(check.check("<html>").unwrap_err(), BodyMismatch::NotJson);
        assert_eq!(check.check(r#"{"ready":false}"#).unwrap_err().to_string(), "the answer's \"ready\" is not true");
        assert!(BodyCheck::Contains("ok".into()).check("it is ok").is_ok());
    }
}
