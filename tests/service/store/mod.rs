//! The store against a real Postgres, a fresh database per test.

mod applied;
mod conditions;
mod events;
mod exchange;
mod key;
mod opening;
mod outage;
mod pods;
mod purge;
mod requests;
mod revisions;
mod source_state;
mod status;
mod sync;
mod usage;
mod view;

use agentpod::store::{InstanceKey, Store};
use sqlx::postgres::PgConnectOptions;
use time::{Duration, OffsetDateTime};

/// Any time, in whole seconds from a beginning.
fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::seconds(seconds)
}

/// A new key in a folder of its own.
fn new_key() -> InstanceKey {
    InstanceKey::load_or_create(tempfile::tempdir().unwrap().path()).unwrap()
}

/// A store on a fresh database, and how to get at that database beside it.
async fn fresh() -> (Store, PgConnectOptions) {
    let options = crate::testkit::postgres::database().await;
    (Store::open(options.clone(), &new_key(), &"test".parse().unwrap()).await.unwrap(), options)
}

/// Every row of every table with where it lies: an update moves a row, even one that changes nothing, and a row that was
/// only locked says so.
async fn dump(options: &PgConnectOptions) -> Vec<String> {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect_with(options).await.unwrap();
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let query = format!(
            "SELECT '{table} ' || ctid || ' ' || xmin || ' ' || xmax || ' ' || to_jsonb(t)::text FROM {table} t ORDER BY ctid"
        );
        rows.extend(
            sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap(),
        );
    }
    rows
}
