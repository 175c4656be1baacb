//! The folders with adapters and templates, read with the same care as manifests: whole or an error.

use std::path::PathBuf;

use super::{
    SourceError,
    read::{self, Rules},
};
use crate::core::{declare::adapter::AdapterFiles, digest::Digest};

/// Where adapters and their templates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterFolders {
    /// `adapters/`: a folder for each kind of agent.
    pub adapters: PathBuf,
    /// `templates/`: the same folders, with templates.
    pub templates: PathBuf,
}

/// All adapter files at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterSnapshot {
    /// The files, as the core reads them.
    pub files: AdapterFiles,
    /// The same files give the same digest.
    pub digest: Digest,
}

const ADAPTERS: Rules = Rules { label: "adapters/", counts: is_in_a_folder, limited: true };
const TEMPLATES: Rules = Rules { label: "templates/", counts: is_an_adapters, limited: true };

impl AdapterFolders {
    /// All files of both folders as they are now.
    pub async fn read(&self) -> Result<AdapterSnapshot, SourceError> {
        let adapters = read::read(&self.adapters, ADAPTERS).await?;
        if !adapters.keys().any(|name| name.ends_with("/adapter.yaml")) {
            return Err(SourceError::Empty {
                origin: self.adapters.display().to_string(),
                expected: "no adapter (no NAME/adapter.yaml)",
                hint: "Name the folder with the adapters that came with AgentPod, or write one.",
            });
        }
        let templates = read::read(&self.templates, TEMPLATES).await?;
        let files = AdapterFiles { adapters, templates };
        Ok(AdapterSnapshot { digest: files.digest(), files })
    }

    /// The folders to watch for changes.
    pub fn folders(&self) -> Vec<PathBuf> {
        vec![self.adapters.clone(), self.templates.clone()]
    }
}

/// Files beside the folders, like a README, belong to no adapter.
fn is_in_a_folder(name: &str) -> bool {
    name.contains('/')
}

/// The dashboard's own templates stand beside those of adapters, and are part of the program.
fn is_an_adapters(name: &str) -> bool {
    is_in_a_folder(name) && !name.starts_with("dashboard/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashboards_templates_are_no_adapters() {
        assert!(["echo/echo.json.j2", "dash/board.html"].into_iter().all(is_an_adapters));
        assert!(!["dashboard/pod.html", "dashboard/assets/app.css", "README.md"].into_iter().any(is_an_adapters));
    }
}
