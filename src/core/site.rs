//! The site: what is the same for every pod of one AgentPod. Settled from the command line before anything is built.

use std::net::IpAddr;

use serde::Serialize;

use super::names::{InstanceName, PodId, Subdomain, TenantName};

/// How the outside reaches pods, and the names shared by all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// Which AgentPod this is, among several on one engine.
    pub instance: InstanceName,
    /// Pods answer at `<subdomain>.<domain>`.
    pub domain: String,
    /// `https` or `http`, as browsers see it.
    pub scheme: Scheme,
    /// The port browsers use, if it is not the scheme's own.
    pub port: Option<u16>,
    /// Traefik's entry point.
    pub entry_point: String,
    /// Traefik's certificate resolver, if certificates are fetched for each host name.
    pub cert_resolver: Option<String>,
    /// The network that pods and the proxy share.
    pub network: String,
    /// The proxy's address on that network, which agents are told to trust.
    pub proxy_address: IpAddr,
}

/// What browsers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// In the clear; for trying things out on one machine.
    Http,
    /// Encrypted.
    Https,
}

impl Site {
    /// The network of a tenant's pods; today all share one.
    pub fn network_of(&self, _tenant: &TenantName) -> &str {
        &self.network
    }

    /// The name of the volume a pod's data gets when it is first declared.
    pub fn volume_of(&self, pod: &PodId) -> String {
        format!("{}_{}", self.instance, pod.key())
    }

    /// The host name of a pod.
    pub fn host(&self, subdomain: &Subdomain) -> String {
        format!("{subdomain}.{}", self.domain)
    }

    /// The address people type, which is also the origin their browser sends: no slash at its end.
    pub fn url(&self, subdomain: &Subdomain) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let usual = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        match self.port.filter(|port| *port != usual) {
            Some(port) => format!("{scheme}://{}:{port}", self.host(subdomain)),
            None => format!("{scheme}://{}", self.host(subdomain)),
        }
    }
}
