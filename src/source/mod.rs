//! Sources: where manifests come from. A source yields a complete [`Snapshot`], or an error with every problem; never a
//! part of the files, and never an empty set. It does not interpret manifests, which is `core`'s job.

mod adapters;
mod directory;
pub(crate) mod edit;
mod error;
pub mod git;
mod health;
mod manifests;
mod read;
mod survey;
mod watch;

use std::{collections::BTreeMap, path::PathBuf};

pub use adapters::AdapterFolders;
pub use directory::Directory;
pub use edit::{Edit, Edited, NotEdited};
pub use error::SourceError;
pub use git::Git;
pub use health::{SharedHealth, SourceHealth};
pub use survey::{MAX_DEPTH, MAX_FILES};
pub(crate) use survey::{MAX_ENTRIES, MAX_TOTAL_BYTES};
pub use watch::Watch;

use crate::core::{declare::commit::Commit, digest::Digest};

/// All manifest files of a source at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The hash of the files, whatever the order in which they are read.
    pub revision: String,
    /// The source, for people.
    pub origin: String,
    /// The files by their path below the source's root, separated by `/`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The commit they were read from, if the source has commits.
    pub commit: Option<Commit>,
}

impl Snapshot {
    /// A snapshot of these files.
    pub(crate) fn new(origin: impl Into<String>, files: BTreeMap<String, Vec<u8>>) -> Self {
        let revision = Digest::of_files("", &files).as_str().into();
        Self { revision, origin: origin.into(), files, commit: None }
    }

    /// Adds the commit they come from.
    #[must_use]
    pub(crate) fn with_commit(mut self, commit: Commit) -> Self {
        self.commit = Some(commit);
        self
    }

    /// The files as [`crate::core::declare::manifest::read`] takes them.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }
}

/// Where manifests come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A folder on this machine.
    Directory(Directory),
    /// A git repository.
    Git(Git),
}

impl Source {
    /// Reads all manifests; those of a repository as of the last fetch.
    pub async fn read(&self) -> Result<Snapshot, SourceError> {
        match self {
            Self::Git(git) => git.read().await,
            Self::Directory(directory) => directory.read().await,
        }
    }

    /// Changes one file, completely or not at all.
    pub async fn edit(&self, edit: Edit) -> Result<Edited, NotEdited> {
        match self {
            Self::Directory(directory) => edit::folder::edit(directory, edit).await,
            Self::Git(git) => git.edit(edit).await,
        }
    }

    /// The source, for people.
    pub(crate) fn origin(&self) -> String {
        match self {
            Self::Directory(directory) => directory.origin(),
            Self::Git(git) => git.origin(),
        }
    }

    /// When it was read, with what result, and how often it should be.
    pub(crate) fn health(&self) -> SourceHealth {
        match self {
            Self::Directory(directory) => directory.health(),
            Self::Git(git) => git.health(),
        }
    }

    /// The folders to [`Watch`] for changes; none for a source that is polled.
    pub fn folders(&self) -> Vec<PathBuf> {
        match self {
            Self::Directory(directory) => vec![directory.path().to_owned()],
            Self::Git(_) => Vec::new(),
        }
    }

    /// Whether the first fetch is still under way, so that reading should wait for it.
    pub(crate) fn is_awaited(&self) -> bool {
        match self {
            Self::Directory(_) => false,
            Self::Git(git) => git.is_awaited(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(files: &[(&str, &str)]) -> Snapshot {
        Snapshot::new("folder", files.iter().map(|(name, text)| ((*name).into(), text.as_bytes().to_vec())).collect())
    }

    #[test]
    fn the_revision_depends_on_names_and_contents_and_on_nothing_else() {
        let one = snapshot(&[("a.yaml", "1"), ("b.yaml", "2")]);
        assert_eq!(one.revision, snapshot(&[("b.yaml", "2"), ("a.yaml", "1")]).revision);
        assert_eq!(one.revision.len(), 64);
        for other in [
            &[("a.yaml", "1"), ("b.yaml", "3")],
            &[("a.yaml", "1"), ("c.yaml", "2")],
            &[("a.yaml", "12"), ("b.yaml", "")],
        ] {
            assert_ne!(one.revision, snapshot(other).revision);
        }
    }
}
