//! What purging a removed pod would delete, or why it must not be done. The only decision in AgentPod that ends in
//! lost data: it is made from everything that is known, refuses when in doubt, and is made a second time
//! right before the first deletion.

use std::fmt;

use time::OffsetDateTime;

use super::engine_commands;
use super::orphans::{Expected, OwnedObjects};
use crate::core::{
    names::PodId,
    observe::actual::{ContainerState, ObservedVolume},
};

/// What would be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// Whose.
    pub(crate) pod: PodId,
    /// When it was removed from the manifests; `None` for a pod that the database has never had.
    pub(crate) undeclared_since: Option<OffsetDateTime>,
    /// The names of its containers; none of them runs.
    pub(crate) containers: Vec<String>,
    /// Its volumes.
    pub(crate) volumes: Vec<ObservedVolume>,
    /// Whether the database has its token, settings, status and history.
    pub(crate) row: bool,
}

/// Why nothing is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeRefusal {
    /// It is declared.
    Declared,
    /// The database has never had it, and the source cannot be read, for this reason.
    SourceUnknown(String),
    /// Steps for it are running.
    Busy,
    /// A container of it runs.
    Running {
        /// The container's name.
        container: String,
        /// Whether the database has had the pod.
        was_declared: bool,
    },
    /// The state of a container of it is unknown.
    StateUnknown {
        /// The container's name.
        container: String,
        /// Why its state is unknown.
        why: String,
    },
    /// Nothing of it exists.
    Nothing,
}

impl PurgeRefusal {
    /// The refusal as a sentence, with what to do.
    pub(crate) fn sentence(&self, pod: &PodId) -> String {
        match self {
            Self::Declared => format!("{pod} is declared; remove it from the manifests first, then purge it"),
            Self::SourceUnknown(why) => {
                format!(
                    "the database has never had {pod}, and the source cannot be read to see whether it is declared: {why}"
                )
            }
            Self::Busy => format!("AgentPod is working on {pod}; try again in a moment"),
            Self::Running { container, was_declared: true } => format!(
                "{container} still runs. AgentPod stops it, because {pod} is no longer declared, unless agentpod plan holds its removal. If AgentPod does not run: agentpod apply"
            ),
            Self::Running { container, was_declared: false } => {
                format!(
                    "{container} runs and the database has never had {pod}; if it is not needed, run: {}",
                    engine_commands::stop(container)
                )
            }
            Self::StateUnknown { container, why } => {
                format!("the state of {container} is unknown ({why}); try again when the engine reports it")
            }
            Self::Nothing => format!("nothing is left of {pod}: no container, no volume, nothing in the database"),
        }
    }
}

/// Decides what would be deleted. `busy`: whether steps for the pod are running.
pub fn purge(pod: &PodId, expected: &Expected, owned: &OwnedObjects, busy: bool) -> Result<Purge, PurgeRefusal> {
    if expected.declares(pod) {
        return Err(PurgeRefusal::Declared);
    }
    let history = expected.histories.get(pod);
    if let (None, Some(why)) = (history, &expected.source_error) {
        return Err(PurgeRefusal::SourceUnknown(why.clone()));
    }
    if busy {
        return Err(PurgeRefusal::Busy);
    }
    let own: Vec<_> = owned.containers.iter().filter(|container| container.pod == *pod).collect();
    for container in &own {
        let name = container.name.clone();
        match &container.state {
            ContainerState::Unknown(why) => {
                return Err(PurgeRefusal::StateUnknown { container: name, why: why.clone() });
            }
            _ if container.is_live() => {
                return Err(PurgeRefusal::Running { container: name, was_declared: history.is_some() });
            }
            _ => {}
        }
    }
    // A volume's label names its pod, but a volume that the database has as another pod's is that pod's.
    let is_anothers = |name: &str| expected.histories.iter().any(|(id, history)| id != pod && history.volume == name);
    let is_mine = |volume: &&ObservedVolume| {
        let recorded = history.is_some_and(|history| history.volume == volume.name) && volume.pod.is_none();
        (volume.pod.as_ref() == Some(pod) || recorded) && !is_anothers(&volume.name)
    };
    let volumes: Vec<ObservedVolume> = owned.volumes.iter().filter(is_mine).cloned().collect();
    if history.is_none() && own.is_empty() && volumes.is_empty() {
        return Err(PurgeRefusal::Nothing);
    }
    Ok(Purge {
        pod: pod.clone(),
        undeclared_since: history.and_then(|history| history.undeclared_since),
        containers: own.into_iter().map(|container| container.name.clone()).collect(),
        volumes,
        row: history.is_some(),
    })
}

/// What a person reads before confirming.
impl fmt::Display for Purge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pod = &self.pod;
        match self.undeclared_since {
            Some(since) => writeln!(f, "{pod} has not been declared since {}.", since.date())?,
            None => writeln!(f, "{pod} is not declared, and this database has never had it.")?,
        }
        write!(f, "This deletes permanently:")?;
        for ObservedVolume { name, created_at, .. } in &self.volumes {
            write!(f, "\n  volume {name}")?;
            if let Some(at) = created_at {
                write!(f, ", created on {}", at.date())?;
            }
        }
        if self.volumes.is_empty() {
            write!(f, "\n  no volume: it has none")?;
        }
        for container in &self.containers {
            write!(f, "\n  container {container}, which is not running")?;
        }
        if self.row {
            write!(f, "\n  its gateway token, settings, status and history in the database")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::core::{
        decide::orphans::PodHistory,
        digest::Digest,
        observe::actual::{Exit, ObservedContainer},
    };

    fn pod() -> PodId {
        "t/gone".parse().unwrap()
    }

    fn container(of: &str, state: ContainerState) -> ObservedContainer {
        let pod: PodId = of.parse().unwrap();
        ObservedContainer {
            name: format!("{}-01234567", pod.key()),
            id: "5f".into(),
            node: "local".into(),
            pod,
            digest: Digest::from_label("01234567"),
            parts: crate::core::declare::parts::PartDigests::default(),
            state,
            created_at: OffsetDateTime::UNIX_EPOCH,
            restarts: 0,
            addresses: BTreeMap::new(),
            has_run: true,
            networks: Default::default(),
            in_force: None,
        }
    }

    fn stopped() -> ContainerState {
        ContainerState::Exited(Exit::default())
    }

    fn volume(name: &str, pod: Option<&str>) -> ObservedVolume {
        let created_at = Some(OffsetDateTime::UNIX_EPOCH);
        ObservedVolume { name: name.into(), pod: pod.map(|pod| pod.parse().unwrap()), created_at, in_use: true }
    }

    fn owned(state: ContainerState) -> OwnedObjects {
        OwnedObjects {
            containers: vec![container("t/gone", state), container("t/here", stopped())],
            volumes: vec![volume("i_t_gone", Some("t/gone")), volume("i_t_here", Some("t/here"))],
            networks: Vec::new(),
        }
    }

    fn expected(since: Option<OffsetDateTime>) -> Expected {
        let history = |volume: &str, undeclared_since| PodHistory { volume: volume.into(), undeclared_since };
        let histories = BTreeMap::from([
            (pod(), history("i_t_gone", since)),
            ("t/here".parse().unwrap(), history("i_t_here", None)),
        ]);
        Expected { histories, ..Expected::default() }
    }

    fn removed() -> Expected {
        expected(Some(OffsetDateTime::UNIX_EPOCH))
    }

    #[test]
    fn a_removed_pods_own_things_are_deleted_and_nothing_else() {
        let purge = purge(&pod(), &removed(), &owned(stopped()), false).unwrap();
        assert_eq!(
            purge.to_string(),
            "t/gone has not been declared since 1970-01-01.\nThis deletes permanently:\n  volume i_t_gone, created on 1970-01-01\n  \
             container t_gone-01234567, which is not running\n  its gateway token, settings, status and history in the database"
        );
    }

    #[test]
    fn a_pod_the_database_never_knew_can_be_purged_by_its_labels_alone() {
        let purge = purge(&pod(), &Expected::default(), &owned(stopped()), false).unwrap();
        assert!(!purge.row && purge.undeclared_since.is_none());
        assert_eq!((purge.containers.len(), purge.volumes.len()), (1, 1));
    }

    #[test]
    fn a_declared_pod_is_refused_whoever_declares_it_and_before_all_else() {
        assert_eq!(purge(&pod(), &expected(None), &owned(stopped()), true), Err(PurgeRefusal::Declared));
        // Removed once, and in the source again, which no round has read yet.
        let again = Expected { declared: BTreeSet::from([pod()]), ..removed() };
        assert_eq!(purge(&pod(), &again, &OwnedObjects::default(), false), Err(PurgeRefusal::Declared));
    }

    #[test]
    fn a_source_that_cannot_be_read_is_a_doubt_about_pods_without_a_record_only() {
        let source_error = |expected| Expected { source_error: Some("no such folder".into()), ..expected };
        let unknown = purge(&pod(), &source_error(Expected::default()), &owned(stopped()), false);
        assert_eq!(unknown, Err(PurgeRefusal::SourceUnknown("no such folder".into())));
        assert!(purge(&pod(), &source_error(removed()), &owned(stopped()), false).is_ok());
    }

    #[test]
    fn what_runs_or_is_unclear_or_being_worked_on_is_refused() {
        assert_eq!(purge(&pod(), &removed(), &owned(stopped()), true), Err(PurgeRefusal::Busy));
        let name = || "t_gone-01234567".to_owned();
        for state in [
            ContainerState::Running { since: None },
            ContainerState::Restarting(Exit::default()),
            ContainerState::Paused,
        ] {
            let known = purge(&pod(), &removed(), &owned(state.clone()), false);
            assert_eq!(known, Err(PurgeRefusal::Running { container: name(), was_declared: true }));
            let unknown = purge(&pod(), &Expected::default(), &owned(state), false);
            assert_eq!(unknown, Err(PurgeRefusal::Running { container: name(), was_declared: false }));
        }
        let unclear = purge(&pod(), &removed(), &owned(ContainerState::Unknown("why".into())), false);
        assert_eq!(unclear, Err(PurgeRefusal::StateUnknown { container: name(), why: "why".into() }));
        assert!(purge(&pod(), &removed(), &owned(ContainerState::Created), false).is_ok());
    }

    #[test]
    fn a_volume_of_another_pod_is_never_among_them() {
        let mut owned = owned(stopped());
        // A label that lies: the record of t/here says whose it is.
        owned.volumes = vec![volume("i_t_here", Some("t/gone")), volume("i_t_gone", Some("t/other"))];
        let purge = purge(&pod(), &removed(), &owned, false).unwrap();
        assert_eq!(purge.volumes, []);
        assert!(purge.to_string().contains("no volume: it has none"), "{purge}");
    }

    #[test]
    fn a_purge_of_nothing_says_so() {
        let nothing = purge(&pod(), &Expected::default(), &OwnedObjects::default(), false);
        assert_eq!(nothing, Err(PurgeRefusal::Nothing));
        assert!(purge(&pod(), &removed(), &OwnedObjects::default(), false).unwrap().row);
        for refusal in [PurgeRefusal::Declared, PurgeRefusal::Busy, PurgeRefusal::Nothing] {
            assert!(refusal.sentence(&pod()).contains("t/gone"));
        }
    }
}
