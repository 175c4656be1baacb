//! Images that would stop a working agent, or lose its data, are refused before a container of them is left.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use agentpod::{
    core::declare::{desired::ContainerSpec, infra::VolumeSpec},
    engine::{Engine, EngineError},
};
use futures_util::StreamExt;

use super::stage::{Stage, inspect};
use crate::testkit::docker::{docker, try_docker, unique_instance};

/// An image of the test's own; gone when it is dropped.
struct Image(String);

impl Image {
    /// The echo agent with more lines in its Dockerfile.
    fn echo(lines: &str) -> Self {
        Self::made_by("build", &["--quiet", "--tag"], format!("FROM agentpod/echo:1\n{lines}\n").as_bytes())
    }

    /// An image for another architecture, with nothing in it but an empty folder.
    fn foreign() -> Self {
        let layer = tar::Builder::new(Vec::new()).into_inner().unwrap();
        let digest = hex::encode(ring::digest::digest(&ring::digest::SHA256, &layer));
        let config = format!(
            r#"{{"architecture":"s390x","os":"linux","config":{{"Cmd":["/agent"]}},
                "rootfs":{{"type":"layers","diff_ids":["sha256:{digest}"]}}}}"#
        );
        let name = format!("{}:1", unique_instance());
        let manifest = format!(r#"[{{"Config":"config.json","RepoTags":["{name}"],"Layers":["layer.tar"]}}]"#);
        let mut archive = tar::Builder::new(Vec::new());
        for (path, bytes) in
            [("manifest.json", manifest.as_bytes()), ("config.json", config.as_bytes()), ("layer.tar", &layer)]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, path, bytes).unwrap();
        }
        feed(&["load", "--quiet"], &archive.into_inner().unwrap());
        Self(name)
    }

    fn made_by(command: &str, arguments: &[&str], input: &[u8]) -> Self {
        let name = format!("{}:1", unique_instance());
        feed(&[&[command], arguments, &[&name, "-"]].concat(), input);
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        try_docker(&["image", "rm", "--force", &self.0]);
    }
}

fn feed(arguments: &[&str], input: &[u8]) {
    let mut child = Command::new("docker")
        .args(arguments)
        .env("DOCKER_BUILDKIT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Has a container of the image created; answers it with the outcome.
async fn created(stage: &Stage, image: &Image, command: Option<&str>) -> (ContainerSpec, Result<(), EngineError>) {
    let spec = stage.spec(|blueprint| {
        blueprint.image.clone_from(&image.0);
        blueprint.command = command.map(|word| vec![word.into()]);
    });
    stage.docker.ensure_volume(&VolumeSpec { name: stage.volume(), labels: stage.labels() }).await.unwrap();
    let outcome = stage.docker.create(&spec, &spec.blueprint.environment).await;
    (spec, outcome)
}

/// It is refused with these words, and no container is left.
async fn refused(image: &Image, command: Option<&str>, words: &[&str]) {
    let stage = Stage::new();
    let (spec, outcome) = created(&stage, image, command).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), "engine_refused", "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert_eq!(stage.observed(&spec.name).await, None);
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("name={}", spec.name)]), "");
}

#[tokio::test]
async fn an_image_that_declares_a_volume_where_data_would_be_lost_is_refused_with_the_path() {
    refused(&Image::echo("VOLUME /var/lib/x"), None, &["declares volumes at /var/lib/x", "spec.tmpfs"]).await;
}

#[tokio::test]
async fn declared_volumes_at_the_data_and_in_memory_are_covered() {
    let stage = Stage::new();
    let (spec, outcome) = created(&stage, &Image::echo("VOLUME /data /tmp/cache /config"), None).await;
    outcome.unwrap();
    let mounts = inspect(&spec.name)["Mounts"].clone();
    let at = |path: &str| mounts.as_array().unwrap().iter().find(|mount| mount["Destination"] == path).cloned();
    assert_eq!(at("/data").unwrap()["Name"], stage.volume());
    stage.docker.remove(&spec.name).await.unwrap();
}

#[tokio::test]
async fn a_declared_volume_below_the_data_is_part_of_the_pods_volume_or_refused_by_an_engine_that_cannot() {
    let image = Image::echo("VOLUME /data/sub");
    let api = Stage::new().docker.info().await.unwrap().api;
    let minor: u32 = api.rsplit('.').next().unwrap().parse().unwrap();
    if minor < 45 {
        return refused(&image, None, &["below the pod's data (sub)", "version 26", &api]).await;
    }
    let stage = Stage::new();
    let (spec, outcome) = created(&stage, &image, None).await;
    outcome.unwrap();
    let mounts = inspect(&spec.name)["Mounts"].clone();
    let names: Vec<_> = mounts.as_array().unwrap().iter().filter(|mount| mount["Destination"] == "/data/sub").collect();
    assert_eq!((names.len(), names[0]["Name"].as_str()), (1, Some(stage.volume().as_str())));
    stage.docker.start(&spec.name).await.unwrap();
}

#[tokio::test]
async fn an_image_without_the_program_or_for_another_machine_is_refused_before_a_container_is_left() {
    refused(&Image::echo("ENTRYPOINT [\"/nowhere\"]"), None, &["does not contain the program \"/nowhere\""]).await;
    refused(&Image::echo("ENTRYPOINT []"), Some("serve"), &["does not contain the program \"serve\""]).await;
    refused(&Image::echo("ENTRYPOINT []"), None, &["has no command"]).await;
    refused(&Image::foreign(), None, &["is built for linux/s390x, and this machine is linux/"]).await;
    let stage = Stage::new();
    let (_, outcome) = created(&stage, &Image::echo("LABEL nothing=else"), None).await;
    outcome.unwrap();
}

#[tokio::test]
async fn a_new_tag_is_noticed_and_names_another_image() {
    let stage = Stage::new();
    let name = format!("{}:moved", unique_instance());
    assert_eq!(stage.docker.image_id(&name).await.unwrap(), None);
    let mut changes = stage.docker.watch_images().await.unwrap();
    let noticed = tokio::spawn(async move { changes.next().await });
    let tag = async || {
        docker(&["tag", "agentpod/echo:1", &name]);
        noticed.is_finished().then_some(())
    };
    crate::testkit::wait::eventually("the change is noticed", tag).await;
    tokio::time::timeout(Duration::from_secs(5), noticed).await.unwrap().unwrap().unwrap().unwrap();
    let id = stage.docker.image_id(&name).await.unwrap();
    assert_eq!(id, stage.docker.image_id("agentpod/echo:1").await.unwrap());
    docker(&["image", "rm", &name]);
}
