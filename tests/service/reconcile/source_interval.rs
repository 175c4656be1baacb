//! The source is looked at in time, whatever else happens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agentpod::engine::{ContainerChange, EngineEvent};

use super::stage::{POD, Stage};
use crate::testkit::wait::eventually;

#[tokio::test]
async fn a_pod_that_wakes_us_all_the_time_does_not_keep_us_from_reading_the_source() {
    let mut stage = Stage::new("").await;
    let tick = Duration::from_secs(1);
    stage.start(tick);
    let first = stage.runs("").await;
    let calm = Arc::new(AtomicBool::new(false));
    let (engine, container, until) = (stage.engine.clone(), first.clone(), calm.clone());
    let noise = tokio::spawn(async move {
        while !until.load(Ordering::SeqCst) {
            let (pod, container) = (Some(POD.parse().unwrap()), container.clone());
            engine.say(EngineEvent { pod, container, change: ContainerChange::Started });
            tokio::time::sleep(tick / 20).await;
        }
    });
    let rounds = stage.overview().rounds;
    eventually("it is kept awake", async || (stage.overview().rounds > rounds + 20).then_some(())).await;
    stage.declare("config: {mode: other}");
    stage.runs(&first).await;
    calm.store(true, Ordering::SeqCst);
    noise.await.unwrap();
    stage.stop().await;
}
