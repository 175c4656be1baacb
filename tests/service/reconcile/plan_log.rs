//! What rounds leave for showing: what was decided, and that something was done; and nothing when nothing was.

use std::time::Duration;

use agentpod::core::access::{Person, Role};

use super::stage::{POD, Stage};
use crate::testkit::wait::eventually;

const TICK: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_round_that_did_something_is_shown_and_one_that_did_nothing_is_not() {
    let mut stage = Stage::new("").await;
    let somebody = Person { name: "o".into(), role: Role::Viewer, tenant: None };
    stage.start(TICK);
    let container = stage.runs("").await;
    let overview = async || stage.store.view(&somebody).overview().await.unwrap();
    let shown = eventually("the round is shown", async || {
        overview().await.rounds.into_iter().find(|round| round.actions.iter().any(|one| one.item == POD))
    })
    .await;
    let action = shown.actions.iter().find(|one| one.item == POD).unwrap();
    assert_eq!(action.cause, "it has no container");
    assert!(action.steps.contains(&format!("start {container}")));
    assert!(shown.trigger.contains("startup"));
    eventually("its container is shown to be made as declared", async || {
        let pod = stage.store.view(&somebody).pod(&POD.parse().unwrap()).await.unwrap().unwrap();
        (pod.plan.is_some() && pod.actual_container.is_some() && pod.actual_container == pod.desired_container)
            .then_some(())
    })
    .await;

    let (rounds, made) = (overview().await.rounds.len(), stage.overview().rounds);
    eventually("more rounds", async || (stage.overview().rounds > made + 5).then_some(())).await;
    assert_eq!(overview().await.rounds.len(), rounds);
    stage.stop().await;
}
