//! Images: what to request from a registry, how far a pull has come, and what its failure means.

use std::collections::HashMap;

use bollard::models::{CreateImageInfo, ImageInspect};

use crate::{
    core::observe::image::ImageFacts,
    engine::{EngineError, PullProgress},
};

/// What an image's inspection says, for a machine like `linux/amd64`. `emulates`: whether it runs programs of an architecture
/// that is not its own.
pub(crate) fn facts(image: ImageInspect, machine: &str, emulates: impl Fn(&str) -> bool) -> ImageFacts {
    let (system, architecture) = (image.os.unwrap_or_default(), image.architecture.unwrap_or_default());
    let platform = format!("{system}/{architecture}");
    let config = image.config.unwrap_or_default();
    let is_some = |words: &Option<Vec<String>>| words.as_ref().is_some_and(|words| !words.is_empty());
    ImageFacts {
        // What an old image leaves out is not held against it.
        runs_here: platform == machine || architecture.is_empty() || machine.ends_with('/') || emulates(&architecture),
        platform,
        machine: machine.to_owned(),
        has_command: is_some(&config.entrypoint) || is_some(&config.cmd),
        volumes: config.volumes.unwrap_or_default().into_iter().collect(),
    }
}

/// The name under which the kernel lists its emulator of an architecture.
pub(crate) fn emulator(architecture: &str) -> String {
    let name = match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i386",
        other => other,
    };
    format!("qemu-{name}")
}

/// The tag to request besides the image's name: without one, the engine would pull every tag.
pub(crate) fn default_tag(image: &str) -> Option<&'static str> {
    let last = image.rsplit('/').next().unwrap_or(image);
    (!last.contains([':', '@'])).then_some("latest")
}

/// Adds up a pull over its layers.
#[derive(Debug, Default)]
pub(crate) struct Layers(HashMap<String, PullProgress>);

impl Layers {
    /// Adds one message; returns the sum if it changed.
    pub(crate) fn take(&mut self, message: CreateImageInfo) -> Option<PullProgress> {
        let layer = message.id?;
        match message.status.as_deref()? {
            "Downloading" => {
                let detail = message.progress_detail?;
                let received = u64::try_from(detail.current?).ok()?;
                let total = detail.total.and_then(|total| u64::try_from(total).ok()).unwrap_or(0).max(received);
                self.0.insert(layer, PullProgress { received, total, stalled: false });
            }
            "Download complete" | "Pull complete" => {
                let layer = self.0.get_mut(&layer)?;
                if layer.received == layer.total {
                    return None;
                }
                layer.received = layer.total;
            }
            _ => return None,
        }
        let add = |sum: PullProgress, layer: &PullProgress| PullProgress {
            received: sum.received + layer.received,
            total: sum.total + layer.total,
            stalled: false,
        };
        Some(self.0.values().fold(PullProgress::default(), add))
    }
}

/// What a failed pull means and what to do, from the answer's status and text.
pub(crate) fn pull_failure(image: &str, status: Option<u16>, message: &str) -> EngineError {
    let message = message.trim();
    let text = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["toomanyrequests", "rate limit"]) {
        EngineError::Other(format!(
            "the registry's rate limit for {image} is reached; log in with docker login or wait ({message})"
        ))
    } else if says(&[
        "dial tcp",
        "no such host",
        "i/o timeout",
        "connection refused",
        "tls handshake",
        "client.timeout",
        "request canceled",
        "eof",
    ]) {
        EngineError::Other(format!(
            "{image} is not on this machine, and its registry cannot be reached; check the network, or load the image with docker load ({message})"
        ))
    } else if status == Some(404) || says(&["not found", "manifest unknown", "denied", "unauthorized", "no basic auth"])
    {
        EngineError::NotFound(format!(
            "{image} is not on this machine, and its registry does not have it or requires a login; check its name and tag, build it, or run docker login ({message})"
        ))
    } else if status == Some(400) {
        EngineError::Refused(format!("{image} is not a valid image name ({message})"))
    } else {
        EngineError::Other(format!("{image} could not be pulled ({message})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_tag_means_latest_and_never_all_tags() {
        for bare in ["echo", "agentpod/echo", "localhost:5000/echo"] {
            assert_eq!(default_tag(bare), Some("latest"), "{bare}");
        }
        for exact in ["echo:1", "localhost:5000/echo:1", "echo@sha256:00"] {
            assert_eq!(default_tag(exact), None, "{exact}");
        }
    }

    #[test]
    fn an_image_for_another_machine_runs_only_where_that_is_emulated() {
        let inspect = |json: &str| serde_json::from_str::<ImageInspect>(json).unwrap();
        let json = r#"{"Id":"sha256:5f","Os":"linux","Architecture":"arm64","Config":{"Entrypoint":["/agent"],"Volumes":{"/data/sub":{}}}}"#;
        let here = facts(inspect(json), "linux/amd64", |_| false);
        assert_eq!((here.runs_here, here.has_command, here.platform.as_str()), (false, true, "linux/arm64"));
        assert_eq!(here.volumes.iter().collect::<Vec<_>>(), ["/data/sub"]);
        assert!(facts(inspect(json), "linux/arm64", |_| false).runs_here);
        assert!(facts(inspect(json), "linux/amd64", |other| emulator(other) == "qemu-aarch64").runs_here);
        assert!(!facts(inspect(r#"{"Os":"linux","Architecture":"amd64"}"#), "linux/amd64", |_| false).has_command);
    }

    #[test]
    fn progress_adds_up_over_the_layers() {
        let mut layers = Layers::default();
        let mut take =
            |json: &str| layers.take(serde_json::from_str(json).unwrap()).map(|sum| (sum.received, sum.total));
        assert_eq!(take(r#"{"status":"Pulling from agentpod/echo","id":"1"}"#), None);
        assert_eq!(
            take(r#"{"status":"Downloading","id":"a","progressDetail":{"current":5,"total":10}}"#),
            Some((5, 10))
        );
        assert_eq!(
            take(r#"{"status":"Downloading","id":"b","progressDetail":{"current":1,"total":30}}"#),
            Some((6, 40))
        );
        assert_eq!(take(r#"{"status":"Download complete","id":"a","progressDetail":{}}"#), Some((11, 40)));
        assert_eq!(take(r#"{"status":"Extracting","id":"a","progressDetail":{"current":1,"total":10}}"#), None);
        assert_eq!(take(r#"{"status":"Already exists","id":"c","progressDetail":{}}"#), None);
        assert_eq!(take(r#"{"status":"Pull complete","id":"a","progressDetail":{}}"#), None);
    }

    #[test]
    fn a_missing_image_and_an_unreachable_registry_are_distinguished() {
        let denied = "pull access denied for agentpod/nothing, repository does not exist or may require 'docker login'";
        assert_eq!(pull_failure("agentpod/nothing:1", Some(404), denied).code(), "engine_not_found");
        let away = "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host";
        let error = pull_failure("agentpod/nothing:1", Some(500), away);
        assert_eq!(error.code(), "engine_failed");
        assert!(error.to_string().contains("cannot be reached"), "{error}");
    }
}
