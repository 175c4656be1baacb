//! What deleting a removed pod's data would delete, or why it must not be done. The only decision in AgentPod that ends in
//! data being gone; so it is made from everything that is known, refuses whatever is in doubt, and is made a second time
//! right before the first deletion.

use std::fmt;

use time::OffsetDateTime;

use super::orphans::{Expected, OwnedObjects};
use crate::core::{
    names::PodId,
    observe::actual::{ContainerState, ObservedVolume},
};

/// What would be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// Whose.
    pub pod: PodId,
    /// Since when it is not declared any more; `None` for a pod the database never knew.
    pub undeclared_since: Option<OffsetDateTime>,
    /// Its containers, by name; none of them runs.
    pub containers: Vec<String>,
    /// Its volumes.
    pub volumes: Vec<ObservedVolume>,
    /// Whether there is a row with its token, settings, status and history.
    pub row: bool,
}

/// Why nothing is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeRefusal {
    /// It is declared.
    Declared,
    /// The database never knew it, and whether the source declares it cannot be seen; why.
    Doubt(String),
    /// Steps for it are under way.
    Busy,
    /// A container of it runs; which, and whether its pod was declared once.
    Runs(String, bool),
    /// The engine does not say what a container of it is doing; which, and why.
    Unclear(String, String),
    /// There is nothing to delete.
    Nothing,
}

impl PurgeRefusal {
    /// The refusal as a sentence, with what to do.
    pub fn sentence(&self, pod: &PodId) -> String {
        match self {
            Self::Declared => format!(
                "{pod} is declared. Its data belongs to it: remove it from the manifests first, and purge it when it is gone"
            ),
            Self::Doubt(why) => {
                format!("the database never knew {pod}, and whether it is declared cannot be seen: {why}")
            }
            Self::Busy => format!("AgentPod is at work on {pod} right now; try again in a moment"),
            Self::Runs(container, true) => format!(
                "{container} still runs. A running AgentPod stops it, now that {pod} is not declared any more, unless agentpod plan holds its removal; or run: agentpod apply"
            ),
            Self::Runs(container, false) => {
                format!(
                    "{container} runs. {pod} is not known here, so stop it by hand if it is not wanted: docker stop {container}"
                )
            }
            Self::Unclear(container, why) => {
                format!("it cannot be seen what {container} is doing ({why}); try again when that is clear")
            }
            Self::Nothing => format!("nothing is left of {pod}: no container, no volume, no row in the database"),
        }
    }
}

/// Decides what would be deleted. `busy` says that steps for the pod are under way.
pub fn purge(pod: &PodId, wanted: &Expected, seen: &OwnedObjects, busy: bool) -> Result<Purge, PurgeRefusal> {
    if wanted.declares(pod) {
        return Err(PurgeRefusal::Declared);
    }
    let record = wanted.records.get(pod);
    if let (None, Some(why)) = (record, &wanted.doubt) {
        return Err(PurgeRefusal::Doubt(why.clone()));
    }
    if busy {
        return Err(PurgeRefusal::Busy);
    }
    let mine: Vec<_> = seen.containers.iter().filter(|container| container.pod == *pod).collect();
    for container in &mine {
        let name = || container.name.clone();
        match &container.state {
            ContainerState::Unknown(why) => return Err(PurgeRefusal::Unclear(name(), why.clone())),
            _ if container.is_live() => return Err(PurgeRefusal::Runs(name(), record.is_some())),
            _ => {}
        }
    }
    // The label says whose it is; a volume that stands in another pod's record is that pod's whatever its label says.
    let is_anothers = |name: &str| wanted.records.iter().any(|(id, record)| id != pod && record.volume == name);
    let is_mine = |volume: &&ObservedVolume| {
        let recorded = record.is_some_and(|record| record.volume == volume.name) && volume.pod.is_none();
        (volume.pod.as_ref() == Some(pod) || recorded) && !is_anothers(&volume.name)
    };
    let volumes: Vec<ObservedVolume> = seen.volumes.iter().filter(is_mine).cloned().collect();
    if record.is_none() && mine.is_empty() && volumes.is_empty() {
        return Err(PurgeRefusal::Nothing);
    }
    Ok(Purge {
        pod: pod.clone(),
        undeclared_since: record.and_then(|record| record.undeclared_since),
        containers: mine.into_iter().map(|container| container.name.clone()).collect(),
        volumes,
        row: record.is_some(),
    })
}

/// What a person reads before saying yes.
impl fmt::Display for Purge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pod = &self.pod;
        match self.undeclared_since {
            Some(since) => writeln!(f, "{pod} is not declared any more since {}.", since.date())?,
            None => writeln!(f, "{pod} is not declared, and never was in this database.")?,
        }
        write!(f, "This deletes, for good:")?;
        for ObservedVolume { name, created_at, .. } in &self.volumes {
            write!(f, "\n  volume {name}")?;
            if let Some(at) = created_at {
                write!(f, ", made on {}", at.date())?;
            }
        }
        if self.volumes.is_empty() {
            write!(f, "\n  no volume: none of it is there")?;
        }
        for container in &self.containers {
            write!(f, "\n  container {container}, which does not run")?;
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

    fn seen(state: ContainerState) -> OwnedObjects {
        OwnedObjects {
            containers: vec![container("t/gone", state), container("t/here", stopped())],
            volumes: vec![volume("i_t_gone", Some("t/gone")), volume("i_t_here", Some("t/here"))],
            networks: Vec::new(),
        }
    }

    fn wanted(since: Option<OffsetDateTime>) -> Expected {
        let record = |volume: &str, undeclared_since| PodHistory { volume: volume.into(), undeclared_since };
        let records =
            BTreeMap::from([(pod(), record("i_t_gone", since)), ("t/here".parse().unwrap(), record("i_t_here", None))]);
        Expected { records, ..Expected::default() }
    }

    fn removed() -> Expected {
        wanted(Some(OffsetDateTime::UNIX_EPOCH))
    }

    #[test]
    fn a_removed_pods_own_things_are_deleted_and_nothing_else() {
        let purge = purge(&pod(), &removed(), &seen(stopped()), false).unwrap();
        assert_eq!(
            purge.to_string(),
            "t/gone is not declared any more since 1970-01-01.\nThis deletes, for good:\n  volume i_t_gone, made on 1970-01-01\n  \
             container t_gone-01234567, which does not run\n  its gateway token, settings, status and history in the database"
        );
    }

    #[test]
    fn a_pod_the_database_never_knew_can_be_purged_by_its_labels_alone() {
        let purge = purge(&pod(), &Expected::default(), &seen(stopped()), false).unwrap();
        assert!(!purge.row && purge.undeclared_since.is_none());
        assert_eq!((purge.containers.len(), purge.volumes.len()), (1, 1));
    }

    #[test]
    fn a_declared_pod_is_refused_whoever_declares_it_and_before_all_else() {
        assert_eq!(purge(&pod(), &wanted(None), &seen(stopped()), true), Err(PurgeRefusal::Declared));
        // Removed once, and in the source again, which no round has read yet.
        let again = Expected { declared: BTreeSet::from([pod()]), ..removed() };
        assert_eq!(purge(&pod(), &again, &OwnedObjects::default(), false), Err(PurgeRefusal::Declared));
    }

    #[test]
    fn a_source_that_cannot_be_read_is_a_doubt_about_pods_without_a_record_only() {
        let doubt = |wanted| Expected { doubt: Some("no such folder".into()), ..wanted };
        let unknown = purge(&pod(), &doubt(Expected::default()), &seen(stopped()), false);
        assert_eq!(unknown, Err(PurgeRefusal::Doubt("no such folder".into())));
        assert!(purge(&pod(), &doubt(removed()), &seen(stopped()), false).is_ok());
    }

    #[test]
    fn what_runs_or_is_unclear_or_being_worked_on_is_refused() {
        assert_eq!(purge(&pod(), &removed(), &seen(stopped()), true), Err(PurgeRefusal::Busy));
        let name = || "t_gone-01234567".to_owned();
        for state in [
            ContainerState::Running { since: None },
            ContainerState::Restarting(Exit::default()),
            ContainerState::Paused,
        ] {
            assert_eq!(purge(&pod(), &removed(), &seen(state.clone()), false), Err(PurgeRefusal::Runs(name(), true)));
            let unknown = purge(&pod(), &Expected::default(), &seen(state), false);
            assert_eq!(unknown, Err(PurgeRefusal::Runs(name(), false)));
        }
        let unclear = purge(&pod(), &removed(), &seen(ContainerState::Unknown("why".into())), false);
        assert_eq!(unclear, Err(PurgeRefusal::Unclear(name(), "why".into())));
        assert!(purge(&pod(), &removed(), &seen(ContainerState::Created), false).is_ok());
    }

    #[test]
    fn a_volume_of_another_pod_is_never_among_them() {
        let mut seen = seen(stopped());
        // A label that lies: the record of t/here says whose it is.
        seen.volumes = vec![volume("i_t_here", Some("t/gone")), volume("i_t_gone", Some("t/other"))];
        let purge = purge(&pod(), &removed(), &seen, false).unwrap();
        assert_eq!(purge.volumes, []);
        assert!(purge.to_string().contains("no volume: none of it is there"), "{purge}");
    }

    #[test]
    fn where_nothing_is_left_that_is_said() {
        let nothing = purge(&pod(), &Expected::default(), &OwnedObjects::default(), false);
        assert_eq!(nothing, Err(PurgeRefusal::Nothing));
        assert!(purge(&pod(), &removed(), &OwnedObjects::default(), false).unwrap().row);
        for refusal in [PurgeRefusal::Declared, PurgeRefusal::Busy, PurgeRefusal::Nothing] {
            assert!(refusal.sentence(&pod()).contains("t/gone"));
        }
    }
}
