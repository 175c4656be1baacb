//! Executes one action, step by step. Makes no decision: a step that fails ends the action, and the next round observes
//! again.

use std::{collections::BTreeMap, sync::Arc};

use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, debug_span};

use super::{pulls::Pulls, turns::Turns};

use crate::{
    core::{
        decide::plan::{Action, ActionFailure, Fault, FileSet, Step},
        declare::desired::{ContainerSpec, RenderedFile},
    },
    engine::{Engine, EngineError, Materials, PullProgress},
};

/// Everything the steps of one action need. Holds secret values: never logged, dropped when the steps are done.
#[derive(Debug)]
pub struct Job {
    /// The steps.
    pub action: Action,
    /// The container to create, if a step creates one.
    pub container: Option<ContainerSpec>,
    /// Real environment and files, if a step needs them.
    pub materials: Materials,
    /// The engine's IDs of the containers that the plan was made from, by name: a container that is renamed meanwhile is
    /// still the same, and another one of its name is not.
    pub ids: BTreeMap<String, String>,
    /// When its steps may be taken.
    pub control: Control,
}

/// When the steps of an action may be taken. By default always.
#[derive(Clone, Default)]
pub struct Control {
    pub(crate) turns: Arc<Turns>,
    /// Where images are pulled, if pods share that.
    pub(crate) pulls: Option<Arc<Pulls>>,
    /// Whether nothing of the pod runs.
    pub(crate) is_down: bool,
    /// The action's result is no longer wanted: the desired state has changed.
    pub(crate) cancelled: CancellationToken,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control { .. }")
    }
}

impl Job {
    /// A job for steps that are about no container.
    pub(crate) fn of(action: Action) -> Self {
        let (materials, ids, control) = (Materials::default(), BTreeMap::new(), Control::default());
        Self { action, container: None, materials, ids, control }
    }

    /// Makes a call that may take minutes, and abandons it when the action is cancelled.
    async fn unless_cancelled(&self, call: impl Future<Output = Result<(), EngineError>>) -> Result<(), EngineError> {
        tokio::select! {
            biased;
            outcome = call => outcome,
            () = self.control.cancelled.cancelled() => Err(EngineError::Cancelled),
        }
    }

    fn id<'a>(&'a self, name: &'a str) -> &'a str {
        self.ids.get(name).map_or(name, String::as_str)
    }
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}{}", not_tried(*.skipped))]
pub struct StepFailed {
    /// The step.
    pub(crate) step: Step,
    /// Why it failed.
    pub(crate) error: EngineError,
    /// How many later steps were not attempted.
    pub(crate) skipped: usize,
}

impl From<StepFailed> for ActionFailure {
    fn from(failed: StepFailed) -> Self {
        let fault = match (&failed.step, &failed.error) {
            (_, EngineError::NotLeading | EngineError::Cancelled) => Fault::Nobody,
            // Somebody else created, is removing or started a container: observe again instead of guessing.
            (Step::Create(_), EngineError::NameTaken(_)) | (_, EngineError::InUse(_)) => Fault::Race,
            (Step::Start(_), EngineError::Refused(_)) => Fault::Container,
            _ => Fault::Engine,
        };
        Self { why: failed.to_string(), step: Some(Box::new(failed.step)), fault }
    }
}

fn not_tried(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " (1 later step not attempted)".into(),
        count => format!(" ({count} later steps not attempted)"),
    }
}

/// Receives progress: every step before it is attempted, and how far a pull has come.
pub trait ProgressListener: Send + Sync {
    /// A step is about to be attempted.
    fn step(&self, _step: &Step) {}
    /// A pull progresses.
    fn pull(&self, _progress: PullProgress) {}
}

/// Ignores progress.
pub struct NoProgress;

impl ProgressListener for NoProgress {}

/// Executes a job.
pub async fn execute(engine: &dyn Engine, job: &Job, listener: &dyn ProgressListener) -> Result<(), StepFailed> {
    let steps = &job.action.steps;
    for (index, step) in steps.iter().enumerate() {
        let span = debug_span!("step", %step);
        let taken = async {
            let _turn = job.control.turns.take(step, job.control.is_down, &job.control.cancelled).await;
            if job.control.cancelled.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            listener.step(step);
            debug!("begins");
            execute_step(engine, job, step, listener).await
        };
        if let Err(error) = taken.instrument(span).await {
            let name_for = |text: String| job.ids.iter().fold(text, |text, (name, id)| text.replace(id, name));
            let error = error.map(name_for);
            return Err(StepFailed { step: step.clone(), error, skipped: steps.len() - index - 1 });
        }
    }
    Ok(())
}

async fn execute_step(
    engine: &dyn Engine,
    job: &Job,
    step: &Step,
    listener: &dyn ProgressListener,
) -> Result<(), EngineError> {
    match step {
        Step::Image(image) => {
            let listen = |progress| listener.pull(progress);
            match &job.control.pulls {
                Some(pulls) => job.unless_cancelled(pulls.pull(image, &listen)).await,
                None => engine.ensure_image(image, &listen).await,
            }
        }
        Step::Network(network) => engine.ensure_network(network).await.map(drop),
        Step::Volume(volume) => engine.ensure_volume(volume).await,
        Step::Create(name) => match &job.container {
            Some(container) if container.name == *name => engine.create(container, &job.materials.environment).await,
            _ => Err(EngineError::Other(format!("the container {name} is not the one to create"))),
        },
        Step::Upload(name, files) => engine.deliver_files(job.id(name), &selected(&job.materials.files, *files)).await,
        Step::Attach(name, network) => engine.attach(job.id(name), network).await,
        Step::Start(name) => engine.start(job.id(name)).await,
        Step::Stop(name) => job.unless_cancelled(engine.stop(job.id(name))).await,
        Step::Remove(name) => engine.remove(job.id(name)).await,
    }
}

fn selected(files: &[RenderedFile], which: FileSet) -> Vec<RenderedFile> {
    files.iter().filter(|file| which == FileSet::All || file.hot).cloned().collect()
}
