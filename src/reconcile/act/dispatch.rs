//! From the plan to running steps: gathers what each action needs, with real secret values, and starts a task for it.

use std::{collections::BTreeMap, sync::Arc};

use time::OffsetDateTime;
use tracing::{Instrument, debug_span};

use super::{
    execute::{Control, Job, NoProgress, ProgressListener, execute},
    secrets_in_use::{MaterialsError, Values},
};
use crate::{
    core::{
        decide::plan::{Action, ActionFailure, Step},
        declare::{
            desired::{ContainerSpec, Desired, DesiredPod},
            infra::InfraId,
        },
        names::PodId,
        observe::actual::{Actual, ObservedContainer},
    },
    engine::{Materials, PullProgress},
    reconcile::{
        Reconciler,
        message::Report,
        report::{event_text, pod_event::PodEvent},
    },
    store::StoreError,
};

impl Reconciler {
    /// Starts a task for each pod's steps. What the action means is stored before its first step.
    pub(crate) async fn dispatch(&mut self, desired: &Arc<Desired>, now: OffsetDateTime) -> Result<(), StoreError> {
        self.work.prune(now);
        let trigger = self.trigger();
        let actions: Vec<(PodId, Action)> =
            self.plan.actions().map(|(id, action)| (id.clone(), action.clone())).collect();
        for (id, action) in actions {
            let pod = desired.pods.get(&id).cloned();
            self.ledger.begin(&id, &action, pod.as_ref(), now);
            let cause = format!("{}; triggered by {trigger}", action.cause);
            if action.verdict.is_some() {
                let about = self.published.statuses.container(&id);
                let event = PodEvent::new(event_text::kind(&action), event_text::done(&action)).because(&cause);
                self.report_event_with_logs(&id, event.about(about.as_deref()));
            }
            if let Err(error) = self.journal.flush(self.ledger.states()).await {
                self.ledger.cancel_action(&id);
                return Err(error);
            }
            match self.materials(&action, pod.as_ref()).await {
                Ok((materials, values)) => {
                    let container = pod.as_ref().map(|pod| container_of(&action, pod));
                    if let Some(container) = container.as_ref().filter(|_| needs_values(&action)) {
                        self.secrets.give(&container.name, &id, values);
                    }
                    let ids = self.ids(&id);
                    let control = self.control(&id, pod.as_ref());
                    self.spawn(id, Job { action, container, materials, ids, control }, cause, pod);
                }
                Err(MaterialsError::Store(error)) => {
                    // Nothing is running for the pod; the next round decides again.
                    self.ledger.cancel_action(&id);
                    return Err(error);
                }
                Err(MaterialsError::Pod(why)) => {
                    let (action, desired_pod) = (Box::new(action), pod.map(Box::new));
                    let report = Report::Finished { pod: id, action, cause, desired_pod, outcome: Err(why.into()) };
                    let _ = self.reports.send(report);
                }
            }
        }
        Ok(())
    }

    /// What an action's container is created from, with real secret values; `None` if no step needs them.
    async fn materials(
        &self,
        action: &Action,
        pod: Option<&DesiredPod>,
    ) -> Result<(Materials, Values), MaterialsError> {
        match pod.filter(|_| needs_values(action)) {
            Some(pod) => {
                let (adapters, site) = (self.source.adapters(), self.source.site());
                self.secrets.materials(pod, &self.store, adapters, site).await
            }
            None => Ok((Materials::default(), Values::default())),
        }
    }

    /// When the steps of a pod's action may be taken.
    fn control(&mut self, id: &PodId, pod: Option<&DesiredPod>) -> Control {
        let is_down = match &self.actual {
            Actual::Observed(observed) => !observed.get(id).into_iter().flatten().any(ObservedContainer::is_live),
            Actual::Unknown(_) => false,
        };
        let target = self.ledger.of(id).target(pod);
        self.work.begin(id, target, is_down)
    }

    /// Cancels running actions whose outcome is no longer wanted.
    pub(crate) fn cancel_obsolete(&mut self, desired: &Desired) {
        let busy: Vec<PodId> = self.ledger.busy().cloned().collect();
        for id in busy {
            let target = self.ledger.of(&id).target(desired.pods.get(&id));
            self.work.cancel_unless(&id, &target);
        }
    }

    /// The engine's IDs of a pod's containers, by name.
    fn ids(&self, pod: &PodId) -> BTreeMap<String, String> {
        let Actual::Observed(observed) = &self.actual else { return BTreeMap::new() };
        let containers = observed.get(pod).map_or(&[][..], Vec::as_slice);
        containers.iter().map(|container| (container.name.clone(), container.id.clone())).collect()
    }

    fn spawn(&self, pod: PodId, job: Job, cause: String, desired: Option<DesiredPod>) {
        let (engine, reports) = (self.engine.clone(), self.reports.clone());
        let span = debug_span!("pod", %pod);
        let steps = async move {
            let listener = ProgressSender { pod: pod.clone(), reports: reports.clone() };
            let outcome = execute(engine.as_ref(), &job, &listener).await.map_err(ActionFailure::from);
            let (action, desired_pod) = (Box::new(job.action), desired.map(Box::new));
            let _ = reports.send(Report::Finished { pod, action, cause, desired_pod, outcome });
        };
        tokio::spawn(steps.instrument(span));
    }

    /// Starts a task for the steps of each item that belongs to no pod.
    pub(crate) fn dispatch_infra(&mut self) {
        let actions: Vec<(InfraId, Action)> =
            self.plan.infra_actions().map(|(id, action)| (id.clone(), action.clone())).collect();
        for (item, action) in actions {
            self.ledger.begin_infra(&item);
            let (engine, reports) = (self.engine.clone(), self.reports.clone());
            let cause = format!("{}; triggered by {}", action.cause, self.trigger());
            let span = debug_span!("item", %item);
            let steps = async move {
                let job = Job::of(action);
                let outcome = execute(engine.as_ref(), &job, &NoProgress).await.map_err(ActionFailure::from);
                let _ = reports.send(Report::InfraFinished { item, action: Box::new(job.action), cause, outcome });
            };
            tokio::spawn(steps.instrument(span));
        }
    }
}

/// The pod's container, under the name that the plan chose for it.
fn container_of(action: &Action, pod: &DesiredPod) -> ContainerSpec {
    let name = action.created().unwrap_or(&pod.container.name).to_owned();
    ContainerSpec { name, ..pod.container.clone() }
}

/// Whether a container is given secret values.
fn needs_values(action: &Action) -> bool {
    action.steps.iter().any(|step| matches!(step, Step::Create(_) | Step::Upload(..)))
}

/// Sends a pod's steps and pulls to the reconciler.
struct ProgressSender {
    pod: PodId,
    reports: tokio::sync::mpsc::UnboundedSender<Report>,
}

impl ProgressListener for ProgressSender {
    fn step(&self, step: &Step) {
        let _ = self.reports.send(Report::Step(self.pod.clone(), step.clone()));
    }

    fn pull(&self, progress: PullProgress) {
        let _ = self.reports.send(Report::Pulling(self.pod.clone(), progress));
    }
}
