//! What is remembered of pods between rounds.

use agentpod::core::{
    decide::{
        plan::{Rejected, Uploaded},
        retry::{FailureKind, Retry},
    },
    digest::Digest,
};
use sqlx::{Connection, PgConnection};

use super::{at, dump, fresh};
use crate::testkit::declared::{Declared, alice, pod};

fn retry() -> Retry {
    Retry {
        target: "running:abc".parse().unwrap(),
        failures: 3,
        at: at(60),
        why: "no such\0image".into(),
        kind: FailureKind::Crash,
    }
}

#[tokio::test]
async fn what_was_set_is_remembered_and_forgotten_again() {
    let (store, _) = fresh().await;
    store.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(0)).await.unwrap();
    let id = pod("alice/assistant");
    let rejected = Rejected { digest: Digest::of_bytes(b"new"), why: "not ready within 30s".into() };
    let uploaded = Uploaded { container: "alice_assistant-0011".into(), digest: Digest::of_bytes(b"files") };
    store.set_retry(&id, Some(&retry())).await.unwrap();
    store.set_rejected(&id, Some(&rejected)).await.unwrap();
    store.set_uploaded(&id, Some(&uploaded)).await.unwrap();

    let all = store.pod_states().await.unwrap();
    let found = &all[&id];
    assert_eq!(found.retry, Some(Retry { why: "no such\u{fffd}image".into(), ..retry() }));
    assert_eq!((found.rejected.as_ref(), found.uploaded.as_ref()), (Some(&rejected), Some(&uploaded)));
    assert!(!found.busy && found.health.is_none() && found.looping.is_none() && found.undeclared_since.is_none());
    let other = &all[&pod("bob/x")];
    assert!(other.retry.is_none() && other.rejected.is_none() && other.uploaded.is_none());

    store.set_retry(&id, None).await.unwrap();
    store.set_rejected(&id, None).await.unwrap();
    store.set_uploaded(&id, None).await.unwrap();
    let found = &store.pod_states().await.unwrap()[&id];
    assert!(found.retry.is_none() && found.rejected.is_none() && found.uploaded.is_none());
}

#[tokio::test]
async fn setting_what_is_remembered_already_writes_no_row() {
    let (store, options) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    let id = pod("alice/assistant");
    let precise = Retry { at: at(60) + time::Duration::nanoseconds(1_234), ..retry() };
    store.set_retry(&id, Some(&precise)).await.unwrap();
    let before = dump(&options).await;
    store.set_retry(&id, Some(&precise)).await.unwrap();
    store.set_rejected(&id, None).await.unwrap();
    store.set_uploaded(&id, None).await.unwrap();
    assert_eq!(dump(&options).await, before);
}

#[tokio::test]
async fn what_is_remembered_outlives_a_sync_and_a_removal() {
    let (store, _) = fresh().await;
    let id = pod("alice/assistant");
    store.sync(&alice().build(), at(0)).await.unwrap();
    store.set_retry(&id, Some(&retry())).await.unwrap();
    store.sync(&Declared::tenants().pod("alice/assistant", "subdomain: other").build(), at(1)).await.unwrap();
    store.sync(&Declared::tenants().build(), at(2)).await.unwrap();
    assert!(store.pod_states().await.unwrap()[&id].retry.is_some());
}

#[tokio::test]
async fn setting_anything_for_a_pod_that_was_never_declared_does_nothing() {
    let (store, options) = fresh().await;
    let before = dump(&options).await;
    store.set_retry(&pod("alice/unheard-of"), Some(&retry())).await.unwrap();
    assert_eq!(dump(&options).await, before);
}

#[tokio::test]
async fn a_row_that_is_no_pod_is_named_rather_than_skipped() {
    let (store, options) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let query = "INSERT INTO pods (id, tenant_id, name, adapter_id, subdomain, url, gateway_token, generated_seed, volume, \
                 data_dir) VALUES ('nonsense', 'alice', 'n', 'echo', 'n', '', '', '', '', '')";
    sqlx::query(query).execute(&mut connection).await.unwrap();
    let error = store.identities().await.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().contains("row nonsense of pods")),
        ("store_inconsistent", true),
        "{error}"
    );
}
