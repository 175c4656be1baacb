//! A container's log for people: without the secrets it holds, and not at all when these are not known.

use std::{fs, time::Duration};

use agentpod::{engine::LogQuery, reconcile::LogUnavailable};
use futures_util::StreamExt;

use super::stage::{POD, Stage};

const TICK: Duration = Duration::from_millis(200);
const SECRET: &str = "sk-first-0f1e2d3c4b5a";
const ALL: LogQuery = LogQuery { tail: 100, follow: false, timestamps: false };

async fn read(stage: &Stage) -> Result<Vec<String>, LogUnavailable> {
    let lines = stage.logs.as_ref().unwrap().read(&POD.parse().unwrap(), ALL).await?;
    Ok(lines.map(|line| line.unwrap().text).collect().await)
}

fn wrote(stage: &Stage, container: &str, line: &str) {
    stage.engine.world().logs.insert(container.into(), vec![line.into()]);
}

#[tokio::test]
async fn a_log_is_shown_without_secrets_and_only_while_they_are_known() {
    let mut stage = Stage::new("").await;
    let file = stage.path("key");
    fs::write(&file, SECRET).unwrap();
    stage.declare(&format!("secrets: {{KEY: {{file: {}}}}}", file.display()));
    stage.start(TICK);
    let container = stage.runs("").await;
    wrote(&stage, &container, &format!("key {SECRET} was refused"));
    assert_eq!(read(&stage).await.unwrap(), ["key [secret KEY] was refused"]);
    stage.stop().await;
    assert_eq!(read(&stage).await, Err(LogUnavailable::NoAnswer), "it stands by");

    // Rotated while nobody was there: what the container holds is not known any more.
    fs::write(&file, "sk-second-a9b8c7d6e5f4").unwrap();
    stage.engine.world().refused.insert(format!("stop {container}"));
    stage.start(TICK);
    stage.phase("Held").await;
    match read(&stage).await {
        Err(LogUnavailable::Unsafe(why)) => assert!(why.contains("no longer known")),
        other => panic!("{other:?}"),
    }
    stage.stop().await;
}

#[tokio::test]
async fn while_the_engine_is_away_a_log_cannot_be_shown_and_nobody_says_there_is_no_container() {
    let mut stage = Stage::new("").await;
    stage.start(TICK);
    stage.runs("").await;
    stage.engine.world().unreachable = true;
    stage.phase("Unknown").await;
    assert_eq!(read(&stage).await, Err(LogUnavailable::EngineAway));
    stage.stop().await;
}
