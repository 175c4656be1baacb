//! Lists orphans, and purges a removed pod's data after a second check under a lock. `core::decide` says what is an
//! orphan and what may be deleted.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    core::{
        decide::{
            orphans::{Expected, OwnedObjects},
            purge::{self, Purge},
        },
        declare::manifest,
        names::PodId,
        site::Site,
    },
    engine::{Engine, EngineError},
    source::Source,
    store::{Store, StoreError},
};

/// How long reading the source may take; shorter than a sync waits for another.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a purge deleted nothing, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// It is not allowed: a sentence with what to do.
    #[error("{0}")]
    Refused(String),
    /// What would be deleted is no longer what was confirmed.
    #[error("something changed after you confirmed, so nothing was deleted; run agentpod purge again")]
    Changed,
    /// The engine could not be observed; nothing was deleted.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The engine failed to delete something. Earlier deletions stand; a second purge does the rest.
    #[error("{0}; run agentpod purge again to delete the rest")]
    Halfway(EngineError),
    /// The database failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Everything on the engine with our label, and what belongs to declared pods.
pub async fn survey(
    engine: &dyn Engine,
    store: &Store,
    source: &Source,
    site: &Site,
) -> Result<(OwnedObjects, Expected), PurgeError> {
    let (declared, source_error) = declared(source).await;
    let histories = store.pod_histories().await?;
    let owned = OwnedObjects {
        containers: engine.observe().await?,
        volumes: engine.volumes().await?,
        networks: engine.networks().await?,
    };
    let recorded = histories.iter().filter(|(_, history)| history.undeclared_since.is_none()).map(|(pod, _)| pod);
    let attached = owned.containers.iter().map(|container| &container.pod);
    let tenants = recorded.chain(&declared).chain(attached).map(|pod| &pod.tenant);
    let networks =
        tenants.map(|tenant| site.network_of(tenant).name.clone()).chain([site.network.name.clone()]).collect();
    Ok((owned, Expected { histories, declared, source_error, networks }))
}

/// The pods that the source declares now, and why there may be more.
async fn declared(source: &Source) -> (BTreeSet<PodId>, Option<String>) {
    let snapshot = match tokio::time::timeout(SOURCE_TIMEOUT, source.read()).await {
        Ok(Ok(snapshot)) => snapshot,
        Ok(Err(error)) => return (BTreeSet::new(), Some(error.to_string())),
        Err(_) => return (BTreeSet::new(), Some(format!("{} does not answer", source.origin()))),
    };
    let (manifests, problems) = manifest::read(snapshot.texts());
    let source_error =
        problems.first().map(|problem| format!("{} has a problem; agentpod validate shows it", problem.file));
    (manifests.pods.into_keys().collect(), source_error)
}

/// Deletes what a person confirmed: containers, volumes, then rows, so that a failed purge can be repeated. `busy` is
/// called while no sync can declare the pod.
pub async fn purge(
    engine: &dyn Engine,
    store: &Store,
    source: &Source,
    site: &Site,
    agreed: &Purge,
    busy: impl AsyncFnOnce() -> Result<bool, PurgeError>,
) -> Result<(), PurgeError> {
    let pod = &agreed.pod;
    let lock = store.lock_declarations().await?;
    let busy = busy().await?;
    let (owned, expected) = survey(engine, store, source, site).await?;
    let found =
        purge::purge(pod, &expected, &owned, busy).map_err(|refusal| PurgeError::Refused(refusal.sentence(pod)))?;
    if found != *agreed {
        return Err(PurgeError::Changed);
    }
    for container in &found.containers {
        engine.remove(container).await.map_err(PurgeError::Halfway)?;
    }
    // Anonymous volumes went with their containers; removing one twice is no error.
    for volume in &found.volumes {
        engine.remove_volume(&volume.name).await.map_err(PurgeError::Halfway)?;
    }
    let names =
        found.volumes.iter().map(|volume| volume.name.as_str()).chain(found.containers.iter().map(String::as_str));
    let names: Vec<&str> = names.collect();
    let what = if names.is_empty() {
        "its record was deleted".into()
    } else {
        format!("its data was deleted: {}", names.join(", "))
    };
    lock.purge(pod, &what, crate::clock::now()).await?;
    Ok(())
}
