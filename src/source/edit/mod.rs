//! Adding one file to a source: to a folder, or as a commit on the tip of a git branch. Never overwrites, never takes
//! anything away, and writes nothing unless whoever knows what manifests mean has found a place among what is there now.

pub(super) mod folder;

use std::{fmt, sync::Arc};

use super::SourceError;
use crate::core::{declare::edit::SourceFiles, problem::Problem};

/// Finds the file's path below the source's root, or says why what is there may not be added to.
pub type PlaceFile = Arc<dyn Fn(&SourceFiles) -> Result<String, Vec<Problem>> + Send + Sync>;

/// One file to be added.
#[derive(Clone)]
pub struct Edit {
    /// What stands in it.
    pub text: String,
    /// Where it goes; asked again when the source has moved meanwhile.
    pub place: PlaceFile,
    /// Who adds it, by their name on the dashboard.
    pub author: String,
    /// What is added, as the first line of a commit: `Add pod alice/assistant`.
    pub summary: String,
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit").field("author", &self.author).field("summary", &self.summary).finish_non_exhaustive()
    }
}

/// What was made of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The file's path below the source's root.
    pub file: String,
    /// The commit's full id, where the source keeps commits.
    pub commit: Option<String>,
}

impl Added {
    /// Where it is, for people: `commit 0123456789, alice-assistant.yaml`.
    pub fn place(&self) -> String {
        match self.commit.as_deref() {
            Some(id) => format!("{} in commit {}", self.file, id.get(..10).unwrap_or(id)),
            None => self.file.clone(),
        }
    }
}

/// Why nothing was added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdded {
    /// What is there together with it would be no good revision.
    #[error("the source would be refused with it: {}", first(.0))]
    Problems(Vec<Problem>),
    /// What is there could not be read.
    #[error("{0}")]
    Unread(#[from] SourceError),
    /// It may not be written, or could not be.
    #[error("{origin}: {what}; {hint}")]
    Unwritten {
        /// Which source.
        origin: String,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
}

impl NotAdded {
    /// The same as problems, at least one, as `agentpod validate` tells them.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Problems(problems) => problems.clone(),
            Self::Unread(error) => error.problems(),
            Self::Unwritten { origin, what, hint } => vec![Problem::of_file(origin, what).hint(hint)],
        }
    }
}

fn first(problems: &[Problem]) -> String {
    problems.first().map(|problem| format!("{}: {}", problem.file, problem.what)).unwrap_or_default()
}
