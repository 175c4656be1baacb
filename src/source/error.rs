//! Why a source could not be read. Every error leaves the last good revision in force: nothing is ever deleted because
//! files could not be read.

use crate::core::problem::Problem;

/// Why there is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing is where the source should be.
    #[error("there is no folder {origin}; create it, or name the right one")]
    Missing {
        /// Where the source should be.
        origin: String,
    },
    /// Something else is where the source should be.
    #[error("{origin} is not a folder; name the folder that holds the files")]
    NotAFolder {
        /// Where the source should be.
        origin: String,
    },
    /// There is not one file. That never means that everything should go.
    #[error("{origin} holds {expected}; nothing is changed. {hint}")]
    Empty {
        /// Which source.
        origin: String,
        /// What it lacks: `no manifest`.
        expected: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Some files cannot be taken; all that is wrong with any of them.
    #[error("{origin} cannot be taken as it is: {}", listed(problems))]
    Refused {
        /// Which source.
        origin: String,
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// The files kept changing while they were read.
    #[error("{origin} is being written: {file} keeps changing; it is read again when it is quiet")]
    Busy {
        /// Which source.
        origin: String,
        /// What was changing last.
        file: String,
    },
    /// A repository could not be fetched, or its newest commit may not be used.
    #[error("{origin}: {what}; {hint}")]
    Unfetched {
        /// Which source.
        origin: String,
        /// A steady word for machines.
        code: &'static str,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Anything else.
    #[error("{origin} could not be read: {why}; it is tried again")]
    Failed {
        /// Which source.
        origin: String,
        /// What went wrong.
        why: String,
    },
}

impl SourceError {
    /// A steady word for machines.
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

    /// The same as problems, at least one, to be shown beside those of manifests.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Missing { origin } => {
                vec![Problem::of_file(origin, "there is no such folder").hint("create it, or name the right one")]
            }
            Self::NotAFolder { origin } => {
                vec![Problem::of_file(origin, "this is not a folder").hint("name the folder that holds the files")]
            }
            Self::Empty { origin, expected, hint } => {
                vec![Problem::of_file(origin, format!("the folder holds {expected}; nothing is changed")).hint(*hint)]
            }
            Self::Refused { problems, .. } => problems.clone(),
            Self::Busy { origin, file } => {
                let hint = "stop whatever writes it, or let it write beside the folder and rename; it is read again when it is quiet";
                vec![
                    Problem::of_file(origin, format!("{file} is being written: it keeps changing while it is read"))
                        .hint(hint),
                ]
            }
            Self::Unfetched { origin, what, hint, .. } => vec![Problem::of_file(origin, what).hint(hint)],
            Self::Failed { origin, why } => {
                vec![
                    Problem::of_file(origin, format!("it could not be read: {why}"))
                        .hint("it is tried again by itself"),
                ]
            }
        }
    }
}

/// The first problem, and how many more there are.
fn listed(problems: &[Problem]) -> String {
    match problems {
        [] => "nothing is known of the reason".into(),
        [one] => format!("{}: {}", one.file, one.what),
        [first, rest @ ..] => format!("{}: {} (and {} more)", first.file, first.what, rest.len()),
    }
}
