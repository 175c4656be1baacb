//! From the plan to the pods' own tasks: what each action needs, with real secret values, and who carries it out.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::ExposeSecret;
use time::OffsetDateTime;

use super::{
    execute::{Job, ProgressListener, execute},
    secrets_in_use::Values,
};
use crate::{
    core::{
        decide::plan::{Action, ActionFailure, Step},
        declare::desired::{self, Desired, DesiredPod, SecretTexts},
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

/// How long the engine's word about a container we stopped or removed is taken for our own doing. A stop may take
/// minutes.
const OURS: time::Duration = time::Duration::minutes(7);

impl Reconciler {
    /// Hands each pod's steps to a task of its own. What the action means is written down before its first step.
    pub(crate) async fn dispatch(&mut self, desired: &Arc<Desired>, now: OffsetDateTime) -> Result<(), StoreError> {
        self.touched.retain(|_, at| now - *at < OURS);
        let trigger = self.trigger();
        let actions: Vec<(PodId, Action)> =
            self.plan.actions().map(|(id, action)| (id.clone(), action.clone())).collect();
        for (id, action) in actions {
            let desired_pod = desired.pods.get(&id).cloned();
            self.states.entry(id.clone()).or_default().begin(&action, desired_pod.as_ref(), now, chance(now));
            let cause = format!("{}; noticed by {trigger}", action.cause);
            if action.verdict.is_some() {
                let about = self.statuses.get(&id).and_then(|status| status.container.clone());
                let note = PodEvent::new(event_text::kind(&action), event_text::done(&action)).because(&cause);
                self.note_with_logs(&id, note.about(about.as_deref()));
            }
            if let Err(error) = self.journal.flush(&self.states).await {
                self.not_begun(&id);
                return Err(error);
            }
            let job = match self.job(&id, &action, desired_pod.as_ref()).await {
                Ok(job) => job,
                Err(error) => {
                    self.not_begun(&id);
                    return Err(error);
                }
            };
            match job {
                Ok((job, values)) => {
                    if let Some(container) = job.container.as_ref().filter(|_| needs_values(&job.action)) {
                        self.secrets_in_use.give(&container.name, &id, values);
                    }
                    self.spawn(job, cause, desired_pod);
                }
                Err(why) => {
                    let report = Report::Finished {
                        pod: id,
                        action: Box::new(action),
                        cause,
                        desired_pod: desired_pod.map(Box::new),
                        outcome: Err(why.into()),
                    };
                    let _ = self.reports.send(report);
                }
            }
        }
        Ok(())
    }

    /// Remembers that what the engine is going to say of a container is our own doing.
    pub(crate) fn touch(&mut self, step: &Step, now: OffsetDateTime) {
        match step {
            Step::Stop(container) | Step::Remove(container) => {
                self.touched.insert(container.clone(), now);
            }
            Step::Start(container) => {
                self.touched.remove(container);
            }
            _ => {}
        }
    }

    /// What was to be stopped and was not is not our own doing any more.
    pub(crate) fn untouch(&mut self, action: &Action) {
        for step in &action.steps {
            if let Step::Stop(container) | Step::Remove(container) = step {
                self.touched.remove(container);
            }
        }
    }

    /// The database failed before the first step: nothing is under way, and the next round decides anew.
    fn not_begun(&mut self, id: &PodId) {
        self.states.entry(id.clone()).or_default().busy = false;
    }

    async fn job(
        &self,
        id: &PodId,
        action: &Action,
        desired_pod: Option<&DesiredPod>,
    ) -> Result<Result<(Job, Values), String>, StoreError> {
        let (materials, values) = match desired_pod.filter(|_| needs_values(action)) {
            None => (Materials::default(), Values::default()),
            Some(desired_pod) => match self.materials(desired_pod).await? {
                Ok(made) => made,
                Err(why) => return Ok(Err(why)),
            },
        };
        let job = Job {
            pod: id.clone(),
            action: action.clone(),
            container: desired_pod.map(|desired_pod| desired_pod.container.clone()),
            materials,
            network: self.network.clone(),
            volume_labels: labels::of_pod(self.inputs.site(), id),
        };
        Ok(Ok((job, values)))
    }

    /// Renders a pod once more, now with the real values.
    async fn materials(&self, desired_pod: &DesiredPod) -> Result<Result<(Materials, Values), String>, StoreError> {
        let pod = &desired_pod.declared;
        let Some(token) = self.store.token(&pod.id).await? else {
            return Ok(Err("it has no gateway token yet".into()));
        };
        let mut values = BTreeMap::new();
        for (name, reference) in &pod.secrets {
            match self.secrets.get(reference) {
                Some(Ok(value)) => values.insert(name.clone(), value.expose_secret().to_owned()),
                Some(Err(why)) => return Ok(Err(format!("secret {name}: {why}"))),
                None => return Ok(Err(format!("secret {name} was not looked up"))),
            };
        }
        let texts = SecretTexts { secrets: values, token: token.expose_secret().to_owned() };
        let Some(adapters) = self.inputs.adapters() else { return Ok(Err("no adapters are in force".into())) };
        Ok(match desired::render(adapters, self.inputs.site(), pod, &texts) {
            Ok(rendered) => {
                Ok((Materials { environment: rendered.environment, files: rendered.files }, Values::of(&texts)))
            }
            // The problems were made with real values in reach, so only where they are is repeated.
            Err(problems) => Err(format!(
                "{} cannot be rendered with its real values",
                problems.first().map_or("a template", |p| p.file.as_str())
            )),
        })
    }

    fn spawn(&self, job: Job, cause: String, desired_pod: Option<DesiredPod>) {
        let (engine, reports, turns) = (self.engine.clone(), self.reports.clone(), self.side_by_side.clone());
        tokio::spawn(async move {
            let _turn = turns.acquire().await;
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

/// Whether a container is handed secret values.
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

/// A number between 0 and 1 that differs from pod to pod and from time to time; only for jitter.
pub(crate) fn chance(now: OffsetDateTime) -> f64 {
    f64::from(now.nanosecond() / 1000 % 1000) / 1000.0
}
