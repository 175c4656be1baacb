//! The brake on removals in a whole reconciler: held over a restart, opened by exactly its approval, kept in the store.

use std::time::Duration;

use agentpod::core::decide::request::RequestSpec;

use super::stage::Stage;
use crate::testkit::wait::eventually;

const TICK: Duration = Duration::from_millis(100);
const ALL: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

async fn held(stage: &Stage) -> String {
    eventually("removals are held", async || stage.overview().held_removals.map(|held| held.why.plan)).await
}

async fn run_alone(stage: &Stage, names: &[&str]) {
    eventually("exactly these run", async || (stage.pods_running() == names).then_some(())).await;
}

#[tokio::test]
async fn too_many_removals_are_held_over_a_restart_and_opened_by_their_own_approval_alone() {
    let mut stage = Stage::new("").await;
    stage.declare_pods(&ALL);
    stage.start(TICK);
    run_alone(&stage, &ALL).await;
    let was_ready = stage.overview().pods.get("alice/a").is_some_and(|pod| pod.status.ready);
    stage.engine.world().writes.clear();
    stage.declare_pods(&ALL[4..]);
    let plan = held(&stage).await;
    let status = stage.overview().pods["alice/a"].status.clone();
    assert_eq!((format!("{:?}", status.phase).as_str(), status.reason.as_str()), ("Held", "TooManyRemovals"));
    assert!(status.ready >= was_ready, "it serves as before: {status:?}");
    assert!(status.message.contains("4 of 6 pods") && status.message.contains(&plan), "{status:?}");
    assert!(!stage.overview().source.synced);
    let told = stage.event("removals_held").await.message;
    assert!(told.contains("holds 4 removals") && told.contains(&format!("agentpod approve {plan}")), "{told}");

    stage.stop().await;
    stage.start(TICK);
    assert_eq!(held(&stage).await, plan);
    let wrong = stage.answered(stage.ask(RequestSpec::Approve { plan: "0123456789ab".into() }).await).await;
    assert_eq!(wrong.done, Some(false));
    assert!(wrong.outcome.unwrap().contains(&plan));
    assert_eq!(stage.engine.world().writes, Vec::<String>::new());

    let right = stage.answered(stage.ask(RequestSpec::Approve { plan }).await).await;
    assert_eq!(right.outcome.as_deref(), Some("removing alice/a, alice/b, alice/c, alice/d"));
    run_alone(&stage, &ALL[4..]).await;
    let stopped = stage.event("stopped").await.cause.unwrap();
    assert!(stopped.starts_with("it is no longer declared and alice@host approved its removal"), "{stopped}");
    eventually("nothing is held", async || stage.overview().held_removals.is_none().then_some(())).await;

    // Back within the grace: the same containers again, and nothing is made.
    stage.declare_pods(&ALL);
    run_alone(&stage, &ALL).await;
    assert!(!stage.engine.world().writes.iter().any(|write| write.starts_with("create")));
    // And gone once more: that is another removal.
    stage.declare_pods(&ALL[4..]);
    held(&stage).await;
    assert_eq!(stage.pods_running(), ALL);
    stage.stop().await;
}

#[tokio::test]
async fn removals_within_the_limit_are_kept_in_the_store_before_the_first_step() {
    let mut stage = Stage::new("").await;
    stage.declare_pods(&ALL);
    stage.start(TICK);
    run_alone(&stage, &ALL).await;
    stage.declare_pods(&ALL[2..]);
    run_alone(&stage, &ALL[2..]).await;
    let kept = stage.store.pod_states().await.unwrap();
    for name in ["a", "b"] {
        let allowed = kept[&format!("alice/{name}").parse().unwrap()].removal_allowed.clone();
        assert!(allowed.is_some_and(|allowed| allowed.revision.is_some()), "{name}");
    }
    assert!(stage.overview().held_removals.is_none());
    stage.stop().await;
}
