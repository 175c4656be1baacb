//! The pool of connections, all of them to one server that can be written to. After a failover new connections reach another
//! server than the ones that are open: whichever server new connections reach is the right one, and the others are closed.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::watch;

use super::{
    CONNECT_TIMEOUT,
    error::{Result, StoreError},
    with_timeout,
};
use crate::clock;

/// The most connections of a pool.
const CONNECTIONS: u32 = 10;
/// How often a daemon looks which server new connections reach.
pub(super) const SERVER_CHECK: Duration = Duration::from_secs(15);
/// How long a connection may have been idle to be used after a mere test whether it is alive.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long every connection is looked at after there was reason to doubt them.
const DOUBTED_FOR: Duration = Duration::from_secs(120);
/// SQLSTATE of a function that this user may not call.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Identifies a server and its history: a failover begins a new timeline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ServerId {
    system: Option<i64>,
    timeline: Option<String>,
}

/// What is known of the server. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// The server that new connections reach; `None` before the first.
    current: watch::Sender<Option<ServerId>>,
    /// When there was reason to doubt that open connections lead to it, by the time since boot.
    doubted_at: Arc<Mutex<Option<Duration>>>,
}

impl Server {
    /// A pool on the server at `options`, and what is known of it. This does not connect yet.
    pub(super) fn pool(options: &PgConnectOptions, most: u32) -> (Self, PgPool) {
        let server = Self { current: watch::channel(None).0, doubted_at: Arc::default() };
        let (on_connect, on_acquire) = (server.clone(), server.clone());
        let pool = PgPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(CONNECT_TIMEOUT)
            // What is asked below is a test too.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let server = on_connect.clone();
                Box::pin(async move {
                    // One that cannot be written to is closed when it would be used next; until then every write fails on it.
                    let _ = server.connected(connection).await;
                    Ok(())
                })
            })
            .before_acquire(move |connection, meta| {
                let server = on_acquire.clone();
                Box::pin(async move {
                    match meta.idle_for < TRUSTED_FOR && !server.is_doubted() {
                        true => Ok(connection.ping().await.is_ok()),
                        false => Ok(server.is_on(connection).await),
                    }
                })
            })
            .connect_lazy_with(options.clone());
        (server, pool)
    }

    /// Looks which server new connections reach. If that is another one, the connections of the pool are closed as they are
    /// used next.
    pub(super) async fn check(&self, options: &PgConnectOptions) -> Result<()> {
        with_timeout(CONNECT_TIMEOUT, async {
            let mut connection = PgConnection::connect_with(options).await?;
            self.connected(&mut connection).await?;
            Ok(connection.close().await?)
        })
        .await
    }

    /// Waits until new connections reach another server than they do now.
    pub(super) async fn changed(&self) {
        let mut current = self.current.subscribe();
        let now = current.borrow_and_update().clone();
        // The sender is in `self`.
        let _ = current.wait_for(|server| *server != now).await;
    }

    /// Records which server a new connection reached.
    async fn connected(&self, connection: &mut PgConnection) -> Result<()> {
        let server = identify(connection).await?;
        self.current.send_if_modified(|current| {
            let is_other = current.as_ref() != Some(&server);
            if is_other && current.is_some() {
                self.doubt();
            }
            *current = Some(server);
            is_other
        });
        Ok(())
    }

    /// Has every open connection looked at before it is used again: the server is another one, or became read-only.
    pub(super) fn doubt(&self) {
        *self.doubted_at() = Some(clock::since_boot());
    }

    fn is_doubted(&self) -> bool {
        self.doubted_at().is_some_and(|at| clock::since_boot().saturating_sub(at) < DOUBTED_FOR)
    }

    fn doubted_at(&self) -> MutexGuard<'_, Option<Duration>> {
        self.doubted_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an open connection is to the server that new ones reach, and can be written to.
    async fn is_on(&self, connection: &mut PgConnection) -> bool {
        let Ok(server) = identify(connection).await else { return false };
        self.current.borrow().as_ref() == Some(&server)
    }
}

/// How many connections a pool may have, so that the database's limit also leaves room for others.
pub(super) async fn most_connections(connection: &mut PgConnection) -> Result<u32> {
    let limit = sqlx::query_scalar!(
        "SELECT least(nullif((SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user), -1), \
         nullif((SELECT datconnlimit FROM pg_database WHERE datname = current_database()), -1), \
         current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int) AS \"limit!\""
    )
    .fetch_one(connection)
    .await?;
    // One is for the notifications, and one for a command beside the daemon.
    Ok(u32::try_from(limit).unwrap_or_default().saturating_sub(2).clamp(1, CONNECTIONS))
}

/// An error if the server behind a connection is read-only.
pub(super) async fn check_writable(connection: &mut PgConnection) -> Result<()> {
    let read_only = sqlx::query_scalar!(
        "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS \"read_only!\""
    );
    match read_only.fetch_one(connection).await? {
        true => Err(StoreError::ReadOnly),
        false => Ok(()),
    }
}

/// The server behind a connection; an error if it cannot be written to.
async fn identify(connection: &mut PgConnection) -> Result<ServerId> {
    check_writable(connection).await?;
    let id = sqlx::query_as!(
        ServerId,
        "SELECT system_identifier AS system, left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline \
         FROM pg_control_system()"
    );
    match id.fetch_one(connection).await {
        Ok(id) => Ok(id),
        // Some providers do not let their users ask; a server that is read-only is still noticed.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(INSUFFICIENT_PRIVILEGE) => {
            Ok(ServerId::default())
        }
        Err(error) => Err(error.into()),
    }
}
