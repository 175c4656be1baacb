//! Measures what pods use, beside the rounds: a task of its own with a fixed budget. Each pass makes one short call to
//! the engine for each running container, four at a time; volumes are measured far less often, one after the other. What
//! cannot be measured is left out, and nothing waits for it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::{sync::watch, time::sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{
    core::{
        names::PodId,
        observe::usage::{UsageSample, Used},
    },
    engine::Engine,
    reconcile::DaemonStatus,
    store::{Measured, Store, StoreError},
};

/// The time between passes.
const INTERVAL: Duration = Duration::from_secs(60);
/// The first two passes come sooner: CPU usage takes two readings.
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
/// How many containers are measured at a time.
const CONCURRENCY: usize = 4;
/// The time between two measurements of volumes and the machine.
const SLOW_INTERVAL: Duration = Duration::from_secs(900);

/// Measures usage.
pub struct UsageMeter {
    engine: Arc<dyn Engine>,
    store: Arc<Store>,
    view: watch::Receiver<DaemonStatus>,
    /// The last reading of each container.
    readings: BTreeMap<String, UsageSample>,
    /// Whether there was a pass before.
    has_begun: bool,
    /// MiB in each pod's volume.
    storage: BTreeMap<PodId, i32>,
}

impl UsageMeter {
    /// A meter for the pods that `view` shows.
    pub fn new(engine: Arc<dyn Engine>, store: Arc<Store>, view: watch::Receiver<DaemonStatus>) -> Self {
        Self { engine, store, view, readings: BTreeMap::new(), has_begun: false, storage: BTreeMap::new() }
    }

    /// Measures until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut passes = 0_u32;
        let mut slow = crate::clock::runtime_instant();
        let measure = async {
            loop {
                let began = crate::clock::runtime_instant();
                if passes > 0 && began >= slow {
                    self.measure_volumes().await;
                    slow = began + SLOW_INTERVAL;
                }
                if let Err(error) = self.pass(crate::clock::now()).await {
                    debug!(code = error.code(), "usage could not be stored: {error}");
                }
                passes += 1;
                sleep_until(began + if passes < 3 { FIRST_INTERVAL } else { INTERVAL }).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = measure => {}
        }
    }

    /// Measures every running container once, and stores the result.
    pub async fn pass(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let running = self.running();
        let containers: Vec<String> = running.values().cloned().collect();
        let readings = stream::iter(containers).map(|container| {
            let engine = self.engine.clone();
            async move {
                let reading = engine.stats(&container).await;
                reading.ok().map(|reading| (container, reading))
            }
        });
        let readings: Vec<Option<(String, UsageSample)>> = readings.buffer_unordered(CONCURRENCY).collect().await;
        let readings: BTreeMap<String, UsageSample> = readings.into_iter().flatten().collect();
        let measured: Vec<Measured> = running
            .into_iter()
            .filter_map(|(pod, container)| {
                let used = Used::between(self.readings.get(&container)?, readings.get(&container)?)?;
                let storage_mb = self.storage.get(&pod).copied();
                Some(Measured { pod, memory_mb: used.memory_mb, cpu_percent: used.cpu_percent, storage_mb })
            })
            .collect();
        self.readings = readings;
        self.store.set_health(&self.healthy()).await?;
        // No reading to compare with yet is not the same as nothing running.
        if std::mem::replace(&mut self.has_begun, true) { self.store.add_usage(&measured, now).await } else { Ok(()) }
    }

    /// Measures the volumes of running pods, and the machine.
    async fn measure_volumes(&mut self) {
        if let Ok(host) = self.engine.capacity().await
            && let Err(error) = self.store.set_host(&host, crate::clock::now()).await
        {
            debug!(code = error.code(), "the machine's measurements could not be stored: {error}");
        }
        let Ok(identities) = self.store.identities().await else { return };
        for pod in self.running().into_keys() {
            let Some(volume) = identities.get(&pod).map(|identities| &identities.volume) else { continue };
            match self.engine.volume_size(volume).await {
                Ok(Some(bytes)) => drop(self.storage.insert(pod, i32::try_from(bytes >> 20).unwrap_or(i32::MAX))),
                _ => drop(self.storage.remove(&pod)),
            }
        }
    }

    /// When the health probe of each pod last succeeded.
    fn healthy(&self) -> Vec<(PodId, OffsetDateTime)> {
        let view = self.view.borrow();
        view.pods.iter().filter_map(|(id, pod)| Some((id.parse().ok()?, pod.last_health_at?))).collect()
    }

    /// The containers of the pods that run.
    fn running(&self) -> BTreeMap<PodId, String> {
        use crate::core::report::phase::Phase::{RolledBack, Running, Starting, Unhealthy};
        let view = self.view.borrow();
        let runs = |phase| matches!(phase, Running | Starting | Unhealthy | RolledBack);
        let pods = view.pods.iter().filter(|(_, pod)| runs(pod.status.phase));
        pods.filter_map(|(id, pod)| Some((id.parse().ok()?, pod.status.container.clone()?))).collect()
    }
}
