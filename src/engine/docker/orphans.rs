//! What stays when containers go: our volumes and networks, listed; and the only call that deletes data, which first
//! checks whose it is.

use std::collections::{BTreeSet, HashMap};

use bollard::query_parameters::{ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder};

use super::{Docker, LONG_TIMEOUT};
use crate::{
    core::{
        labels,
        observe::actual::{ObservedNetwork, ObservedVolume},
    },
    engine::{
        EngineError, Result,
        wire::{event, orphans},
    },
};

impl Docker {
    pub(super) async fn list_volumes(&self) -> Result<Vec<ObservedVolume>> {
        // Two lists show which volumes no container uses. A volume that appears between the two
        // counts as in use.
        let all = self.volumes_with("listing volumes", HashMap::new()).await?;
        let unused = HashMap::from([("dangling".to_owned(), vec!["true".to_owned()])]);
        let unused = self.volumes_with("listing volumes without a container", unused).await?;
        let unused: BTreeSet<String> = unused.into_iter().map(|volume| volume.name).collect();
        let mut observed: Vec<ObservedVolume> =
            all.into_iter().map(|volume| orphans::volume(volume, &unused)).collect();
        observed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(observed)
    }

    async fn volumes_with(
        &self,
        what: &str,
        more: HashMap<String, Vec<String>>,
    ) -> Result<Vec<bollard::models::Volume>> {
        let mut filters = event::list_filters(&self.instance);
        filters.extend(more);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let listed = self.call(what, async |client| client.list_volumes(Some(options)).await).await?;
        Ok(listed.volumes.unwrap_or_default())
    }

    pub(super) async fn list_networks(&self) -> Result<Vec<ObservedNetwork>> {
        let options = ListNetworksOptionsBuilder::new().filters(&event::list_filters(&self.instance)).build();
        let listed = self.call("listing networks", async |client| client.list_networks(Some(options)).await).await?;
        let mut observed: Vec<ObservedNetwork> = listed.into_iter().map(orphans::network).collect();
        observed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(observed)
    }

    pub(super) async fn remove_owned_volume(&self, name: &str) -> Result<()> {
        let what = format!("inspecting the volume {name}");
        let found = self.call(what, async |client| client.inspect_volume(name).await).await;
        let volume = match found.map_err(EngineError::from) {
            Ok(volume) => volume,
            Err(EngineError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        if labels::owned(&self.instance).iter().any(|(key, value)| volume.labels.get(key) != Some(value)) {
            return Err(EngineError::NameTaken(format!(
                "a volume named {name} exists, but this AgentPod ({}) did not create it; nothing was changed",
                self.instance
            )));
        }
        let what = format!("deleting the volume {name}");
        let options = RemoveVolumeOptionsBuilder::new().force(false).build();
        let removed =
            self.call_within(LONG_TIMEOUT, &what, async |client| client.remove_volume(name, Some(options)).await).await;
        match removed {
            Err(failure) if failure.status == Some(409) => {
                Err(EngineError::Refused(format!("{what}: {}", failure.message)))
            }
            answer => match answer.map_err(EngineError::from) {
                Ok(()) | Err(EngineError::NotFound(_)) => Ok(()),
                Err(error) => Err(error),
            },
        }
    }
}
