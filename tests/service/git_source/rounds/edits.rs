//! From the dashboard's form to a running pod: the manifest is committed, fetched at once and applied.

use std::{sync::Arc, time::Duration};

use agentpod::{
    core::access::{Person, Role},
    reconcile::Edits,
    source::{Git, Source, git::GitSettings},
};
use time::OffsetDateTime;

use super::{super::settings, Stage, pod};
use crate::testkit::rows;
use crate::testkit::{
    repository::git,
    site::{shipped_folders, site},
    wait::eventually,
};

#[tokio::test]
async fn an_added_pod_runs_without_waiting_for_the_next_fetch() {
    let mut stage = Stage::new().await;
    git(&stage.repository.bare(), &["config", "http.receivepack", "true"]);
    stage.start();
    let (alice, bob) = (stage.runs("alice", "").await, stage.runs("bob", "").await);
    let patient =
        GitSettings { interval: Duration::from_hours(1), ..settings(&stage.server.url(), stage.repository.root()) };
    let edits = Arc::new(Edits::new(Source::Git(Git::new(patient)), shipped_folders(), site(), stage.store.clone()));
    let olga = Person { name: "olga".into(), role: Role::Operator, tenant: None };
    let (_, carol) = pod("carol", "one");
    let (id, added) = edits.add_pod(&olga, &carol, OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!((id.to_string().as_str(), added.file.as_str()), ("carol/pod", "carol-pod.yaml"));
    stage.runs("carol", "").await;
    assert_eq!((stage.running("alice"), stage.running("bob")), (vec![alice], vec![bob]), "others are left alone");
    let events = rows::events(&stage.store, None, 100).await;
    let message = events.iter().find(|row| row.kind.as_str() == "edited").unwrap().message.clone();
    assert!(
        message.contains("carol/pod: olga added it to the source") && message.contains(&added.location()),
        "{message}"
    );
    // Of two conflicting edits at once, one is refused and the source stays valid.
    let twin = |name: &str| {
        carol.replace("name: pod", &format!("name: {name}")).replace("subdomain: carol", "subdomain: twin")
    };
    let twin = |name: &str| twin(name).split_once("---\n").unwrap().1.to_owned();
    let (one, two) = (twin("one"), twin("two"));
    let now = OffsetDateTime::now_utc();
    let outcomes = tokio::join!(edits.add_pod(&olga, &one, now), edits.add_pod(&olga, &two, now));
    assert!(outcomes.0.is_ok() != outcomes.1.is_ok(), "{outcomes:?}");
    eventually("what was asked for is answered", async || {
        stage.store.open_requests().await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(stage.problems(), "");
    stage.stop().await;
}
