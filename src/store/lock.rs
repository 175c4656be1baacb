//! Who reconciles: one process per instance and database. The lead is an advisory lock on a connection of its own, so
//! it ends with the process, whatever ends that.

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use time::OffsetDateTime;

use super::{CONNECT, Store, error::Result, within};
use crate::core::{digest::Digest, names::InstanceName};

/// Held advisory locks of this database with the number `$1`.
const HELD: &str = "locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = $1 AND objsubid = 1 \
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Another process that has the lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// Since when, if the database lets us know.
    pub since: Option<OffsetDateTime>,
}

/// The right to reconcile, until it is dropped or its connection is lost.
#[derive(Debug)]
pub struct Lead {
    connection: PgConnection,
    key: i64,
}

impl Store {
    /// The lead, unless another process has it. Who has it also has the instance key in force, in its place.
    pub async fn try_lead(&self) -> Result<Option<Lead>> {
        let Some(mut lead) = try_lead(&self.options, &self.instance).await? else { return Ok(None) };
        match within(CONNECT, self.settle_key(&mut lead.connection)).await {
            Ok(()) => Ok(Some(lead)),
            Err(error) => {
                lead.release().await?;
                Err(error)
            }
        }
    }

    /// Who has the lead, by the lock itself: it ends with its holder, so nobody can seem to live who does not.
    pub async fn leader(&self) -> Result<Option<Leader>> {
        let query =
            format!("SELECT backend_start FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) WHERE {HELD} LIMIT 1");
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(lead_key(&self.instance));
        let since = self.query("leader", query.fetch_optional(&self.pool)).await?;
        Ok(since.map(|since| Leader { since }))
    }
}

fn lead_key(instance: &InstanceName) -> i64 {
    lock_key(&format!("agentpod lead {instance}"))
}

/// The lead of an instance, unless another process has it.
pub(super) async fn try_lead(options: &PgConnectOptions, instance: &InstanceName) -> Result<Option<Lead>> {
    let key = lead_key(instance);
    let mut connection = connect(options).await?;
    within(CONNECT, async move {
        // A machine that vanishes gives the lead up within half a minute, and an idle lead is not idle.
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
        // Said good-bye: a dropped connection would linger on the server for a moment.
        connection.close().await?;
        Ok(None)
    })
    .await
}

impl Lead {
    /// Whether it is still held. Once it is not it never is again: ask for a new one.
    pub async fn is_held(&mut self) -> bool {
        let held = within(CONNECT, async {
            let query = format!("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND {HELD})");
            Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(self.key).fetch_one(&mut self.connection).await?)
        });
        held.await.unwrap_or(false)
    }

    /// Gives it up at once. Dropping it does so too, as soon as the server notices.
    pub async fn release(self) -> Result<()> {
        within(CONNECT, async { Ok(self.connection.close().await?) }).await
    }
}

/// A connection outside the pool.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection> {
    within(CONNECT, async { Ok(PgConnection::connect_with(options).await?) }).await
}

/// The lock's number: the first eight bytes of a hash of what it is for.
pub(super) fn lock_key(what: &str) -> i64 {
    let hash = Digest::of_bytes(what.as_bytes());
    let first = hash.as_str().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    first.unwrap_or_default().cast_signed()
}
