//! What each pod is doing, written only when it changes.

use agentpod::{
    core::declare::desired_status::DesiredStatus,
    core::report::{phase::Phase, status::Status},
};
use sqlx::{Connection, PgConnection};

use super::{at, dump, fresh};
use crate::testkit::declared::{Declared, alice, pod};
use crate::testkit::rows;
use agentpod::core::{
    access::{Person, Role},
    report::reason::Reason,
};

fn status(phase: Phase, ready: bool) -> Status {
    Status {
        phase,
        ready,
        reason: Reason::StepFailed,
        message: "because".into(),
        container: Some("alice_assistant-00112233".into()),
        container_id: Some("c0ffee".into()),
        node: Some("machine-1".into()),
    }
}

#[tokio::test]
async fn a_pod_that_no_round_has_reached_is_pending_since_it_was_declared() {
    let (store, _) = fresh().await;
    store.sync(&alice().build(), at(5)).await.unwrap();
    let row = rows::pods(&store).await.remove(0);
    assert_eq!((row.line.phase, row.line.ready, row.line.container), (Phase::Pending, false, None));
    assert_eq!(row.line.phase_since, at(5));
}

#[tokio::test]
async fn a_status_is_written_once_and_then_only_when_something_differs() {
    let (store, options) = fresh().await;
    let id = pod("alice/assistant");
    store.sync(&alice().build(), at(0)).await.unwrap();
    assert!(store.write_status(&id, &status(Phase::Starting, false), at(1)).await.unwrap());
    let before = dump(&options).await;
    assert!(!store.write_status(&id, &status(Phase::Starting, false), at(2)).await.unwrap());
    assert_eq!(dump(&options).await, before);
    assert!(
        store
            .write_status(&id, &Status { message: "still".into(), ..status(Phase::Starting, false) }, at(3))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn since_is_when_ready_last_changed_and_phase_since_when_the_phase_did() {
    let (store, _) = fresh().await;
    let id = pod("alice/assistant");
    store.sync(&alice().build(), at(0)).await.unwrap();
    for (phase, ready, now) in [(Phase::Starting, false, 10), (Phase::Running, true, 20), (Phase::RolledBack, true, 30)]
    {
        store.write_status(&id, &status(phase, ready), at(now)).await.unwrap();
    }
    let row = rows::pods(&store).await.remove(0);
    assert_eq!(
        (row.line.phase, row.line.ready, row.conditions[0].since, row.line.phase_since),
        (Phase::RolledBack, true, Some(at(20)), at(30))
    );
    assert_eq!(
        (row.line.reason.as_str(), row.line.message.as_str(), row.line.container.as_deref()),
        ("StepFailed", "because", Some("alice_assistant-00112233"))
    );
}

#[tokio::test]
async fn every_phase_reads_back_and_stands_in_the_pods_row_too() {
    let (store, options) = fresh().await;
    let id = pod("alice/assistant");
    store.sync(&alice().build(), at(0)).await.unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let phases = [
        Phase::Pending,
        Phase::Pulling,
        Phase::Starting,
        Phase::Running,
        Phase::Unhealthy,
        Phase::CrashLoopBackOff,
        Phase::Stopped,
        Phase::RolledBack,
        Phase::Deleting,
        Phase::Held,
        Phase::Unknown,
    ];
    for phase in phases {
        store.write_status(&id, &status(phase, false), at(1)).await.unwrap();
        assert_eq!(rows::pods(&store).await[0].line.phase, phase);
        let (actual, container): (String, Option<String>) =
            sqlx::query_as("SELECT actual_status, container_id FROM pods").fetch_one(&mut connection).await.unwrap();
        assert_eq!((actual, container.as_deref()), (format!("{phase:?}").to_lowercase(), Some("c0ffee")));
    }
}

#[tokio::test]
async fn restarts_are_written_only_when_they_differ() {
    let (store, options) = fresh().await;
    let id = pod("alice/assistant");
    store.sync(&alice().build(), at(0)).await.unwrap();
    store.write_status(&id, &status(Phase::Running, true), at(1)).await.unwrap();
    assert!(store.set_restarts(&id, 3, at(2)).await.unwrap());
    let before = dump(&options).await;
    assert!(!store.set_restarts(&id, 3, at(3)).await.unwrap());
    assert_eq!(dump(&options).await, before);
    assert_eq!(rows::pods(&store).await[0].line.restarts, 3);
}

#[tokio::test]
async fn a_removed_pod_is_gone_once_no_container_stands_for_it() {
    let (store, _) = fresh().await;
    let id = pod("alice/assistant");
    store.sync(&alice().build(), at(0)).await.unwrap();
    store.write_status(&id, &status(Phase::Running, true), at(1)).await.unwrap();
    store.sync(&Declared::tenants().build(), at(2)).await.unwrap();
    let row = rows::pods(&store).await.remove(0);
    assert_eq!((row.line.desired, row.undeclared_at), (DesiredStatus::Deleted, Some(at(2))));
    store.write_status(&id, &Status { container: None, ..status(Phase::Deleting, false) }, at(3)).await.unwrap();
    assert!(rows::pods(&store).await.is_empty());
}

#[tokio::test]
async fn a_pod_that_was_never_declared_has_no_status() {
    let (store, _) = fresh().await;
    assert!(!store.write_status(&pod("alice/unheard-of"), &status(Phase::Deleting, false), at(0)).await.unwrap());
    assert!(rows::pods(&store).await.is_empty());
}

#[tokio::test]
async fn a_pod_has_the_node_of_its_container_and_shows_none_without_one() {
    let (store, options) = fresh().await;
    let id = pod("alice/assistant");
    store.sync(&alice().build(), at(0)).await.unwrap();
    let person = Person { name: "root".into(), role: Role::Operator, tenant: None };
    let node = async || store.view(&person).pod(&id).await.unwrap().unwrap().node;
    assert_eq!(node().await, None);
    store.write_status(&id, &status(Phase::Running, true), at(1)).await.unwrap();
    assert_eq!(node().await.as_deref(), Some("machine-1"));
    let gone = Status { container: None, container_id: None, node: None, ..status(Phase::Stopped, false) };
    assert!(store.write_status(&id, &gone, at(2)).await.unwrap());
    assert_eq!(node().await, None);
    let before = dump(&options).await;
    assert!(!store.write_status(&id, &gone, at(3)).await.unwrap(), "a pod without a container stays where it was");
    assert_eq!(dump(&options).await, before);
}
