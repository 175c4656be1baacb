//! A failover: connections that are open stay with the old server, and new ones reach the new one.

use std::os::unix::fs::symlink;

use agentpod::store::{Store, StoreError};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{at, new_key};
use crate::testkit::{
    declared::{alice, pod},
    postgres::Server,
    wait::eventually,
};

/// Two servers behind one address. The second one is a copy of the first, made by a base backup and promoted.
struct Cluster {
    folder: tempfile::TempDir,
    first: Server,
    second: Server,
    options: PgConnectOptions,
}

impl Cluster {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let first = Server::start_new();
        let options = first.database().await;
        let second = first.standby();
        let address = folder.path().join("address");
        symlink(options.get_socket().unwrap(), &address).unwrap();
        Self { options: options.socket(&address), folder, first, second }
    }

    /// Makes the second server the primary, and the first one read-only; from now on the address leads to the second.
    async fn fail_over(&self) {
        let address = self.folder.path().join("address");
        eventually("the standby has everything", async || {
            let of = |server: &Server| server.options().database(self.options.get_database().unwrap());
            let count = async |options: PgConnectOptions| {
                let mut connection = PgConnection::connect_with(&options).await.ok()?;
                sqlx::query_scalar::<_, i64>("SELECT count(*) FROM pods").fetch_one(&mut connection).await.ok()
            };
            (count(of(&self.first)).await? == count(of(&self.second)).await?).then_some(())
        })
        .await;
        self.second.promote();
        let next = self.folder.path().join("next");
        symlink(self.second.folder(), &next).unwrap();
        std::fs::rename(&next, &address).unwrap();
        let mut connection = PgConnection::connect_with(&self.first.options()).await.unwrap();
        for statement in ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"] {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
    }
}

#[tokio::test]
async fn after_a_failover_everything_is_written_to_the_new_primary() {
    let cluster = Cluster::new().await;
    let store = Store::open(cluster.options.clone(), &new_key(), &"test".parse().unwrap()).await.unwrap();
    let lead = store.try_lead().await.unwrap().unwrap();
    let led = store.led_by(&lead);
    led.sync(&alice().build(), at(0)).await.unwrap();
    cluster.fail_over().await;
    let more = alice().pod("bob/x", "subdomain: bob").build();
    eventually("it writes again", async || led.sync(&more, at(1)).await.ok()).await;
    let options = cluster.second.options().database(cluster.options.get_database().unwrap());
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let pods: i64 = sqlx::query_scalar("SELECT count(*) FROM pods").fetch_one(&mut connection).await.unwrap();
    assert_eq!(pods, 2);
    assert!(store.token(&pod("bob/x")).await.unwrap().is_some(), "and reads from there");
}

#[tokio::test]
async fn a_read_only_database_is_named_as_such() {
    let cluster = Cluster::new().await;
    let (key, name) = (new_key(), "test".parse().unwrap());
    let store = Store::open(cluster.options.clone(), &key, &name).await.unwrap();
    let standby = cluster.second.options().database(cluster.options.get_database().unwrap());
    eventually("the standby has the tables", async || {
        let error = Store::open(standby.clone(), &key, &name).await.unwrap_err();
        matches!(error, StoreError::ReadOnly).then_some(())
    })
    .await;
    let mut connection = PgConnection::connect_with(&cluster.options).await.unwrap();
    for statement in ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    eventually("it is noticed", async || {
        let error = store.sync(&alice().build(), at(0)).await.err()?;
        assert!(error.is_unreachable() && error.to_string().starts_with("the database is read-only"), "{error}");
        Some(())
    })
    .await;
}
