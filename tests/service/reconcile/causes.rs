//! Every event says why: the planner's cause and what woke us, and of a failure the step.

use std::time::Duration;

use agentpod::engine::memory::FaultTiming;

use super::stage::Stage;

const TICK: Duration = Duration::from_millis(200);

#[tokio::test]
async fn an_event_says_why_something_was_done_and_what_triggered_it() {
    let mut stage = Stage::new("").await;
    stage.start(TICK);
    let first = stage.runs("").await;
    let network = stage.event("created").await;
    assert_eq!((network.pod, network.message.as_str()), (None, "network agentpod-net was created"));
    let created = stage.pod_event("created").await;
    assert!(created.message.starts_with("created and started alice_"), "{created:?}");
    assert_eq!(created.cause.as_deref(), Some("it has no container; triggered by startup"));
    stage.declare("config: {mode: other}");
    let second = stage.runs(&first).await;
    let replaced = stage.event("replaced").await;
    assert_eq!(replaced.message, format!("stopped {first}, created and started {second}"));
    let cause = replaced.cause.unwrap();
    assert!(cause.starts_with("its environment changed (") && cause.contains("the clock"), "{cause}");
    stage.stop().await;
}

#[tokio::test]
async fn a_failure_is_an_event_with_the_failed_step_and_the_cause_of_the_action() {
    let mut stage = Stage::new("").await;
    stage.undeclare();
    stage.engine.inject([None, None, None, Some(FaultTiming::Before)]);
    stage.start(TICK);
    let failed = stage.event("failed").await;
    assert_eq!(failed.cause.as_deref(), Some("it has no container; triggered by startup"));
    let step = failed.details.as_ref().unwrap()["step"].as_str().unwrap();
    assert!(step.starts_with("create alice_other-"), "{failed:?}");
    assert_eq!(failed.message, format!("injected before: {step} (2 later steps not attempted)"));
    stage.stop().await;
}
