//! A source that is not read for too long is stale: told once, kept, and over when it can be read again.

use std::{fs, time::Duration};

use super::stage::Stage;
use crate::testkit::rows;
use crate::testkit::wait::eventually;
use agentpod::core::event::EventKind;

const TICK: Duration = Duration::from_millis(50);

async fn count(stage: &Stage, kind: EventKind) -> usize {
    let rows = rows::events(&stage.store, None, 1000).await;
    rows.iter().filter(|row| row.kind == kind).map(|row| row.count as usize).sum()
}

async fn until_stale(stage: &Stage, stale: bool) {
    let is_so = async || (stage.overview().source.stale_since.is_some() == stale).then_some(());
    eventually(if stale { "the source is stale" } else { "the source can be read again" }, is_so).await;
}

#[tokio::test]
async fn a_source_that_is_gone_is_stale_after_three_intervals_which_is_reported_once_and_stored() {
    let mut stage = Stage::new("").await;
    stage.interval = Some(time::Duration::milliseconds(200));
    stage.start(TICK);
    let container = stage.runs("").await;
    assert_eq!(stage.store.source_state().await.unwrap(), None, "a source that is read needs no row");
    let (folder, away) = (stage.path("manifests"), stage.path("away"));
    fs::rename(&folder, &away).unwrap();
    until_stale(&stage, true).await;
    let source = stage.overview().source;
    let (read_at, since) = (source.read_at.unwrap(), source.stale_since.unwrap());
    assert_eq!(since - read_at, time::Duration::milliseconds(600), "three intervals");
    assert!(source.unread.unwrap().contains("there is no folder"));
    let kept = stage.store.source_state().await.unwrap().unwrap();
    assert_eq!(kept.origin, folder.display().to_string());
    assert!(kept.stale_since.is_some() && kept.why.unwrap().contains("there is no folder"));
    eventually("it is told", async || (count(&stage, EventKind::SourceStale).await == 1).then_some(())).await;

    // It goes on being stale, also for the next AgentPod, and nothing more is said or written.
    let before = stage.store.source_state().await.unwrap();
    stage.observed_again().await;
    stage.stop().await;
    stage.start(TICK);
    stage.observed_again().await;
    until_stale(&stage, true).await;
    assert_eq!((count(&stage, EventKind::SourceStale).await, stage.store.source_state().await.unwrap()), (1, before));
    assert_eq!(stage.running(), [container], "and nobody is harmed");

    fs::rename(&away, &folder).unwrap();
    until_stale(&stage, false).await;
    eventually("that is told", async || (count(&stage, EventKind::SourceFresh).await == 1).then_some(())).await;
    let kept = stage.store.source_state().await.unwrap().unwrap();
    assert!(kept.stale_since.is_none() && kept.read_at.is_some() && kept.why.is_none());
    stage.stop().await;
}

#[tokio::test]
async fn a_source_whose_revisions_are_refused_is_read_and_not_stale() {
    let mut stage = Stage::new("").await;
    stage.interval = Some(time::Duration::milliseconds(200));
    stage.start(TICK);
    stage.runs("").await;
    fs::write(stage.path("manifests/bad.yaml"), "kind: Pood\n").unwrap();
    eventually("it is refused", async || (!stage.overview().source.problems.is_empty()).then_some(())).await;
    let refused_at = time::OffsetDateTime::now_utc();
    let long = async || (stage.overview().source.read_at? > refused_at + time::Duration::seconds(1)).then_some(());
    eventually("it is read for more than three intervals", long).await;
    assert_eq!(stage.overview().source.stale_since, None);
    assert_eq!(stage.store.source_state().await.unwrap(), None);
    stage.stop().await;
}
