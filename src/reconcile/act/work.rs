//! Work in progress: which step each pod is at, and which containers our own steps stopped or removed, so that the
//! engine's events about those are not reported as news.

use std::{collections::BTreeMap, sync::Arc};

use time::{Duration, OffsetDateTime};
use tokio::sync::Semaphore;

use crate::{
    core::{
        decide::plan::{Action, Step},
        names::PodId,
    },
    engine::PullProgress,
};

/// How many actions run at the same time; more only add latency on one engine.
const CONCURRENT_ACTIONS: usize = 8;
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

/// Work in progress.
pub(crate) struct Work {
    doing: BTreeMap<PodId, WorkInProgress>,
    /// Containers that our own steps stopped or removed, and when.
    ours: BTreeMap<String, OffsetDateTime>,
    slots: Arc<Semaphore>,
}

impl Work {
    pub(crate) fn new() -> Self {
        Self { doing: BTreeMap::new(), ours: BTreeMap::new(), slots: Arc::new(Semaphore::new(CONCURRENT_ACTIONS)) }
    }

    /// Limits how many actions run at a time.
    pub(crate) fn slots(&self) -> Arc<Semaphore> {
        self.slots.clone()
    }

    /// What is being done for a pod.
    pub(crate) fn of(&self, pod: &PodId) -> Option<&WorkInProgress> {
        self.doing.get(pod)
    }

    /// Whether an image is being pulled for a pod.
    pub(crate) fn is_pulling(&self, pod: &PodId) -> bool {
        self.of(pod).is_some_and(|work| work.pull.is_some())
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

    /// Records how far a pull has come; returns whether this is its first report.
    pub(crate) fn pulling(&mut self, pod: &PodId, progress: PullProgress) -> bool {
        self.doing.get_mut(pod).is_some_and(|work| work.pull.replace(progress).is_none())
    }

    /// Records that an action ended. Containers it failed to stop or remove are not attributed to us.
    pub(crate) fn finish(&mut self, pod: &PodId, action: &Action, failed: bool) {
        self.doing.remove(pod);
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
