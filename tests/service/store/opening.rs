//! A store opens only on the database that is its own.

use std::collections::BTreeSet;

use agentpod::{
    core::names::InstanceName,
    store::{Store, StoreError},
};
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection};

use super::{at, dump, fresh, new_key};
use crate::testkit::{
    declared::{alice, pod},
    postgres,
};

fn instance() -> InstanceName {
    "test".parse().unwrap()
}

#[tokio::test]
async fn a_store_that_is_opened_again_has_the_same_tokens_and_fingerprints() {
    let (options, key) = (postgres::database().await, new_key());
    let store = Store::open(options.clone(), &key, &instance()).await.unwrap();
    store.sync(&alice().build(), at(0)).await.unwrap();
    let again = Store::open(options, &key, &instance()).await.unwrap();
    let id = pod("alice/assistant");
    let tokens = (store.token(&id).await.unwrap().unwrap(), again.token(&id).await.unwrap().unwrap());
    assert_eq!(tokens.0.expose_secret(), tokens.1.expose_secret());
    assert_eq!(store.fingerprint(&"sesame".into()), again.fingerprint(&"sesame".into()));
}

#[tokio::test]
async fn a_wrong_key_is_refused_with_the_ways_out_and_nothing_is_changed() {
    let (options, key) = (postgres::database().await, new_key());
    let store = Store::open(options.clone(), &key, &instance()).await.unwrap();
    store.sync(&alice().build(), at(0)).await.unwrap();
    let before = dump(&options).await;
    let wrong = new_key();
    let error = Store::open(options.clone(), &wrong, &instance()).await.unwrap_err();
    assert!(matches!(error, StoreError::KeyMismatch(_)), "{error:?}");
    let text = error.to_string();
    for part in [&*wrong.path().to_string_lossy(), "instance test", "put the old file back", "Nothing was changed"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert_eq!(dump(&options).await, before);
    Store::open(options, &key, &instance()).await.unwrap();
}

#[tokio::test]
async fn a_database_of_another_instance_is_refused() {
    let (options, key) = (postgres::database().await, new_key());
    Store::open(options.clone(), &key, &instance()).await.unwrap();
    let error = Store::open(options, &key, &"other".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "store_other_instance");
    assert!(error.to_string().contains("belongs to the instance test, not to other"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_open_a_new_database_at_the_same_time_agree() {
    let (options, key) = (postgres::database().await, new_key());
    // Tables without a row: migrations take turns, and the race is for the row.
    Store::open(options.clone(), &key, &instance()).await.unwrap().close().await;
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    for _ in 0..10 {
        sqlx::query("DELETE FROM instance").execute(&mut connection).await.unwrap();
        let open = |_| {
            let (options, key) = (options.clone(), key.clone());
            tokio::spawn(
                async move { Store::open(options, &key, &instance()).await.unwrap().fingerprint(&"sesame".into()) },
            )
        };
        let fingerprints = futures_util::future::join_all((0..6).map(open).collect::<Vec<_>>()).await;
        let fingerprints: BTreeSet<String> = fingerprints.into_iter().map(|fingerprint| fingerprint.unwrap()).collect();
        assert_eq!(fingerprints.len(), 1);
    }
}

#[tokio::test]
async fn a_database_that_a_newer_program_has_used_is_refused() {
    let (store, options) = fresh().await;
    store.close().await;
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let query = "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, execution_time FROM _sqlx_migrations LIMIT 1";
    sqlx::query(query).execute(&mut connection).await.unwrap();
    let error = Store::open(options, &new_key(), &instance()).await.unwrap_err();
    assert_eq!(error.code(), "store_migration");
    assert!(error.to_string().contains("a newer AgentPod has migrated it"), "{error}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_no_outage() {
    let options = postgres::database().await.database("nowhere");
    let error = Store::open(options, &new_key(), &instance()).await.unwrap_err();
    assert_eq!(error.code(), "store_other");
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn equal_values_have_equal_fingerprints_within_one_database_only() {
    let ((store, _), (other, _)) = (fresh().await, fresh().await);
    let fingerprint = store.fingerprint(&"sesame".into());
    assert_eq!((fingerprint.len(), fingerprint.contains("sesame")), (64, false));
    assert_ne!(fingerprint, store.fingerprint(&"sesame2".into()));
    assert_ne!(fingerprint, other.fingerprint(&"sesame".into()));
}

#[tokio::test]
async fn no_error_and_no_store_shows_a_password_or_a_row() {
    let (store, options) = fresh().await;
    assert_eq!(format!("{store:?}"), "Store(test)");
    store.sync(&alice().build(), at(0)).await.unwrap();
    let mut desired = alice().build();
    let id = pod("alice/assistant");
    desired.pods.get_mut(&id).unwrap().container.blueprint.token_version = 7;
    // Refused by the database, whose own error quotes the whole row, the sealed token included.
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    sqlx::query("ALTER TABLE pods ADD CHECK (token_version < 7)").execute(&mut connection).await.unwrap();
    let twin = pod("alice/twin");
    let mut other = desired.pods[&id].clone();
    let mut declared = (*other.declared).clone();
    (declared.id, declared.subdomain) = (twin.clone(), "twin".parse().unwrap());
    other.declared = declared.into();
    desired.pods.insert(twin, other);
    let error = store.sync(&desired, at(1)).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("pods_token_version_check") && !text.contains("v1:"), "{text}");
}

#[tokio::test]
async fn a_token_that_was_moved_to_another_pod_is_not_given_out() {
    let (store, options) = fresh().await;
    store.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(0)).await.unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let query = "UPDATE pods SET gateway_token = (SELECT gateway_token FROM pods WHERE id = 'bob_x') WHERE id = 'alice_assistant'";
    sqlx::query(query).execute(&mut connection).await.unwrap();
    let error = store.token(&pod("alice/assistant")).await.unwrap_err();
    assert_eq!(error.code(), "store_inconsistent");
    assert_eq!(error.to_string(), "the row alice_assistant of pods is damaged: its gateway_token cannot be opened");
}
