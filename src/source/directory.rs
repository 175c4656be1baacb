//! A folder of manifests as a source. It reads only files below that folder whose name is a manifest's.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    SharedHealth, Snapshot, SourceError, SourceHealth,
    manifests::{check_set, is_manifest},
    read::{self, Rules},
};

/// A folder of manifests on this machine, or a symlink to one.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    health: SharedHealth,
}

/// How often a folder is read at least, as often as the reconciler scans.
const INTERVAL: Duration = Duration::from_secs(30);

const MANIFESTS: Rules = Rules { label: "", matches: is_manifest, limited: true };

impl Directory {
    /// The source in the folder `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), health: SharedHealth::every(INTERVAL) }
    }

    /// The folder, as it was named.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder, for people.
    pub(crate) fn origin(&self) -> String {
        self.path.display().to_string()
    }

    /// When it was last read, and with what result.
    pub(crate) fn health(&self) -> SourceHealth {
        self.health.health()
    }

    /// Reads all manifests below the folder. A folder without any is an error: it is more often a failed mount than an
    /// intention to remove everything.
    pub async fn read(&self) -> Result<Snapshot, SourceError> {
        let outcome = self.scan().await;
        self.health.record(outcome.as_ref().map(|_| None));
        outcome
    }

    async fn scan(&self) -> Result<Snapshot, SourceError> {
        let files = read::read(&self.path, MANIFESTS).await?;
        let hint = "Put a .yaml file there, or name the right folder.";
        Ok(Snapshot::new(self.origin(), check_set(self.origin(), files, hint)?))
    }
}
