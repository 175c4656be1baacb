//! Executes one action, step by step. Makes no decision: a step that fails ends the action, and the next round observes
//! again.

use tracing::{Instrument, debug, debug_span};

use crate::{
    core::{
        decide::plan::{Action, ActionFailure, FileSet, Step},
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
        // Somebody else created or is removing a container of that name: observe again instead of guessing.
        let is_race = matches!((&failed.step, &failed.error), (Step::Create(_), EngineError::NameTaken(_)));
        Self { why: failed.to_string(), step: Some(Box::new(failed.step)), is_race }
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
        listener.step(step);
        let span = debug_span!("step", %step);
        let taken = async {
            debug!("begins");
            execute_step(engine, job, step, listener).await
        };
        if let Err(error) = taken.instrument(span).await {
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
        Step::Image(image) => engine.ensure_image(image, &|progress| listener.pull(progress)).await,
        Step::Network(network) => engine.ensure_network(network).await.map(drop),
        Step::Volume(volume) => engine.ensure_volume(volume).await,
        Step::Create(name) => match &job.container {
            Some(container) if container.name == *name => engine.create(container, &job.materials.environment).await,
            _ => Err(EngineError::Other(format!("the container {name} is not the one to create"))),
        },
        Step::Upload(name, files) => engine.deliver_files(name, &selected(&job.materials.files, *files)).await,
        Step::Attach(name, network) => engine.attach(name, network).await,
        Step::Start(name) => engine.start(name).await,
        Step::Stop(name) => engine.stop(name).await,
        Step::Remove(name) => engine.remove(name).await,
    }
}

fn selected(files: &[RenderedFile], which: FileSet) -> Vec<RenderedFile> {
    files.iter().filter(|file| which == FileSet::All || file.hot).cloned().collect()
}
