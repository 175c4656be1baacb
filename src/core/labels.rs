//! Labels: the owner of a container, and the proxy's route to it. No text of a tenant becomes a label's key, and every value
//! was parsed into a name first.

use std::collections::BTreeMap;

use super::{
    names::{AdapterName, InstanceName, PodId, Subdomain},
    site::{Scheme, Site},
};

/// Marks everything that AgentPod creates.
pub const MANAGED: &str = "agentpod.managed";
/// The owning instance; only objects with our own are ever listed.
pub(crate) const INSTANCE: &str = "agentpod.instance";
/// The tenant's name.
pub const TENANT: &str = "agentpod.tenant";
/// [`PodId::key`].
pub const POD_ID: &str = "agentpod.pod-id";
/// The adapter's name.
pub(crate) const ADAPTER: &str = "agentpod.adapter";
/// The digest of the container's blueprint.
pub const DIGEST: &str = "agentpod.digest";
/// The digests of the parts it was made from; says what changed when it is replaced.
pub(crate) const PARTS: &str = "agentpod.parts";
/// On the shared network, the address that is reserved for the proxy.
pub(crate) const PROXY_ADDRESS: &str = "agentpod.proxy-address";

/// Whether the proxy reads labels with this key.
pub(crate) fn is_proxy_label(key: &str) -> bool {
    key.starts_with("traefik.")
}

/// The proxy's routing rules in some labels; ours match the host name.
pub fn rules(labels: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    let is_rule = |key: &str| key.starts_with("traefik.http.routers.") && key.ends_with(".rule");
    labels.iter().filter(move |(key, _)| is_rule(key)).map(|(_, rule)| rule.as_str())
}

/// The labels of every object of an instance.
pub fn owned(instance: &InstanceName) -> BTreeMap<String, String> {
    BTreeMap::from([(MANAGED.to_owned(), "true".to_owned()), (INSTANCE.to_owned(), instance.to_string())])
}

/// The labels of every object of a pod.
pub fn of_pod(site: &Site, id: &PodId) -> BTreeMap<String, String> {
    let mut labels = owned(&site.instance);
    labels.insert(TENANT.into(), id.tenant.to_string());
    labels.insert(POD_ID.into(), id.key());
    labels
}

/// The labels of a pod's container, without its digests.
///
/// No compress, buffering or retry middleware is attached, since each breaks WebSockets or streamed answers.
pub(crate) fn of_container(
    site: &Site,
    id: &PodId,
    adapter: &AdapterName,
    subdomain: &Subdomain,
    port: u16,
) -> BTreeMap<String, String> {
    let key = id.key();
    let router = |name: &str| format!("traefik.http.routers.{key}.{name}");
    let mut labels = of_pod(site, id);
    labels.insert(ADAPTER.into(), adapter.to_string());
    labels.insert("traefik.enable".into(), "true".into());
    labels.insert("traefik.docker.network".into(), site.network_of(&id.tenant).name.clone());
    labels.insert(router("rule"), format!("Host(`{}`)", site.host(subdomain)));
    labels.insert(router("entrypoints"), site.entry_point.clone());
    match (site.scheme, &site.cert_resolver) {
        (_, Some(resolver)) => {
            labels.insert(router("tls.certresolver"), resolver.clone());
        }
        (Scheme::Https, None) => {
            labels.insert(router("tls"), "true".into());
        }
        (Scheme::Http, None) => {}
    }
    labels.insert(format!("traefik.http.services.{key}.loadbalancer.server.port"), port.to_string());
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(scheme: Scheme, cert_resolver: Option<&str>) -> Site {
        Site {
            instance: "agentpod".parse().unwrap(),
            domain: "example.com".into(),
            scheme,
            port: None,
            entry_point: "websecure".into(),
            cert_resolver: cert_resolver.map(Into::into),
            network: crate::core::declare::infra::NetworkSpec {
                name: "agentpod-net".into(),
                subnet: "10.0.0.0/24".into(),
                pool: "10.0.0.128/25".into(),
                mtu: None,
                labels: BTreeMap::new(),
            },
            proxy_address: "10.0.0.2".parse().unwrap(),
            secrets: crate::core::secret::SecretRoots::anywhere(),
        }
    }

    fn labels(site: &Site) -> Vec<String> {
        let id: PodId = "alice/assistant".parse().unwrap();
        let labels = of_container(site, &id, &"openclaw".parse().unwrap(), &"alice".parse().unwrap(), 18789);
        labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    #[test]
    fn a_container_has_the_labels_of_its_owner_and_its_route() {
        assert_eq!(
            labels(&site(Scheme::Https, Some("letsencrypt"))),
            [
                "agentpod.adapter=openclaw",
                "agentpod.instance=agentpod",
                "agentpod.managed=true",
                "agentpod.pod-id=alice_assistant",
                "agentpod.tenant=alice",
                "traefik.docker.network=agentpod-net",
                "traefik.enable=true",
                "traefik.http.routers.alice_assistant.entrypoints=websecure",
                "traefik.http.routers.alice_assistant.rule=Host(`alice.example.com`)",
                "traefik.http.routers.alice_assistant.tls.certresolver=letsencrypt",
                "traefik.http.services.alice_assistant.loadbalancer.server.port=18789",
            ]
        );
    }

    #[test]
    fn a_site_with_a_wildcard_certificate_only_enables_tls() {
        assert!(
            labels(&site(Scheme::Https, None)).contains(&"traefik.http.routers.alice_assistant.tls=true".to_owned())
        );
        assert!(!labels(&site(Scheme::Http, None)).iter().any(|label| label.contains("tls")));
    }

    #[test]
    fn no_middleware_is_ever_attached() {
        assert!(!labels(&site(Scheme::Https, None)).iter().any(|label| label.contains("middleware")));
    }
}
