//! After the plan: every pod's status, a probe on every container that should be ready, and the events that follow from
//! what changed. Writes nothing itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use time::OffsetDateTime;

use crate::{
    core::{
        declare::desired::Desired,
        event::EventKind,
        names::PodId,
        observe::{
            actual::{Actual, ContainerState},
            health::Health,
        },
        report::{
            phase::Phase,
            reason::Reason,
            status::{self, Status},
        },
    },
    engine,
    reconcile::{Reconciler, observe::probe::Prober, report::pod_event::PodEvent},
};

impl Reconciler {
    /// Works out every pod's status, and keeps a probe on every container that should be ready.
    pub(crate) fn judge(&mut self, now: OffsetDateTime) {
        let empty = BTreeMap::new();
        let seen = match &self.actual {
            Actual::Observed(seen) => seen,
            Actual::Unknown(_) => &empty,
        };
        let none = Arc::new(Desired { tenants: BTreeMap::new(), pods: BTreeMap::new() });
        let desired = self.desired.clone().unwrap_or(none);
        let mut statuses = BTreeMap::new();
        let mut probed = BTreeSet::new();
        for (id, decision) in &self.plan.pods {
            let desired_pod = desired.pods.get(id);
            let containers = seen.get(id).map_or(&[][..], Vec::as_slice);
            if desired_pod.is_none() && containers.is_empty() {
                continue;
            }
            let states = self.states.entry(id.clone()).or_default();
            if let (Some(desired_pod), Some(container)) = (desired_pod, status::standing(containers)) {
                let network = &desired_pod.container.blueprint.network;
                if let (true, ContainerState::Running { since }, Some(ip)) =
                    (desired_pod.is_running(), &container.state, engine::address(container, network))
                {
                    let started = since.unwrap_or(now);
                    let fresh = states.health.as_ref().is_none_or(|health| {
                        health.container != container.name || since.is_some_and(|since| since > health.started)
                    });
                    if fresh {
                        states.health = Some(Health::new(&container.name, started, now));
                    }
                    let address = SocketAddr::new(ip, desired_pod.declared.adapter.spec.port);
                    if self
                        .probers
                        .get(id)
                        .is_none_or(|prober| prober.container != container.name || prober.address != address)
                    {
                        let (host, probe) = (
                            self.inputs.site().host(&desired_pod.declared.subdomain),
                            desired_pod.declared.adapter.spec.health.clone(),
                        );
                        let prober = Prober::start(
                            id.clone(),
                            container.name.clone(),
                            address,
                            host,
                            probe,
                            self.engine.clone(),
                            self.reports.clone(),
                        );
                        self.probers.insert(id.clone(), prober);
                    }
                    probed.insert(id.clone());
                }
            }
            let mut status = status::status(desired_pod, containers, decision, states, now);
            if self.doing.get(id).is_some_and(|doing| doing.pull.is_some()) {
                (status.phase, status.reason) = (Phase::Pulling, Reason::Pulling);
            }
            statuses.insert(id.clone(), status);
        }
        self.probers.retain(|id, _| probed.contains(id));
        let before = std::mem::replace(&mut self.statuses, statuses);
        self.note_changes(&before);
    }

    fn note_changes(&mut self, before: &BTreeMap<PodId, Status>) {
        let mut notes: Vec<(PodId, EventKind, String)> = Vec::new();
        for (id, status) in &self.statuses {
            let was = before.get(id);
            if was.is_some_and(|was| was.ready) != status.ready {
                let adopted = status.container.as_ref().is_some_and(|container| self.adopted.remove(container));
                if !adopted && status.ready {
                    let after = self.became_ready.remove(id);
                    notes.push((id.clone(), EventKind::Ready, after.unwrap_or_else(|| status.message.clone())));
                }
            }
            if status.phase == Phase::Unhealthy && was.is_none_or(|was| was.phase != Phase::Unhealthy) {
                notes.push((id.clone(), EventKind::Unhealthy, status.message.clone()));
            }
        }
        for (id, kind, message) in notes {
            if kind == EventKind::Unhealthy {
                self.note_with_logs(&id, PodEvent::new(kind, message));
            } else {
                self.note(&id, PodEvent::new(kind, message));
            }
        }
    }
}
