//! Why the store failed, by what to do next. Texts only: the database's own errors hold rows and parameters, which must
//! not leave this folder.

use std::path::PathBuf;

use sqlx::{Error, migrate::MigrateError};

use crate::descriptors;

/// What a store answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is unreachable. Wait, and continue when it is back.
    #[error("the database does not answer: {0}")]
    Unreachable(String),
    /// The database is read-only for now. Wait, and continue when it is not.
    #[error(
        "the database is read-only: it is a standby, or was demoted by a failover. AgentPod continues when its address leads to \
         the primary"
    )]
    ReadOnly,
    /// A connection pooler does not do what is needed.
    #[error(
        "the connection pooler in front of the database shares sessions and does not know prepared statements ({0}); use \
         PgBouncer 1.21 or newer with max_prepared_statements, or its session mode, or connect to PostgreSQL directly"
    )]
    Pooler(String),
    /// Another process leads now: what this one was about to write may be out of date.
    #[error("another AgentPod leads on this database now")]
    NotLeading,
    /// The instance key is not the one that this database is sealed with.
    #[error("{0}")]
    KeyMismatch(String),
    /// The instance key cannot be read or created.
    #[error("{path}: {what}", path = path.display())]
    KeyFile {
        /// Its file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The database belongs to another instance.
    #[error(
        "this database belongs to the instance {there}, not to {here}; run with --instance {there}, or use another database"
    )]
    OtherInstance {
        /// The instance it belongs to.
        there: String,
        /// The instance that connected.
        here: String,
    },
    /// No AgentPod has used the database yet.
    #[error("no AgentPod has used this database yet; start one with agentpod run, or name the right database")]
    Empty,
    /// The migrations failed.
    #[error("the database could not be migrated: {0}")]
    Migration(String),
    /// A row has an invalid value.
    #[error("the row {row} of {table} is damaged: {what}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        what: String,
    },
    /// Anything else; retrying would not help.
    #[error("the database returned an error: {0}")]
    Other(String),
}

impl StoreError {
    /// A stable code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "store_unreachable",
            Self::ReadOnly => "store_read_only",
            Self::Pooler(_) => "store_pooler",
            Self::NotLeading => "store_not_leading",
            Self::KeyMismatch(_) => "store_key_mismatch",
            Self::KeyFile { .. } => "store_key_file",
            Self::OtherInstance { .. } => "store_other_instance",
            Self::Empty => "store_empty",
            Self::Migration(_) => "store_migration",
            Self::Inconsistent { .. } => "store_inconsistent",
            Self::Other(_) => "store_other",
        }
    }

    /// Whether it is temporary: wait and try again.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::ReadOnly)
    }

    /// Whether the instance key is wrong or unusable: a person has to act.
    pub(crate) fn is_about_the_key(&self) -> bool {
        matches!(self, Self::KeyMismatch(_) | Self::KeyFile { .. })
    }

    pub(super) fn inconsistent(table: &'static str, row: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Inconsistent { table, row: row.into(), what: what.into() }
    }
}

/// SQLSTATE classes of a database that exists and cannot serve: connection lost, out of resources, shutting down or
/// starting, statement canceled, transaction that was idle for too long.
const UNAVAILABLE_CLASSES: [&str; 5] = ["08", "53", "57P", "57014", "25P03"];
/// SQLSTATEs of a prepared statement that is in another session than expected: only a pooler brings that about.
const NO_STATEMENT: [&str; 2] = ["26000", "42P05"];
/// SQLSTATE of a server that is read-only.
const READ_ONLY: &str = "25006";

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => {
                let code = error.code().unwrap_or_default().into_owned();
                // Only the message: the detail quotes rows.
                let text = match error.constraint() {
                    Some(constraint) => format!("{} ({constraint}, SQLSTATE {code})", error.message()),
                    None => format!("{} (SQLSTATE {code})", error.message()),
                };
                if NO_STATEMENT.contains(&code.as_str()) {
                    Self::Pooler(text)
                } else if code == READ_ONLY {
                    Self::ReadOnly
                } else if UNAVAILABLE_CLASSES.iter().any(|class| code.starts_with(class)) {
                    Self::Unreachable(text)
                } else {
                    Self::Other(text)
                }
            }
            Error::Migrate(error) => (*error).into(),
            Error::Io(error) if descriptors::are_exhausted(&error) => {
                Self::Unreachable("AgentPod has too many files open to ask it".into())
            }
            // Its own message only says that something went wrong.
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
                other => Self::Migration(format!("migration {number}: {other}")),
            },
            MigrateError::VersionMissing(number) => Self::Migration(format!(
                "a newer AgentPod has migrated it (migration {number} is unknown to this version); run that version, or restore a backup"
            )),
            other => Self::Migration(other.to_string()),
        }
    }
}
