//! What is declared becomes rows, and only where something differs.

use agentpod::core::secret::SecretError;
use secrecy::ExposeSecret;

use super::{at, dump, fresh};
use crate::testkit::{
    declared::{Declared, alice, pod},
    rows,
};
use agentpod::store::SyncOutcome;

#[tokio::test]
async fn a_declared_pod_becomes_rows_and_a_line_of_history() {
    let (store, _) = fresh().await;
    let outcome = store.sync(&alice().build(), at(0)).await.unwrap();
    assert_eq!(outcome.created, [pod("alice/assistant")]);
    assert!(outcome.changed.is_empty() && outcome.undeclared.is_empty() && outcome.returned.is_empty());
    let rows = rows::pods(&store).await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].subdomain.as_str(), rows[0].line.url.as_str()), ("alice", "https://alice.example.com"));
    assert_eq!(
        rows[0].digest.as_deref(),
        Some(alice().build().pods[&pod("alice/assistant")].container.digest.as_str())
    );
    let events = rows::events(&store, None, 10).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind.as_str(), events[0].message.as_str()), ("declared", "declared in pods.yaml"));
    assert!(events[0].cause.is_some());
}

#[tokio::test]
async fn a_sync_of_the_same_declaration_writes_and_locks_no_row() {
    let (store, options) = fresh().await;
    let desired = || alice().pod("bob/x", "subdomain: bob, state: stopped, config: {startDelaySeconds: 7}").build();
    store.sync(&desired(), at(0)).await.unwrap();
    let before = dump(&options).await;
    assert_eq!(store.sync(&desired(), at(1)).await.unwrap(), SyncOutcome::default());
    assert_eq!(dump(&options).await, before);
}

#[tokio::test]
async fn a_sync_of_what_stays_undeclared_writes_no_row() {
    let (store, options) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    store.sync(&Declared::tenants().build(), at(1)).await.unwrap();
    let before = dump(&options).await;
    assert_eq!(store.sync(&Declared::tenants().build(), at(2)).await.unwrap(), SyncOutcome::default());
    assert_eq!(dump(&options).await, before);
}

#[tokio::test]
async fn only_the_pod_that_was_declared_otherwise_is_written() {
    let (store, options) = fresh().await;
    store.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(0)).await.unwrap();
    let of_bob = |rows: Vec<String>| rows.into_iter().filter(|row| row.contains("bob")).collect::<Vec<_>>();
    let before = of_bob(dump(&options).await);
    let outcome = store
        .sync(
            &Declared::tenants()
                .pod("alice/assistant", "subdomain: al, state: stopped, config: {greeting: hi}")
                .pod("bob/x", "subdomain: bob")
                .build(),
            at(1),
        )
        .await
        .unwrap();
    assert_eq!(outcome.changed, [pod("alice/assistant")]);
    assert_eq!(of_bob(dump(&options).await), before);
    let message = rows::events(&store, Some(&pod("alice/assistant")), 1).await.remove(0).message;
    assert!(
        message.starts_with(
            "state running → stopped, subdomain alice → al, url https://alice.example.com → https://al.example.com"
        ),
        "{message}"
    );
    assert!(message.ends_with(", settings"), "{message}");
}

#[tokio::test]
async fn changed_settings_are_kept_even_when_the_container_stays_the_same() {
    let (store, options) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    let outcome = store
        .sync(&Declared::tenants().pod("alice/assistant", "subdomain: alice, config: {greeting: Moin}").build(), at(1))
        .await
        .unwrap();
    assert_eq!(outcome.changed, [pod("alice/assistant")]);
    assert!(dump(&options).await.iter().any(|row| row.starts_with("pod_configs") && row.contains("Moin")));
    assert_eq!(rows::events(&store, None, 1).await[0].message, "settings");
}

#[tokio::test]
async fn two_pods_swap_their_subdomains_in_one_sync() {
    let (store, _) = fresh().await;
    store
        .sync(&Declared::tenants().pod("alice/a", "subdomain: one").pod("bob/b", "subdomain: two").build(), at(0))
        .await
        .unwrap();
    store
        .sync(&Declared::tenants().pod("alice/a", "subdomain: two").pod("bob/b", "subdomain: one").build(), at(1))
        .await
        .unwrap();
    let rows = rows::pods(&store).await;
    assert_eq!(rows.iter().map(|row| row.subdomain.as_str()).collect::<Vec<_>>(), ["two", "one"]);
}

#[tokio::test]
async fn a_subdomain_used_twice_is_refused_and_nothing_of_that_sync_is_kept() {
    let (store, options) = fresh().await;
    let mut desired = Declared::tenants().pod("alice/a", "subdomain: one").build();
    let twin = Declared::tenants().pod("bob/b", "subdomain: one").build();
    desired.pods.extend(twin.pods);
    let before = dump(&options).await;
    let error = store.sync(&desired, at(0)).await.unwrap_err();
    assert_eq!(error.code(), "store_other");
    assert!(error.to_string().contains("pods_subdomain_is_unique"), "{error}");
    assert_eq!(dump(&options).await, before);
}

#[tokio::test]
async fn a_subdomain_is_free_again_once_its_pod_is_not_declared_any_more() {
    let (store, _) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    let outcome = store.sync(&Declared::tenants().pod("bob/b", "subdomain: alice").build(), at(1)).await.unwrap();
    assert_eq!((outcome.created, outcome.undeclared), (vec![pod("bob/b")], vec![pod("alice/assistant")]));
}

#[tokio::test]
async fn a_pod_that_comes_back_has_the_token_and_the_volume_it_had() {
    let (store, _) = fresh().await;
    let id = pod("alice/assistant");
    store.sync(&alice().build(), at(0)).await.unwrap();
    let token = store.token(&id).await.unwrap().unwrap();
    assert_eq!(token.expose_secret().len(), 64);
    let identities = store.identities().await.unwrap();
    assert_eq!((identities[&id].volume.as_str(), identities[&id].token_version), ("test_alice_assistant", 1));

    assert_eq!(store.sync(&Declared::tenants().build(), at(1)).await.unwrap().undeclared, std::slice::from_ref(&id));
    assert_eq!(store.pod_states().await.unwrap()[&id].undeclared_since, Some(at(1)));
    assert_eq!(store.identities().await.unwrap(), identities);

    assert_eq!(store.sync(&alice().build(), at(2)).await.unwrap().returned, std::slice::from_ref(&id));
    assert_eq!(store.pod_states().await.unwrap()[&id].undeclared_since, None);
    assert_eq!(store.identities().await.unwrap(), identities);
    assert_eq!(store.token(&id).await.unwrap().unwrap().expose_secret(), token.expose_secret());
    let kinds: Vec<&str> = rows::events(&store, Some(&id), 10).await.into_iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["declared", "undeclared", "returned"]);
}

#[tokio::test]
async fn a_volume_keeps_the_name_it_was_first_given() {
    let (store, options) = fresh().await;
    let id = pod("alice/assistant");
    store.sync(&alice().build(), at(0)).await.unwrap();
    let mut desired = alice().build();
    desired.pods.get_mut(&id).unwrap().container.blueprint.volume = "another".into();
    desired.pods.get_mut(&id).unwrap().container.blueprint.data = "/elsewhere".into();
    store.sync(&desired, at(1)).await.unwrap();
    assert_eq!(store.identities().await.unwrap()[&id].volume, "test_alice_assistant");
    assert!(dump(&options).await.iter().any(|row| row.contains(r#""data_dir": "test_alice_assistant:/elsewhere""#)));
    assert_eq!(store.sync(&desired, at(2)).await.unwrap(), SyncOutcome::default());
}

#[tokio::test]
async fn every_pod_has_a_token_of_its_own_and_none_can_be_read_in_the_database() {
    let (store, options) = fresh().await;
    store.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(0)).await.unwrap();
    let mut tokens = Vec::new();
    for id in ["alice/assistant", "bob/x"] {
        tokens.push(store.token(&pod(id)).await.unwrap().unwrap().expose_secret().to_owned());
    }
    assert_ne!(tokens[0], tokens[1]);
    let rows = dump(&options).await.join("\n");
    assert!(rows.contains("gateway_token"));
    assert!(tokens.iter().all(|token| !rows.contains(token)));
    assert!(store.token(&pod("alice/unheard-of")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_for_a_while_changes_nothing() {
    let (store, options) = fresh().await;
    let mut declared = Declared::tenants().pod("alice/a", "subdomain: one, secrets: {KEY: {env: SOME_KEY}}");
    let reference = agentpod::core::secret::SecretRef { env: Some("SOME_KEY".into()), ..Default::default() };
    declared.fingerprints.insert(reference.clone(), Ok(store.fingerprint(&"sesame".into())));
    store.sync(&declared.build(), at(0)).await.unwrap();
    let before = dump(&options).await;
    declared.fingerprints.insert(reference.clone(), Err(SecretError::NotSet));
    assert_eq!(store.sync(&declared.build(), at(1)).await.unwrap(), SyncOutcome::default());
    assert_eq!(dump(&options).await, before);
    declared.fingerprints.insert(reference, Ok(store.fingerprint(&"another".into())));
    assert_eq!(store.sync(&declared.build(), at(2)).await.unwrap().changed, [pod("alice/a")]);
}

#[tokio::test]
async fn a_number_that_the_database_writes_differently_is_no_change() {
    let (store, _) = fresh().await;
    let mut desired = alice().build();
    let pod = desired.pods.get_mut(&pod("alice/assistant")).unwrap();
    let mut declared = (*pod.declared).clone();
    declared.config.extend([
        ("big".into(), 1e20.into()),
        ("bigger".into(), 1e16.into()),
        ("small".into(), 1e-7.into()),
        ("whole".into(), 2.0.into()),
    ]);
    pod.declared = declared.into();
    store.sync(&desired, at(0)).await.unwrap();
    assert_eq!(store.sync(&desired, at(1)).await.unwrap(), SyncOutcome::default());
}

#[tokio::test]
async fn a_text_that_the_database_cannot_hold_stops_nobody() {
    let (store, _) = fresh().await;
    let desired = || Declared::tenants().pod("alice/a", r#"subdomain: one, config: {greeting: "a\0b"}"#).build();
    store.sync(&desired(), at(0)).await.unwrap();
    assert_eq!(store.sync(&desired(), at(1)).await.unwrap(), SyncOutcome::default());
}

#[tokio::test]
async fn a_tenant_that_changes_its_name_for_people_is_updated_and_one_that_goes_keeps_its_row() {
    let (store, options) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    let mut desired = Declared::tenants().build();
    desired.tenants.get_mut(&"alice".parse().unwrap()).unwrap().spec.display_name = Some("Alice Liddell".into());
    desired.tenants.remove(&"bob".parse().unwrap());
    store.sync(&desired, at(1)).await.unwrap();
    let rows = dump(&options).await;
    let tenants: Vec<&String> = rows.iter().filter(|row| row.starts_with("tenants ")).collect();
    assert_eq!(tenants.len(), 2);
    assert!(tenants.iter().any(|row| row.contains("Alice Liddell") && row.contains("alice@example.com")));
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_at_the_same_time_create_a_pod_once() {
    let (store, _) = fresh().await;
    // Tenants and connections first: waiting for either would keep the syncs apart.
    store.sync(&Declared::tenants().build(), at(0)).await.unwrap();
    futures_util::future::join_all((0..8).map(|_| store.freshness())).await;
    let syncs = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.sync(&alice().build(), at(0)).await.unwrap().created.len() })
    });
    let created = futures_util::future::join_all(syncs.collect::<Vec<_>>()).await;
    assert_eq!(created.into_iter().map(|count| count.unwrap()).sum::<usize>(), 1);
}
