//! The store: everything AgentPod keeps, in Postgres. It stores and answers; it decides nothing, reads no clock, and
//! a quiet round writes nothing to it.
//!
//! Every wait for the database is bounded, so a database that vanished silently is
//! [`StoreError::Unreachable`] too. The pool reconnects by itself.

mod accounts;
mod applied;
mod changes;
mod conditions;
mod error;
mod events;
mod instance;
mod key;
mod listen;
mod lock;
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
mod usage;
pub mod view;

use std::{
    fmt,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use secrecy::SecretString;
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub(crate) use accounts::{Account, StoredAccount};
pub(crate) use changes::{Changed, Changes};
pub use error::{Result, StoreError};
pub use events::{Event, SourceRefusal};
pub use key::{FingerprintKey, InstanceKey, KEY_FILE, UnsealError};
pub use lock::{Lead, Leader};
pub use pods::{IdentitiesStamp, PodToken};
pub use read_model::Round;
pub use requests::{AddRequestError, RequestRow};
pub use revisions::{Fetched, RecordedRevision, Revision, RevisionFiles, RevisionRow};
pub use sessions::{ApiToken, Lifetime};
pub use source_state::SourceState;
pub use sync::SyncOutcome;
pub use usage::Measured;

use tracing::{Instrument as _, debug, debug_span};

use crate::core::names::InstanceName;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The most connections.
const CONNECTIONS: u32 = 10;
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
    options: PgConnectOptions,
    /// Replaced when another process rotates it and a value does not open.
    key: Arc<RwLock<InstanceKey>>,
    fingerprint_key: FingerprintKey,
    instance: InstanceName,
}

impl Store {
    /// Connects, runs the migrations, and checks that the database belongs to this instance and this key.
    pub async fn open(options: PgConnectOptions, key: &InstanceKey, instance: &InstanceName) -> Result<Self> {
        let pool = prepare(&options, Tables::Migrate).await?;
        Self::with_key(pool, options, key.clone(), instance).await
    }

    /// Connects to a database that an AgentPod of this instance has used, without creating or changing anything in it.
    pub(crate) async fn open_existing(options: PgConnectOptions, file: &Path, instance: &InstanceName) -> Result<Self> {
        let pool = prepare(&options, Tables::Require).await?;
        if with_timeout(QUERY_TIMEOUT, instance::read(&pool)).await?.is_none() {
            return Err(StoreError::Empty);
        }
        Self::with_key_file(pool, options, file, instance).await
    }

    /// The same with the key in a given file; created there only if the database is new too.
    pub async fn open_with_key_file(options: PgConnectOptions, file: &Path, instance: &InstanceName) -> Result<Self> {
        let pool = prepare(&options, Tables::Migrate).await?;
        Self::with_key_file(pool, options, file, instance).await
    }

    async fn with_key_file(
        pool: PgPool,
        options: PgConnectOptions,
        file: &Path,
        instance: &InstanceName,
    ) -> Result<Self> {
        // Another process may rotate the key between our reads of the rows and of the files.
        for _ in 1..KEY_LOOKUPS {
            let key = with_timeout(QUERY_TIMEOUT, instance::key(&pool, file, instance)).await;
            let opened = match key {
                Ok(key) => Self::with_key(pool.clone(), options.clone(), key, instance).await,
                Err(error) => Err(error),
            };
            match opened {
                Err(StoreError::KeyMismatch(_)) => {}
                outcome => return outcome,
            }
        }
        let key = with_timeout(QUERY_TIMEOUT, instance::key(&pool, file, instance)).await?;
        Self::with_key(pool, options, key, instance).await
    }

    async fn with_key(
        pool: PgPool,
        options: PgConnectOptions,
        key: InstanceKey,
        instance: &InstanceName,
    ) -> Result<Self> {
        let fingerprint_key = with_timeout(QUERY_TIMEOUT, instance::claim(&pool, &key, instance)).await?;
        let key = Arc::new(RwLock::new(key));
        Ok(Self { pool, options: with_application_name(options), key, fingerprint_key, instance: instance.clone() })
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

    /// Runs one statement: see [`Store::run`].
    fn query<T>(
        &self,
        name: &'static str,
        statement: impl Future<Output = sqlx::Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        let statement = Box::pin(statement);
        run(name, async move { Ok(statement.await?) })
    }

    /// Runs statements that belong together: see [`run`].
    fn run<T>(
        &self,
        name: &'static str,
        statements: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        run(name, statements)
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
async fn prepare(options: &PgConnectOptions, tables: Tables) -> Result<PgPool> {
    let options = with_application_name(options.clone());
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_lazy_with(options.clone());
    // The pool hides the reason when it runs out of time, so connect once without it.
    lock::connect(&options).await?;
    with_timeout(QUERY_TIMEOUT, check_server(&pool)).await?;
    match tables {
        Tables::Migrate => with_timeout(MIGRATION_TIMEOUT, async { Ok(MIGRATIONS.run(&pool).await?) }).await?,
        Tables::Require => with_timeout(QUERY_TIMEOUT, check_tables(&pool)).await?,
    }
    Ok(pool)
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
    let known: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    if let Some(unknown) = run.iter().find(|version| !known.contains(version)) {
        return Err(sqlx::migrate::MigrateError::VersionMissing(*unknown).into());
    }
    if run != known {
        return Err(StoreError::Migration("an older AgentPod has used it last; start agentpod run once".into()));
    }
    Ok(())
}

async fn check_server(pool: &PgPool) -> Result<()> {
    let server = sqlx::query!(
        "SELECT current_setting('server_version_num')::int AS \"number!\", \
         current_setting('server_version') AS \"version!\", current_setting('server_encoding') AS \
         \"encoding!\""
    )
    .fetch_one(pool)
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
    Ok(())
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
