//! What people and engines do to containers, and how the tenant gets through it.

use std::process::Command;

use super::{echo, three_tenants};
use crate::testkit::{
    docker::{docker, try_docker},
    stand::{PATIENCE, Stand},
};

const POD: &str = "alice/assistant";

/// An image of the echo agent in which /tmp is a file, so that nothing can be mounted there: a container of it can be
/// made, and the engine refuses to start it. Gone with the test.
struct BrokenImage(String);

impl BrokenImage {
    fn new(stand: &Stand) -> Self {
        let image = Self(format!("agentpod/echo:{}", stand.instance()));
        let (archive, file) = (stand.path("broken.tar"), stand.path("tmp"));
        std::fs::write(&file, "").unwrap();
        let archive = archive.to_str().unwrap();
        let container = docker(&["create", "agentpod/echo:1"]);
        docker(&["export", "--output", archive, &container]);
        docker(&["rm", &container]);
        let folder = file.parent().unwrap().to_str().unwrap();
        for change in [&["--delete", "tmp/"][..], &["--append", "--directory", folder, "tmp"]] {
            assert!(Command::new("tar").args(["--file", archive]).args(change).status().unwrap().success());
        }
        docker(&["import", "--change", "ENTRYPOINT [\"/echo\"]", archive, &image.0]);
        image
    }
}

impl Drop for BrokenImage {
    fn drop(&mut self) {
        try_docker(&["rmi", "--force", &self.0]);
    }
}

#[tokio::test]
async fn a_container_taken_off_its_network_is_not_ready_and_is_reached_again_soon() {
    let stand = three_tenants().await;
    stand.routed("alice", "/health").await;
    let (before, bob) = (stand.container(POD), stand.container("bob/assistant"));
    let healthy = async || stand.status().await.and_then(|status| status["source"]["healthy"].as_bool());
    stand.until("all is well", PATIENCE, async || healthy().await.filter(|healthy| *healthy)).await;
    docker(&["network", "disconnect", stand.instance(), &before.name]);
    stand.nudge();
    stand.until("it is not well any more", PATIENCE, async || healthy().await.filter(|healthy| !healthy)).await;
    stand.ready(POD, PATIENCE).await;
    let after = stand.container(POD);
    assert_eq!(after.id, before.id, "its container is the same");
    stand.routed("alice", "/health").await;
    assert_eq!(stand.container("bob/assistant").life(), bob.life());
    let kinds: Vec<_> = stand.events(POD).iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.contains(&"reconnected".to_owned()) && !kinds.contains(&"exited".to_owned()), "{kinds:?}");
    stand.until("all is well again", PATIENCE, async || healthy().await.filter(|healthy| *healthy)).await;
}

#[tokio::test]
async fn a_container_renamed_by_hand_goes_on_as_it_is() {
    let stand = three_tenants().await;
    let before = stand.container(POD);
    docker(&["rename", &before.name, &format!("{}-by-hand", stand.instance())]);
    stand.rounds(std::time::Duration::ZERO).await;
    stand.ready(POD, PATIENCE).await;
    assert_eq!(stand.container(POD).life(), before.life());
    let kinds: Vec<_> = stand.events(POD).iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
    assert!(!kinds.contains(&"replaced".to_owned()) && !kinds.contains(&"uploaded".to_owned()), "{kinds:?}");
}

#[tokio::test]
async fn a_change_the_engine_refuses_to_start_leaves_the_one_before_running_with_its_data_and_says_why() {
    let stand = Stand::start(&[("alice.yaml", &echo("alice", ""))]).await;
    stand.ready(POD, PATIENCE).await;
    let before = stand.container(POD);
    stand.routed("alice", "/health").await;
    assert_eq!(stand.ask("PUT", "alice", "/data/x", "kept").await.unwrap().status, 200);
    let image = BrokenImage::new(&stand);
    stand.save("alice.yaml", &echo("alice", &format!("image: {}", image.0)));
    let pod = stand.phase(POD, "RolledBack", PATIENCE).await;
    assert!(pod["message"].as_str().unwrap().contains("it could not be started"), "{pod}");
    let alone = async || Some(stand.containers(POD)).filter(|all| all.len() == 1 && all[0].running);
    stand.until("only the good one is left", PATIENCE, alone).await;
    assert_eq!(stand.container(POD).id, before.id);
    assert_eq!(stand.routed("alice", "/data/x").await.body, "kept");
    let life = stand.container(POD);
    stand.rounds(std::time::Duration::ZERO).await;
    assert_eq!(stand.container(POD).life(), life.life());
}
