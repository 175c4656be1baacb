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

use crate::testkit::postgres::{self, dump};
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
    let options = postgres::database().await;
    (Store::open(options.clone(), &new_key(), &"test".parse().unwrap()).await.unwrap(), options)
}
