//! A container's life as it is meant to go.

use agentpod::{core::observe::actual::ContainerState, engine::Engine};
use serde_json::json;

use super::stage::{Stage, config, inspect, volumes_of};
use crate::testkit::{docker::docker, http, wait::eventually};
use agentpod::core::declare::infra::VolumeSpec;

#[tokio::test]
async fn a_pod_is_made_filled_and_started_and_reads_its_file() {
    let stage = Stage::new();
    let spec = stage.made(|_| {}).await;
    assert_eq!(stage.observed(&spec.name).await.unwrap().state, ContainerState::Created);
    stage.docker.deliver_files(&spec.name, &[config("Good day")]).await.unwrap();
    stage.docker.start(&spec.name).await.unwrap();
    let address = stage.answering(&spec.name).await;
    let answer = http::ask("GET", (address, 8080), "/config", &[], "").await.unwrap();
    assert_eq!((answer.status, answer.body), (200, config("Good day").text));

    let observed = stage.observed(&spec.name).await.unwrap();
    assert!(matches!(observed.state, ContainerState::Running { since: Some(_) }), "{observed:?}");
    assert_eq!(
        (observed.pod.to_string().as_str(), &observed.digest, observed.restarts),
        ("alice/assistant", &spec.digest, 0)
    );
    let before = stage.docker.calls();
    stage.docker.observe().await.unwrap();
    assert_eq!(stage.docker.calls() - before, 2, "a list, and one inspection of what started just now");
    assert_eq!(
        observed.node,
        stage.docker.capacity().await.unwrap().node,
        "it is on the machine that the engine names"
    );
    assert!(!observed.node.is_empty());
}

#[tokio::test]
async fn every_call_is_idempotent() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    let docker = &stage.docker;
    docker.ensure_image("agentpod/echo:1", &|_| {}).await.unwrap();
    docker.ensure_volume(&VolumeSpec { name: stage.volume(), labels: stage.labels() }).await.unwrap();
    docker.create(&spec, &spec.blueprint.environment).await.unwrap();
    docker.start(&spec.name).await.unwrap();
    docker.stop(&spec.name).await.unwrap();
    docker.stop(&spec.name).await.unwrap();
    docker.remove(&spec.name).await.unwrap();
    docker.remove(&spec.name).await.unwrap();
    docker.stop(&spec.name).await.unwrap();
    assert_eq!(docker.start(&spec.name).await.unwrap_err().code(), "engine_not_found");
    assert_eq!(docker.observe().await.unwrap(), []);
}

#[tokio::test]
async fn a_running_container_is_not_removed() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    assert_eq!(stage.docker.remove(&spec.name).await.unwrap_err().code(), "engine_refused");
    assert!(stage.observed(&spec.name).await.unwrap().is_live());
}

#[tokio::test]
async fn a_removal_under_way_is_waited_for() {
    let stage = Stage::new();
    let spec = stage.made(|_| {}).await;
    let (one, two, three) =
        tokio::join!(stage.docker.remove(&spec.name), stage.docker.remove(&spec.name), stage.docker.remove(&spec.name));
    assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())));
    assert_eq!(stage.observed(&spec.name).await, None);
}

#[tokio::test]
async fn a_stop_takes_as_long_as_the_container_asks_for_and_not_longer() {
    let stage = Stage::new();
    // As the agent ends at once when told to, it is frozen: a stop then waits its whole time before it kills.
    let (spec, _) = stage.running(|blueprint| blueprint.stop_timeout = 2).await;
    let pid = inspect(&spec.name)["State"]["Pid"].as_i64().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    for process in [pid.to_string().as_str(), children.trim()] {
        assert!(std::process::Command::new("kill").args(["-STOP", process]).status().unwrap().success());
    }
    let begun = std::time::Instant::now();
    stage.docker.stop(&spec.name).await.unwrap();
    let took = begun.elapsed().as_secs_f64();
    assert!((1.5..8.0).contains(&took), "{took}");
    assert!(
        matches!(stage.observed(&spec.name).await.unwrap().state, ContainerState::Exited(exit) if exit.code == 137)
    );
}

#[tokio::test]
async fn a_file_changes_in_a_running_container_whose_root_is_read_only() {
    let stage = Stage::new();
    let (spec, address) = stage.running(|_| {}).await;
    let started = inspect(&spec.name)["State"]["StartedAt"].clone();
    stage.docker.deliver_files(&spec.name, &[config("Changed")]).await.unwrap();
    assert_eq!(http::ask("GET", (address, 8080), "/config", &[], "").await.unwrap().body, config("Changed").text);
    assert_eq!(inspect(&spec.name)["State"]["StartedAt"], started);
}

#[tokio::test]
async fn data_outlives_its_container_and_the_files_folder_does_not() {
    let stage = Stage::new();
    let (old, address) = stage.running(|_| {}).await;
    assert_eq!(http::ask("PUT", (address, 8080), "/data/note", &[], "remember").await.unwrap().status, 200);
    assert_eq!(volumes_of(stage.instance.as_str()).len(), 2, "the data and the folder of files");
    stage.docker.stop(&old.name).await.unwrap();
    stage.docker.remove(&old.name).await.unwrap();
    assert_eq!(volumes_of(stage.instance.as_str()), [stage.volume()]);
    let (new, address) = stage.running(|blueprint| blueprint.pids = 65).await;
    assert_ne!(new.name, old.name);
    let answer = http::ask("GET", (address, 8080), "/data/note", &[], "").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "remember"));
}

#[tokio::test]
async fn the_baseline_is_really_in_force() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    let observed = inspect(&spec.name);
    let (host, config) = (&observed["HostConfig"], &observed["Config"]);
    let expected = [
        (&host["CapDrop"], json!(["ALL"])),
        (&host["CapAdd"], json!(null)),
        (&host["SecurityOpt"], json!(["no-new-privileges:true"])),
        (&host["Privileged"], json!(false)),
        (&host["ReadonlyRootfs"], json!(true)),
        (&host["Init"], json!(true)),
        (&host["PidsLimit"], json!(64)),
        (&host["Memory"], json!(64 << 20)),
        (&host["MemorySwap"], json!(64 << 20)),
        (&host["NanoCpus"], json!(500_000_000)),
        (&host["NetworkMode"], json!("bridge")),
        (&host["PortBindings"], json!(null)),
        (&host["Binds"], json!(null)),
        (&host["RestartPolicy"]["Name"], json!("unless-stopped")),
        (&host["LogConfig"], json!({"Type": "local", "Config": {"max-size": "10m", "max-file": "3"}})),
        (&config["User"], json!("1000:1000")),
        (&config["Hostname"], json!("assistant")),
        (&config["StopTimeout"], json!(5)),
        (&config["Healthcheck"], json!({"Test": ["NONE"]})),
        (&observed["State"]["Health"], json!(null)),
    ];
    for (index, (is, should)) in expected.into_iter().enumerate() {
        assert_eq!(*is, should, "number {index}");
    }
    let kinds: Vec<_> = observed["Mounts"].as_array().unwrap().iter().map(|mount| mount["Type"].clone()).collect();
    assert!(kinds.iter().all(|kind| kind == "volume"), "{kinds:?}");

    // And as the kernel sees it, of the process itself.
    let pid = &observed["State"]["Pid"];
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in
        ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Uid:\t1000\t1000\t1000\t1000"]
    {
        assert!(status.contains(line), "{line} in {status}");
    }
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mounts")).unwrap();
    let options =
        |at: &str| mounts.lines().find(|line| line.split(' ').nth(1) == Some(at)).unwrap_or_default().to_owned();
    assert!(options("/").contains(" ro,"), "{mounts}");
    assert!(["nosuid", "nodev", "noexec", "size=16384k"].iter().all(|word| options("/tmp").contains(word)), "{mounts}");
}

#[tokio::test]
async fn a_stopped_container_stays_stopped_and_can_be_started_again() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    stage.docker.stop(&spec.name).await.unwrap();
    let observed = stage.observed(&spec.name).await.unwrap();
    assert!(
        matches!(&observed.state, ContainerState::Exited(exit) if exit.code == 0 && !exit.out_of_memory),
        "{observed:?}"
    );
    stage.docker.start(&spec.name).await.unwrap();
    stage.answering(&spec.name).await;
}

#[tokio::test]
async fn a_crash_loop_can_be_stopped() {
    let stage = Stage::new();
    let spec = stage.made(|_| {}).await;
    stage.docker.start(&spec.name).await.unwrap(); // without its file it ends with 78
    stage
        .until(
            &spec.name,
            "it is restarting",
            |state| matches!(state, ContainerState::Restarting(exit) if exit.code == 78),
        )
        .await;
    stage.docker.stop(&spec.name).await.unwrap();
    stage.until(&spec.name, "it has ended", |state| matches!(state, ContainerState::Exited(_))).await;
    eventually("the engine keeps it stopped", async || {
        (docker(&["inspect", "--format", "{{.State.Status}}", &spec.name]) == "exited").then_some(())
    })
    .await;
    stage.docker.remove(&spec.name).await.unwrap();
}

#[tokio::test]
async fn a_container_is_not_started_while_another_one_runs_on_its_volume() {
    let stage = Stage::new();
    let (running, _) = stage.running(|_| {}).await;
    let other = stage.made(|blueprint| blueprint.stop_timeout = 7).await;
    assert_ne!(other.name, running.name);
    let error = stage.docker.start(&other.name).await.unwrap_err();
    assert_eq!(error.code(), "engine_in_use");
    assert!(error.to_string().contains(&running.name), "{error}");
    stage.docker.stop(&running.name).await.unwrap();
    stage.docker.start(&other.name).await.unwrap();
}

#[tokio::test]
async fn a_container_that_is_renamed_is_still_reached_by_its_id() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    let id = stage.observed(&spec.name).await.unwrap().id;
    docker(&["rename", &spec.name, &format!("{}-by-hand", spec.name)]);
    assert!(stage.docker.container_exists(&id).await.unwrap());
    stage.docker.stop(&id).await.unwrap();
    stage.docker.remove(&id).await.unwrap();
    assert!(!stage.docker.container_exists(&id).await.unwrap());
}
