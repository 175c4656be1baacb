//! Changes one file of a source: in a folder, or as a commit on the tip of a git branch. It writes only if the caller has
//! accepted the result, and replaces or removes a file only if it still is what the caller has seen.

pub(super) mod folder;

use std::{fmt, sync::Arc};

use super::SourceError;
use crate::core::{
    declare::edit::{FileChange, SourceFiles},
    problem::Problem,
};

/// Decides what to change, from the source as it is, and checks the source with the change.
pub(crate) type Decide = Arc<dyn Fn(&SourceFiles) -> Result<FileChange, Vec<Problem>> + Send + Sync>;

/// One file to be changed.
#[derive(Clone)]
pub struct Edit {
    /// The change; called again if the source changed meanwhile.
    pub decide: Decide,
    /// The name of the account that makes it.
    pub author: String,
    /// The first line of the commit message, like `Add pod alice/assistant`.
    pub summary: String,
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit").field("author", &self.author).field("summary", &self.summary).finish_non_exhaustive()
    }
}

/// A file that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The file's path below the source's root.
    pub file: String,
    /// The commit's full ID, if the source has commits.
    pub commit: Option<String>,
}

impl Edited {
    /// Where it is, for people: `alice-assistant.yaml in commit 0123456789`.
    pub fn location(&self) -> String {
        match self.commit.as_deref() {
            Some(id) => format!("{} in commit {}", self.file, id.get(..10).unwrap_or(id)),
            None => self.file.clone(),
        }
    }
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEdited {
    /// The source would be rejected with the change.
    #[error("the source would be rejected with it: {}", first(.0))]
    Problems(Vec<Problem>),
    /// The source cannot be read.
    #[error("{0}")]
    Unread(#[from] SourceError),
    /// The file cannot be written.
    #[error("{origin}: {what}; {hint}")]
    Unwritten {
        /// The source, for people.
        origin: String,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
}

impl NotEdited {
    /// The error as at least one problem.
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
