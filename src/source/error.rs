//! Errors of reading a source. All of them leave the last good revision in force: nothing is ever removed because files
//! could not be read.

use crate::core::problem::Problem;

/// Why there is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The folder does not exist.
    #[error("there is no folder {origin}; create it, or name the right one")]
    Missing {
        /// The source, for people.
        origin: String,
    },
    /// The path is not a folder.
    #[error("{origin} is not a folder; name the folder that holds the files")]
    NotAFolder {
        /// The source, for people.
        origin: String,
    },
    /// There are no files. This never means that everything should be removed.
    #[error("{origin} has {expected}; nothing was changed. {hint}")]
    Empty {
        /// The source, for people.
        origin: String,
        /// What is missing, like `no manifest`.
        expected: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Some files cannot be used.
    #[error("{origin} cannot be used: {}", summary(problems))]
    Refused {
        /// The source, for people.
        origin: String,
        /// Every problem of every file.
        problems: Vec<Problem>,
    },
    /// The files kept changing while they were read.
    #[error("{origin} is being written: {file} keeps changing; it is read again when the changes stop")]
    Busy {
        /// The source, for people.
        origin: String,
        /// The file that changed last.
        file: String,
    },
    /// A repository could not be fetched, or its newest commit may not be used.
    #[error("{origin}: {what}; {hint}")]
    Unfetched {
        /// The source, for people.
        origin: String,
        /// A stable code for machines.
        code: &'static str,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Any other failure.
    #[error("{origin} cannot be read: {why}; trying again")]
    Failed {
        /// The source, for people.
        origin: String,
        /// What went wrong.
        why: String,
    },
}

impl SourceError {
    /// A stable code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "source_missing",
            Self::NotAFolder { .. } => "source_not_a_folder",
            Self::Empty { .. } => "source_empty",
            Self::Refused { .. } => "source_refused",
            Self::Busy { .. } => "source_busy",
            Self::Unfetched { code, .. } => code,
            Self::Failed { .. } => "source_failed",
        }
    }

    /// The error as at least one problem, to list with those of manifests.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Missing { origin } => {
                vec![Problem::of_file(origin, "there is no such folder").hint("create it, or name the right one")]
            }
            Self::NotAFolder { origin } => {
                vec![Problem::of_file(origin, "this is not a folder").hint("name the folder that holds the files")]
            }
            Self::Empty { origin, expected, hint } => {
                vec![Problem::of_file(origin, format!("the folder has {expected}; nothing was changed")).hint(*hint)]
            }
            Self::Refused { problems, .. } => problems.clone(),
            Self::Busy { origin, file } => {
                let hint =
                    "stop what writes it, or let it write elsewhere and rename; it is read again when the changes stop";
                vec![
                    Problem::of_file(origin, format!("{file} is being written: it keeps changing while it is read"))
                        .hint(hint),
                ]
            }
            Self::Unfetched { origin, what, hint, .. } => vec![Problem::of_file(origin, what).hint(hint)],
            Self::Failed { origin, why } => {
                vec![
                    Problem::of_file(origin, format!("it cannot be read: {why}"))
                        .hint("it is read again automatically"),
                ]
            }
        }
    }
}

/// The first problem, and the number of others.
fn summary(problems: &[Problem]) -> String {
    match problems {
        [] => "the cause is unknown".into(),
        [one] => format!("{}: {}", one.file, one.what),
        [first, rest @ ..] => format!("{}: {} (and {} more)", first.file, first.what, rest.len()),
    }
}
