//! Sources: where manifests come from. A source yields a [`Snapshot`] that is whole, or an error that names every
//! reason why not; never a part of the files, and never nothing. May not know what manifests mean: that is `core`'s
//! business, and what happens to a revision is `reconcile`'s.

mod adapters;
mod directory;
pub mod edit;
mod error;
pub mod git;
mod health;
mod manifests;
mod read;
mod survey;
mod watch;

use std::{collections::BTreeMap, path::PathBuf};

pub use adapters::{AdapterFolders, AdapterSnapshot};
pub use directory::Directory;
pub use edit::{Added, Edit, NotAdded};
pub use error::SourceError;
pub use git::Git;
pub use health::{SharedHealth, SourceHealth};
pub use survey::{MAX_DEPTH, MAX_ENTRIES, MAX_FILES, MAX_TOTAL_BYTES};
pub use watch::Watch;

use crate::core::{declare::commit::Commit, digest::Digest};

/// All manifest files of a source at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which state this is: the same files give the same revision, whenever and in whatever order they are read.
    pub revision: String,
    /// Where it comes from, for people.
    pub origin: String,
    /// The files by their path below the source's root, with `/` between folders.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The commit they were read from, where the source keeps commits.
    pub commit: Option<Commit>,
}

impl Snapshot {
    /// The files of one moment.
    pub fn new(origin: impl Into<String>, files: BTreeMap<String, Vec<u8>>) -> Self {
        let revision = Digest::of_files("", &files).as_str().into();
        Self { revision, origin: origin.into(), files, commit: None }
    }

    /// The same, from a commit.
    #[must_use]
    pub fn of(mut self, commit: Commit) -> Self {
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
    /// A git repository somewhere else.
    Git(Git),
}

impl Source {
    /// All manifest files as they are now; of a repository, as they were when it was fetched last.
    pub async fn read(&self) -> Result<Snapshot, SourceError> {
        match self {
            Self::Git(git) => git.read().await,
            Self::Directory(directory) => directory.read().await,
        }
    }

    /// Adds one file, where `edit` is placed among what is there, and says what was made of it. Nothing is written unless
    /// all of it is.
    pub async fn add(&self, edit: Edit) -> Result<Added, NotAdded> {
        match self {
            Self::Directory(directory) => edit::folder::add(directory, edit).await,
            Self::Git(git) => git.add(edit).await,
        }
    }

    /// Where it is, for people.
    pub fn origin(&self) -> String {
        match self {
            Self::Directory(directory) => directory.origin(),
            Self::Git(git) => git.origin(),
        }
    }

    /// When it was read, what came of it, and how often it should be.
    pub fn health(&self) -> SourceHealth {
        match self {
            Self::Directory(directory) => directory.health(),
            Self::Git(git) => git.health(),
        }
    }

    /// The folders on this machine to [`Watch`] for changes; none for a source that is asked instead.
    pub fn folders(&self) -> Vec<PathBuf> {
        match self {
            Self::Directory(directory) => vec![directory.path().to_owned()],
            Self::Git(_) => Vec::new(),
        }
    }

    /// Whether it is worth waiting a moment before it is read: it will say something new soon.
    pub fn is_awaited(&self) -> bool {
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
        Snapshot::new("here", files.iter().map(|(name, text)| ((*name).into(), text.as_bytes().to_vec())).collect())
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
