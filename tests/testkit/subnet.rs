//! Addresses for a network of a test's own: a number that no other test on this machine holds, in this run or another. It
//! is held by a file lock, which goes with the process that holds it.

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::docker::{docker, try_docker};

/// 256 addresses. Whoever goes removes the network first: declare this before what removes it.
pub struct Subnet {
    number: u8,
    _lock: File,
}

impl Subnet {
    /// The first one nobody uses.
    pub fn take() -> Self {
        (1..=250).find_map(Self::try_take).expect("one of 250 subnets for tests is free")
    }

    fn try_take(number: u8) -> Option<Self> {
        let subnet = Self { number, _lock: hold("subnet", number)? };
        is_free(&subnet.cidr()).then_some(subnet)
    }

    /// All of them.
    pub fn cidr(&self) -> String {
        format!("10.217.{}.0/24", self.number)
    }

    /// The upper half.
    pub fn pool(&self) -> String {
        format!("10.217.{}.128/25", self.number)
    }

    /// Whether an address is in the upper half.
    pub fn has_in_pool(&self, address: IpAddr) -> bool {
        let at = |last| IpAddr::V4(Ipv4Addr::new(10, 217, self.number, last));
        (at(128)..=at(255)).contains(&address)
    }
}

/// Holds the number of a kind until the file is dropped; `None` if somebody else holds it.
pub(crate) fn hold(kind: &str, number: u8) -> Option<File> {
    let lock = File::create(Path::new("/tmp").join(format!("agentpod-{kind}-{number}.lock"))).ok()?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(lock)
}

/// Whether no network of the engine has these addresses, such as one that a killed test left.
pub(crate) fn is_free(cidr: &str) -> bool {
    let networks = docker(&["network", "ls", "--quiet"]);
    let mut inspect = vec!["network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}} {{end}}"];
    inspect.extend(networks.lines());
    // A network that goes meanwhile makes the answer incomplete, and the next number will do as well.
    try_docker(&inspect).is_some_and(|subnets| subnets.split_whitespace().all(|subnet| subnet != cidr))
}
