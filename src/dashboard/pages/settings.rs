//! `/dashboard/settings`: the settings this AgentPod was started with, read-only.

use serde::Serialize;

use super::{
    PageContent,
    words::{Fact, Tone},
};
use crate::core::decide::engine_commands::{PRUNE_IMAGES, run_proxy};

/// The page of settings.
#[derive(Debug, Clone, Serialize)]
pub struct SettingsPage {
    pub(crate) groups: Vec<Group>,
    /// The proxy's configuration for this instance.
    pub(crate) proxy: ProxyConfig,
    pub(crate) findings: Vec<Finding>,
}

/// The proxy's configuration, to copy.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ProxyConfig {
    /// The file.
    pub(crate) file: String,
    /// The command that starts it.
    pub(crate) command: String,
}

/// The configuration of the proxy as it is shipped, for an instance named `agentpod` on `agentpod-net`.
const SHIPPED: &str = include_str!("../../../deploy/traefik.yaml");

impl ProxyConfig {
    /// The configuration for this instance.
    pub(crate) fn of(instance: &str, network: &str, address: &str) -> Self {
        let file = SHIPPED
            .replace("network: agentpod-net", &format!("network: {network}"))
            .replace("`agentpod.instance`, `agentpod`", &format!("`agentpod.instance`, `{instance}`"));
        Self { file, command: run_proxy(network, address) }
    }
}

/// Settings of one topic.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) facts: Vec<Fact>,
}

/// Something to know about the settings.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    pub(crate) tone: Tone,
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
}

impl PageContent for SettingsPage {
    const TEMPLATE: &'static str = "settings.html";
    const TAB: &'static str = "settings";

    fn title(&self) -> String {
        "Settings".into()
    }

    fn sample() -> Self {
        let group = |name: &str, facts| Group { name: name.into(), facts };
        Self {
            groups: vec![
                group(
                    "Site",
                    vec![
                        Fact::code("Domain", "agents.example.com"),
                        Fact::words("Scheme", "https"),
                        Fact::code("Proxy", "10.213.0.2, entry point websecure"),
                        Fact::code("Network", "agentpod-net, 10.213.0.0/20"),
                    ],
                ),
                group(
                    "Retention",
                    vec![
                        Fact::words("A removed pod's container", "10 min"),
                        Fact::words("Events", "30 days"),
                        Fact::words("Usage", "1 day"),
                    ],
                ),
                group(
                    "Versions",
                    vec![
                        Fact::words("AgentPod", "0.1.0"),
                        Fact::words("Engine", "Docker 27.3.1"),
                        Fact::words("PostgreSQL", "15.14, a private one"),
                    ],
                ),
            ],
            proxy: ProxyConfig::of("agentpod", "agentpod-net", "10.213.0.2"),
            findings: vec![
                Finding { tone: Tone::Good, what: "The engine answers, and its API is new enough.".into(), help: None },
                Finding {
                    tone: Tone::Warn,
                    what: "The disk with the engine's data is 88 % full.".into(),
                    help: Some(format!("{PRUNE_IMAGES} removes images that no container uses")),
                },
            ],
        }
    }
}
