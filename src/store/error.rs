//! Why the store could not do something, by what to do next. Texts only: the database's own errors hold rows and
//! parameters, and must not get out of here.

use std::path::PathBuf;

use sqlx::{Error, migrate::MigrateError};

/// What a store answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, or cannot be written just now. Hold, and go on when it is back.
    #[error("the database does not answer: {0}")]
    Unreachable(String),
    /// The instance key is not the one this database was made with.
    #[error("{0}")]
    KeyMismatch(String),
    /// The instance key cannot be read or made.
    #[error("{path}: {what}", path = path.display())]
    KeyFile {
        /// Where it is, or should be.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The database belongs to another instance.
    #[error(
        "this database belongs to the instance {there}, and this is {here}; name that one with --instance {there}, or use another database"
    )]
    OtherInstance {
        /// The instance it belongs to.
        there: String,
        /// The instance that asked.
        here: String,
    },
    /// The tables cannot be brought up to date.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(String),
    /// A row says something that it cannot say.
    #[error("the row {row} of {table} is damaged: {what}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        what: String,
    },
    /// Anything else; trying again would not help.
    #[error("the database refused: {0}")]
    Other(String),
}

impl StoreError {
    /// A steady word for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "store_unreachable",
            Self::KeyMismatch(_) => "store_key_mismatch",
            Self::KeyFile { .. } => "store_key_file",
            Self::OtherInstance { .. } => "store_other_instance",
            Self::Migration(_) => "store_migration",
            Self::Inconsistent { .. } => "store_inconsistent",
            Self::Other(_) => "store_other",
        }
    }

    /// Whether it goes away by itself: hold, and try again later.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether the instance key is not the right one, or cannot be used: a person has to do something.
    pub fn is_about_the_key(&self) -> bool {
        matches!(self, Self::KeyMismatch(_) | Self::KeyFile { .. })
    }

    pub(super) fn inconsistent(table: &'static str, row: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Inconsistent { table, row: row.into(), what: what.into() }
    }
}

/// SQLSTATE classes of a database that is there and cannot serve: connection lost, out of resources, going down or
/// coming up, not yet writable after a failover, a statement it gave up.
const AWAY: [&str; 5] = ["08", "53", "57P", "25006", "57014"];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => {
                let code = error.code().unwrap_or_default().into_owned();
                // The message alone: the detail beside it quotes rows.
                let text = match error.constraint() {
                    Some(constraint) => format!("{} ({constraint}, SQLSTATE {code})", error.message()),
                    None => format!("{} (SQLSTATE {code})", error.message()),
                };
                if AWAY.iter().any(|class| code.starts_with(class)) {
                    Self::Unreachable(text)
                } else {
                    Self::Other(text)
                }
            }
            Error::Migrate(error) => (*error).into(),
            // Its own words only say that something went wrong on the way.
            Error::Io(error) => Self::Unreachable(error.to_string()),
            error @ (Error::Tls(_)
            | Error::Protocol(_)
            | Error::PoolTimedOut
            | Error::PoolClosed
            | Error::WorkerCrashed
            | Error::BeginFailed) => Self::Unreachable(error.to_string()),
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(inner) => match inner.into() {
                away @ Self::Unreachable(_) => away,
                other => Self::Migration(other.to_string()),
            },
            MigrateError::ExecuteMigration(inner, number) => match inner.into() {
                away @ Self::Unreachable(_) => away,
                other => Self::Migration(format!("step {number}: {other}")),
            },
            MigrateError::VersionMissing(number) => Self::Migration(format!(
                "a newer AgentPod has used it (step {number} is unknown here); start that one, or restore a backup"
            )),
            other => Self::Migration(other.to_string()),
        }
    }
}
