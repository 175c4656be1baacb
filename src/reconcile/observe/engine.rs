//! Observes the engine once per round: its containers, and the items that belong to no pod. What cannot be observed is
//! unknown, never absent.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tracing::{info, warn};

use crate::{
    core::{
        decide::plan::Presence,
        declare::infra::InfraId,
        names::PodId,
        observe::actual::{Actual, ObservedContainer},
    },
    engine::Engine,
    reconcile::Reconciler,
};

/// How many missing containers are looked up in a round, and how many at a time.
const LOOKED_UP: (usize, usize) = (64, 8);

impl Reconciler {
    /// Observes the engine.
    pub(crate) async fn observe(&mut self, now: OffsetDateTime) {
        let was_observed = matches!(self.actual, Actual::Observed(_));
        self.actual = match self.engine.observe().await {
            Ok(listed) => {
                if !was_observed && self.rounds > 0 {
                    info!("the container engine answers again");
                }
                let missing = self.last_seen.missing(&listed).take(LOOKED_UP.0).cloned();
                let gone = gone(self.engine.as_ref(), missing.collect()).await;
                let mut observed: BTreeMap<PodId, Vec<ObservedContainer>> = BTreeMap::new();
                for container in self.last_seen.complete(listed, &gone, now) {
                    observed.entry(container.pod.clone()).or_default().push(container);
                }
                Actual::Observed(observed)
            }
            Err(error) => {
                if was_observed || self.rounds == 0 {
                    warn!(code = error.code(), "{error}; AgentPod changes nothing until the engine answers");
                }
                Actual::Unknown(error.to_string())
            }
        };
        self.observe_infra().await;
        self.observe_volumes().await;
        if self.rounds == 0 {
            self.published.statuses.adopt(&self.actual);
        }
        self.ledger.count_restarts(&self.actual, now);
    }

    /// Asks whether the volumes of pods that have data and no container still exist. Without a container nothing keeps a
    /// volume from being removed, and a pod must not start without its data unless somebody wants that.
    async fn observe_volumes(&mut self) {
        let (Some(desired), Actual::Observed(observed)) = (&self.desired, &self.actual) else { return };
        let is_without = |id: &&PodId| !observed.get(*id).into_iter().flatten().any(|container| !container.is_dead());
        let pods: Vec<PodId> = desired.pods.keys().filter(is_without).cloned().collect();
        let pods: Vec<PodId> = pods.into_iter().filter(|id| self.ledger.of(id).volume_since.is_some()).collect();
        if pods.is_empty() {
            return;
        }
        let volumes = self.engine.volumes().await.map(|all| all.into_iter().map(|volume| volume.name).collect());
        let volumes: Result<BTreeSet<String>, _> = volumes;
        for id in pods {
            let Some(name) = self.desired_pod(&id).map(|pod| pod.volume.name.clone()) else { continue };
            let presence = match &volumes {
                Ok(volumes) if volumes.contains(&name) => Presence::Present,
                Ok(_) => Presence::Missing,
                Err(error) => Presence::Unknown(error.to_string()),
            };
            self.ledger.observed_volume(&id, presence);
        }
    }

    async fn observe_infra(&mut self) {
        for item in self.source.site().infra() {
            let id = item.id();
            let exists = match &self.actual {
                Actual::Unknown(why) => Err(why.clone()),
                Actual::Observed(_) => match &id {
                    InfraId::Network(name) => self.engine.network_exists(name).await.map_err(|error| error.to_string()),
                },
            };
            let presence = match exists {
                Ok(true) => Presence::Present,
                Ok(false) => Presence::Missing,
                Err(why) => Presence::Unknown(why),
            };
            self.ledger.observed_infra(id, presence);
        }
    }
}

/// Those of the containers that the engine does not know by their ID.
async fn gone(engine: &dyn Engine, missing: Vec<String>) -> BTreeSet<String> {
    let ask = async |id: String| match engine.container_exists(&id).await {
        Ok(false) => Some(id),
        Ok(true) | Err(_) => None,
    };
    stream::iter(missing).map(ask).buffer_unordered(LOOKED_UP.1).filter_map(async |id| id).collect().await
}
