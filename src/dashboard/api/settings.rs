//! The settings this AgentPod was started with, without secrets and without references to them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{config::Settings, core::site::Site};

/// Settings, read-only; they are changed where AgentPod is started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SettingsView {
    /// AgentPod's version.
    pub version: String,
    /// The instance, to tell several AgentPods on one engine apart.
    pub instance: String,
    /// The domain: pods answer at `<subdomain>.<domain>`.
    pub domain: String,
    /// An example of a pod's URL.
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
    /// How long a removed pod's stopped container is kept, in seconds.
    pub removal_grace_seconds: i64,
    /// How long events are kept, in days.
    pub events_kept_days: i64,
    /// How long usage is kept, in hours.
    pub usage_kept_hours: i64,
    /// Whether the database is a private one in the state directory.
    pub private_database: bool,
    /// What manifests are checked against; its parts are listed above.
    #[serde(skip)]
    pub site: Option<Site>,
}

impl SettingsView {
    /// The part of these settings that may be shown.
    pub(crate) fn of(settings: &Settings) -> Self {
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
