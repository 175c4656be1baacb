//! A folder of manifests as a source. May read only below that folder, and only files that are manifests by name.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    SharedHealth, Snapshot, SourceError, SourceHealth,
    manifests::{is_manifest, whole},
    read::{self, Rules},
};

/// A folder of manifests on this machine; may itself be a symlink.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    tried: SharedHealth,
}

/// How often a folder is read at the least: every look of the reconciler is one.
const INTERVAL: Duration = Duration::from_secs(30);

const MANIFESTS: Rules = Rules { label: "", counts: is_manifest, limited: true };

impl Directory {
    /// The source that is the folder `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), tried: SharedHealth::every(INTERVAL) }
    }

    /// The folder, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder, for people.
    pub fn origin(&self) -> String {
        self.path.display().to_string()
    }

    /// When it was read last, and what came of it.
    pub fn health(&self) -> SourceHealth {
        self.tried.health()
    }

    /// All manifests below the folder as they are now. A folder without any is an error: an empty set is more often
    /// a mount that failed than a wish to remove everything.
    pub async fn read(&self) -> Result<Snapshot, SourceError> {
        let outcome = self.look().await;
        self.tried.note(outcome.as_ref().map(|_| None).map_err(ToString::to_string));
        outcome
    }

    async fn look(&self) -> Result<Snapshot, SourceError> {
        let files = read::read(&self.path, MANIFESTS).await?;
        let hint = "Put a .yaml file there, or name the right folder.";
        Ok(Snapshot::new(self.origin(), whole(self.origin(), files, hint)?))
    }
}
