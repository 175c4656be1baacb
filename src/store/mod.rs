//! The store: everything AgentPod keeps, in Postgres. It stores and answers; it decides nothing, reads no clock, and
//! a quiet round writes nothing to it.
//!
//! Every wait for the database is bounded, so a database that vanished silently is
//! [`StoreError::Unreachable`] too. The pool reconnects by itself.

mod accounts;
mod advisory;
mod changes;
mod conditions;
mod connections;
mod error;
mod events;
mod instance;
mod key;
mod lease;
mod notifications;
mod pods;
mod purge;
mod read_model;
mod request_listener;
mod requests;
mod revisions;
mod rotation;
mod sessions;
mod source_state;
mod status;
mod sync;
mod synced;
mod usage;
pub mod view;

use std::{
    fmt,
    path::Path,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use secrecy::SecretString;
use sqlx::{
    Connection, PgConnection, PgPool, Postgres,
    migrate::Migrator,
    postgres::{PgArguments, PgConnectOptions, PgQueryResult},
};

pub(crate) use accounts::{Account, StoredAccount};
pub(crate) use changes::{Changed, Changes};
pub use error::{Result, StoreError};
pub use events::{Event, SourceRefusal};
pub use key::{FingerprintKey, InstanceKey, KEY_FILE, UnsealError};
pub use lease::{Candidate, Lead, Leader, Term};
pub use pods::{IdentitiesStamp, PodSecrets};
pub use read_model::Round;
pub use requests::{AddRequestError, RequestRow};
pub use revisions::{Fetched, RecordedRevision, Revision, RevisionFiles, RevisionRow};
pub use rotation::Rotated;
pub use sessions::{ApiToken, Lifetime};
pub use source_state::SourceState;
pub use sync::SyncOutcome;
pub use usage::Measured;

use connections::Server;
use notifications::{Notices, Notifications};
use tracing::{Instrument as _, debug, debug_span};

use crate::core::names::InstanceName;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long any one call may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the migrations may take.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(600);
/// How often a missing key is looked for before it counts as missing.
const KEY_LOOKUPS: u32 = 3;
/// Postgres 14, by `server_version_num`.
const OLDEST_SERVER: i32 = 140_000;

/// The store. Clones share one pool.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    server: Server,
    options: PgConnectOptions,
    /// Started when they are first needed.
    notifications: Arc<OnceLock<Notifications>>,
    /// Replaced when another process rotates it and a value does not open.
    key: Arc<RwLock<InstanceKey>>,
    fingerprint_key: FingerprintKey,
    instance: InstanceName,
    /// The term that it writes in, if it is the leader's.
    term: Option<Term>,
}

impl Store {
    /// Connects, runs the migrations, and checks that the database belongs to this instance and this key.
    pub async fn open(options: PgConnectOptions, key: &InstanceKey, instance: &InstanceName) -> Result<Self> {
        let database = prepare(&options, Tables::Migrate).await?;
        Self::with_key(database, options, key.clone(), instance).await
    }

    /// Connects to a database that an AgentPod of this instance has used, without creating or changing anything in it.
    pub(crate) async fn open_existing(options: PgConnectOptions, file: &Path, instance: &InstanceName) -> Result<Self> {
        let database = prepare(&options, Tables::Require).await?;
        if with_timeout(QUERY_TIMEOUT, instance::read(&database.1)).await?.is_none() {
            return Err(StoreError::Empty);
        }
        Self::with_key_file(database, options, file, instance).await
    }

    /// The same with the key in a given file; created there only if the database is new too.
    pub async fn open_with_key_file(options: PgConnectOptions, file: &Path, instance: &InstanceName) -> Result<Self> {
        let database = prepare(&options, Tables::Migrate).await?;
        Self::with_key_file(database, options, file, instance).await
    }

    async fn with_key_file(
        (server, pool): (Server, PgPool),
        options: PgConnectOptions,
        file: &Path,
        instance: &InstanceName,
    ) -> Result<Self> {
        // Another process may rotate the key between our reads of the rows and of the files.
        for _ in 1..KEY_LOOKUPS {
            let key = with_timeout(QUERY_TIMEOUT, instance::key(&pool, file, instance)).await;
            let opened = match key {
                Ok(key) => Self::with_key((server.clone(), pool.clone()), options.clone(), key, instance).await,
                Err(error) => Err(error),
            };
            match opened {
                Err(StoreError::KeyMismatch(_)) => {}
                outcome => return outcome,
            }
        }
        let key = with_timeout(QUERY_TIMEOUT, instance::key(&pool, file, instance)).await?;
        Self::with_key((server, pool), options, key, instance).await
    }

    async fn with_key(
        (server, pool): (Server, PgPool),
        options: PgConnectOptions,
        key: InstanceKey,
        instance: &InstanceName,
    ) -> Result<Self> {
        let fingerprint_key = with_timeout(QUERY_TIMEOUT, instance::claim(&pool, &key, instance)).await?;
        let key = Arc::new(RwLock::new(key));
        Ok(Self {
            pool,
            server,
            notifications: Arc::default(),
            options: with_application_name(options),
            key,
            fingerprint_key,
            instance: instance.clone(),
            term: None,
        })
    }

    /// The instance key that this process has.
    fn key(&self) -> InstanceKey {
        self.key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces this process's instance key.
    fn hold(&self, key: InstanceKey) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// The keyed hash of a secret's value, as it goes into digests.
    pub fn fingerprint(&self, value: &SecretString) -> String {
        self.fingerprint_key.fingerprint(value)
    }

    /// A name that this database has and no other: the instance's name and eight digits. The same for a leader and those
    /// that stand by, and known to anybody.
    pub(crate) fn public_name(&self) -> String {
        let mark = self.fingerprint_key.fingerprint(&"public name".into());
        format!("{}_{}", self.instance, mark.get(..8).unwrap_or_default())
    }

    /// Runs one statement: see [`Store::run`].
    fn query<T>(
        &self,
        name: &'static str,
        statement: impl Future<Output = sqlx::Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        let statement = Box::pin(statement);
        self.run(name, async move { Ok(statement.await?) })
    }

    /// Runs one statement that changes something; the leader's only while it leads.
    async fn execute(
        &self,
        name: &'static str,
        statement: sqlx::query::Query<'_, Postgres, PgArguments>,
    ) -> Result<PgQueryResult> {
        let Some(_) = self.term else { return self.query(name, statement.execute(&self.pool)).await };
        self.run(name, async {
            let mut transaction = self.begin().await?;
            let done = statement.execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(done)
        })
        .await
    }

    /// Runs statements that belong together: see [`run`].
    fn run<T>(
        &self,
        name: &'static str,
        statements: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        let (server, statements) = (self.server.clone(), run(name, statements));
        async move {
            let outcome = statements.await;
            if matches!(outcome, Err(StoreError::ReadOnly)) {
                server.doubt();
            }
            outcome
        }
    }

    /// What is announced from now on, once the database can be reached.
    async fn notices(&self) -> Notices {
        let start = || Notifications::start(self.options.clone(), self.pool.clone(), self.server.clone());
        self.notifications.get_or_init(start).subscribe().await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The connect options hold the database's password.
        write!(f, "Store({})", self.instance)
    }
}

fn with_application_name(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("agentpod")
}

/// What to do about tables that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tables {
    /// Create them.
    Migrate,
    /// Fail.
    Require,
}

/// A pool on a database that answers and has the tables.
async fn prepare(options: &PgConnectOptions, tables: Tables) -> Result<(Server, PgPool)> {
    let options = with_application_name(options.clone());
    // One connection first: a pool would hide why there is none.
    let mut first = with_timeout(CONNECT_TIMEOUT, async { Ok(PgConnection::connect_with(&options).await?) }).await?;
    let most = with_timeout(QUERY_TIMEOUT, async {
        check_server(&mut first).await?;
        connections::most_connections(&mut first).await
    });
    let most = most.await?;
    with_timeout(CONNECT_TIMEOUT, async { Ok(first.close().await?) }).await?;
    let (server, pool) = Server::pool(&options, most);
    match tables {
        Tables::Migrate => with_timeout(MIGRATION_TIMEOUT, migrate(&pool)).await?,
        Tables::Require => with_timeout(QUERY_TIMEOUT, check_tables(&pool)).await?,
    }
    Ok((server, pool))
}

/// Runs the migrations, all of them or none. Processes that start at the same time take turns by a lock of the transaction:
/// sqlx's own is one of the session, and a pooler that shares sessions would never release it.
async fn migrate(pool: &PgPool) -> Result<()> {
    let mut transaction = pool.begin().await?;
    advisory::lock(&mut transaction, "agentpod migrations").await?;
    migrator().run_direct(None, &mut *transaction, false).await?;
    Ok(transaction.commit().await?)
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.set_locking(false);
    migrator
}

/// Fails unless exactly the migrations that this version knows were run.
async fn check_tables(pool: &PgPool) -> Result<()> {
    let is_there: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(pool).await?;
    if !is_there {
        return Err(StoreError::Empty);
    }
    let run: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(pool)
        .await?;
    let known: Vec<i64> = migrator().iter().map(|migration| migration.version).collect();
    if let Some(unknown) = run.iter().find(|version| !known.contains(version)) {
        return Err(sqlx::migrate::MigrateError::VersionMissing(*unknown).into());
    }
    if run != known {
        return Err(StoreError::Migration("an older AgentPod has used it last; start agentpod run once".into()));
    }
    Ok(())
}

/// Whether this server can be used.
async fn check_server(connection: &mut PgConnection) -> Result<()> {
    let server = sqlx::query!(
        "SELECT current_setting('server_version_num')::int AS \"number!\", \
         current_setting('server_version') AS \"version!\", current_setting('server_encoding') AS \
         \"encoding!\""
    )
    .fetch_one(&mut *connection)
    .await?;
    if server.number < OLDEST_SERVER {
        return Err(StoreError::Migration(format!(
            "PostgreSQL 14 or newer is required; this server is {}",
            server.version
        )));
    }
    if server.encoding != "UTF8" {
        return Err(StoreError::Migration(format!(
            "its encoding is {} and must be UTF8; create it with ENCODING 'UTF8' TEMPLATE template0",
            server.encoding
        )));
    }
    connections::check_writable(connection).await
}

/// Runs statements under a name, in a span of that name, and within [`QUERY_TIMEOUT`]. Every call of the database goes through
/// here, except those that open, lock and listen.
fn run<T>(name: &'static str, statements: impl Future<Output = Result<T>>) -> impl Future<Output = Result<T>> {
    // Boxed before it is awaited, so that callers' futures stay small.
    let statements = Box::pin(statements);
    let with_application_name = async move {
        let result = with_timeout(QUERY_TIMEOUT, statements).await;
        if let Err(error) = &result {
            debug!(code = error.code(), "it failed");
        }
        result
    };
    with_application_name.instrument(debug_span!("query", name))
}

/// The result of `future`, or that the database does not answer.
async fn with_timeout<T>(limit: Duration, future: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, future).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::Unreachable(format!("no answer within {} seconds", limit.as_secs()))),
    }
}

/// Replaces the one character that Postgres cannot hold in a text by the replacement character.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The same for every text in a value.
fn json_without_nul(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(without_nul(text)),
        Value::Array(items) => items.iter().map(json_without_nul).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (without_nul(key), json_without_nul(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}
