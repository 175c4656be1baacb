//! The life of a container: create, fill, start, stop, remove. Every call is idempotent; a foreign container is never
//! touched.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use bollard::models::ContainerStateStatusEnum;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptions,
    UploadToContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;

use super::{Docker, LONG_TIMEOUT};
use crate::{
    core::{
        declare::desired::{ContainerSpec, RenderedFile},
        labels,
    },
    engine::{
        EngineError, Result,
        wire::{container, files},
    },
};

/// The engine's default stop timeout, for a container that sets none.
const DEFAULT_STOP_TIMEOUT: u64 = 10;
/// What a stop may take beyond the container's own timeout.
const STOP_GRACE: Duration = Duration::from_secs(30);

impl Docker {
    pub(super) async fn create_container(
        &self,
        container: &ContainerSpec,
        environment: &BTreeMap<String, String>,
    ) -> Result<()> {
        let name = &container.name;
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let body = container::body(container, environment);
        let made = self.call_within(LONG_TIMEOUT, format!("creating the container {name}"), async |client| {
            client.create_container(Some(options), body).await
        });
        match made.await {
            Ok(_) => Ok(()),
            Err(failure) if failure.status == Some(409) => self.check_existing(container).await,
            Err(failure) => Err(without_values(failure.error, environment)),
        }
    }

    /// Whether the existing container of that name is the one that was to be created.
    async fn check_existing(&self, container: &ContainerSpec) -> Result<()> {
        let taken =
            |why: &str| EngineError::NameTaken(format!("a container named {} exists, but {why}", container.name));
        let found = match self.ours(&container.name).await {
            Err(EngineError::NotFound(_)) => return Err(taken("was just removed")),
            found => found?,
        };
        let status = found.inspected.state.and_then(|state| state.status);
        if status == Some(ContainerStateStatusEnum::REMOVING) {
            return Err(taken("it is being removed"));
        }
        let labels = found.inspected.config.and_then(|config| config.labels).unwrap_or_default();
        if labels.get(labels::DIGEST).map(String::as_str) == Some(container.digest.as_str()) {
            return Ok(());
        }
        Err(taken("it was created for something else"))
    }

    pub(super) async fn write_files(&self, container: &str, files: &[RenderedFile]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let now = crate::clock::system().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let archives = files::archives(files, now)?;
        let ours = self.ours(container).await?;
        for (folder, archive) in archives {
            let what = format!("uploading files into {folder} of {container}");
            let options = UploadToContainerOptionsBuilder::new().path(&folder).no_overwrite_dir_non_dir("true").build();
            let body = bollard::body_full(archive.into());
            self.call_within(LONG_TIMEOUT, what, async |client| {
                client.upload_to_container(&ours.id, Some(options), body).await
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn start_container(&self, container: &str) -> Result<()> {
        let ours = self.ours(container).await?;
        let what = format!("starting {container}");
        Ok(self.call_within(LONG_TIMEOUT, what, async |client| client.start_container(&ours.id, None).await).await?)
    }

    pub(super) async fn stop_container(&self, container: &str) -> Result<()> {
        let Some(ours) = gone_is_fine(self.ours(container).await)? else { return Ok(()) };
        let own = ours
            .inspected
            .config
            .and_then(|config| config.stop_timeout)
            .and_then(|seconds| u64::try_from(seconds).ok());
        let limit = Duration::from_secs(own.unwrap_or(DEFAULT_STOP_TIMEOUT)) + STOP_GRACE;
        let what = format!("stopping {container}");
        // Without a time in the call the container's own timeout counts.
        let stopped = self.call_within(limit, what, async |client| {
            client.stop_container(&ours.id, None::<StopContainerOptions>).await
        });
        gone_is_fine(stopped.await.map_err(EngineError::from)).map(drop)
    }

    pub(super) async fn remove_container(&self, container: &str) -> Result<()> {
        let Some(ours) = gone_is_fine(self.ours(container).await)? else { return Ok(()) };
        let options = RemoveContainerOptionsBuilder::new().v(true).force(false).build();
        let what = format!("removing {container}");
        let removed = self
            .call_within(LONG_TIMEOUT, &what, async |client| client.remove_container(&ours.id, Some(options)).await)
            .await;
        match removed {
            Err(failure) if failure.status == Some(409) && failure.message.contains("already in progress") => {
                self.wait_until_gone(&ours.id, &what).await
            }
            Err(failure) if failure.status == Some(409) => {
                Err(EngineError::Refused(format!("{what}: {}", failure.message)))
            }
            answer => gone_is_fine(answer.map_err(EngineError::from)).map(drop),
        }
    }

    async fn wait_until_gone(&self, id: &str, what: &str) -> Result<()> {
        let options = WaitContainerOptionsBuilder::new().condition("removed").build();
        // The answer is its exit code, or that it is gone already; only its arrival matters.
        let wait = self
            .call_within(LONG_TIMEOUT, what, async |client| Ok(client.wait_container(id, Some(options)).next().await));
        wait.await?;
        match gone_is_fine(self.ours(id).await)? {
            None => Ok(()),
            Some(_) => Err(EngineError::Other(format!("{what}: a removal that was already running failed"))),
        }
    }
}

fn gone_is_fine<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(EngineError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The engine may quote a variable that it rejects.
fn without_values(error: EngineError, environment: &BTreeMap<String, String>) -> EngineError {
    let clean = |text: String| {
        let secrets = environment.values().filter(|value| value.len() > 3);
        secrets.fold(text, |text, value| text.replace(value.as_str(), "[value]"))
    };
    match error {
        EngineError::NotFound(text) => EngineError::NotFound(clean(text)),
        EngineError::Refused(text) => EngineError::Refused(clean(text)),
        EngineError::Other(text) => EngineError::Other(clean(text)),
        error @ (EngineError::Unreachable(_) | EngineError::OutOfFiles(_) | EngineError::NameTaken(_)) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_never_quotes_a_variables_value() {
        let environment = BTreeMap::from([("KEY".to_owned(), "hunter22".to_owned())]);
        let error = without_values(EngineError::Refused("invalid variable: KEY=hunter22".into()), &environment);
        assert_eq!(error, EngineError::Refused("invalid variable: KEY=[value]".into()));
    }
}
