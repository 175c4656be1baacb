//! A removed pod's data, deleted: with the store's real rows and the engine in memory.

use std::{fs, path::Path, sync::Arc};

use agentpod::{
    core::{
        decide::{
            orphans,
            purge::{self, Purge, PurgeRefusal},
        },
        digest::Digest,
        event::EventKind,
        labels,
        names::PodId,
        observe::actual::{ContainerState, Exit},
        site::Site,
    },
    engine::{
        Engine,
        memory::{FaultTiming, MemoryEngine},
    },
    reconcile::act::{self, orphans::PurgeError},
    source::{Directory, Source},
    store::Store,
};
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;

use super::{at, dump, fresh};
use crate::testkit::{
    declared::{Declared, alice, pod},
    rows,
    site::site,
};
use agentpod::core::declare::infra::VolumeSpec;

const TENANT: &str = "{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: alice}}\n";
const POD: &str = "{apiVersion: agentpod.dev/v1, kind: Pod, metadata: {name: assistant, tenant: alice}, spec: {adapter: echo, subdomain: alice}}\n";

struct Stage {
    store: Store,
    options: PgConnectOptions,
    engine: MemoryEngine,
    folder: tempfile::TempDir,
    source: Source,
    site: Site,
}

/// Alice's assistant, removed after it ran, with a stopped container and its data; Bob's pod, which is declared.
async fn stage() -> Stage {
    let (store, options) = fresh().await;
    let both = || alice().pod("bob/x", "subdomain: bob");
    store.sync(&both().build(), at(0)).await.unwrap();
    store.sync(&Declared::tenants().pod("bob/x", "subdomain: bob").build(), at(60)).await.unwrap();
    let site = site();
    let engine = MemoryEngine::default();
    for id in ["alice/assistant", "bob/x"] {
        let id = pod(id);
        let volume = format!("test_{}", id.key());
        engine.ensure_volume(&VolumeSpec { name: volume.clone(), labels: labels::of_pod(&site, &id) }).await.unwrap();
        engine.place(&id, &Digest::from_label("0123456789"), &volume, ContainerState::Exited(Exit::default()));
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("alice.yaml"), TENANT).unwrap();
    let source = Source::Directory(Directory::new(folder.path()));
    Stage { store, options, engine, folder, source, site }
}

impl Stage {
    fn write(&self, text: &str) {
        let path: &Path = self.folder.path();
        fs::write(path.join("alice.yaml"), text).unwrap();
    }

    async fn offer(&self, id: &str) -> Result<Purge, PurgeRefusal> {
        let (owned, expected) =
            act::orphans::survey(&self.engine, &self.store, &self.source, &self.site).await.unwrap();
        purge::purge(&pod(id), &expected, &owned, false)
    }

    async fn purge(&self, agreed: &Purge) -> Result<(), PurgeError> {
        act::orphans::purge(&self.engine, &self.store, &self.source, &self.site, agreed, async || Ok(false)).await
    }

    fn left(&self) -> (Vec<String>, Vec<String>) {
        let world = self.engine.world();
        (world.containers.keys().cloned().collect(), world.volumes.keys().cloned().collect())
    }

    async fn rows_of(&self, key: &str) -> Vec<String> {
        dump(&self.options).await.into_iter().filter(|row| row.contains(key)).collect()
    }
}

fn only_bob() -> (Vec<String>, Vec<String>) {
    (vec!["bob_x-01234567".into()], vec!["test_bob_x".into()])
}

#[tokio::test]
async fn a_purged_pod_leaves_one_line_of_history_and_nothing_of_its_neighbour_is_touched() {
    let stage = stage().await;
    let bob = stage.rows_of("bob_x").await;
    let offer = stage.offer("alice/assistant").await.unwrap();
    stage.purge(&offer).await.unwrap();
    assert_eq!(stage.left(), only_bob());
    assert_eq!(stage.rows_of("bob_x").await, bob);
    assert_eq!(stage.rows_of("alice_assistant\"").await, Vec::<String>::new());
    let events = rows::events(&stage.store, None, 100).await;
    let of_alice: Vec<&str> =
        events.iter().map(|row| row.message.as_str()).filter(|text| text.contains("alice")).collect();
    assert_eq!(of_alice, ["alice/assistant: its data was deleted: test_alice_assistant, alice_assistant-01234567"]);
    assert!(events.iter().any(|row| row.kind == EventKind::Purged), "{events:?}");
    assert_eq!(stage.offer("alice/assistant").await, Err(PurgeRefusal::Nothing));
}

#[tokio::test]
async fn a_purged_pod_that_comes_back_is_new_and_has_another_token() {
    let stage = stage().await;
    let id = pod("alice/assistant");
    let token = async || stage.store.token(&id).await.unwrap().map(|token| token.expose_secret().to_owned());
    let before = token().await.unwrap();
    let offer = stage.offer("alice/assistant").await.unwrap();
    stage.purge(&offer).await.unwrap();
    assert_eq!(token().await, None);
    let outcome = stage.store.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(120)).await.unwrap();
    assert_eq!((outcome.created, outcome.returned), (vec![id.clone()], vec![]));
    assert_ne!(token().await.unwrap(), before);
}

#[tokio::test]
async fn what_is_declared_again_between_reading_and_yes_is_not_deleted() {
    // In the source, before any round has read it; and in the database, by a round.
    for in_source in [true, false] {
        let stage = stage().await;
        let before = stage.left();
        let offer = stage.offer("alice/assistant").await.unwrap();
        if in_source {
            stage.write(&format!("{TENANT}---\n{POD}"));
        } else {
            stage.store.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(120)).await.unwrap();
        }
        let refused = stage.purge(&offer).await.unwrap_err();
        assert!(matches!(&refused, PurgeError::Refused(why) if why.contains("is declared")), "{refused}");
        assert_eq!(stage.left(), before);
        assert!(stage.store.token(&pod("alice/assistant")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn what_is_otherwise_than_was_read_is_not_deleted() {
    let stage = stage().await;
    let offer = stage.offer("alice/assistant").await.unwrap();
    let id = pod("alice/assistant");
    stage
        .engine
        .ensure_volume(&VolumeSpec { name: "another".into(), labels: labels::of_pod(&stage.site, &id) })
        .await
        .unwrap();
    let before = stage.left();
    assert!(matches!(stage.purge(&offer).await, Err(PurgeError::Changed)));
    assert_eq!(stage.left(), before);
}

#[tokio::test]
async fn a_purge_is_refused_for_a_busy_pod_and_when_the_leader_does_not_answer() {
    let stage = stage().await;
    let before = stage.left();
    let offer = stage.offer("alice/assistant").await.unwrap();
    let silent = PurgeError::Refused("it does not say".to_owned());
    for (busy, part) in [(Ok(true), "working on alice/assistant"), (Err(silent), "does not say")] {
        let (engine, store) = (&stage.engine, &stage.store);
        let refused = act::orphans::purge(engine, store, &stage.source, &stage.site, &offer, async || busy).await;
        assert!(matches!(&refused, Err(PurgeError::Refused(why)) if why.contains(part)), "{refused:?}");
    }
    assert_eq!(stage.left(), before);
}

#[tokio::test]
async fn nothing_can_be_declared_during_a_purge() {
    let stage = stage().await;
    let store = Arc::new(stage.store.clone());
    let offer = stage.offer("alice/assistant").await.unwrap();
    let syncing = store.clone();
    let mut sync = None;
    let refused = act::orphans::purge(&stage.engine, &store, &stage.source, &stage.site, &offer, async || {
        sync = Some(tokio::spawn(async move {
            syncing.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(120)).await.unwrap()
        }));
        // It waits for the same lock as this purge holds: given time, it still has not come through.
        waits_for_a_lock(&stage.options).await;
        assert_eq!(store.pod_histories().await.unwrap()[&pod("alice/assistant")].undeclared_since, Some(at(60)));
        Ok(false)
    })
    .await;
    refused.unwrap();
    assert_eq!(sync.unwrap().await.unwrap().created, [pod("alice/assistant")], "it came after, and found no row");
}

/// Waits until some connection to the database waits for an advisory lock.
async fn waits_for_a_lock(options: &PgConnectOptions) {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect_with(options).await.unwrap();
    let query = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    let begun = std::time::Instant::now();
    while !sqlx::query_scalar::<_, bool>(query).fetch_one(&mut connection).await.unwrap() {
        assert!(begun.elapsed().as_secs() < 15, "nobody waits");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_purge_that_fails_halfway_can_be_done_again() {
    // Each call of the engine in turn: the container's removal, the volume's; before and after it took effect.
    for (passed, fault) in
        [(0, FaultTiming::Before), (0, FaultTiming::After), (1, FaultTiming::Before), (1, FaultTiming::After)]
    {
        let stage = stage().await;
        let offer = stage.offer("alice/assistant").await.unwrap();
        stage.engine.inject(std::iter::repeat_n(None, passed).chain([Some(fault)]));
        let failed = stage.purge(&offer).await.unwrap_err();
        assert!(matches!(failed, PurgeError::Halfway(_)), "{failed}");
        assert!(failed.to_string().contains("again"), "{failed}");
        let id: PodId = pod("alice/assistant");
        assert!(stage.store.token(&id).await.unwrap().is_some(), "the row says that it is not done");
        let offer = stage.offer("alice/assistant").await.unwrap();
        stage.purge(&offer).await.unwrap();
        assert_eq!(stage.left(), only_bob());
    }
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_an_error_and_no_empty_list() {
    let stage = stage().await;
    stage.engine.world().unreachable = true;
    let looked = act::orphans::survey(&stage.engine, &stage.store, &stage.source, &stage.site).await;
    assert!(matches!(looked, Err(PurgeError::Engine(_))));
}

#[tokio::test]
async fn orphans_are_what_the_rows_and_the_source_do_not_declare() {
    let stage = stage().await;
    let names = async || {
        let (owned, expected) =
            act::orphans::survey(&stage.engine, &stage.store, &stage.source, &stage.site).await.unwrap();
        let names = orphans::orphans(&owned, &expected).into_iter().map(|orphan| orphan.name);
        (names.collect::<Vec<_>>(), expected.source_error)
    };
    let alices = || vec!["alice_assistant-01234567".to_owned(), "test_alice_assistant".to_owned()];
    assert_eq!(names().await, (alices(), None));
    stage.write(&format!("{TENANT}---\n{POD}"));
    assert_eq!(names().await, (vec![], None));
    stage.write("adapter: [");
    let (found, source_error) = names().await;
    assert_eq!(found, alices());
    assert!(source_error.unwrap().contains("alice.yaml"));
}
