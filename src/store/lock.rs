//! Leader election: one process per instance and database. The leader lock is an advisory lock on a connection of its
//! own, so it ends with the process, however that ends.

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use time::OffsetDateTime;

use super::{CONNECT_TIMEOUT, Store, error::Result, with_timeout};
use crate::core::{digest::Digest, names::InstanceName};

/// Advisory locks of this database with the number `$1`.
const LOCK_IS_HELD: &str = "locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = $1 AND objsubid = 1 \
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The process that leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// Since when, if the database shows it.
    pub(crate) since: Option<OffsetDateTime>,
}

/// The leader lock, until it is dropped or its connection is lost.
#[derive(Debug)]
pub struct Lead {
    connection: PgConnection,
    key: i64,
}

impl Store {
    /// Becomes the leader, unless another process is. The leader also has the current instance key, in its file.
    pub async fn try_lead(&self) -> Result<Option<Lead>> {
        let Some(mut lead) = try_lead(&self.options, &self.instance).await? else { return Ok(None) };
        match with_timeout(CONNECT_TIMEOUT, self.refresh_key(&mut lead.connection)).await {
            Ok(()) => Ok(Some(lead)),
            Err(error) => {
                lead.release().await?;
                Err(error)
            }
        }
    }

    /// The current leader, by the lock itself: it ends with its holder, so a dead process never seems to lead.
    pub(crate) async fn leader(&self) -> Result<Option<Leader>> {
        let query = format!(
            "SELECT backend_start FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) WHERE {LOCK_IS_HELD} LIMIT 1"
        );
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(lead_key(&self.instance));
        let since = self.query("leader", query.fetch_optional(&self.pool)).await?;
        Ok(since.map(|since| Leader { since }))
    }
}

fn lead_key(instance: &InstanceName) -> i64 {
    lock_key(&format!("agentpod lead {instance}"))
}

/// The leader lock of an instance, unless another process has it.
pub(super) async fn try_lead(options: &PgConnectOptions, instance: &InstanceName) -> Result<Option<Lead>> {
    let key = lead_key(instance);
    let mut connection = connect(options).await?;
    with_timeout(CONNECT_TIMEOUT, async move {
        // A machine that vanishes loses the lead within half a minute, and an idle leader's session must not time out.
        sqlx::raw_sql(
            "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET idle_session_timeout = 0",
        )
        .execute(&mut connection)
        .await?;
        let won: bool =
            sqlx::query_scalar!("SELECT pg_try_advisory_lock($1) AS \"won!\"", key).fetch_one(&mut connection).await?;
        if won {
            return Ok(Some(Lead { connection, key }));
        }
        // Closed properly: a dropped connection would linger on the server for a moment.
        connection.close().await?;
        Ok(None)
    })
    .await
}

impl Lead {
    /// Whether it is still held. Once lost it stays lost: ask for a new one.
    pub async fn is_held(&mut self) -> bool {
        let held = with_timeout(CONNECT_TIMEOUT, async {
            let query = format!("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND {LOCK_IS_HELD})");
            Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(self.key).fetch_one(&mut self.connection).await?)
        });
        held.await.unwrap_or(false)
    }

    /// Releases it at once. Dropping it does so too, as soon as the server notices.
    pub async fn release(self) -> Result<()> {
        with_timeout(CONNECT_TIMEOUT, async { Ok(self.connection.close().await?) }).await
    }
}

/// A connection outside the pool.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection> {
    with_timeout(CONNECT_TIMEOUT, async { Ok(PgConnection::connect_with(options).await?) }).await
}

/// The lock's number: the first eight bytes of a hash of what it is for.
pub(super) fn lock_key(what: &str) -> i64 {
    let hash = Digest::of_bytes(what.as_bytes());
    let first = hash.as_str().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    first.unwrap_or_default().cast_signed()
}
