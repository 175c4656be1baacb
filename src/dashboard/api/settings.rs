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
    /// The address that the dashboard and the API listen on.
    pub listen: String,
    /// The dashboard's address as browsers see it, if it was given.
    pub dashboard_url: Option<String>,
    /// Where manifests come from.
    pub source: String,
    /// Whether operators may change the source on the dashboard.
    pub edits: bool,
    /// Whether a forge's webhook is taken.
    pub webhook: bool,
    /// The proxies that are trusted.
    pub trusted_proxies: Vec<String>,
    /// The header in which a trusted proxy names the signed-in user.
    pub forward_auth_header: Option<String>,
    /// More pods than this, and than the next, are not removed at once without approval.
    pub max_removals: usize,
    /// The same in percent of all pods.
    pub max_removals_percent: usize,
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
            listen: settings.listen.to_string(),
            dashboard_url: settings.access.url.as_ref().map(ToString::to_string),
            source: match &settings.git {
                Some(git) => git.origin(),
                None => settings.source.display().to_string(),
            },
            edits: settings.edits,
            webhook: settings.hook_secret_file.is_some()
                || std::env::var_os("AGENTPOD_HOOK_SECRET").is_some_and(|value| !value.is_empty()),
            trusted_proxies: settings.access.trusted_proxies.iter().map(ToString::to_string).collect(),
            forward_auth_header: settings.access.forward.as_ref().map(|forward| forward.user.to_string()),
            max_removals: settings.removals.count,
            max_removals_percent: settings.removals.percent,
            removal_grace_seconds: settings.removal_grace.whole_seconds(),
            events_kept_days: crate::reconcile::EVENTS_KEPT.whole_days(),
            usage_kept_hours: 24,
            private_database: settings.database_url.is_none(),
            site: Some(site.clone()),
        }
    }
}
