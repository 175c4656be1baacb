//! A real reconciler, running beside the test until it is stopped.

use std::sync::Arc;

use agentpod::{
    core::decide::plan::MaxUnavailable,
    engine::memory::MemoryEngine,
    reconcile::{DaemonStatus, Ending, Mode, Parts, Reconciler},
    source::{Source, Watch},
    store::Store,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::site::{shipped_folders, site};

/// What a reconciler works with: the site of all tests, the adapters that are shipped, and no secrets.
pub fn parts(engine: &Arc<MemoryEngine>, store: &Arc<Store>, source: Source) -> Parts {
    Parts {
        engine: engine.clone(),
        store: store.clone(),
        embedded: None,
        source,
        folders: shipped_folders(),
        site: site(),
        removal_grace: time::Duration::hours(1),
        removal_settle: time::Duration::ZERO,
        removals: Default::default(),
        max_unavailable: MaxUnavailable(100),
        secrets: Default::default(),
    }
}

/// A reconciler at work.
pub struct Running {
    /// What it says of itself.
    pub view: watch::Receiver<DaemonStatus>,
    /// Stops it.
    pub stop: CancellationToken,
    task: JoinHandle<Ending>,
}

impl Running {
    /// Has a reconciler work as the daemon does, and hear from `watch` of what was saved.
    pub fn start(
        (reconciler, view): (Reconciler, watch::Receiver<DaemonStatus>),
        stop: CancellationToken,
        watch: Option<Watch>,
    ) -> Self {
        let task = tokio::spawn(reconciler.run(Mode::Daemon, watch, stop.clone()));
        Self { view, stop, task }
    }

    /// What it says of itself now.
    pub fn overview(&self) -> DaemonStatus {
        self.view.borrow().clone()
    }

    /// Stops it, and waits until it has.
    pub async fn stop(self) {
        self.stop.cancel();
        assert_eq!(self.task.await.unwrap(), Ending::Stopped);
    }
}
