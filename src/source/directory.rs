//! A folder of manifests as a source. May read only below that folder, and only files that are manifests by name.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Snapshot, SourceError, SourceHealth, Tried,
    read::{self, Rules},
};
use crate::core::problem::Problem;

/// A folder of manifests on this machine; may itself be a symlink.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    tried: Tried,
}

/// How often a folder is read at the least: every look of the reconciler is one.
const INTERVAL: Duration = Duration::from_secs(30);

const MANIFESTS: Rules = Rules { label: "", counts: is_manifest, limited: true };

impl Directory {
    /// The source that is the folder `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), tried: Tried::every(INTERVAL) }
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
        let origin = self.origin();
        let files = read::read(&self.path, MANIFESTS).await?;
        if files.is_empty() {
            let hint = "Put a .yaml file there, or name the right folder.";
            return Err(SourceError::Empty { origin, expected: "no manifest (no .yaml or .yml file)", hint });
        }
        let blank = |name: &String| {
            Problem::of_file(name, "the file is empty")
                .hint("an interrupted write leaves such a file; write manifests into it, or delete it")
        };
        let problems: Vec<Problem> =
            files.iter().filter(|(_, bytes)| bytes.is_empty()).map(|(name, _)| blank(name)).collect();
        if problems.is_empty() {
            Ok(Snapshot::new(origin, files))
        } else {
            Err(SourceError::Refused { origin, problems })
        }
    }
}

/// Whether a file is a manifest, by its path below the root.
fn is_manifest(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml"));
    stem.is_some_and(|stem| !stem.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yaml_files_are_manifests() {
        assert!(["a.yaml", "x/y/a.yml", "a.b.yaml"].into_iter().all(is_manifest));
        assert!(!["README.md", "a.yaml.bak", "a.json", "x/.yaml", "yaml", "a.yaml/b"].into_iter().any(is_manifest));
    }
}
