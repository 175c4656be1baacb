//! A store on a database of its own.

use agentpod::store::{InstanceKey, Store};
use sqlx::postgres::PgConnectOptions;

use super::postgres;

/// A new key in a folder of its own.
pub fn new_key() -> InstanceKey {
    InstanceKey::load_or_create(tempfile::tempdir().unwrap().path()).unwrap()
}

/// A store on a fresh database, and how to get at that database beside it.
pub async fn fresh() -> (Store, PgConnectOptions) {
    let options = postgres::database().await;
    (Store::open(options.clone(), &new_key(), &"test".parse().unwrap()).await.unwrap(), options)
}
