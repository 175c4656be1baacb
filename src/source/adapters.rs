//! The folders of adapters and templates, read like manifests: completely, or with an error.

use std::path::PathBuf;

use super::{
    SourceError,
    read::{self, Rules},
};
use crate::core::{declare::adapter::AdapterFiles, digest::Digest};

/// The folders of adapters and their templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterFolders {
    /// `adapters/`, with a folder for each kind of agent.
    pub adapters: PathBuf,
    /// `templates/`, with the same folders.
    pub templates: PathBuf,
}

/// All adapter files at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterSnapshot {
    /// The files, as the core reads them.
    pub files: AdapterFiles,
    /// Equal files have equal digests.
    pub digest: Digest,
}

const ADAPTERS: Rules = Rules { label: "adapters/", matches: is_in_a_folder, limited: true };
const TEMPLATES: Rules = Rules { label: "templates/", matches: is_an_adapters, limited: true };

impl AdapterFolders {
    /// Reads all files of both folders.
    pub async fn read(&self) -> Result<AdapterSnapshot, SourceError> {
        let adapters = read::read(&self.adapters, ADAPTERS).await?;
        if !adapters.keys().any(|name| name.ends_with("/adapter.yaml")) {
            return Err(SourceError::Empty {
                origin: self.adapters.display().to_string(),
                expected: "no adapter (no NAME/adapter.yaml)",
                hint: "Name the folder of adapters that came with AgentPod, or write one.",
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

/// The dashboard's own templates are beside those of adapters, and are part of the binary.
fn is_an_adapters(name: &str) -> bool {
    is_in_a_folder(name) && !name.starts_with("dashboard/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashboards_templates_belong_to_no_adapter() {
        assert!(["echo/echo.json.j2", "dash/board.html"].into_iter().all(is_an_adapters));
        assert!(!["dashboard/pod.html", "dashboard/assets/app.css", "README.md"].into_iter().any(is_an_adapters));
    }
}
