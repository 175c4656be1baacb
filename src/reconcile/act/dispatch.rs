//! From the plan to the pods' own tasks: what each action needs, with real secret values, and who carries it out.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{
    execute::{Job, ProgressListener, execute},
    secrets_in_use::{MaterialsError, Values},
};
use crate::{
    core::{
        decide::plan::{Action, ActionFailure, Step},
        declare::desired::{Desired, DesiredPod},
        labels,
        names::PodId,
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
    /// Gives each pod's steps to a task of its own. What the action means is stored before its first step.
    pub(crate) async fn dispatch(&mut self, desired: &Arc<Desired>, now: OffsetDateTime) -> Result<(), StoreError> {
        self.work.forget_old(now);
        let trigger = self.trigger();
        let actions: Vec<(PodId, Action)> =
            self.plan.actions().map(|(id, action)| (id.clone(), action.clone())).collect();
        for (id, action) in actions {
            let pod = desired.pods.get(&id).cloned();
            self.ledger.begin(&id, &action, pod.as_ref(), now);
            let cause = format!("{}; noticed by {trigger}", action.cause);
            if action.verdict.is_some() {
                let about = self.published.statuses.container(&id);
                let event = PodEvent::new(event_text::kind(&action), event_text::done(&action)).because(&cause);
                self.tell_with_logs(&id, event.about(about.as_deref()));
            }
            if let Err(error) = self.journal.flush(self.ledger.states()).await {
                self.ledger.not_begun(&id);
                return Err(error);
            }
            match self.materials(&action, pod.as_ref()).await {
                Ok((materials, values)) => {
                    let container = pod.as_ref().map(|pod| pod.container.clone());
                    if let Some(container) = container.as_ref().filter(|_| needs_values(&action)) {
                        self.secrets.give(&container.name, &id, values);
                    }
                    let volume_labels = labels::of_pod(self.source.site(), &id);
                    let network = self.settings.network.clone();
                    let job = Job { pod: id, action, container, materials, network, volume_labels };
                    self.spawn(job, cause, pod);
                }
                Err(MaterialsError::Store(error)) => {
                    // Nothing is under way; the next round decides again.
                    self.ledger.not_begun(&id);
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

    /// What an action's container is made from, with the real values; nothing if no step needs them.
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

    fn spawn(&self, job: Job, cause: String, desired_pod: Option<DesiredPod>) {
        let (engine, reports, slots) = (self.engine.clone(), self.reports.clone(), self.work.slots());
        tokio::spawn(async move {
            let _slot = slots.acquire().await;
            let listener = ProgressSender(reports.clone());
            let outcome = execute(engine.as_ref(), &job, &listener).await.map_err(ActionFailure::from);
            let _ = reports.send(Report::Finished {
                pod: job.pod,
                action: Box::new(job.action),
                cause,
                desired_pod: desired_pod.map(Box::new),
                outcome,
            });
        });
    }
}

/// Whether a container is given secret values.
fn needs_values(action: &Action) -> bool {
    action.steps.iter().any(|step| matches!(step, Step::Create(_) | Step::Upload(..)))
}

/// Sends steps and pulls to the reconciler.
struct ProgressSender(tokio::sync::mpsc::UnboundedSender<Report>);

impl ProgressListener for ProgressSender {
    fn step(&self, pod: &PodId, step: &Step) {
        let _ = self.0.send(Report::Step(pod.clone(), step.clone()));
    }

    fn pull(&self, pod: &PodId, progress: PullProgress) {
        let _ = self.0.send(Report::Pulling(pod.clone(), progress));
    }
}
