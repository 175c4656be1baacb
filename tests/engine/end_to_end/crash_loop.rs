//! Agents that keep crashing.

use std::time::Duration;

use serde_json::Value;

use super::echo;
use crate::testkit::stand::{PATIENCE, Stand};

const POD: &str = "alice/assistant";

#[tokio::test]
async fn a_pod_that_never_starts_is_stopped_and_its_exit_code_and_last_words_are_kept() {
    let stand = Stand::start(&[("alice.yaml", &echo("alice", "config: {crashOnStart: true}"))]).await;
    let pod = stand.phase(POD, "CrashLoopBackOff", PATIENCE).await;
    assert!(pod["message"].as_str().unwrap().contains("exit code 3"), "{pod}");
    let stopped = async || (!stand.container(POD).running).then_some(());
    stand.until("it is left alone for a while", PATIENCE, stopped).await;
    assert_eq!(stand.container(POD).raw["State"]["ExitCode"], 3);
    let event = event(&stand, "crash_loop").await;
    assert!(text(&event).contains("crashing, as crashOnStart asks"), "{event}");
    assert_eq!(stand.row(POD)["phase"], "CrashLoopBackOff");

    // Put right, it is tried at once and not after the wait.
    stand.save("alice.yaml", &echo("alice", "config: {mode: mended}"));
    stand.ready(POD, Duration::from_secs(20)).await;
    assert_eq!(stand.container(POD).variable("ECHO_MODE"), Some("mended"));
}

#[tokio::test]
async fn a_change_that_crashes_is_taken_back_and_the_container_before_it_goes_on() {
    let stand = Stand::start(&[("alice.yaml", &echo("alice", "config: {mode: good}"))]).await;
    stand.ready(POD, PATIENCE).await;
    let good = stand.container(POD);
    stand.routed("alice", "/health").await;
    assert_eq!(stand.ask("PUT", "alice", "/data/x", "kept").await.unwrap().status, 200);

    stand.save("alice.yaml", &echo("alice", "config: {mode: bad, crashOnStart: true}"));
    let pod = stand.phase(POD, "RolledBack", PATIENCE).await;
    assert_eq!(pod["container"], *good.name, "{pod}");
    let alone = async || Some(stand.containers(POD)).filter(|all| all.len() == 1 && all[0].running);
    stand.until("only the good one is left", PATIENCE, alone).await;
    assert_eq!(stand.container(POD).id, good.id);
    assert_eq!(stand.routed("alice", "/data/x").await.body, "kept");
    let event = event(&stand, "rolled_back").await;
    assert!(text(&event).contains("exit code 3") && text(&event).contains("crashing, as crashOnStart asks"), "{event}");

    // One roll-back is one event, and what was tidied up after it another.
    let told = |kind: &str| {
        let events = stand.events(POD).into_iter().filter(|event| event["kind"] == kind);
        events.map(|event| event["count"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    stand.until("what is left is tidied away", PATIENCE, async || (told("cleaned_up") == [1]).then_some(())).await;
    assert_eq!(told("rolled_back"), [1]);

    // The same bad wish is not tried again.
    let life = stand.container(POD);
    stand.rounds(Duration::ZERO).await;
    assert_eq!(stand.container(POD).life(), life.life());

    // A good one is.
    stand.save("alice.yaml", &echo("alice", "config: {mode: better}"));
    let better =
        async || stand.containers(POD).iter().any(|one| one.variable("ECHO_MODE") == Some("better")).then_some(());
    stand.until("the better one comes", PATIENCE, better).await;
    stand.ready(POD, PATIENCE).await;
    assert_eq!(stand.routed("alice", "/data/x").await.body, "kept");
}

async fn event(stand: &Stand, kind: &str) -> Value {
    let found =
        async || stand.events(POD).into_iter().find(|event| event["kind"] == kind && !event["details"].is_null());
    stand.until(&format!("there is an event {kind}"), PATIENCE, found).await
}

fn text(event: &Value) -> String {
    event.to_string()
}
