//! Who leads: one process at a time, whatever happens to processes, sessions, connections and clocks.

use std::time::Duration;

use agentpod::{
    core::{decide::plan::Rejected, digest::Digest},
    store::{Candidate, Event, Lead, SourceState, Store, StoreError},
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{at, dump, new_key};
use crate::testkit::{
    declared::{alice, pod},
    postgres::{self, Server},
    wait::eventually,
};

async fn two() -> (Store, Store, PgConnectOptions) {
    let (options, key, name) = (postgres::database().await, new_key(), "test".parse().unwrap());
    let one = Store::open(options.clone(), &key, &name).await.unwrap();
    let two = Store::open(options.clone(), &key, &name).await.unwrap();
    (one, two, options)
}

async fn lead(store: &Store) -> Lead {
    store.try_lead().await.unwrap().expect("nobody leads")
}

async fn run(options: &PgConnectOptions, statement: &'static str) {
    let mut connection = PgConnection::connect_with(options).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
}

/// As if the leader had not renewed its lease in time.
async fn expire(options: &PgConnectOptions) {
    run(options, "UPDATE lease SET expires_at = now()").await;
}

#[tokio::test]
async fn one_process_leads_until_it_releases_the_lead() {
    let (one, two, _) = two().await;
    let first = lead(&one).await;
    assert!(first.term().is_current());
    assert!(two.try_lead().await.unwrap().is_none());
    assert!(one.try_lead().await.unwrap().is_none(), "nor does the same process lead twice");
    first.release().await.unwrap();
    assert!(lead(&two).await.term().is_current());
}

#[tokio::test]
async fn the_lead_of_a_process_that_died_ends_by_time() {
    let (one, two, options) = two().await;
    drop(lead(&one).await);
    assert!(two.try_lead().await.unwrap().is_none());
    expire(&options).await;
    lead(&two).await;
}

#[tokio::test]
async fn a_lead_outlives_its_connections() {
    let (one, two, options) = two().await;
    let first = lead(&one).await;
    let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    run(&options, query).await;
    one.led_by(&first).sync(&alice().build(), at(0)).await.unwrap();
    assert!(two.try_lead().await.unwrap().is_none());
    assert!(first.term().is_current());
}

#[tokio::test]
async fn a_leader_that_was_replaced_stores_nothing_more_and_knows_it() {
    let (one, two, options) = two().await;
    let first = lead(&one).await;
    let led = one.led_by(&first);
    led.sync(&alice().build(), at(0)).await.unwrap();
    expire(&options).await;
    let second = lead(&two).await;
    let before = dump(&options).await;
    let (id, other) = (pod("alice/assistant"), alice().pod("bob/x", "subdomain: bob").build());
    let rejected = Rejected { digest: Digest::from_label("d"), why: "no".into() };
    let state = SourceState { origin: "/m".into(), read_at: None, stale_since: None, why: None };
    let refused = [
        led.sync(&other, at(1)).await.map(drop),
        led.set_desired(&other, at(1)).await,
        led.set_rejected(&id, Some(&rejected)).await,
        led.set_uploaded(&id, None).await,
        led.set_retry(&id, None).await,
        led.set_removal_allowed(&id, None).await,
        led.set_source_state(&state, at(1)).await,
        led.record(&Event::of_none(Default::default(), "late"), at(1)).await,
        led.mark_pods_applied(std::slice::from_ref(&id), at(1)).await.map(drop),
        led.prune(at(9)).await.map(drop),
        led.rotate_key(&first, "root", at(1)).await.map(drop),
    ];
    for (index, outcome) in refused.into_iter().enumerate() {
        assert!(matches!(outcome, Err(StoreError::NotLeading)), "{index}: {outcome:?}");
    }
    assert_eq!(dump(&options).await, before);
    first.term().lost().await;
    assert!(!first.term().is_current());
    two.led_by(&second).sync(&other, at(2)).await.unwrap();
}

#[tokio::test]
async fn a_leader_that_is_replaced_while_idle_notices_by_itself() {
    let (one, two, options) = two().await;
    let first = lead(&one).await;
    expire(&options).await;
    // A renewal may have come in between.
    let second = eventually("the lead is taken", async || {
        expire(&options).await;
        two.try_lead().await.unwrap()
    });
    let _second = second.await;
    first.term().lost().await;
}

#[tokio::test]
async fn a_frozen_leader_in_the_middle_of_a_transaction_is_replaced() {
    let (one, two, options) = two().await;
    let first = lead(&one).await;
    let _held = one.led_by(&first).lock_declarations().await.unwrap();
    // It does not renew any more either.
    drop(first);
    expire(&options).await;
    let mut candidate = Candidate::default();
    eventually("the server ends its transaction", async || two.try_lead_as(&mut candidate).await.ok().flatten()).await;
}

#[tokio::test]
async fn a_lease_that_does_not_change_is_over_though_the_databases_clock_was_set_back() {
    let (one, two, options) = two().await;
    drop(lead(&one).await);
    run(&options, "UPDATE lease SET expires_at = now() + interval '1 day'").await;
    let mut candidate = Candidate::default();
    assert!(two.try_lead_as(&mut candidate).await.unwrap().is_none());
    eventually("it is over by our own clock", async || two.try_lead_as(&mut candidate).await.unwrap()).await;
}

#[tokio::test]
async fn a_leader_acts_only_as_long_as_the_database_has_confirmed_its_lead() {
    let server = Server::start_new();
    let store = Store::open(server.database().await, &new_key(), &"test".parse().unwrap()).await.unwrap();
    let first = lead(&store).await;
    assert!(first.term().is_current());
    server.stop();
    first.term().unconfirmed().await;
    assert!(!first.term().is_current());
    server.start();
    eventually("it is confirmed again", async || first.term().is_current().then_some(())).await;
}

#[tokio::test]
async fn of_many_candidates_exactly_one_leads() {
    let (one, two, options) = two().await;
    for _ in 0..20 {
        let attempts = (0..8).map(|index| {
            let store = if index % 2 == 0 { one.clone() } else { two.clone() };
            tokio::spawn(async move { store.try_lead().await.unwrap() })
        });
        let attempts = futures_util::future::join_all(attempts.collect::<Vec<_>>()).await;
        assert_eq!(attempts.into_iter().filter_map(|attempt| attempt.unwrap()).count(), 1);
        expire(&options).await;
    }
    tokio::time::timeout(Duration::from_secs(1), lead(&one)).await.unwrap();
}
