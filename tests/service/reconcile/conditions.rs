//! Conditions over whole rounds: written where they differ, a deviation told once, and nothing done about it.

use std::{sync::Arc, time::Duration};

use agentpod::{
    core::{
        access::{Person, Role},
        observe::{condition::Condition, in_force::InForce},
    },
    store::view,
};

use super::stage::{POD, Stage};
use crate::testkit::rows;
use crate::testkit::wait::eventually;
use agentpod::core::observe::condition::ConditionKind;

const TICK: Duration = Duration::from_millis(50);

/// Changes what bounds a container, as somebody would by hand.
fn bound(stage: &Stage, container: &str, change: impl FnOnce(&mut InForce)) {
    let mut world = stage.engine.world();
    let container = world.containers.get_mut(container).unwrap();
    change(Arc::make_mut(container.in_force.as_mut().unwrap()));
}

async fn condition(stage: &Stage, kind: &str) -> view::ConditionLine {
    let somebody = Person { name: "o".into(), role: Role::Viewer, tenant: None };
    let pod = stage.store.view(&somebody).pod(&POD.parse().unwrap()).await.unwrap().unwrap();
    pod.conditions.into_iter().find(|one| one.kind.as_str() == kind).unwrap()
}

async fn becomes(stage: &Stage, kind: &str, reason: &str) -> view::ConditionLine {
    let is_so = async || Some(condition(stage, kind).await).filter(|one| one.reason.as_str() == reason);
    eventually(&format!("{kind} is {reason}"), is_so).await
}

async fn events_of(stage: &Stage, kind: &str) -> Vec<(String, i32)> {
    let all = rows::events(&stage.store, None, 1000).await.into_iter();
    all.filter(|row| row.kind.as_str() == kind).map(|row| (row.message, row.count)).collect()
}

async fn more_rounds(stage: &Stage) {
    let made = stage.overview().rounds;
    eventually("more rounds", async || (stage.overview().rounds > made + 5).then_some(())).await;
}

#[tokio::test]
async fn a_limit_changed_by_hand_is_reported_once_and_shown_and_nothing_is_done_about_it() {
    let mut stage = Stage::new("").await;
    stage.start(TICK);
    let container = stage.runs("").await;
    let fine = becomes(&stage, "Hardened", "AsDeclared").await;
    assert_eq!((fine.is_true, fine.since.is_some()), (Some(true), true));
    assert_eq!(becomes(&stage, "Routed", "Routed").await.is_true, Some(true));
    eventually("both pods run", async || (stage.pods_running().len() == 2).then_some(())).await;
    more_rounds(&stage).await;
    let writes = stage.engine.world().writes.clone();

    bound(&stage, &container, |is| is.pids = Some(9999));
    let bad = becomes(&stage, "Hardened", "Deviates").await;
    assert!(bad.message.starts_with("its limit on processes is 9999, not "), "{}", bad.message);
    assert!(bad.since > fine.since);
    more_rounds(&stage).await;
    assert_eq!(events_of(&stage, "deviates").await, [(bad.message.clone(), 1)]);
    let published: Vec<Condition> = stage.overview().pods[POD].conditions.clone();
    assert!(
        published.iter().any(|one| one.kind == ConditionKind::Hardened && one.message == bad.message),
        "{published:?}"
    );
    assert_eq!(stage.store.conditions().await.unwrap()[&POD.parse().unwrap()], published);

    // A daemon that starts again knows what was told.
    stage.stop().await;
    stage.start(TICK);
    more_rounds(&stage).await;
    assert_eq!(events_of(&stage, "deviates").await, [(bad.message.clone(), 1)]);
    assert_eq!(condition(&stage, "Hardened").await, bad, "not written again either");

    bound(&stage, &container, |is| is.privileged = Some(true));
    eventually("another deviation is told", async || (events_of(&stage, "deviates").await.len() == 2).then_some(()))
        .await;
    assert_eq!(condition(&stage, "Hardened").await.since, bad.since, "since when it deviates");
    let declared = declared(&stage);
    bound(&stage, &container, |is| (is.privileged, is.pids) = (Some(false), declared));
    becomes(&stage, "Hardened", "AsDeclared").await;
    stage.event("hardened").await;
    assert_eq!(stage.engine.world().writes, writes, "nothing was done about any of it");
    stage.stop().await;
}

/// The limit on processes of a pod that was left alone.
fn declared(stage: &Stage) -> Option<i64> {
    let world = stage.engine.world();
    let other = world.containers.values().find(|one| one.pod.to_string() == "alice/other").unwrap();
    other.in_force.as_ref().unwrap().pids
}

#[tokio::test]
async fn an_engine_out_of_reach_leaves_conditions_unknown_and_tells_no_deviation() {
    let mut stage = Stage::new("").await;
    stage.start(TICK);
    stage.runs("").await;
    becomes(&stage, "Hardened", "AsDeclared").await;
    stage.engine.world().unreachable = true;
    assert_eq!(becomes(&stage, "Hardened", "Unknown").await.is_true, None);
    assert_eq!(becomes(&stage, "Routed", "Unknown").await.is_true, None);
    stage.engine.world().unreachable = false;
    becomes(&stage, "Hardened", "AsDeclared").await;
    assert_eq!((events_of(&stage, "deviates").await, events_of(&stage, "hardened").await), (vec![], vec![]));
    stage.stop().await;
}

#[tokio::test]
async fn a_stopped_pod_is_not_routed() {
    let mut stage = Stage::new("").await;
    stage.start(Duration::from_secs(30));
    stage.runs("").await;
    becomes(&stage, "Routed", "Routed").await;
    stage.stop().await;
    stage.declare("state: stopped");
    stage.start(TICK);
    let stopped = becomes(&stage, "Routed", "NotRouted").await;
    assert_eq!(stopped.message, "its container is stopped");
    stage.stop().await;
}
