//! A site for tests that make none of their own, and what is shipped with AgentPod.

use std::fs;

use agentpod::{
    core::declare::infra::NetworkSpec,
    core::{
        declare::adapter::AdapterFiles,
        secret::SecretRoots,
        site::{Scheme, Site},
    },
    source::AdapterFolders,
};

use super::root;

/// The site.
pub fn site() -> Site {
    Site {
        instance: "test".parse().unwrap(),
        domain: "example.com".into(),
        scheme: Scheme::Https,
        port: None,
        entry_point: "websecure".into(),
        cert_resolver: None,
        network: network(),
        proxy_address: "10.0.0.2".parse().unwrap(),
        secrets: SecretRoots::anywhere(),
    }
}

/// Its network.
pub fn network() -> NetworkSpec {
    NetworkSpec {
        name: "agentpod-net".into(),
        subnet: "10.0.0.0/24".into(),
        pool: "10.0.0.128/25".into(),
        mtu: None,
        labels: Default::default(),
    }
}

/// The folders of adapters and templates that are shipped.
pub fn shipped_folders() -> AdapterFolders {
    AdapterFolders { adapters: root().join("adapters"), templates: root().join("templates") }
}

/// All that stands in them.
pub async fn shipped_adapters() -> AdapterFiles {
    shipped_folders().read().await.unwrap().files
}

/// A file of the repository, as text.
pub fn shipped(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
