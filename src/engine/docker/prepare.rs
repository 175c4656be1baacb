//! What a container needs besides its creation: folders in its data, and a program that its image really has.

use std::time::SystemTime;

use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};

use super::{Docker, LONG_TIMEOUT, errors::CallError};
use crate::{
    core::{declare::desired::ContainerSpec, labels},
    engine::{
        EngineError, Result,
        wire::{
            container::{MAKER_DATA, folder_maker},
            files::{self, Owner},
        },
    },
};

/// The first version of the API that mounts a folder of a volume.
const SUBPATH_API: (u32, u32) = (1, 45);
/// Where programs are looked for if neither the image nor the pod says.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Docker {
    /// Makes folders in the volume of a container that is about to be created. They have to exist before they are mounted.
    pub(super) async fn make_data_folders(&self, container: &ContainerSpec, folders: &[String]) -> Result<()> {
        let blueprint = &container.blueprint;
        let version = self.call("reading its version", async |client| client.version().await).await?;
        let api = version.api_version.unwrap_or_default();
        if !is_at_least(&api, SUBPATH_API) {
            return Err(EngineError::Refused(format!(
                "{} declares volumes below the pod's data ({}), which Docker mounts from the pod's volume from version 26 on \
                 (API 1.45; this one has {api}); update Docker, or use an image without them",
                blueprint.image,
                folders.join(", ")
            )));
        }
        let name = format!("{}-folders", container.name);
        // One that a death left over.
        self.remove_maker(&name).await?;
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let body = folder_maker(blueprint);
        let what = format!("preparing the data of {}", container.name);
        self.call_within(LONG_TIMEOUT, &what, async |client| client.create_container(Some(options), body).await)
            .await?;
        let made = self.fill(&name, blueprint.user.as_str(), folders).await;
        self.remove_maker(&name).await?;
        made
    }

    async fn fill(&self, maker: &str, user: &str, folders: &[String]) -> Result<()> {
        let owner = Owner::of(user)
            .ok_or_else(|| EngineError::Refused(format!("the user {user:?} is not of the form uid:gid")))?;
        let now = crate::clock::system().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        for folder in folders {
            if self.has_path(maker, &format!("{MAKER_DATA}/{folder}")).await? {
                continue;
            }
            let archive = files::folder(folder, owner, now)?;
            let options =
                UploadToContainerOptionsBuilder::new().path(MAKER_DATA).no_overwrite_dir_non_dir("true").build();
            let what = format!("making the folder {folder} in the data");
            let body = bollard::body_full(archive.into());
            self.call(what, async |client| client.upload_to_container(maker, Some(options), body).await).await?;
        }
        Ok(())
    }

    /// Removes a container that made folders, with the anonymous volumes of its image.
    async fn remove_maker(&self, name: &str) -> Result<()> {
        let what = format!("removing {name}");
        let found = self.call(&what, async |client| client.inspect_container(name, None).await).await;
        let found = match found {
            Err(CallError { error: EngineError::NotFound(_), .. }) => return Ok(()),
            found => found?,
        };
        let own = found.config.and_then(|config| config.labels).unwrap_or_default();
        if own.get(labels::MANAGED).map(String::as_str) != Some("true") || own.contains_key(labels::POD_ID) {
            return Err(EngineError::NameTaken(format!(
                "a container named {name} exists, but AgentPod did not create it; rename or remove it by hand"
            )));
        }
        let options = RemoveContainerOptionsBuilder::new().v(true).force(true).build();
        let id = found.id.unwrap_or_default();
        self.call(what, async |client| client.remove_container(&id, Some(options)).await).await?;
        Ok(())
    }

    /// Removes a container that was just created, and says why, if its image does not have the program to run: started, it
    /// would fail when the previous one is already stopped.
    pub(super) async fn check_program(&self, container: &ContainerSpec) -> Result<()> {
        let ours = self.ours(&container.name).await?;
        let program = ours.inspected.path.clone().unwrap_or_default();
        let config = ours.inspected.config.unwrap_or_default();
        let places = places(
            &program,
            config.env.as_deref().unwrap_or_default(),
            config.working_dir.as_deref().unwrap_or_default(),
        );
        for place in &places {
            if self.has_path(&ours.id, place).await? {
                return Ok(());
            }
        }
        if places.is_empty() {
            return Ok(());
        }
        self.remove_container(&container.name).await?;
        let image = &container.blueprint.image;
        Err(EngineError::Refused(format!(
            "{image} does not contain the program {program:?}; correct spec.command of the adapter, or use another image"
        )))
    }

    /// Whether a container has something at a path.
    async fn has_path(&self, container: &str, path: &str) -> Result<bool> {
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        let what = format!("looking for {path} in {container}");
        let found = self.call(what, async |client| client.get_container_archive_info(container, Some(options)).await);
        match found.await {
            Ok(_) => Ok(true),
            Err(failure) if failure.status == Some(404) => Ok(false),
            Err(failure) => Err(failure.error),
        }
    }
}

/// Whether a version like `1.45` is at least another.
fn is_at_least(version: &str, least: (u32, u32)) -> bool {
    let parsed = version.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    parsed.is_some_and(|version: (u32, u32)| version >= least)
}

/// The paths at which a program may be.
fn places(program: &str, environment: &[String], folder: &str) -> Vec<String> {
    match program {
        "" => Vec::new(),
        _ if program.starts_with('/') => vec![program.to_owned()],
        _ if program.contains('/') => {
            vec![format!("{}/{}", folder.trim_end_matches('/'), program.trim_start_matches("./"))]
        }
        _ => {
            let path = environment.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
            path.split(':')
                .filter(|folder| folder.starts_with('/'))
                .map(|folder| format!("{folder}/{program}"))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_where_the_container_would_find_it() {
        let environment = ["HOME=/data".to_owned(), "PATH=/opt/bin:/bin".to_owned()];
        assert_eq!(places("serve", &environment, "/"), ["/opt/bin/serve", "/bin/serve"]);
        assert_eq!(places("serve", &[], "/").len(), 6);
        assert_eq!(places("/agent", &environment, "/app"), ["/agent"]);
        assert_eq!(places("./run.sh", &environment, "/app"), ["/app/run.sh"]);
        assert_eq!(places("", &environment, "/app"), Vec::<String>::new());
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_at_least("1.45", (1, 45)) && is_at_least("1.100", (1, 45)) && is_at_least("2.0", (1, 45)));
        assert!(!is_at_least("1.9", (1, 45)) && !is_at_least("", (1, 45)));
    }
}
