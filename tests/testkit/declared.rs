//! Desired state from manifests written in the test, with the shipped echo adapter.

use std::collections::BTreeMap;

use agentpod::core::{
    declare::{
        adapter::{AdapterFiles, Adapters, read},
        desired::{self, Desired},
        manifest,
    },
    names::PodId,
    secret::Fingerprints,
};

use super::{
    manifests,
    site::{shipped, site},
};

/// What manifests ask for.
pub struct Declared {
    text: String,
    /// What is known of the secrets they refer to.
    pub fingerprints: Fingerprints,
}

impl Declared {
    /// The tenants alice and bob, and no pod yet.
    pub fn tenants() -> Self {
        let text = "{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: alice}, spec: {displayName: Alice, email: alice@example.com}}\n---\n\
                    {apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: bob}}\n";
        Self { text: text.into(), fingerprints: Fingerprints::new() }
    }

    /// The same with one more pod: `TENANT/POD`, and the fields of its spec beside the adapter.
    pub fn pod(mut self, id: &str, spec: &str) -> Self {
        self.text += &format!("---\n{}", manifests::pod(id, spec));
        self
    }

    /// The desired state.
    pub fn build(&self) -> Desired {
        let (manifests, problems) = manifest::read([("pods.yaml", self.text.as_bytes())]);
        assert!(problems.is_empty(), "{problems:?}");
        desired::build(&manifests, &adapters(), &site(), &BTreeMap::new(), &self.fingerprints).unwrap()
    }
}

/// One tenant's pod at a subdomain of the tenant's name.
pub fn alice() -> Declared {
    Declared::tenants().pod("alice/assistant", "subdomain: alice")
}

/// A pod's identity.
pub fn pod(id: &str) -> PodId {
    id.parse().unwrap()
}

/// The echo adapter as it is shipped.
pub fn adapters() -> Adapters {
    adapters_of(shipped("adapters/echo/adapter.yaml"))
}

/// The echo adapter with another text.
pub fn adapters_of(yaml: String) -> Adapters {
    let mut files = AdapterFiles::default();
    files.adapters.insert("echo/adapter.yaml".into(), yaml.into());
    files.templates.insert("echo/echo.json.j2".into(), shipped("templates/echo/echo.json.j2").into());
    let (adapters, problems) = read(&files);
    assert!(problems.is_empty(), "{problems:?}");
    adapters
}
