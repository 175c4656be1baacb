//! Networks and volumes: created once, then found again. A volume is only used if it is ours.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bollard::models::{Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest, VolumeCreateRequest};

use super::Docker;
use crate::{
    core::{declare::infra::NetworkSpec, labels},
    engine::{Engine as _, EngineError, Result, wire::routes},
};

/// The engine's default network.
const DEFAULT_NETWORK: &str = "bridge";
/// The option of a network with its largest packet.
const MTU: &str = "com.docker.network.driver.mtu";
/// Where the kernel lists the machine's routes.
const ROUTES: &str = "/proc/net/route";

/// How often, and how long apart, to look for a network that somebody else may be creating.
const APPEARS: (u32, Duration) = (20, Duration::from_millis(100));

impl Docker {
    pub(super) async fn create_network(&self, network: &NetworkSpec) -> Result<BTreeMap<String, String>> {
        if let Some(labels) = self.network_labels(&network.name).await? {
            return Ok(labels);
        }
        if let Some(why) = self.host_conflict(network).await? {
            return Err(EngineError::Refused(why));
        }
        let mtu = match network.mtu {
            Some(mtu) => Some(mtu.to_string()),
            None => self.default_mtu().await?,
        };
        let request = NetworkCreateRequest {
            name: network.name.clone(),
            driver: Some("bridge".into()),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(network.subnet.clone()),
                    ip_range: Some(network.pool.clone()),
                    ..Default::default()
                }]),
                ..Default::default()
            }),
            labels: Some(network.labels.clone().into_iter().collect()),
            options: mtu.map(|mtu| HashMap::from([(MTU.to_owned(), mtu)])),
            ..Default::default()
        };
        let what = format!("creating the network {}", network.name);
        let made = self.call(what, async |client| client.create_network(request).await).await;
        // Engines before API 1.44 do not refuse a second network of the same name, but they refuse one with the same
        // addresses, and before the first one is visible: of two at the same moment the second has to wait.
        let overlaps = made.as_ref().is_err_and(|failure| failure.message.contains("overlap"));
        for _ in 0..if overlaps { APPEARS.0 } else { 1 } {
            if let Some(labels) = self.network_labels(&network.name).await? {
                return Ok(labels);
            }
            if overlaps {
                tokio::time::sleep(APPEARS.1).await;
            }
        }
        match made {
            Err(_) if overlaps => Err(EngineError::Refused(format!(
                "the network {} cannot have the addresses {}, because another network uses some of them; choose others with --network-subnet",
                network.name, network.subnet
            ))),
            Err(failure) => Err(failure.error),
            Ok(_) => {
                Err(EngineError::Other(format!("the network {} disappeared right after it was created", network.name)))
            }
        }
    }

    /// Why a network that does not exist yet cannot be created beside the machine's own networks.
    pub(super) async fn host_conflict(&self, network: &NetworkSpec) -> Result<Option<String>> {
        let Ok(subnet) = network.subnet.parse() else { return Ok(None) };
        let text = tokio::fs::read_to_string(ROUTES).await.unwrap_or_default();
        let routes = routes::routes(&text);
        let Some(route) = routes::overlapping(subnet, &routes) else { return Ok(None) };
        if self.network_exists(&network.name).await? {
            return Ok(None);
        }
        Ok(Some(format!(
            "the network {} cannot have the addresses {}: this machine reaches {} of them through {}; choose others with \
             --network-subnet",
            network.name, network.subnet, route.to, route.interface
        )))
    }

    /// The largest packet on the engine's default network, if it was set there.
    async fn default_mtu(&self) -> Result<Option<String>> {
        let what = format!("inspecting the network {DEFAULT_NETWORK}");
        match self.call(what, async |client| client.inspect_network(DEFAULT_NETWORK, None).await).await {
            Ok(found) => Ok(found.options.and_then(|mut options| options.remove(MTU))),
            Err(failure) => match failure.error {
                EngineError::NotFound(_) => Ok(None),
                error => Err(error),
            },
        }
    }

    pub(super) async fn attach_container(&self, container: &str, network: &str) -> Result<()> {
        let ours = self.ours(container).await?;
        let networks = ours.inspected.network_settings.and_then(|settings| settings.networks);
        if networks.is_some_and(|networks| networks.contains_key(network)) {
            return Ok(());
        }
        let request = NetworkConnectRequest { container: ours.id, ..Default::default() };
        let what = format!("attaching {container} to the network {network}");
        Ok(self.call(what, async |client| client.connect_network(network, request).await).await?)
    }

    pub(super) async fn network_labels(&self, name: &str) -> Result<Option<BTreeMap<String, String>>> {
        let what = format!("looking for the network {name}");
        match self.call(what, async |client| client.inspect_network(name, None).await).await {
            // The engine also accepts the beginning of an ID as a name.
            Ok(found) if found.name.as_deref() == Some(name) => {
                Ok(Some(found.labels.unwrap_or_default().into_iter().collect()))
            }
            Ok(_) => Ok(None),
            Err(failure) => match failure.error {
                EngineError::NotFound(_) => Ok(None),
                error => Err(error),
            },
        }
    }

    pub(super) async fn create_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..Default::default()
        };
        let what = format!("creating the volume {name}");
        // Creating an existing volume returns the existing one.
        let volume = self.call(what, async |client| client.create_volume(request).await).await?;
        let owners = [labels::INSTANCE, labels::POD_ID];
        let other = owners.into_iter().find(|key| volume.labels.get(*key) != labels.get(*key));
        match other {
            None => Ok(()),
            Some(key) => Err(EngineError::NameTaken(format!(
                "the volume {name} is not ours (its {key} is {:?}, not {:?}); nothing was changed in it",
                volume.labels.get(key).map_or("", String::as_str),
                labels.get(key).map_or("", String::as_str),
            ))),
        }
    }
}
