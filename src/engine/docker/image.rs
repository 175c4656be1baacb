//! Images: present, or pulled. A pull may take any time as long as data arrives.

use std::{path::Path, sync::atomic::Ordering, time::Duration};

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{StreamExt, TryStreamExt};

use super::{CallError, CallResult, Docker};
use crate::{
    core::observe::image::ImageFacts,
    engine::{
        EngineError, PullProgress, Result,
        wire::image::{self, Layers},
    },
};

/// How long a pull may stall; unpacking a large layer is silent for minutes on a slow disk.
const STALL_TIMEOUT: Duration = Duration::from_secs(600);

/// Where the kernel lists the programs that it emulates.
const EMULATORS: &str = "/proc/sys/fs/binfmt_misc";

impl Docker {
    /// What the engine says of an image that it has.
    pub(super) async fn image_facts(&self, name: &str) -> Result<ImageFacts> {
        let what = format!("inspecting the image {name}");
        let found = self.call(what, async |client| client.inspect_image(name).await).await?;
        let version = self.call("reading its version", async |client| client.version().await).await?;
        let machine = format!("{}/{}", version.os.unwrap_or_default(), version.arch.unwrap_or_default());
        let emulates = |architecture: &str| Path::new(EMULATORS).join(image::emulator(architecture)).exists();
        Ok(image::facts(found, &machine, emulates))
    }

    /// The ID of an image; `None` if the engine does not have it.
    pub(super) async fn find_image(&self, name: &str) -> Result<Option<String>> {
        let what = format!("looking for the image {name}");
        match self.call(what, async |client| client.inspect_image(name).await).await {
            Ok(found) => Ok(found.id),
            Err(CallError { error: EngineError::NotFound(_), .. }) => Ok(None),
            Err(failure) => Err(failure.error),
        }
    }

    pub(super) async fn pull_unless_present(
        &self,
        name: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        if self.find_image(name).await?.is_some() {
            return Ok(());
        }
        self.pull(name, progress).await.map_err(|failure| match failure.error {
            error @ (EngineError::Unreachable(_) | EngineError::OutOfFiles(_)) => error,
            _ => image::pull_failure(name, failure.status, &failure.message),
        })
    }

    async fn pull(&self, name: &str, progress: &(dyn Fn(PullProgress) + Send + Sync)) -> CallResult<()> {
        let mut options = CreateImageOptionsBuilder::new().from_image(name);
        if let Some(tag) = image::default_tag(name) {
            options = options.tag(tag);
        }
        let options = options.build();
        let what = format!("pulling {name}");
        self.calls.fetch_add(1, Ordering::Relaxed);
        let client = self.client()?.clone().with_timeout(STALL_TIMEOUT);
        let mut messages = client.create_image(Some(options), None, None).boxed();
        let mut layers = Layers::default();
        loop {
            let message = self.within(STALL_TIMEOUT, &what, messages.try_next()).await?;
            let Some(message) = message else { return Ok(()) };
            if let Some(sum) = layers.take(message) {
                progress(sum);
            }
        }
    }
}
