//! How this AgentPod was started, as far as it may be shown: no secret, and no place where one stands.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{config::Settings, core::site::Site};

/// Settings for reading; they are changed where AgentPod is started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SettingsView {
    /// AgentPod's version.
    pub version: String,
    /// Which AgentPod this is, among several on one engine.
    pub instance: String,
    /// Pods answer at `<subdomain>.<domain>`.
    pub domain: String,
    /// How browsers reach pods: an example.
    pub example_url: String,
    /// The proxy's address on the pods' network.
    pub proxy_address: String,
    /// The proxy's entry point.
    pub entry_point: String,
    /// The proxy's certificate resolver; `None`: a wildcard certificate.
    pub cert_resolver: Option<String>,
    /// The network that pods share.
    pub network: String,
    /// Its addresses.
    pub network_subnet: String,
    /// Seconds a removed pod's container is kept, stopped.
    pub removal_grace_seconds: i64,
    /// Days events are kept.
    pub events_kept_days: i64,
    /// Hours usage is kept.
    pub usage_kept_hours: i64,
    /// Whether the database is a private one in the state directory.
    pub private_database: bool,
    /// What manifests are judged for; its parts are shown above.
    #[serde(skip)]
    pub site: Option<Site>,
}

impl SettingsView {
    /// What may be shown of these settings.
    pub fn of(settings: &Settings) -> Self {
        let site = &settings.site;
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            instance: site.instance.to_string(),
            domain: site.domain.clone(),
            example_url: "pod".parse().map(|name| site.url(&name)).unwrap_or_default(),
            proxy_address: site.proxy_address.to_string(),
            entry_point: site.entry_point.clone(),
            cert_resolver: site.cert_resolver.clone(),
            network: settings.site.network.name.clone(),
            network_subnet: settings.site.network.subnet.clone(),
            removal_grace_seconds: settings.removal_grace.whole_seconds(),
            events_kept_days: crate::reconcile::EVENTS_KEPT.whole_days(),
            usage_kept_hours: 24,
            private_database: settings.database_url.is_none(),
            site: Some(site.clone()),
        }
    }
}
