//! What a container wrote is kept with an event only without its secrets, and not at all when these are not known.

use std::{fs, time::Duration};

use agentpod::engine::{ContainerChange, memory::FaultTiming};

use super::stage::{POD, Stage};

const TICK: Duration = Duration::from_millis(200);
const FIRST: &str = "sk-first-0f1e2d3c4b5a";
const SECOND: &str = "sk-second-a9b8c7d6e5f4";

async fn with_secret() -> Stage {
    let stage = Stage::new("").await;
    let file = stage.path("key");
    fs::write(&file, FIRST).unwrap();
    stage.declare(&format!("secrets: {{KEY: {{file: {}}}}}", file.display()));
    stage
}

/// Everything the container writes holds the secret in another way.
fn words(secret: &str) -> Vec<String> {
    let encoded: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    vec![
        format!("bad key {secret}!"),
        format!("GET /?key={encoded}"),
        format!("...{}", &secret[..9]),
        format!("{}...", &secret[9..]),
        "and good bye".into(),
    ]
}

async fn says_and_dies(stage: &Stage, container: &str, secret: &str) -> serde_json::Value {
    let words = words(secret);
    let event = stage.dies(container, &words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(event.container.as_deref(), Some(container));
    let kept = stage.dump().await;
    for part in [secret, &secret[..9], &secret[9..]] {
        assert!(!kept.contains(part), "{part:?} stands in the database:\n{kept}");
    }
    event.details.unwrap()
}

fn assert_kept(details: &serde_json::Value) {
    let log: Vec<&str> = details["log"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(log[0], "bad key [secret KEY]!");
    assert_eq!(log[4], "and good bye");
}

fn assert_left_out(details: &serde_json::Value, why: &str) {
    assert!(details["log"].is_null(), "{details}");
    assert!(details["log_omitted"].as_str().unwrap().contains(why), "{details}");
}

#[tokio::test]
async fn the_last_words_of_a_container_are_kept_without_its_secret_also_when_the_daemon_found_it_running() {
    let mut stage = with_secret().await;
    stage.start(TICK);
    let container = stage.runs("").await;
    assert_kept(&says_and_dies(&stage, &container, FIRST).await);
    stage.stop().await;
    stage.start(TICK);
    stage.runs("").await;
    assert_kept(&says_and_dies(&stage, &container, FIRST).await);
    let token = stage.store.token(&POD.parse().unwrap()).await.unwrap().unwrap();
    let token = secrecy::ExposeSecret::expose_secret(&token);
    let event = stage.dies(&container, &[&format!("my token is {token}")]).await;
    assert_eq!(event.details.unwrap()["log"][0], "my token is [gateway token]");
    stage.stop().await;
}

#[tokio::test]
async fn a_value_that_was_rotated_or_lost_or_undeclared_since_is_still_found_in_what_the_container_wrote() {
    let mut stage = with_secret().await;
    stage.start(TICK);
    let container = stage.runs("").await;

    fs::remove_file(stage.path("key")).unwrap();
    stage.phase("Held").await;
    assert_kept(&says_and_dies(&stage, &container, FIRST).await);

    stage.engine.inject([Some(FaultTiming::Before)]);
    fs::write(stage.path("key"), SECOND).unwrap();
    stage.event("failed").await;
    assert_kept(&says_and_dies(&stage, &container, FIRST).await);
    assert_kept(&says_and_dies(&stage, &container, SECOND).await);

    stage.engine.inject([Some(FaultTiming::Before)]);
    stage.undeclare();
    stage.event("undeclared").await;
    stage.phase("Held").await;
    assert_kept(&says_and_dies(&stage, &container, FIRST).await);
    stage.stop().await;
}

#[tokio::test]
async fn nothing_is_kept_of_what_a_container_wrote_whose_secret_was_rotated_while_no_daemon_ran() {
    let mut stage = with_secret().await;
    stage.start(TICK);
    let container = stage.runs("").await;
    stage.stop().await;
    fs::write(stage.path("key"), SECOND).unwrap();
    stage.engine.inject([Some(FaultTiming::Before)]);
    stage.start(TICK);
    stage.event("failed").await;
    assert_left_out(&says_and_dies(&stage, &container, FIRST).await, "no longer known");
    stage.stop().await;
}

#[tokio::test]
async fn nothing_is_kept_of_what_a_container_wrote_whose_secret_was_lost_while_no_daemon_ran() {
    let mut stage = with_secret().await;
    stage.start(TICK);
    let container = stage.runs("").await;
    stage.stop().await;
    fs::remove_file(stage.path("key")).unwrap();
    stage.start(TICK);
    stage.phase("Held").await;
    assert_left_out(&says_and_dies(&stage, &container, FIRST).await, "no longer known");
    stage.stop().await;
}

#[tokio::test]
async fn nothing_is_kept_of_what_a_container_wrote_that_was_undeclared_while_no_daemon_ran() {
    let mut stage = with_secret().await;
    stage.start(TICK);
    let container = stage.runs("").await;
    stage.stop().await;
    stage.undeclare();
    stage.engine.inject([Some(FaultTiming::Before)]);
    stage.start(TICK);
    stage.event("failed").await;
    assert_left_out(&says_and_dies(&stage, &container, FIRST).await, "no longer known");
    stage.stop().await;
}

#[tokio::test]
async fn a_container_that_takes_too_much_memory_is_an_event_that_asks_for_attention() {
    let mut stage = Stage::new("").await;
    stage.start(TICK);
    let container = stage.runs("").await;
    stage.says(ContainerChange::OutOfMemory, &container).await;
    let event = stage.event("out_of_memory").await;
    assert!(event.kind.severity().is_bad() && event.message.contains(&container), "{event:?}");
    stage.stop().await;
}

#[tokio::test]
async fn nothing_is_kept_of_what_a_container_wrote_whose_secret_is_too_short_to_be_found() {
    let mut stage = with_secret().await;
    fs::write(stage.path("key"), "ab").unwrap();
    stage.start(TICK);
    let container = stage.runs("").await;
    let event = stage.dies(&container, &["the key is ab"]).await;
    assert_left_out(&event.details.unwrap(), "[secret KEY] is too short");
    assert!(!stage.dump().await.contains("the key is"));
    stage.stop().await;
}
