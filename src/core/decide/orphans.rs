//! Orphans: containers, volumes and networks on the engine that have our label and belong to no declared pod, each with
//! its reason and remedy. This only lists them; nothing is deleted for being an orphan.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Serialize, Serializer};
use time::{Duration, OffsetDateTime};

use super::engine_commands;
use crate::core::{
    names::PodId,
    observe::actual::{ObservedContainer, ObservedNetwork, ObservedVolume, is_anonymous},
};

/// Everything on the engine with our label.
#[derive(Debug, Clone, Default)]
pub struct OwnedObjects {
    /// Containers.
    pub(crate) containers: Vec<ObservedContainer>,
    /// Volumes.
    pub(crate) volumes: Vec<ObservedVolume>,
    /// Networks.
    pub(crate) networks: Vec<ObservedNetwork>,
}

/// What the database has of a pod that was declared once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodHistory {
    /// The name of the volume with its data.
    pub(crate) volume: String,
    /// When it was removed from the manifests; `None` while it is declared.
    pub undeclared_since: Option<OffsetDateTime>,
}

/// What belongs to declared pods.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Every pod that was ever declared.
    pub(crate) histories: BTreeMap<PodId, PodHistory>,
    /// Pods that the source declares now, whether or not the database has them yet.
    pub(crate) declared: BTreeSet<PodId>,
    /// Why the source may declare more pods than that: it could not be read completely.
    pub source_error: Option<String>,
    /// Networks that declared pods use.
    pub(crate) networks: BTreeSet<String>,
}

/// A kind of orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OrphanKind {
    /// A container.
    Container,
    /// A volume.
    Volume,
    /// A network.
    Network,
}

/// Why something is an orphan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OrphanReason {
    /// Its pod was removed from the manifests at this time.
    Removed(OffsetDateTime),
    /// Its pod is not declared, and the database has never had it.
    NeverDeclared,
    /// Its container is gone.
    ContainerGone,
    /// Its labels name no pod.
    NoPod,
    /// No declared pod uses it.
    Unused,
}

/// A container, volume or network that belongs to no declared pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// What it is.
    pub(crate) kind: OrphanKind,
    /// Its name on the engine.
    pub name: String,
    /// The pod it was created for.
    pub(crate) pod: Option<PodId>,
    /// Why it is an orphan.
    #[serde(serialize_with = "as_text")]
    pub(crate) why: OrphanReason,
    /// When it was created, if the engine says so.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) created_at: Option<OffsetDateTime>,
    /// What to do about it.
    pub(crate) remedy: String,
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
            Self::Removed(since) => write!(f, "its pod has not been declared since {}", since.date()),
            Self::NeverDeclared => f.write_str("its pod is not declared, and this database has never had it"),
            Self::ContainerGone => f.write_str("its container is gone"),
            Self::NoPod => f.write_str("its labels name no pod"),
            Self::Unused => f.write_str("no declared pod uses it"),
        }
    }
}

impl Expected {
    /// Whether a pod is declared, by the source or by the newest accepted revision.
    pub(crate) fn declares(&self, pod: &PodId) -> bool {
        let recorded = self.histories.get(pod).is_some_and(|history| history.undeclared_since.is_none());
        recorded || self.declared.contains(pod)
    }

    /// Why what belongs to a pod is an orphan, if it is.
    fn why(&self, pod: &PodId) -> Option<OrphanReason> {
        if self.declares(pod) {
            return None;
        }
        let since = self.histories.get(pod).and_then(|history| history.undeclared_since);
        Some(since.map_or(OrphanReason::NeverDeclared, OrphanReason::Removed))
    }
}

/// Every orphan: containers, then volumes, then networks, each by name.
pub fn orphans(owned: &OwnedObjects, expected: &Expected) -> Vec<Orphan> {
    let containers = owned.containers.iter().filter_map(|container| of_container(container, expected));
    let volumes = owned.volumes.iter().filter_map(|volume| of_volume(volume, expected));
    let networks =
        owned.networks.iter().filter(|network| !expected.networks.contains(&network.name)).map(|network| Orphan {
            kind: OrphanKind::Network,
            name: network.name.clone(),
            pod: None,
            why: OrphanReason::Unused,
            created_at: network.created_at,
            remedy: engine_commands::remove_network(&network.name),
        });
    let mut found: Vec<Orphan> = containers.chain(volumes).chain(networks).collect();
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    found
}

/// How old an unused volume of rendered files has to be: one that is being created belongs to no container yet.
const LEFT_AFTER: Duration = Duration::minutes(1);

/// The volumes of rendered files whose containers are gone. Only containers of AgentPod have anonymous volumes with its labels,
/// and these hold rendered files and nothing else: an agent's data is in a volume with a name.
pub(crate) fn leftovers(volumes: &[ObservedVolume], now: OffsetDateTime) -> impl Iterator<Item = &str> {
    let is_old = move |volume: &&ObservedVolume| volume.created_at.is_some_and(|at| now - at > LEFT_AFTER);
    let is_left = |volume: &&ObservedVolume| volume.pod.is_some() && !volume.in_use && is_anonymous(&volume.name);
    volumes.iter().filter(is_left).filter(is_old).map(|volume| volume.name.as_str())
}

fn of_container(container: &ObservedContainer, expected: &Expected) -> Option<Orphan> {
    let (pod, name) = (&container.pod, &container.name);
    let why = expected.why(pod)?;
    let remedy = match (&why, container.is_live()) {
        (OrphanReason::Removed(_), _) => {
            "none needed: AgentPod stops it and removes it after the grace period, unless its removal is held"
                .to_owned()
        }
        (_, true) => {
            let stop = engine_commands::stop(name);
            format!("declare {pod} to adopt it, or run: {stop} && agentpod purge {pod}")
        }
        (_, false) => format!("declare {pod} to adopt it, or run: agentpod purge {pod}"),
    };
    let created_at = Some(container.created_at);
    Some(Orphan { kind: OrphanKind::Container, name: name.clone(), pod: Some(pod.clone()), why, created_at, remedy })
}

fn of_volume(volume: &ObservedVolume, expected: &Expected) -> Option<Orphan> {
    let name = &volume.name;
    let (why, remedy) = match &volume.pod {
        None if volume.in_use => {
            (OrphanReason::NoPod, format!("to see what uses it, run: {}", engine_commands::list_volume_users(name)))
        }
        None => (OrphanReason::NoPod, engine_commands::remove_volume(name)),
        Some(pod) => {
            let history = expected.histories.get(pod);
            let is_data = history.map_or(!is_anonymous(name), |history| history.volume == *name);
            match (is_data, expected.why(pod)) {
                // An anonymous volume goes with its container, which is checked on its own.
                (false, _) if volume.in_use => return None,
                (false, _) => (OrphanReason::ContainerGone, engine_commands::remove_volume(name)),
                (true, None) => return None,
                (true, Some(why)) => (why, format!("declare {pod} to use it again, or run: agentpod purge {pod}")),
            }
        }
    };
    let (pod, created_at) = (volume.pod.clone(), volume.created_at);
    Some(Orphan { kind: OrphanKind::Volume, name: name.clone(), pod, why, created_at, remedy })
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
        OffsetDateTime::UNIX_EPOCH + Duration::days(20_000 + days)
    }

    fn container(pod: &str, is_live: bool) -> ObservedContainer {
        let pod: PodId = pod.parse().unwrap();
        ObservedContainer {
            name: format!("{}-01234567", pod.key()),
            id: "5f".into(),
            node: "local".into(),
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
    fn expected() -> Expected {
        let history = |volume: &str, since| PodHistory { volume: volume.into(), undeclared_since: since };
        Expected {
            histories: BTreeMap::from([
                ("t/here".parse().unwrap(), history("i_t_here", None)),
                ("t/gone".parse().unwrap(), history("i_t_gone", Some(at(3)))),
            ]),
            declared: BTreeSet::from(["t/here".parse().unwrap(), "t/new".parse().unwrap()]),
            source_error: None,
            networks: BTreeSet::from(["net".into()]),
        }
    }

    fn found(owned: OwnedObjects) -> Vec<String> {
        let line = |orphan: Orphan| {
            let Orphan { kind, name, why, remedy, .. } = orphan;
            format!("{kind} {name}: {why}; {remedy}")
        };
        orphans(&owned, &expected()).into_iter().map(line).collect()
    }

    #[test]
    fn what_is_declared_is_no_orphan_whether_recorded_yet_or_not() {
        let owned = OwnedObjects {
            containers: vec![container("t/here", true), container("t/here", false), container("t/new", false)],
            volumes: vec![
                volume("i_t_here", Some("t/here"), false),
                volume("i_t_new", Some("t/new"), false),
                volume(NAMELESS, Some("t/here"), true),
                volume(NAMELESS, Some("t/new"), true),
            ],
            networks: vec![ObservedNetwork { name: "net".into(), created_at: None }],
        };
        assert_eq!(found(owned), Vec::<String>::new());
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
                "container t_gone-01234567: its pod has not been declared since 2024-10-07; none needed: AgentPod stops it and removes it after the grace period, unless its removal is held",
                "container x_silent-01234567: its pod is not declared, and this database has never had it; declare x/silent to adopt it, or run: agentpod purge x/silent",
                "container x_unknown-01234567: its pod is not declared, and this database has never had it; declare x/unknown to adopt it, or run: docker stop x_unknown-01234567 && agentpod purge x/unknown",
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
                "volume 6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d: its container is gone; docker volume rm 6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d6f2b0c1d",
                "volume i_t_gone: its pod has not been declared since 2024-10-07; declare t/gone to use it again, or run: agentpod purge t/gone",
                "volume i_x_unknown: its pod is not declared, and this database has never had it; declare x/unknown to use it again, or run: agentpod purge x/unknown",
                "volume other: its container is gone; docker volume rm other",
                "volume plain: its labels name no pod; docker volume rm plain",
                "volume used: its labels name no pod; to see what uses it, run: docker ps --all --filter volume=used",
            ]
        );
    }

    #[test]
    fn a_network_that_no_declared_pod_uses_is_left() {
        let network = |name: &str| ObservedNetwork { name: name.into(), created_at: None };
        let owned = OwnedObjects { networks: vec![network("net"), network("old-net")], ..OwnedObjects::default() };
        assert_eq!(found(owned), ["network old-net: no declared pod uses it; docker network rm old-net"]);
    }

    #[test]
    fn only_unused_volumes_of_rendered_files_are_left_behind_by_a_container() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::hours(1);
        let volume = |name: &str, pod: bool, in_use, age| ObservedVolume {
            name: name.into(),
            pod: pod.then(|| "t/a".parse().unwrap()),
            created_at: Some(now - age),
            in_use,
        };
        let (anonymous, old, young) = ("0123456789abcdef".repeat(4), Duration::minutes(5), Duration::seconds(5));
        let volumes = [
            volume(&anonymous, true, false, old),
            volume("agentpod_t_a", true, false, old),
            volume(&anonymous, false, false, old),
            volume(&anonymous, true, true, old),
            volume(&anonymous, true, false, young),
        ];
        assert_eq!(leftovers(&volumes, now).count(), 1);
    }
}
