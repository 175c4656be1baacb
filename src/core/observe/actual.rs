//! What was observed on the engine at one moment. An engine that does not answer is not an empty engine:
//! [`Actual::Unknown`] holds every pod and never leads to a creation or a removal.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use time::OffsetDateTime;

use super::in_force::InForce;
use crate::core::{
    declare::{
        desired::ContainerSpec,
        parts::{Part, PartDigests},
    },
    digest::Digest,
    names::PodId,
};

/// The engine's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Actual {
    /// It could not be observed, for this reason.
    Unknown(String),
    /// Every container with our instance's label, by pod, in order of creation.
    Observed(BTreeMap<PodId, Vec<ObservedContainer>>),
}

/// A container as observed.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedContainer {
    /// Its name.
    pub name: String,
    /// The engine's ID.
    pub id: String,
    /// The machine it is on, by the engine's name for it; empty if that is unknown.
    pub node: String,
    /// The pod it belongs to, from its label.
    pub pod: PodId,
    /// The digest it was created for, from its label.
    pub digest: Digest,
    /// The digests of the parts it was created from, from its label; empty if it has none.
    pub parts: PartDigests,
    /// What it is doing.
    pub state: ContainerState,
    /// Whether it ever ran. One that was only created, or failed to start, is no fallback.
    pub has_run: bool,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// How often the engine restarted it since its last deliberate start.
    pub restarts: u32,
    /// The networks it is attached to, with or without an address.
    pub networks: BTreeSet<String>,
    /// Its addresses by network.
    pub addresses: BTreeMap<String, IpAddr>,
    /// Its settings in force; `None` if it could not be inspected.
    pub in_force: Option<Arc<InForce>>,
}

/// A volume with our instance's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedVolume {
    /// Its name.
    pub name: String,
    /// The pod it was created for, if its label names one.
    pub pod: Option<PodId>,
    /// When it was created, if the engine says so.
    pub created_at: Option<OffsetDateTime>,
    /// Whether a container uses it, running or not, ours or not.
    pub in_use: bool,
}

/// A network with our instance's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNetwork {
    /// Its name.
    pub name: String,
    /// When it was created, if the engine says so.
    pub created_at: Option<OffsetDateTime>,
}

/// Whether a container is the first of another image: an older one that ran is still there.
pub(crate) fn is_upgrade(container: &ObservedContainer, all: &[ObservedContainer]) -> bool {
    let is_before = |other: &&ObservedContainer| other.id != container.id && other.has_run && !other.is_dead();
    let changed = |other: &ObservedContainer| container.parts.changed_since(&other.parts);
    all.iter().filter(is_before).any(|other| changed(other).contains(&Part::Image))
}

/// Whether the volume is anonymous: the engine chose its name.
pub(crate) fn is_anonymous(volume: &str) -> bool {
    volume.len() == 64 && volume.chars().all(|c| c.is_ascii_hexdigit())
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Created, never started.
    Created,
    /// Running.
    Running {
        /// Since when, if the engine says so.
        since: Option<OffsetDateTime>,
    },
    /// It exited, and the engine is about to start it again.
    Restarting(Exit),
    /// Somebody paused it.
    Paused,
    /// Not running.
    Exited(Exit),
    /// It is being removed, or its removal failed halfway: it can never run again, and its name stays taken.
    Dead,
    /// The engine did not say, or reported a state that is unknown here.
    Unknown(String),
}

/// How a container exited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exit {
    /// Its exit code.
    pub code: i64,
    /// Whether it was killed because it ran out of memory.
    pub out_of_memory: bool,
    /// The engine's error, if it never ran.
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
    /// A container of which only this is known, from an earlier process.
    pub(crate) fn remembered(pod: PodId, name: String, id: String) -> Self {
        Self {
            name,
            id,
            node: String::new(),
            pod,
            digest: Digest::from_label(String::new()),
            parts: PartDigests::default(),
            state: ContainerState::Unknown("it has not been observed yet".into()),
            has_run: false,
            created_at: OffsetDateTime::UNIX_EPOCH,
            restarts: 0,
            networks: BTreeSet::new(),
            addresses: BTreeMap::new(),
            in_force: None,
        }
    }

    /// Whether a process of it runs or is about to.
    pub fn is_live(&self) -> bool {
        matches!(self.state, ContainerState::Running { .. } | ContainerState::Restarting(_) | ContainerState::Paused)
    }

    /// Whether it can never run again, and only remains to be removed.
    pub(crate) fn is_dead(&self) -> bool {
        self.state == ContainerState::Dead
    }

    /// Whether it is attached to none of the networks of `desired`. A container from before a change may belong to
    /// another network: it is cut off only when it has no network at all.
    pub fn is_cut_off(&self, desired: &ContainerSpec) -> bool {
        if self.digest == desired.digest {
            !self.networks.contains(&desired.blueprint.network)
        } else {
            self.networks.is_empty()
        }
    }
}
