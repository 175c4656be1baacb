//! Networks on the real engine.

use agentpod::{
    core::{labels, observe::actual::ContainerState},
    engine::{Engine, EngineError},
};

use super::stage::{Stage, config};
use crate::testkit::{docker::docker, subnet::Subnet};
use agentpod::core::declare::infra::NetworkSpec;

fn network(stage: &Stage, subnet: &Subnet) -> NetworkSpec {
    NetworkSpec {
        name: format!("{}-net", stage.instance),
        subnet: subnet.cidr(),
        pool: subnet.pool(),
        mtu: None,
        labels: labels::owned(&stage.instance),
    }
}

#[tokio::test]
async fn a_network_is_made_once_and_hands_out_only_its_pool() {
    let subnet = Subnet::take();
    let stage = Stage::new();
    let spec = network(&stage, &subnet);
    assert!(!stage.docker.network_exists(&spec.name).await.unwrap());
    let (one, two) = tokio::join!(stage.docker.ensure_network(&spec), stage.docker.ensure_network(&spec));
    assert!(stage.docker.network_exists(&spec.name).await.unwrap());
    assert_eq!((one.unwrap(), two.unwrap()), (spec.labels.clone(), spec.labels.clone()));
    assert_eq!(docker(&["network", "ls", "--quiet", "--filter", &format!("name={}", spec.name)]).lines().count(), 1);

    let pod = stage.made(|blueprint| blueprint.network = spec.name.clone()).await;
    stage.docker.deliver_files(&pod.name, &[config("Hello")]).await.unwrap();
    stage.docker.start(&pod.name).await.unwrap();
    let observed = stage.until(&pod.name, "it runs", |state| matches!(state, ContainerState::Running { .. })).await;
    assert!(subnet.has_in_pool(observed.addresses[&spec.name]), "{observed:?}");
}

#[tokio::test]
async fn a_network_somebody_else_made_is_used_as_it_is() {
    let (subnet, other) = (Subnet::take(), Subnet::take());
    let stage = Stage::new();
    let spec = network(&stage, &subnet);
    docker(&[
        "network",
        "create",
        "--label",
        &format!("agentpod.instance={}", stage.instance),
        "--subnet",
        &other.cidr(),
        &spec.name,
    ]);
    let found = stage.docker.ensure_network(&spec).await.unwrap();
    assert_eq!(found.get(labels::MANAGED), None);
}

#[tokio::test]
async fn addresses_that_are_taken_are_refused_with_the_setting_to_change() {
    let subnet = Subnet::take();
    let stage = Stage::new();
    stage.docker.ensure_network(&network(&stage, &subnet)).await.unwrap();
    let other = Stage::new();
    let error = other.docker.ensure_network(&network(&other, &subnet)).await.unwrap_err();
    assert!(matches!(&error, EngineError::Refused(why) if why.contains("--network-subnet")), "{error}");
}

#[tokio::test]
async fn a_container_taken_off_its_network_is_noticed_and_attached_again_running_or_stopped() {
    let subnet = Subnet::take();
    let stage = Stage::new();
    let spec = network(&stage, &subnet);
    stage.docker.ensure_network(&spec).await.unwrap();
    let pod = stage.made(|blueprint| blueprint.network = spec.name.clone()).await;
    stage.docker.deliver_files(&pod.name, &[config("Hello")]).await.unwrap();
    assert!(!stage.observed(&pod.name).await.unwrap().is_cut_off(&pod), "made, and never started");
    stage.docker.start(&pod.name).await.unwrap();
    for running in [true, false] {
        if !running {
            stage.docker.stop(&pod.name).await.unwrap();
        }
        assert!(!stage.observed(&pod.name).await.unwrap().is_cut_off(&pod));
        docker(&["network", "disconnect", &spec.name, &pod.name]);
        let observed = stage.observed(&pod.name).await.unwrap();
        assert!(observed.is_cut_off(&pod) && observed.has_run, "{observed:?}");
        stage.docker.attach(&pod.name, &spec.name).await.unwrap();
        stage.docker.attach(&pod.name, &spec.name).await.unwrap();
        let observed = stage.observed(&pod.name).await.unwrap();
        assert!(!observed.is_cut_off(&pod), "{observed:?}");
        assert_eq!(observed.addresses.contains_key(&spec.name), running);
    }
}

#[tokio::test]
async fn a_network_has_the_packet_size_that_is_set_or_that_of_the_engines_default_network() {
    let subnets = (Subnet::take(), Subnet::take());
    let stage = Stage::new();
    let size = |name: &str| {
        docker(&["network", "inspect", "--format", "{{index .Options \"com.docker.network.driver.mtu\"}}", name])
    };
    let set = NetworkSpec { mtu: Some(1400), ..network(&stage, &subnets.0) };
    stage.docker.ensure_network(&set).await.unwrap();
    assert_eq!(size(&set.name), "1400");
    let followed = NetworkSpec { name: format!("{}-other", stage.instance), ..network(&stage, &subnets.1) };
    stage.docker.ensure_network(&followed).await.unwrap();
    assert_eq!(size(&followed.name), size("bridge"));
}
