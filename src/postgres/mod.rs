//! The private PostgreSQL that AgentPod runs when no `DATABASE_URL` is given.
//!
//! One server for each state directory, shared by every AgentPod process that uses that directory, outliving a
//! killed one and stopped by the last that leaves. This module may start, find and stop that server and nothing
//! else: it knows no table, reads no environment of its own beyond `PATH`, and never deletes a data directory.
//!
//! Authentication is `trust` on a Unix socket in a directory of mode 0700 that belongs to the server's user. Who can
//! enter it is root and that user, and both can read the data files anyway, so a password would add a secret to
//! keep and no protection. There is no TCP port. AgentPod's role owns its database and is not a superuser.

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

pub use binaries::Search;
pub use error::PostgresError;
use home::Home;
use lock::Lock;
use server::ServerProcess;

/// The database, and the role that owns it.
const DATABASE: &str = "agentpod";
/// There is no TCP port; this number is only the end of the socket's file name.
const PORT: u16 = 5432;

/// A share in the running private server. Dropping it leaves the server running, for the next `open` to find;
/// `close` stops it when nobody else uses it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    home: Home,
    search: Search,
    server: Mutex<ServerProcess>,
    /// Locked shared for as long as we use the server; the kernel lets go of it however we end.
    users: Lock,
    _log_keeper: AbortOnDropHandle<()>,
}

impl EmbeddedPostgres {
    /// Attaches to the server of this state directory, starting it, and before that creating its data, if need be.
    /// `binaries` is the directory the user named for `postgres`, `initdb` and `pg_ctl`, if any.
    pub async fn open(state_dir: &Path, binaries: Option<&Path>) -> Result<EmbeddedPostgres, PostgresError> {
        Self::open_with(state_dir, Search::of_this_machine(binaries)).await
    }

    /// As `open`, with the places to look for the server's programs spelled out.
    pub async fn open_with(state_dir: &Path, search: Search) -> Result<EmbeddedPostgres, PostgresError> {
        let home = Home::of(state_dir)?;
        let turn = lock::turn(&home).await?;
        let users = lock::join(&home)?;
        let (server, _) = server::bring_up(&home, &search).await?;
        drop(turn);
        let log_keeper = AbortOnDropHandle::new(tokio::spawn(log::keep_bounded(home.log())));
        Ok(EmbeddedPostgres { home, search, server: Mutex::new(server), users, _log_keeper: log_keeper })
    }

    /// How to reach the server as it was last seen: Unix socket, user and database `agentpod`.
    pub fn connect_options(&self) -> PgConnectOptions {
        // Every field that sqlx would take from PG* variables and that could lead elsewhere is set here.
        PgConnectOptions::new_without_pgpass()
            .socket(self.socket_dir())
            .port(PORT)
            .username(DATABASE)
            .database(DATABASE)
            .ssl_mode(PgSslMode::Disable)
            .application_name("agentpod")
    }

    /// The postmaster's process id, as it was last seen.
    pub fn pid(&self) -> i32 {
        self.seen().pid
    }

    /// The directory of the server's socket. Not under the state directory when that has too long a name.
    pub fn socket_dir(&self) -> PathBuf {
        self.seen().socket_dir.clone()
    }

    /// For when the database is out of reach: starts the server if it is gone, and says whether it did. Waits until
    /// it is ready either way. Harmless to call at any time, from any number of processes.
    pub async fn ensure_running(&self) -> Result<bool, PostgresError> {
        let _turn = lock::turn(&self.home).await?;
        let (server, started) = server::bring_up(&self.home, &self.search).await?;
        *self.seen() = server;
        Ok(started)
    }

    /// Gives up our share; the last one out stops the server and waits until it is gone.
    /// Close the connections to it first, or they are cut.
    pub async fn close(self) -> Result<(), PostgresError> {
        let _turn = lock::turn(&self.home).await?;
        drop(self.users);
        match lock::alone(&self.home)? {
            Some(_alone) => server::stop(&self.home).await,
            None => Ok(()),
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, ServerProcess> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
