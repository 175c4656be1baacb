//! Carries out one action, step by step. No decision is made here: a step that fails ends the action, and the
//! next round looks again.

use tracing::{Instrument, debug, debug_span};

use crate::{
    core::{
        decide::plan::{Action, ActionFailure, FileSet, Step},
        declare::desired::{ContainerSpec, RenderedFile},
    },
    engine::{Engine, EngineError, Materials, PullProgress},
};

/// Everything the steps of one action need. Holds secret values: never logged, gone when the steps are done.
#[derive(Debug)]
pub struct Job {
    /// The steps.
    pub action: Action,
    /// The container to create, if one is.
    pub container: Option<ContainerSpec>,
    /// Real environment and files, if a step needs them.
    pub materials: Materials,
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}{}", not_tried(*.skipped))]
pub struct StepFailed {
    /// Which.
    pub step: Step,
    /// Why, and what was being done.
    pub error: EngineError,
    /// How many steps after it were not tried.
    pub skipped: usize,
}

impl From<StepFailed> for ActionFailure {
    fn from(failed: StepFailed) -> Self {
        // Somebody made, or is removing, a container of that name: what is there now is better seen than guessed.
        let is_race = matches!((&failed.step, &failed.error), (Step::Create(_), EngineError::NameTaken(_)));
        Self { why: failed.to_string(), step: Some(Box::new(failed.step)), is_race }
    }
}

fn not_tried(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " (1 step after it not tried)".into(),
        count => format!(" ({count} steps after it not tried)"),
    }
}

/// Is told of every step before it is tried, and of how far a pull has come.
pub trait ProgressListener: Send + Sync {
    /// A step is about to be tried.
    fn step(&self, _step: &Step) {}
    /// A pull goes on.
    fn pull(&self, _progress: PullProgress) {}
}

/// Listens to nothing.
pub struct NoProgress;

impl ProgressListener for NoProgress {}

/// Carries out a job.
pub async fn execute(engine: &dyn Engine, job: &Job, listener: &dyn ProgressListener) -> Result<(), StepFailed> {
    let steps = &job.action.steps;
    for (index, step) in steps.iter().enumerate() {
        listener.step(step);
        let span = debug_span!("step", %step);
        let taken = async {
            debug!("begins");
            take(engine, job, step, listener).await
        };
        if let Err(error) = taken.instrument(span).await {
            return Err(StepFailed { step: step.clone(), error, skipped: steps.len() - index - 1 });
        }
    }
    Ok(())
}

async fn take(engine: &dyn Engine, job: &Job, step: &Step, listener: &dyn ProgressListener) -> Result<(), EngineError> {
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
