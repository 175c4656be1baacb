//! The site: the settings that all pods share, from the command line.

use std::net::IpAddr;

use serde::Serialize;

use super::{
    declare::infra::{InfraSpec, NetworkSpec},
    names::{InstanceName, PodId, Subdomain, TenantName},
    secret::SecretRoots,
};

/// How pods are reached, and the names they share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// The name of this AgentPod, among several on one engine.
    pub instance: InstanceName,
    /// Pods answer at `<subdomain>.<domain>`.
    pub domain: String,
    /// The scheme, as browsers see it.
    pub scheme: Scheme,
    /// The port, as browsers see it; `None` for the scheme's default.
    pub port: Option<u16>,
    /// Traefik's entry point.
    pub entry_point: String,
    /// Traefik's certificate resolver; `None` with a wildcard certificate.
    pub cert_resolver: Option<String>,
    /// The network that pods and the proxy share.
    pub network: NetworkSpec,
    /// The proxy's address on that network, which agents are configured to trust.
    pub proxy_address: IpAddr,
    /// Where references to secrets may lead.
    #[serde(skip)]
    pub secrets: SecretRoots,
}

/// The scheme of public addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Unencrypted, for tests on one machine.
    Http,
    /// Encrypted.
    Https,
}

impl Site {
    /// The network of a tenant's pods; at present all share one.
    pub(crate) fn network_of(&self, _tenant: &TenantName) -> &NetworkSpec {
        &self.network
    }

    /// Everything that pods share.
    pub(crate) fn infra(&self) -> Vec<InfraSpec> {
        vec![InfraSpec::Network(self.network.clone())]
    }

    /// The name for the volume of a newly declared pod.
    pub(crate) fn volume_of(&self, pod: &PodId) -> String {
        format!("{}_{}", self.instance, pod.key())
    }

    /// The host name of a pod.
    pub(crate) fn host(&self, subdomain: &Subdomain) -> String {
        format!("{subdomain}.{}", self.domain)
    }

    /// The address of a pod, which is also its origin in browsers: without a final slash.
    pub(crate) fn url(&self, subdomain: &Subdomain) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let default_port = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        match self.port.filter(|port| *port != default_port) {
            Some(port) => format!("{scheme}://{}:{port}", self.host(subdomain)),
            None => format!("{scheme}://{}", self.host(subdomain)),
        }
    }
}
