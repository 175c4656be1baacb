//! The way into a pod: its login link, to which the browser goes by itself.

use serde::Serialize;

use super::{PageContent, words::PodName};

/// The page that leads into a pod.
#[derive(Debug, Clone, Serialize)]
pub struct OpenPage {
    pub(crate) pod: PodName,
    pub(crate) link: String,
    /// How long the link works, if it works once.
    pub(crate) valid_for: Option<String>,
}

impl OpenPage {
    /// A way into a pod.
    pub(crate) fn new(pod: PodName, link: String, valid_for: Option<String>) -> Self {
        Self { pod, link, valid_for }
    }
}

impl PageContent for OpenPage {
    const TEMPLATE: &'static str = "open.html";
    const TAB: &'static str = "pods";

    fn title(&self) -> String {
        format!("Open {}", self.pod.id)
    }

    fn sample() -> Self {
        Self::new(
            PodName::new("alice", "assistant"),
            "https://alice.agents.example.com/#ticket=sample".into(),
            Some("10m".into()),
        )
    }
}
