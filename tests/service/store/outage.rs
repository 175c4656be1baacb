//! The database away: everything says so, nothing hangs, and everything works again once it is back.

use std::{os::unix::net::UnixListener, path::Path, time::Duration};

use agentpod::{core::decide::plan::Rejected, store::Store};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{at, fresh, new_key};
use crate::testkit::{
    declared::{alice, pod},
    postgres::Server,
};
use agentpod::store::SyncOutcome;

#[tokio::test]
async fn a_database_that_is_away_is_unreachable_and_works_again_when_it_is_back() {
    let server = Server::start_new();
    let (options, key, name) = (server.database().await, new_key(), "test".parse().unwrap());
    let store = Store::open(options.clone(), &key, &name).await.unwrap();
    store.sync(&alice().build(), at(0)).await.unwrap();
    let lead = store.try_lead().await.unwrap().unwrap();
    let led = store.led_by(&lead);

    server.stop();
    let id = pod("alice/assistant");
    assert!(store.sync(&alice().build(), at(1)).await.unwrap_err().is_unreachable());
    assert!(store.identities().await.unwrap_err().is_unreachable());
    assert!(store.token(&id).await.unwrap_err().is_unreachable());
    assert!(store.freshness().await.unwrap_err().is_unreachable());
    assert!(store.try_lead().await.unwrap_err().is_unreachable());
    let error = Store::open(options, &key, &name).await.unwrap_err();
    assert_eq!(error.code(), "store_unreachable", "{error}");

    server.start();
    store.freshness().await.unwrap();
    assert_eq!(store.sync(&alice().build(), at(2)).await.unwrap(), SyncOutcome::default());
    assert!(store.try_lead().await.unwrap().is_none(), "an outage does not end the lead");
    led.sync(&alice().build(), at(3)).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_was_cut_while_idle_is_replaced_without_a_word() {
    let (store, options) = fresh().await;
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(query).execute(&mut connection).await.unwrap();
    store.identities().await.unwrap();
}

#[tokio::test]
async fn a_database_that_accepts_and_says_nothing_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
    let options =
        PgConnectOptions::new_without_pgpass().socket(Path::new(folder.path())).username("agentpod").password("sesame");
    tokio::time::pause();
    let error = Store::open(options, &new_key(), &"test".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "the database does not answer: no answer within 5 seconds");
    assert!(!format!("{error:?}").contains("sesame"));
}

#[tokio::test]
async fn a_call_that_waits_too_long_for_a_row_gives_up_and_the_store_goes_on() {
    let (store, options) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("LOCK TABLE pods IN ACCESS EXCLUSIVE MODE").execute(&mut *transaction).await.unwrap();
    // Waiting on the lock is the only thing that goes on, so the clock leaps to the end of the store's patience.
    tokio::time::pause();
    let id = pod("alice/assistant");
    let rejected = Rejected { digest: agentpod::core::digest::Digest::from_label("d"), why: "no".into() };
    assert!(store.set_rejected(&id, Some(&rejected)).await.unwrap_err().is_unreachable());
    tokio::time::resume();
    transaction.rollback().await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), async {
        store.set_rejected(&id, Some(&rejected)).await.unwrap();
        assert_eq!(store.pod_states().await.unwrap()[&id].rejected, Some(rejected));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_call_that_the_server_cuts_short_is_unreachable() {
    let (store, options) = fresh().await;
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("LOCK TABLE pods IN ACCESS EXCLUSIVE MODE").execute(&mut *transaction).await.unwrap();
    let waiting = tokio::spawn(async move { store.identities().await });
    let query =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE NOT granted AND relation = 'pods'::regclass";
    while sqlx::query_scalar::<_, i64>(query).fetch_one(&mut *transaction).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("57P01"), "{error}");
}
