//! Volumes and networks that stay, and the one call that deletes data, on the real engine.

use agentpod::{
    core::{labels, observe::actual::ContainerState},
    engine::{Engine, EngineError},
};

use super::stage::{Stage, config, volumes_of};
use crate::testkit::{
    docker::{Cleanup, docker, unique_instance},
    subnet::Subnet,
};
use agentpod::core::declare::infra::VolumeSpec;

#[tokio::test]
async fn our_volumes_are_listed_with_their_pod_and_whether_a_container_has_them() {
    let stage = Stage::new();
    assert_eq!(stage.docker.volumes().await.unwrap(), []);
    stage.docker.ensure_volume(&VolumeSpec { name: stage.volume(), labels: stage.labels() }).await.unwrap();
    let other = Stage::new();
    other.docker.ensure_volume(&VolumeSpec { name: other.volume(), labels: other.labels() }).await.unwrap();

    let observed = stage.docker.volumes().await.unwrap();
    assert_eq!(observed.len(), 1, "{observed:?}");
    assert_eq!((observed[0].name.clone(), observed[0].pod.clone()), (stage.volume(), "alice/assistant".parse().ok()));
    assert!(!observed[0].in_use && observed[0].created_at.is_some());

    let pod = stage.made(|_| {}).await;
    let observed = stage.docker.volumes().await.unwrap();
    // The data, and an anonymous one for the rendered files.
    assert_eq!(observed.len(), 2, "{observed:?}");
    assert!(observed.iter().all(|volume| volume.in_use), "a container that never ran has them too: {observed:?}");
    stage.docker.remove(&pod.name).await.unwrap();
    let observed = stage.docker.volumes().await.unwrap();
    assert_eq!(
        observed.iter().map(|volume| (&volume.name, volume.in_use)).collect::<Vec<_>>(),
        [(&stage.volume(), false)]
    );
}

#[tokio::test]
async fn a_volume_is_deleted_only_when_it_is_ours_and_no_container_has_it() {
    let stage = Stage::new();
    let (docker, volume) = (&stage.docker, stage.volume());
    let pod = stage.made(|_| {}).await;
    docker.deliver_files(&pod.name, &[config("Hello")]).await.unwrap();
    docker.start(&pod.name).await.unwrap();
    stage.until(&pod.name, "it runs", |state| matches!(state, ContainerState::Running { .. })).await;
    let error = docker.remove_volume(&volume).await.unwrap_err();
    assert!(matches!(&error, EngineError::Refused(why) if why.contains(&volume)), "{error}");
    docker.stop(&pod.name).await.unwrap();
    assert!(matches!(docker.remove_volume(&volume).await, Err(EngineError::Refused(_))), "stopped, but still there");
    docker.remove(&pod.name).await.unwrap();

    docker.remove_volume(&volume).await.unwrap();
    assert_eq!(volumes_of(stage.instance.as_str()), Vec::<String>::new());
    docker.remove_volume(&volume).await.unwrap();
}

#[tokio::test]
async fn a_foreign_volume_is_neither_listed_nor_deleted_whatever_its_name() {
    let stage = Stage::new();
    let other = unique_instance();
    let _cleanup = Cleanup(other.clone());
    let label = format!("agentpod.instance={other}");
    // Of another instance; of nobody; ours by half.
    let half = format!("agentpod.instance={}", stage.instance);
    for (name, labels) in [
        (format!("{}_b", stage.instance), vec!["--label", label.as_str(), "--label", "agentpod.managed=true"]),
        (format!("{}_c", stage.instance), vec!["--label", half.as_str()]),
    ] {
        docker(&[&["volume", "create"][..], &labels, &[name.as_str()]].concat());
        let error = stage.docker.remove_volume(&name).await.unwrap_err();
        assert!(matches!(&error, EngineError::NameTaken(why) if why.contains("nothing was changed")), "{error}");
        assert_eq!(docker(&["volume", "inspect", "--format", "{{.Name}}", &name]), name);
    }
    assert_eq!(stage.docker.volumes().await.unwrap(), []);
}

#[tokio::test]
async fn our_networks_are_listed() {
    let subnet = Subnet::take();
    let stage = Stage::new();
    assert_eq!(stage.docker.networks().await.unwrap(), []);
    let name = format!("{}-net", stage.instance);
    let owned: Vec<String> =
        labels::owned(&stage.instance).iter().flat_map(|(k, v)| ["--label".into(), format!("{k}={v}")]).collect();
    let owned: Vec<&str> = owned.iter().map(String::as_str).collect();
    docker(&[&["network", "create", "--subnet", &subnet.cidr()][..], &owned, &[name.as_str()]].concat());
    let observed = stage.docker.networks().await.unwrap();
    assert_eq!(observed.iter().map(|network| &network.name).collect::<Vec<_>>(), [&name]);
    assert!(observed[0].created_at.is_some());
}
