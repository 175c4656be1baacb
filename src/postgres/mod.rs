//! The private PostgreSQL server, which AgentPod runs unless `DATABASE_URL` is set.
//!
//! There is one server per state directory, shared by all AgentPod processes that use it. It survives a killed process and
//! is stopped by the last one that closes it. This module only starts, finds and stops the server: it knows no tables, reads
//! no environment variable except `PATH`, and never deletes a data directory.
//!
//! Authentication is `trust` on a Unix socket in a directory of mode 0700 that belongs to the server's user. Only root and
//! that user can enter it, and both can read the data files anyway, so a password would not protect anything. There is no
//! TCP port. AgentPod's role owns its database and is not a superuser.

mod binaries;
mod create;
mod error;
mod files;
mod home;
mod lock;
mod log;
mod owner;
mod pidfile;
mod process;
mod reach;
mod server;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info};

pub use binaries::Search;
pub(crate) use error::PostgresError;
use home::Home;
use lock::Lock;
use server::{ReadyServer, ServerProcess};

/// The name of the database, and of the role that owns it.
const DATABASE: &str = "agentpod";
/// The suffix of the socket's file name; there is no TCP port.
const PORT: u16 = 5432;

/// The directory of the private server's data, whether it exists or not.
pub(crate) fn data_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("postgres/data")
}

/// A user of the running private server. Dropping it leaves the server running for the next `open`; `close` stops the server
/// if nobody else uses it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    home: Home,
    search: Search,
    server: Mutex<ServerProcess>,
    /// A shared lock for as long as this process uses the server; the kernel releases it even if the process is killed.
    /// `None` after `close`.
    users: Mutex<Option<Lock>>,
    /// The device and inode of the data directory; `None` if they cannot be read.
    identity: Option<(u64, u64)>,
    _log_task: AbortOnDropHandle<()>,
}

impl EmbeddedPostgres {
    /// Attaches to the server of a state directory. Creates its data and starts it if necessary. `binaries` is the directory
    /// of `postgres`, `initdb` and `pg_ctl`, if the user set one.
    pub async fn open(state_dir: &Path, binaries: Option<&Path>) -> Result<EmbeddedPostgres, PostgresError> {
        Self::open_with(state_dir, Search::of_this_machine(binaries)).await
    }

    /// Like `open`, with the directories to search for the server's programs.
    pub async fn open_with(state_dir: &Path, search: Search) -> Result<EmbeddedPostgres, PostgresError> {
        let home = Home::of(state_dir)?;
        let turn = lock::acquire_turn(&home).await?;
        let users = lock::register_user(&home)?;
        let ReadyServer { process, .. } = server::ensure_ready(&home, &search).await?;
        drop(turn);
        let log_task = AbortOnDropHandle::new(tokio::spawn(log::limit_size(home.log())));
        let identity = pidfile::identity(&home.data()).ok();
        let (server, users) = (Mutex::new(process), Mutex::new(Some(users)));
        Ok(EmbeddedPostgres { home, search, server, users, identity, _log_task: log_task })
    }

    /// How to connect to the server: by Unix socket, as user and database `agentpod`.
    pub fn connect_options(&self) -> PgConnectOptions {
        // Sets every field that sqlx would otherwise read from PG* variables and that could lead to another server.
        PgConnectOptions::new_without_pgpass()
            .socket(self.socket_dir())
            .port(PORT)
            .username(DATABASE)
            .database(DATABASE)
            .ssl_mode(PgSslMode::Disable)
            .application_name("agentpod")
    }

    /// The postmaster's process ID.
    pub fn pid(&self) -> i32 {
        self.process().pid
    }

    /// The directory of the server's socket, which is not below the state directory if its path is too long.
    pub fn socket_dir(&self) -> PathBuf {
        self.process().socket_dir.clone()
    }

    /// Starts the server if it is gone, waits until it is ready, and returns whether it was started. Safe to call at any
    /// time, from any number of processes. After `close` it does nothing.
    pub async fn ensure_running(&self) -> Result<bool, PostgresError> {
        let _turn = lock::acquire_turn(&self.home).await?;
        if self.users().is_none() {
            return Ok(false);
        }
        let ReadyServer { process, started } = server::ensure_ready(&self.home, &self.search).await?;
        *self.process() = process;
        Ok(started)
    }

    /// The same while the database is away: what comes of it is logged, and the caller tries again anyway.
    pub(crate) async fn restart_if_gone(&self) {
        match self.ensure_running().await {
            Ok(true) => info!("the private database server was started again"),
            Ok(false) => {}
            Err(error) => error!(code = error.code(), "{error}"),
        }
    }

    /// Stops using the server, whoever else in this process still holds this value. The last process that uses it stops it
    /// and waits until it is gone. Close connections first, or they break.
    pub async fn close(&self) -> Result<(), PostgresError> {
        if !self.home.root().exists() {
            return server::stop_deleted(&self.home, self.pid()).await;
        }
        let _turn = lock::acquire_turn(&self.home).await?;
        if self.users().take().is_none() {
            return Ok(());
        }
        if let Some(_exclusive) = lock::try_exclusive(&self.home)? {
            server::stop(&self.home).await?;
        }
        server::stop_deleted(&self.home, self.pid()).await
    }

    /// Whether the data directory that this was opened with was deleted, or replaced by another: the server can do nothing
    /// any more, and what it kept is lost.
    pub fn is_deleted(&self) -> bool {
        self.identity.is_some_and(|identity| pidfile::identity(&self.home.data()).ok() != Some(identity))
    }

    fn users(&self) -> std::sync::MutexGuard<'_, Option<Lock>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&self) -> std::sync::MutexGuard<'_, ServerProcess> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
