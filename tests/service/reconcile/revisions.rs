//! What is kept of revisions while rounds go on: which one each pod is from, what a refused one was made of.

use std::{fs, time::Duration};

use super::stage::Stage;
use crate::testkit::{rows, wait::eventually};
use agentpod::store::view::PodDetail;

const TICK: Duration = Duration::from_millis(50);

async fn pods(stage: &Stage) -> Vec<PodDetail> {
    rows::pods(&stage.store).await
}

#[tokio::test]
async fn a_revision_that_changes_one_pod_is_recorded_for_that_pod_alone() {
    let mut stage = Stage::new("state: stopped").await;
    let file = stage.path("manifests/all.yaml");
    // Nobody answers probes in here, so only a stopped pod can be as declared.
    let save = |old: &str, new: &str| fs::write(&file, fs::read_to_string(&file).unwrap().replace(old, new)).unwrap();
    save("subdomain: other}", "subdomain: other, state: stopped}");
    stage.start(TICK);
    let applied = async |ids: [i64; 2]| {
        let is_so = async || {
            let rows = pods(&stage).await;
            (rows.iter().map(|row| row.line.applied_revision).collect::<Vec<_>>() == ids.map(Some)).then_some(())
        };
        eventually(&format!("the pods are from {ids:?}"), is_so).await;
    };
    applied([1, 1]).await;
    let before = pods(&stage).await;
    save("subdomain: other,", "subdomain: another,");
    applied([1, 2]).await;
    assert_eq!(pods(&stage).await[0], before[0], "nothing is written of the one that was not changed");
    // One that changes no pod at all.
    save("name: alice}}", "name: alice}, spec: {displayName: Alice}}");
    let third = async || stage.store.revision(3).await.unwrap().and_then(|row| row.synced_at);
    eventually("it is applied", third).await;
    let rows = pods(&stage).await;
    let ids: Vec<_> = rows.iter().map(|row| (row.line.revision, row.line.applied_revision)).collect();
    assert_eq!(ids, [(Some(1), Some(1)), (Some(2), Some(2))]);
    stage.stop().await;
}

#[tokio::test]
async fn a_refused_revision_is_kept_with_its_problems_and_its_files() {
    let mut stage = Stage::new("").await;
    stage.start(TICK);
    stage.runs("").await;
    fs::write(stage.path("manifests/bad.yaml"), "kind: Pood\n").unwrap();
    let refused = async || stage.store.newest().await.unwrap().filter(|row| row.accepted_at.is_none());
    let row = eventually("it is refused", refused).await;
    assert_eq!(row.problems[0].file, "bad.yaml");
    let files = stage.store.files_of(row.id).await.unwrap().unwrap();
    assert_eq!(files.manifests["bad.yaml"], b"kind: Pood\n");
    assert!(files.adapters.unwrap().adapters.contains_key("echo/adapter.yaml"));
    eventually("it is published", async || (stage.overview().source.refused == Some(row.hash.clone())).then_some(()))
        .await;
    stage.observed_again().await;
    assert_eq!(stage.store.newest().await.unwrap(), Some(row), "refused once, it is not written again");
    stage.stop().await;
}

#[tokio::test]
async fn a_thousand_files_at_once_are_one_revision_and_one_round() {
    let mut stage = Stage::new("state: stopped").await;
    stage.watches = true;
    let prepared = stage.path("prepared");
    fs::create_dir(&prepared).unwrap();
    for number in 0..1000 {
        let text = format!("{{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {{name: t{number}}}}}\n");
        fs::write(prepared.join(format!("t{number}.yaml")), text).unwrap();
    }
    fs::write(
        stage.path("manifests/all.yaml"),
        "{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: alice}}\n",
    )
    .unwrap();
    stage.start(Duration::from_mins(10));
    eventually("it is applied", async || {
        (stage.overview().source.synced && stage.overview().source.healthy).then_some(())
    })
    .await;
    let (mut rounds, mut since) = (0, std::time::Instant::now());
    let at_rest = async || {
        let now = stage.overview().rounds;
        if now != rounds {
            (rounds, since) = (now, std::time::Instant::now());
        }
        (since.elapsed() > Duration::from_millis(400)).then_some(now)
    };
    let before = eventually("it comes to rest", at_rest).await;
    for number in 0..1000 {
        let name = format!("t{number}.yaml");
        fs::rename(prepared.join(&name), stage.path("manifests").join(&name)).unwrap();
    }
    eventually("all are there", async || (stage.store.newest().await.unwrap()?.id > 1).then_some(())).await;
    eventually("it is applied", async || {
        (stage.overview().source.synced && stage.overview().source.healthy && stage.overview().rounds > before)
            .then_some(())
    })
    .await;
    assert_eq!(stage.overview().rounds, before + 1);
    let newest = stage.store.newest().await.unwrap().unwrap();
    assert_eq!((newest.id, stage.store.files_of(newest.id).await.unwrap().unwrap().manifests.len()), (2, 1001));
    stage.stop().await;
}
