//! Measures what pods use, beside the rounds and without their knowing: a task of its own, with a budget. In each pass one
//! short call to the engine for each running container, four at a time; volumes are weighed far more rarely, one after the
//! other. What cannot be measured is left out, and nothing waits for it.

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

/// How far apart passes are.
const PASS: Duration = Duration::from_secs(60);
/// The first two come sooner: a share of a processor takes two readings.
const SOON: Duration = Duration::from_secs(10);
/// How many containers are measured at a time.
const AT_ONCE: usize = 4;
/// How far apart two looks at volumes and at the machine are.
const SELDOM: Duration = Duration::from_secs(900);

/// Measures.
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

    /// Goes on until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut passes = 0_u32;
        let mut seldom = crate::clock::runtime_instant();
        let measure = async {
            loop {
                let began = crate::clock::runtime_instant();
                if passes > 0 && began >= seldom {
                    self.weigh().await;
                    seldom = began + SELDOM;
                }
                if let Err(error) = self.pass(crate::clock::now()).await {
                    debug!(code = error.code(), "usage could not be written down: {error}");
                }
                passes += 1;
                sleep_until(began + if passes < 3 { SOON } else { PASS }).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = measure => {}
        }
    }

    /// Measures every running container once, and writes down what came of it.
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
        let readings: Vec<Option<(String, UsageSample)>> = readings.buffer_unordered(AT_ONCE).collect().await;
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
        self.store.keep_health(&self.healthy()).await?;
        // Nothing to compare with yet is not the same as nothing running.
        if std::mem::replace(&mut self.has_begun, true) { self.store.keep_usage(&measured, now).await } else { Ok(()) }
    }

    /// Weighs the volumes of running pods, and looks at the machine.
    async fn weigh(&mut self) {
        if let Ok(host) = self.engine.capacity().await
            && let Err(error) = self.store.keep_host(&host, crate::clock::now()).await
        {
            debug!(code = error.code(), "what the machine has could not be written down: {error}");
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
