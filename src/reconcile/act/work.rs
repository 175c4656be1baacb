//! Work in progress: which step each pod is at, and which containers our own steps stopped or removed, so that the
//! engine's events about those are not reported as news.

use std::{collections::BTreeMap, sync::Arc};

use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use super::{execute::Control, pulls::Pulls, turns::Turns};
use crate::{
    core::{
        decide::{
            plan::{Action, Step},
            retry::RetryTarget,
        },
        names::PodId,
    },
    engine::{Engine, PullProgress},
};

/// How long engine events about a container that we stopped or removed are attributed to us. A stop may take
/// minutes.
const OWN_EVENT_WINDOW: Duration = Duration::minutes(7);

/// What is being done for a pod right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkInProgress {
    pub(crate) step: Step,
    /// How far its pull has come, while one runs.
    pub(crate) pull: Option<PullProgress>,
}

/// A running action.
struct Running {
    target: RetryTarget,
    cancelled: CancellationToken,
}

/// Work in progress.
pub(crate) struct Work {
    doing: BTreeMap<PodId, WorkInProgress>,
    /// Containers that our own steps stopped or removed, and when.
    ours: BTreeMap<String, OffsetDateTime>,
    /// How each pod's running action is cancelled, and what it is to achieve.
    running: BTreeMap<PodId, Running>,
    turns: Arc<Turns>,
    pulls: Arc<Pulls>,
}

impl Work {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        let pulls = Arc::new(Pulls::new(engine));
        Self { doing: BTreeMap::new(), ours: BTreeMap::new(), running: BTreeMap::new(), turns: Arc::default(), pulls }
    }

    /// When the steps of a pod's action may be taken; remembered until it ends, so that it can be cancelled.
    pub(crate) fn begin(&mut self, pod: &PodId, target: RetryTarget, is_down: bool) -> Control {
        let cancelled = CancellationToken::new();
        self.running.insert(pod.clone(), Running { target, cancelled: cancelled.clone() });
        Control { turns: self.turns.clone(), pulls: Some(self.pulls.clone()), is_down, cancelled }
    }

    /// Cancels a pod's action if it is to achieve something else than this.
    pub(crate) fn cancel_unless(&self, pod: &PodId, target: &RetryTarget) {
        if let Some(running) = self.running.get(pod).filter(|running| running.target != *target) {
            running.cancelled.cancel();
        }
    }

    /// What is being done for a pod.
    pub(crate) fn of(&self, pod: &PodId) -> Option<&WorkInProgress> {
        self.doing.get(pod)
    }

    /// The image that is being pulled for a pod, and how far that is.
    pub(crate) fn pull(&self, pod: &PodId) -> Option<(&str, &PullProgress)> {
        match self.of(pod)? {
            WorkInProgress { step: Step::Image(image), pull: Some(pull) } => Some((image, pull)),
            _ => None,
        }
    }

    /// Whether our own steps stopped or removed a container.
    pub(crate) fn is_ours(&self, container: &str) -> bool {
        self.ours.contains_key(container)
    }

    /// Records that a step is about to be attempted.
    pub(crate) fn begin_step(&mut self, pod: PodId, step: Step, now: OffsetDateTime) {
        match &step {
            Step::Stop(container) | Step::Remove(container) => {
                self.ours.insert(container.clone(), now);
            }
            Step::Start(container) => {
                self.ours.remove(container);
            }
            _ => {}
        }
        self.doing.insert(pod, WorkInProgress { step, pull: None });
    }

    /// Records how far a pull has come; returns whether its status changes.
    pub(crate) fn pulling(&mut self, pod: &PodId, progress: PullProgress) -> bool {
        self.doing.get_mut(pod).is_some_and(|work| {
            let is_stalled = progress.stalled;
            let before = work.pull.replace(progress);
            before.is_none_or(|before| before.stalled != is_stalled)
        })
    }

    /// Records that an action ended. Containers it failed to stop or remove are not attributed to us.
    pub(crate) fn finish(&mut self, pod: &PodId, action: &Action, failed: bool) {
        self.doing.remove(pod);
        self.running.remove(pod);
        for step in action.steps.iter().filter(|_| failed) {
            if let Step::Stop(container) | Step::Remove(container) = step {
                self.ours.remove(container);
            }
        }
    }

    /// Drops containers that were stopped or removed long ago.
    pub(crate) fn prune(&mut self, now: OffsetDateTime) {
        self.ours.retain(|_, at| now - *at < OWN_EVENT_WINDOW);
    }
}
