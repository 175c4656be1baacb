//! Every pod's status in this round, and which changes are worth an event: a pod became ready or unhealthy, or lost
//! its data.

use std::collections::{BTreeMap, BTreeSet};

use super::{event_text, pod_event::PodEvent};
use crate::{
    core::{
        event::EventKind,
        names::PodId,
        observe::actual::Actual,
        report::{
            changes::{self, StatusChange},
            status::Status,
        },
    },
    reconcile::ledger::HealthChange,
};

/// Every pod's status.
#[derive(Default)]
pub(crate) struct Statuses {
    now: BTreeMap<PodId, Status>,
    /// Containers that ran before this process: an event for their readiness would be a repetition.
    adopted: BTreeSet<String>,
    /// How long it took pods to become ready, until the event is recorded.
    became_ready: BTreeMap<PodId, String>,
}

impl Statuses {
    /// Every pod's status.
    pub(crate) fn all(&self) -> &BTreeMap<PodId, Status> {
        &self.now
    }

    /// A pod's status.
    pub(crate) fn of(&self, pod: &PodId) -> Option<&Status> {
        self.now.get(pod)
    }

    /// The name of a pod's container.
    pub(crate) fn container(&self, pod: &PodId) -> Option<String> {
        self.of(pod)?.container.clone()
    }

    /// Records the containers that run at the first observation.
    pub(crate) fn adopt(&mut self, actual: &Actual) {
        let Actual::Observed(observed) = actual else { return };
        let live = observed.values().flatten().filter(|container| container.is_live());
        self.adopted.extend(live.map(|container| container.name.clone()));
    }

    /// Records a probe's answer, so that the event can say how long a pod took to become ready.
    pub(crate) fn probed(&mut self, pod: &PodId, change: &HealthChange) {
        if change.after.is_ready() && !change.before.is_ready() {
            self.became_ready.insert(pod.clone(), event_text::ready(&change.before, &change.after));
        }
    }

    /// Replaces the statuses; returns the events that follow.
    pub(crate) fn replace(&mut self, statuses: BTreeMap<PodId, Status>) -> Vec<(PodId, PodEvent)> {
        let before = std::mem::replace(&mut self.now, statuses);
        let mut events = Vec::new();
        for (id, change) in changes::changes(&before, &self.now) {
            let Some(status) = self.now.get(&id) else { continue };
            let event = match change {
                StatusChange::Unhealthy => PodEvent::new(EventKind::Unhealthy, status.message.clone()),
                StatusChange::VolumeGone => PodEvent::new(EventKind::VolumeGone, status.message.clone()),
                StatusChange::Ready if status.container.as_ref().is_some_and(|one| self.adopted.remove(one)) => {
                    continue;
                }
                StatusChange::Ready => {
                    let took = self.became_ready.remove(&id);
                    PodEvent::new(EventKind::Ready, took.unwrap_or_else(|| status.message.clone()))
                }
            };
            events.push((id, event));
        }
        events
    }
}
