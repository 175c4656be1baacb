//! An event of a pod under construction: kind, sentence, cause, container, details.

use serde_json::{Map, Value};

use crate::core::event::EventKind;

/// An event of a pod.
#[derive(Debug)]
pub(crate) struct PodEvent {
    pub kind: EventKind,
    pub message: String,
    pub cause: Option<String>,
    pub container: Option<String>,
    pub details: Map<String, Value>,
}

impl PodEvent {
    pub fn new(kind: EventKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None, container: None, details: Map::new() }
    }

    /// Why it was done.
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The container it is about, if not the current one.
    pub fn about(mut self, container: Option<&str>) -> Self {
        self.container = container.map(str::to_owned);
        self
    }

    /// Adds a detail.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }
}
