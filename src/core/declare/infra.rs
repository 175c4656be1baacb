//! What pods share and none of them owns: networks. Declared by the site, planned and carried out like pods.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// A network that pods share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// Its addresses in CIDR form, like `10.201.0.0/16`.
    pub subnet: String,
    /// The part of the subnet that the engine assigns addresses from; those outside it are assigned on request, like the
    /// proxy.
    pub pool: String,
    /// The largest packet in bytes; `None` for that of the engine's default network.
    pub mtu: Option<u16>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The volume with a pod's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Names one item of the infrastructure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum InfraId {
    /// A network, by name.
    Network(String),
}

impl fmt::Display for InfraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(name) => write!(f, "network {name}"),
        }
    }
}

/// One item of the infrastructure, as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InfraSpec {
    /// A network.
    Network(NetworkSpec),
}

impl InfraSpec {
    /// Its name.
    pub fn id(&self) -> InfraId {
        match self {
            Self::Network(network) => InfraId::Network(network.name.clone()),
        }
    }
}
