//! Images: what to request from a registry, how far a pull has come, and what its failure means.

use std::collections::HashMap;

use bollard::models::CreateImageInfo;

use crate::engine::{EngineError, PullProgress};

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
