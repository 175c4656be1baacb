//! What was seen on the engine in one look. Not seeing is not the same as seeing nothing: [`Actual::Unknown`] holds
//! every pod and never leads to a creation or a removal.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use time::OffsetDateTime;

use super::hardening::InForce;
use crate::core::{
    declare::{desired::ContainerSpec, parts::PartDigests},
    digest::Digest,
    names::PodId,
};

/// The engine's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Actual {
    /// It could not be asked; why.
    Unknown(String),
    /// Every container with our instance's label, by pod, in order of creation.
    Observed(BTreeMap<PodId, Vec<ObservedContainer>>),
}

/// One container as it was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedContainer {
    /// Its name.
    pub name: String,
    /// The engine's id for it.
    pub id: String,
    /// The pod it belongs to, from its label.
    pub pod: PodId,
    /// The digest it was made for, from its label.
    pub digest: Digest,
    /// The digests of the parts it was made from, from its label; empty if it has none.
    pub parts: PartDigests,
    /// What it is doing.
    pub state: ContainerState,
    /// Whether it ever ran: what was made, or refused at its start, can stand in for nothing.
    pub has_run: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// How often the engine restarted it since it was last started on purpose.
    pub restarts: u32,
    /// The networks it is attached to, with or without an address.
    pub networks: BTreeSet<String>,
    /// Its addresses by network.
    pub addresses: BTreeMap<String, IpAddr>,
    /// What bounds it; `None` if it could not be looked at.
    pub in_force: Option<Arc<InForce>>,
}

/// One volume with our instance's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedVolume {
    /// Its name.
    pub name: String,
    /// The pod it was made for, if its label names one.
    pub pod: Option<PodId>,
    /// When it was made, if the engine says so.
    pub created_at: Option<OffsetDateTime>,
    /// Whether a container has it, running or not, ours or not.
    pub in_use: bool,
}

/// One network with our instance's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNetwork {
    /// Its name.
    pub name: String,
    /// When it was made, if the engine says so.
    pub created_at: Option<OffsetDateTime>,
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Running since then.
    Running {
        /// Since when.
        since: Option<OffsetDateTime>,
    },
    /// It ended, and the engine is about to start it again.
    Restarting(Exit),
    /// Frozen by somebody.
    Paused,
    /// Not running.
    Exited(Exit),
    /// The engine could not say, or says something we do not know.
    Unknown(String),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exit {
    /// Its exit code.
    pub code: i64,
    /// Whether it was killed for taking too much memory.
    pub out_of_memory: bool,
    /// What the engine says went wrong, if it never ran.
    pub error: String,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, out_of_memory, error } = self;
        write!(f, "exit code {code}")?;
        if *out_of_memory {
            f.write_str(", out of memory")?;
        }
        if !error.is_empty() {
            write!(f, ": {error}")?;
        }
        Ok(())
    }
}

impl ObservedContainer {
    /// Whether a process of it runs or is about to.
    pub fn is_live(&self) -> bool {
        matches!(self.state, ContainerState::Running { .. } | ContainerState::Restarting(_) | ContainerState::Paused)
    }
    /// Whether it is off the network that `desired` belongs to. A container from before a change may belong to another
    /// one: it is cut off only when it is on none.
    pub fn is_cut_off(&self, desired: &ContainerSpec) -> bool {
        if self.digest == desired.digest {
            !self.networks.contains(&desired.blueprint.network)
        } else {
            self.networks.is_empty()
        }
    }
}
