//! Which revision each pod is from.

use agentpod::store::{Fetched, Store};

use super::{at, dump, fresh};
use crate::testkit::declared::{Declared, alice, pod};
use crate::testkit::rows;

async fn accept(store: &Store, hash: &str, seconds: i64) -> i64 {
    let (files, adapters) = Default::default();
    let fetched = Fetched { hash, origin: "/m", commit: None, files: &files, adapters: &adapters };
    store.accept(&fetched, at(seconds)).await.unwrap().id
}

/// Declared and applied revision of a pod.
async fn of(store: &Store, id: &str) -> (Option<i64>, Option<i64>) {
    let rows = rows::pods(store).await;
    let row = rows.into_iter().find(|row| row.line.id == pod(id)).unwrap();
    (row.line.revision, row.line.applied_revision)
}

#[tokio::test]
async fn a_pod_is_from_the_revision_that_changed_it_last_and_others_are_not_written() {
    let (store, options) = fresh().await;
    let both = [pod("alice/assistant"), pod("bob/x")];
    let one = accept(&store, "1", 0).await;
    store.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(1)).await.unwrap();
    assert_eq!(of(&store, "bob/x").await, (Some(one), None), "declared, and not carried out yet");
    assert_eq!(store.mark_pods_applied(&both, at(2)).await.unwrap(), 2);
    assert_eq!(of(&store, "bob/x").await, (Some(one), Some(one)));

    let two = accept(&store, "2", 3).await;
    let of_alice = async || dump(&options).await.into_iter().filter(|row| row.contains("alice")).collect::<Vec<_>>();
    let before = of_alice().await;
    let desired =
        Declared::tenants().pod("alice/assistant", "subdomain: alice").pod("bob/x", "subdomain: robert").build();
    store.sync(&desired, at(4)).await.unwrap();
    assert_eq!(of(&store, "bob/x").await, (Some(two), Some(one)), "its container is still from the one before");
    assert_eq!(store.mark_pods_applied(&both, at(5)).await.unwrap(), 1);
    assert_eq!(of(&store, "bob/x").await, (Some(two), Some(two)));
    assert_eq!((of(&store, "alice/assistant").await, of_alice().await), ((Some(one), Some(one)), before));

    let before = dump(&options).await;
    assert_eq!(store.mark_pods_applied(&both, at(6)).await.unwrap(), 0);
    assert_eq!(dump(&options).await, before);
}
