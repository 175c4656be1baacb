//! Images that appear later, and tags that move, are noticed by the engine's own events.

use std::time::Duration;

use super::stage::{POD, Stage};
use crate::testkit::wait::eventually;

const IMAGE: &str = "agentpod/echo:1";

#[tokio::test]
async fn an_image_that_appears_later_is_tried_at_once() {
    let mut stage = Stage::new("").await;
    stage.engine.world().missing_images.insert(IMAGE.into());
    // Nothing but the engine's word can wake it in time.
    stage.start(Duration::from_hours(1));
    stage.phase("Held").await;
    let message = stage.overview().pods[POD].status.message.clone();
    assert!(message.contains("agentpod/echo:1 is not on this machine"), "{message}");
    let retry = eventually("the next attempt is kept", async || {
        stage.store.pod_states().await.unwrap()[&POD.parse().unwrap()].retry.clone()
    })
    .await;
    stage.engine.world().images.insert(IMAGE.into());
    eventually("somebody listens", async || stage.engine.say_images_changed().then_some(())).await;
    stage.runs("").await;
    assert!(time::OffsetDateTime::now_utc() < retry.at, "it was tried by the clock alone");
    stage.stop().await;
}

#[tokio::test]
async fn a_tag_that_moves_is_told_and_the_container_keeps_running() {
    let mut stage = Stage::new("").await;
    stage.engine.world().image_ids.insert(IMAGE.into(), format!("sha256:{}", "1a".repeat(32)));
    stage.start(Duration::from_hours(1));
    let first = stage.runs("").await;
    stage.engine.world().image_ids.insert(IMAGE.into(), format!("sha256:{}", "2b".repeat(32)));
    eventually("somebody listens", async || stage.engine.say_images_changed().then_some(())).await;
    let event = stage.pod_event("image_moved").await;
    assert!(event.message.contains(&format!("runs {}", "1a".repeat(6))), "{}", event.message);
    assert!(event.message.contains(&format!("{IMAGE} means {} now", "2b".repeat(6))), "{}", event.message);
    assert_eq!(stage.running(), [first]);
    stage.stop().await;
}
