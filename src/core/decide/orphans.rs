//! What carries our label on the engine and is declared by nothing: containers, volumes and networks, each with why it is
//! there and how to deal with it. Nothing is deleted for being on this list; it only says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::core::{
    names::PodId,
    observe::actual::{ObservedContainer, ObservedNetwork, ObservedVolume},
};

/// Everything with our label that was seen.
#[derive(Debug, Clone, Default)]
pub struct OwnedObjects {
    /// Containers.
    pub containers: Vec<ObservedContainer>,
    /// Volumes.
    pub volumes: Vec<ObservedVolume>,
    /// Networks.
    pub networks: Vec<ObservedNetwork>,
}

/// What is remembered of a pod that was declared once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodHistory {
    /// The name of the volume with its data.
    pub volume: String,
    /// Since when it is not declared any more; `None` while it is.
    pub undeclared_since: Option<OffsetDateTime>,
}

/// What should be there.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Every pod that ever was declared.
    pub records: BTreeMap<PodId, PodHistory>,
    /// Pods that the source declares now, whether or not there is a record of them yet.
    pub declared: BTreeSet<PodId>,
    /// Why more may be declared than that: the source could not be read, or not whole.
    pub doubt: Option<String>,
    /// Networks that pods are attached to.
    pub networks: BTreeSet<String>,
}

/// What kind of thing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OrphanKind {
    /// A container.
    Container,
    /// A volume.
    Volume,
    /// A network.
    Network,
}

/// Why it is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrphanReason {
    /// Its pod was removed from the manifests then.
    Removed(OffsetDateTime),
    /// Its pod is not declared, and the database never knew it.
    NeverDeclared,
    /// It was made for a container that is not there any more.
    Leftover,
    /// Its labels name no pod.
    Nobodys,
    /// No pod is attached to it, and none will be.
    Unused,
}

/// One thing that nothing declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// What it is.
    pub kind: OrphanKind,
    /// Its name on the engine.
    pub name: String,
    /// The pod it was made for.
    pub pod: Option<PodId>,
    /// Why it is left.
    #[serde(serialize_with = "as_text")]
    pub why: OrphanReason,
    /// When it was made, if the engine says so.
    #[serde(with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    /// What to do about it.
    pub remedy: String,
}

fn as_text<S: Serializer>(why: &OrphanReason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(why)
}

impl fmt::Display for OrphanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Container => "container",
            Self::Volume => "volume",
            Self::Network => "network",
        })
    }
}

impl fmt::Display for OrphanReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed(since) => write!(f, "its pod is not declared any more since {}", since.date()),
            Self::NeverDeclared => f.write_str("its pod is not declared and never was in this database"),
            Self::Leftover => f.write_str("the container it was made for is gone"),
            Self::Nobodys => f.write_str("its labels name no pod"),
            Self::Unused => f.write_str("no declared pod uses it"),
        }
    }
}

impl Expected {
    /// Whether a pod is declared, by the source or by the newest accepted revision.
    pub fn declares(&self, pod: &PodId) -> bool {
        let recorded = self.records.get(pod).is_some_and(|record| record.undeclared_since.is_none());
        recorded || self.declared.contains(pod)
    }

    /// Why what belongs to a pod is left, if it is.
    fn why(&self, pod: &PodId) -> Option<OrphanReason> {
        if self.declares(pod) {
            return None;
        }
        let since = self.records.get(pod).and_then(|record| record.undeclared_since);
        Some(since.map_or(OrphanReason::NeverDeclared, OrphanReason::Removed))
    }
}

/// Everything that was seen and is declared by nothing: containers, volumes, networks, each by name.
pub fn orphans(seen: &OwnedObjects, wanted: &Expected) -> Vec<Orphan> {
    let containers = seen.containers.iter().filter_map(|container| of_container(container, wanted));
    let volumes = seen.volumes.iter().filter_map(|volume| of_volume(volume, wanted));
    let networks =
        seen.networks.iter().filter(|network| !wanted.networks.contains(&network.name)).map(|network| Orphan {
            kind: OrphanKind::Network,
            name: network.name.clone(),
            pod: None,
            why: OrphanReason::Unused,
            created_at: network.created_at,
            remedy: format!("docker network rm {}", network.name),
        });
    let mut found: Vec<Orphan> = containers.chain(volumes).chain(networks).collect();
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    found
}

fn of_container(container: &ObservedContainer, wanted: &Expected) -> Option<Orphan> {
    let (pod, name) = (&container.pod, &container.name);
    let why = wanted.why(pod)?;
    let remedy = match (&why, container.is_live()) {
        (OrphanReason::Removed(_), _) => {
            "wait: agentpod run stops it, and removes it after the grace, unless its removal is held".to_owned()
        }
        (_, true) => format!("declare {pod} to take it over, or: docker stop {name} && agentpod purge {pod}"),
        (_, false) => format!("declare {pod} to take it over, or: agentpod purge {pod}"),
    };
    let created_at = Some(container.created_at);
    Some(Orphan { kind: OrphanKind::Container, name: name.clone(), pod: Some(pod.clone()), why, created_at, remedy })
}

fn of_volume(volume: &ObservedVolume, wanted: &Expected) -> Option<Orphan> {
    let name = &volume.name;
    let (why, remedy) = match &volume.pod {
        None if volume.in_use => {
            (OrphanReason::Nobodys, format!("see what uses it: docker ps --all --filter volume={name}"))
        }
        None => (OrphanReason::Nobodys, format!("docker volume rm {name}")),
        Some(pod) => {
            let record = wanted.records.get(pod);
            let is_data = record.map_or(!is_nameless(name), |record| record.volume == *name);
            match (is_data, wanted.why(pod)) {
                // What a container brought goes with it, and the container is looked at by itself.
                (false, _) if volume.in_use => return None,
                (false, _) => (OrphanReason::Leftover, format!("docker volume rm {name}")),
                (true, None) => return None,
                (true, Some(why)) => (why, format!("declare {pod} to use it again, or: agentpod purge {pod}")),
            }
        }
    };
    let (pod, created_at) = (volume.pod.clone(), volume.created_at);
    Some(Orphan { kind: OrphanKind::Volume, name: name.clone(), pod, why, created_at, remedy })
}

/// Whether the engine made the name up.
pub(crate) fn is_nameless(volume: &str) -> bool {
    volume.len() == 64 && volume.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        digest::Digest,
        observe::actual::{ContainerState, Exit},
    };

    const NAMELESS: &str = "5f2b0c1d5f2b0c1d5f2b0c1d5f2b0c1d5f2b0c1d5f2b0c1d5f2b0c1d5f2b0c1d";

    fn at(days: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000 + days)
    }

    fn container(pod: &str, is_live: bool) -> ObservedContainer {
        let pod: PodId = pod.parse().unwrap();
        ObservedContainer {
            name: format!("{}-01234567", pod.key()),
            id: "5f".into(),
            pod,
            digest: Digest::from_label("01234567"),
            parts: crate::core::declare::parts::PartDigests::default(),
            state: if is_live {
                ContainerState::Running { since: None }
            } else {
                ContainerState::Exited(Exit::default())
            },
            created_at: at(0),
            restarts: 0,
            addresses: BTreeMap::new(),
            has_run: true,
            networks: Default::default(),
            in_force: None,
        }
    }

    fn volume(name: &str, pod: Option<&str>, in_use: bool) -> ObservedVolume {
        ObservedVolume { name: name.into(), pod: pod.map(|pod| pod.parse().unwrap()), created_at: None, in_use }
    }

    /// `t/here` is declared, `t/gone` was removed, `t/new` stands in the source only.
    fn wanted() -> Expected {
        let record = |volume: &str, since| PodHistory { volume: volume.into(), undeclared_since: since };
        Expected {
            records: BTreeMap::from([
                ("t/here".parse().unwrap(), record("i_t_here", None)),
                ("t/gone".parse().unwrap(), record("i_t_gone", Some(at(3)))),
            ]),
            declared: BTreeSet::from(["t/here".parse().unwrap(), "t/new".parse().unwrap()]),
            doubt: None,
            networks: BTreeSet::from(["net".into()]),
        }
    }

    fn found(seen: OwnedObjects) -> Vec<String> {
        let line = |orphan: Orphan| {
            let Orphan { kind, name, why, remedy, .. } = orphan;
            format!("{kind} {name}: {why}; {remedy}")
        };
        orphans(&seen, &wanted()).into_iter().map(line).collect()
    }

    #[test]
    fn what_is_declared_is_no_orphan_whether_recorded_yet_or_not() {
        let seen = OwnedObjects {
            containers: vec![container("t/here", true), container("t/here", false), container("t/new", false)],
            volumes: vec![
                volume("i_t_here", Some("t/here"), false),
                volume("i_t_new", Some("t/new"), false),
                volume(NAMELESS, Some("t/here"), true),
                volume(NAMELESS, Some("t/new"), true),
            ],
            networks: vec![ObservedNetwork { name: "net".into(), created_at: None }],
        };
        assert_eq!(found(seen), Vec::<String>::new());
    }

    #[test]
    fn each_container_says_why_it_is_left_and_what_to_do() {
        let containers = vec![
            container("t/gone", true),
            container("x/unknown", true),
            container("x/silent", false),
            container("t/here", true),
        ];
        assert_eq!(
            found(OwnedObjects { containers, ..OwnedObjects::default() }),
            [
                "container t_gone-01234567: its pod is not declared any more since 2024-10-07; wait: agentpod run stops it, and removes it after the grace, unless its removal is held",
                "container x_silent-01234567: its pod is not declared and never was in this database; declare x/silent to take it over, or: agentpod purge x/silent",
                "container x_unknown-01234567: its pod is not declared and never was in this database; declare x/unknown to take it over, or: docker stop x_unknown-01234567 && agentpod purge x/unknown",
            ]
        );
    }

    #[test]
    fn each_volume_says_why_it_is_left_and_what_to_do() {
        let volumes = vec![
            volume("i_t_gone", Some("t/gone"), true),
            volume("i_x_unknown", Some("x/unknown"), false),
            volume("other", Some("t/here"), false),
            volume(NAMELESS, Some("t/gone"), true),
            volume(&NAMELESS.replace('5', "6"), Some("t/gone"), false),
            volume("plain", None, false),
            volume("used", None, true),
        ];
        assert_eq!(
            found(OwnedObjects { volumes, ..OwnedObjects::default() }),
            [
                "volume 6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d: the container it was made for is gone; docker volume rm 6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d",
                "volume i_t_gone: its pod is not declared any more since 2024-10-07; declare t/gone to use it again, or: agentpod purge t/gone",
                "volume i_x_unknown: its pod is not declared and never was in this database; declare x/unknown to use it again, or: agentpod purge x/unknown",
                "volume other: the container it was made for is gone; docker volume rm other",
                "volume plain: its labels name no pod; docker volume rm plain",
                "volume used: its labels name no pod; see what uses it: docker ps --all --filter volume=used",
            ]
        );
    }

    #[test]
    fn a_network_that_no_declared_pod_uses_is_left() {
        let network = |name: &str| ObservedNetwork { name: name.into(), created_at: None };
        let seen = OwnedObjects { networks: vec![network("net"), network("old-net")], ..OwnedObjects::default() };
        assert_eq!(found(seen), ["network old-net: no declared pod uses it; docker network rm old-net"]);
    }
}
