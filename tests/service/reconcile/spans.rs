//! What is logged says where it belongs: to a round, a pod in it, a step of that; each query by its name.

use std::time::Duration;

use super::stage::Stage;
use crate::testkit::{log, wait::eventually};

#[tokio::test]
async fn a_step_is_logged_within_its_pod_and_its_round_and_a_query_under_its_name() {
    log::listen();
    let mut stage = Stage::new("").await;
    stage.start(Duration::from_millis(50));
    stage.runs("").await;
    stage.stop().await;
    let is_there = |parts: &[&str]| {
        log::text().lines().any(|line| {
            let mut rest = line;
            parts.iter().all(|part| rest.split_once(part).inspect(|(_, after)| rest = *after).is_some())
        })
    };
    let path = ["round{number=", "}:pod{pod=alice/assistant}:step{step=create alice_assistant-"];
    eventually("the steps are logged", async || is_there(&path).then_some(())).await;
    assert!(is_there(&["round{number=", "}:item{item=network agentpod-net}:step{step=create network agentpod-net"]));
}
