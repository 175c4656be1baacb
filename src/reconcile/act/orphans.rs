//! What is left on the engine, looked at whole; and deleting a removed pod's data, once more looked at under a lock right
//! before. What may be deleted is decided in `core::purge`.

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

/// How long the source may take to say what it declares; less than a sync waits for another.
const SOURCE_TIME: Duration = Duration::from_secs(10);

/// Why nothing, or not all, was deleted.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// It must not be; a sentence with what to do.
    #[error("{0}")]
    Refused(String),
    /// Meanwhile it is not what was agreed to.
    #[error("it changed while you read; nothing was deleted, look again")]
    Changed,
    /// The engine could not be looked at; nothing was deleted.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The engine failed at a deletion. What was deleted before is gone; doing it again does the rest.
    #[error("{0}; purge it again for what is left")]
    Halfway(EngineError),
    /// The database failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Everything with our label, and everything that should be there.
pub async fn look(
    engine: &dyn Engine,
    store: &Store,
    source: &Source,
    site: &Site,
) -> Result<(OwnedObjects, Expected), PurgeError> {
    let (declared, doubt) = declared(source).await;
    let records = store.pod_histories().await?;
    let seen = OwnedObjects {
        containers: engine.observe().await?,
        volumes: engine.volumes().await?,
        networks: engine.networks().await?,
    };
    let recorded = records.iter().filter(|(_, record)| record.undeclared_since.is_none()).map(|(pod, _)| pod);
    let attached = seen.containers.iter().map(|container| &container.pod);
    let tenants = recorded.chain(&declared).chain(attached).map(|pod| &pod.tenant);
    let networks =
        tenants.map(|tenant| site.network_of(tenant).name.clone()).chain([site.network.name.clone()]).collect();
    Ok((seen, Expected { records, declared, doubt, networks }))
}

/// The pods that the source declares now, and why there may be more.
async fn declared(source: &Source) -> (BTreeSet<PodId>, Option<String>) {
    let snapshot = match tokio::time::timeout(SOURCE_TIME, source.read()).await {
        Ok(Ok(snapshot)) => snapshot,
        Ok(Err(error)) => return (BTreeSet::new(), Some(error.to_string())),
        Err(_) => return (BTreeSet::new(), Some(format!("{} does not answer", source.origin()))),
    };
    let (manifests, problems) = manifest::read(snapshot.texts());
    let doubt = problems.first().map(|problem| format!("{} has a problem; agentpod validate shows it", problem.file));
    (manifests.pods.into_keys().collect(), doubt)
}

/// Deletes what a person agreed to: containers, volumes, and last the rows, so that what fails can be done again. `busy`
/// is asked while nothing can be declared.
pub async fn purge(
    engine: &dyn Engine,
    store: &Store,
    source: &Source,
    site: &Site,
    agreed: &Purge,
    busy: impl AsyncFnOnce() -> Result<bool, String>,
) -> Result<(), PurgeError> {
    let pod = &agreed.pod;
    let stillness = store.hold_still().await?;
    let busy = busy().await.map_err(PurgeError::Refused)?;
    let (seen, wanted) = look(engine, store, source, site).await?;
    let found =
        purge::purge(pod, &wanted, &seen, busy).map_err(|refusal| PurgeError::Refused(refusal.sentence(pod)))?;
    if found != *agreed {
        return Err(PurgeError::Changed);
    }
    for container in &found.containers {
        engine.remove(container).await.map_err(PurgeError::Halfway)?;
    }
    // Volumes without a name of their own went with their containers; asking again is no mistake.
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
    stillness.forget(pod, &what, crate::clock::now()).await?;
    Ok(())
}
