//! Pulls: one for each image, shared by all pods that wait for it, and ended when none does any more. A registry that hangs
//! takes only its own turns.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::sync::{Semaphore, watch};

use crate::engine::{Engine, EngineError, PullProgress};

/// How many images are pulled from one registry at a time.
const PER_REGISTRY: usize = 4;
/// How long before a pull of which nothing arrives is shown.
const SHOWN_AFTER: Duration = Duration::from_secs(3);
/// How long nothing has to arrive before that is said.
const STALLED_AFTER: Duration = Duration::from_secs(60);

type Outcome = Result<(), EngineError>;

/// The pulls of all pods.
pub(crate) struct Pulls {
    engine: Arc<dyn Engine>,
    running: Mutex<HashMap<String, Pull>>,
    registries: Mutex<HashMap<String, Arc<Semaphore>>>,
}

struct Pull {
    outcome: WeakShared<BoxFuture<'static, Outcome>>,
    progress: watch::Receiver<Option<PullProgress>>,
}

impl Pulls {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, running: Mutex::default(), registries: Mutex::default() }
    }

    /// Waits until the image is present. Dropping this ends the pull, unless somebody else waits for it too.
    pub(crate) async fn pull(&self, image: &str, listen: &(dyn Fn(PullProgress) + Send + Sync)) -> Outcome {
        let (outcome, mut progress) = self.join(image);
        let mut last = PullProgress::default();
        let (mut silence, mut is_open) = (SHOWN_AFTER, true);
        loop {
            tokio::select! {
                biased;
                outcome = outcome.clone() => return outcome,
                changed = progress.changed(), if is_open => {
                    is_open = changed.is_ok();
                    if let Some(now) = progress.borrow_and_update().clone() {
                        (last, silence) = (now, STALLED_AFTER);
                        listen(last.clone());
                    }
                }
                () = tokio::time::sleep(silence) => {
                    listen(PullProgress { stalled: silence == STALLED_AFTER, ..last.clone() });
                    silence = STALLED_AFTER;
                }
            }
        }
    }

    /// The pull of an image that is running, or a new one.
    fn join(&self, image: &str) -> (Shared<BoxFuture<'static, Outcome>>, watch::Receiver<Option<PullProgress>>) {
        let mut running = lock(&self.running);
        running.retain(|_, pull| pull.outcome.upgrade().is_some());
        if let Some(pull) = running.get(image)
            && let Some(outcome) = pull.outcome.upgrade()
            && outcome.peek().is_none()
        {
            return (outcome, pull.progress.clone());
        }
        let (sender, progress) = watch::channel(None);
        let (engine, image, turns) = (self.engine.clone(), image.to_owned(), self.turns(image));
        let name = image.clone();
        let pull = async move {
            let _turn = turns.acquire().await;
            let tell = |progress| {
                sender.send_replace(Some(progress));
            };
            engine.ensure_image(&name, &tell).await
        };
        let outcome = pull.boxed().shared();
        if let Some(weak) = outcome.downgrade() {
            running.insert(image, Pull { outcome: weak, progress: progress.clone() });
        }
        (outcome, progress)
    }

    fn turns(&self, image: &str) -> Arc<Semaphore> {
        let registry = registry(image).unwrap_or_default().to_owned();
        lock(&self.registries).entry(registry).or_insert_with(|| Arc::new(Semaphore::new(PER_REGISTRY))).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The registry in an image's name; `None`: the engine's default.
pub(crate) fn registry(image: &str) -> Option<&str> {
    let (first, _) = image.split_once('/')?;
    (first.contains(['.', ':']) || first == "localhost").then_some(first)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::engine::memory::MemoryEngine;

    fn pulls() -> (Arc<MemoryEngine>, Arc<Pulls>) {
        let engine = Arc::new(MemoryEngine::default());
        (engine.clone(), Arc::new(Pulls::new(engine)))
    }

    fn start(
        pulls: &Arc<Pulls>,
        image: &str,
    ) -> (tokio::task::JoinHandle<Outcome>, mpsc::UnboundedReceiver<PullProgress>) {
        let (pulls, image, (sender, progress)) = (pulls.clone(), image.to_owned(), mpsc::unbounded_channel());
        let pull = async move { pulls.pull(&image, &|progress| drop(sender.send(progress))).await };
        (tokio::spawn(pull), progress)
    }

    #[test]
    fn an_image_names_its_registry_or_leaves_it_to_the_engine() {
        for (image, expected) in [
            ("a/b:1", None),
            ("b", None),
            ("r.example/a", Some("r.example")),
            ("localhost/a", Some("localhost")),
            ("h:5000/a/b", Some("h:5000")),
        ] {
            assert_eq!(registry(image), expected, "{image}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_hangs_takes_its_own_turns_and_says_so_and_ends_when_nobody_waits() {
        let (engine, pulls) = pulls();
        engine.world().hanging_registry = Some("slow.example".into());
        let mut hanging: Vec<_> = (0..9).map(|number| start(&pulls, &format!("slow.example/a{number}"))).collect();
        let (other, _) = start(&pulls, "fast.example/b");
        other.await.unwrap().unwrap();
        // The clock leaps while nothing else goes on.
        let (first, progress) = &mut hanging[0];
        assert!(!progress.recv().await.unwrap().stalled);
        assert!(progress.recv().await.unwrap().stalled);
        first.abort();
        assert_eq!(engine.world().pulling.len(), PER_REGISTRY);
        for (task, _) in hanging {
            task.abort();
            let _ = task.await;
        }
        assert!(engine.world().pulling.is_empty(), "nobody waits, so nothing is pulled");
    }

    #[tokio::test]
    async fn pods_of_one_image_share_its_pull() {
        let (engine, pulls) = pulls();
        let tasks: Vec<_> = (0..5).map(|_| start(&pulls, "a/b:1").0).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(engine.world().writes, ["pull a/b:1"]);
    }
}
