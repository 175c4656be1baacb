//! Images: present, or pulled. A pull may take any time as long as data arrives.

use std::{sync::atomic::Ordering, time::Duration};

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{StreamExt, TryStreamExt};

use super::{CallError, CallResult, Docker};
use crate::engine::{
    EngineError, PullProgress, Result,
    wire::image::{self, Layers},
};

/// How long a pull may stall; unpacking a large layer is silent for minutes on a slow disk.
const STALL_TIMEOUT: Duration = Duration::from_secs(600);

impl Docker {
    pub(super) async fn pull_unless_present(
        &self,
        name: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        let there =
            self.call(format!("looking for the image {name}"), async |client| client.inspect_image(name).await).await;
        match there {
            Ok(_) => return Ok(()),
            Err(CallError { error: EngineError::NotFound(_), .. }) => {}
            Err(failure) => return Err(failure.error),
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
