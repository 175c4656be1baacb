//! Errors of the private server, each with a stable code and a message that says what happened, where, and what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    #[error(
        "found no PostgreSQL server programs (postgres, initdb, pg_ctl) in {}. \
         Install them (Debian, Ubuntu: apt-get install postgresql), set AGENTPOD_POSTGRES_BIN to their directory, \
         or set DATABASE_URL to your own server",
        list(.searched)
    )]
    NoBinaries { searched: Vec<PathBuf> },
    #[error(
        "the data in {data} were written by PostgreSQL {required}, but only {} was found. \
         Install PostgreSQL {required} again (apt-get install postgresql-{required}), or migrate the data with pg_upgrade",
        found.join(", ")
    )]
    WrongMajor { data: PathBuf, required: u32, found: Vec<String> },
    #[error(
        "the PostgreSQL server runs as user {user}, who may not enter {dir} ({mode}); \
         run chmod o+x {dir}, or choose another state directory"
    )]
    Blocked { dir: PathBuf, user: String, mode: String },
    #[error("{path} cannot be used as PostgreSQL's data directory: {why}")]
    DataUnusable { path: PathBuf, why: String },
    #[error("the state directory {path} cannot be used: {why}. Choose another state directory, or set DATABASE_URL")]
    StateDirUnusable { path: PathBuf, why: String },
    #[error("cannot run {program} as user {user}: {why}. Check that this user may execute it")]
    CannotRun { program: PathBuf, user: String, why: io::Error },
    #[error("cannot create the database in {dir}; {program} failed with {status}:\n{output}")]
    CreateFailed { dir: PathBuf, program: PathBuf, status: String, output: String },
    #[error("the PostgreSQL server in {data} did not start: {output}\nThe last lines of {log}:\n{lines}")]
    StartFailed { data: PathBuf, output: String, log: PathBuf, lines: String },
    #[error(
        "the PostgreSQL server in {data} (process {pid}) was not ready after {} s; it keeps starting, \
         so try again later.\nThe last lines of {log}:\n{lines}",
        waited.as_secs()
    )]
    NotReady { data: PathBuf, pid: i32, waited: Duration, log: PathBuf, lines: String },
    #[error(
        "the PostgreSQL server in {data} (process {pid}) was still running {} s after it was told to stop. \
         It keeps stopping; see {log} for what it waits for",
        waited.as_secs()
    )]
    StopTimeout { data: PathBuf, pid: i32, waited: Duration, log: PathBuf },
    #[error(
        "another AgentPod process has been starting or stopping the PostgreSQL server for over {} s \
         and holds the lock on {path}. Find it with fuser -v {path}",
        waited.as_secs()
    )]
    Busy { path: PathBuf, waited: Duration },
    #[error("{doing} {path} failed: {why}")]
    Io { doing: &'static str, path: PathBuf, why: io::Error },
}

impl PostgresError {
    /// A stable code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoBinaries { .. } => "postgres_not_found",
            Self::WrongMajor { .. } => "postgres_wrong_major",
            Self::Blocked { .. } => "postgres_path_blocked",
            Self::DataUnusable { .. } => "postgres_data_unusable",
            Self::StateDirUnusable { .. } => "state_dir_unusable",
            Self::CannotRun { .. } => "postgres_cannot_run",
            Self::CreateFailed { .. } => "postgres_create_failed",
            Self::StartFailed { .. } => "postgres_start_failed",
            Self::NotReady { .. } => "postgres_not_ready",
            Self::StopTimeout { .. } => "postgres_stop_timeout",
            Self::Busy { .. } => "postgres_busy",
            Self::Io { .. } => "postgres_io",
        }
    }

    /// Whether the server is on its way, so that trying again soon may help.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self, Self::NotReady { .. } | Self::Busy { .. })
    }

    /// For `map_err`: an I/O error with what was being done to which path.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |why| Self::Io { doing, path, why }
    }
}

fn list(paths: &[PathBuf]) -> String {
    match paths {
        [] => "no directory".to_owned(),
        _ => paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "),
    }
}
