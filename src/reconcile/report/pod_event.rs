//! An event of a pod under construction: kind, sentence, cause, container, details.

use serde_json::{Map, Value};

use crate::core::event::EventKind;

/// An event of a pod.
#[derive(Debug)]
pub(crate) struct PodEvent {
    pub(crate) kind: EventKind,
    pub(crate) message: String,
    pub(crate) cause: Option<String>,
    pub(crate) container: Option<String>,
    pub(crate) details: Map<String, Value>,
}

impl PodEvent {
    pub(crate) fn new(kind: EventKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None, container: None, details: Map::new() }
    }

    /// Why it was done.
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The container it is about, if not the current one.
    pub(crate) fn about(mut self, container: Option<&str>) -> Self {
        self.container = container.map(str::to_owned);
        self
    }

    /// Adds a detail.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }
}
