//! What bounds a container, as the engine really shows it: of one we made, and after somebody changed it by hand.

use std::time::Duration;

use agentpod::{
    core::{
        declare::desired::{Blueprint, ContainerSpec},
        labels,
        observe::{actual::ObservedContainer, condition::Condition, hardening::hardened, routing::routed},
    },
    engine::Engine,
};
use futures_util::StreamExt;

use super::stage::Stage;
use crate::testkit::docker::docker;
use agentpod::core::report::reason::Reason;
use agentpod::engine::ContainerChange;

async fn checked(stage: &Stage, spec: &ContainerSpec) -> Condition {
    hardened(Some(spec), Some(&stage.observed(&spec.name).await.unwrap()))
}

fn with_route(blueprint: &mut Blueprint) {
    blueprint.labels.insert("traefik.enable".into(), "true".into());
}

#[tokio::test]
async fn a_container_we_make_is_hardened_before_and_while_it_runs() {
    let stage = Stage::new();
    let spec = stage.made(with_route).await;
    let observed: ObservedContainer = stage.observed(&spec.name).await.unwrap();
    assert_eq!(
        hardened(Some(&spec), Some(&observed)).reason,
        Reason::AsDeclared,
        "{:?}",
        hardened(Some(&spec), Some(&observed))
    );
    assert_eq!(routed(Some(&spec), Some(&observed)).message, "its container is stopped");
    let (spec, _) = stage.running(with_route).await;
    assert_eq!(checked(&stage, &spec).await.reason, Reason::AsDeclared);
    let observed = stage.observed(&spec.name).await;
    assert_eq!(routed(Some(&spec), observed.as_ref()).reason, Reason::Routed);
}

#[tokio::test]
async fn a_limit_changed_by_hand_is_an_event_that_names_it() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    let mut events = stage.docker.watch().await.unwrap();
    docker(&["update", "--memory", "128m", "--memory-swap", "256m", &spec.name]);
    let told = async {
        while let Some(event) = events.next().await {
            if event.unwrap().change == ContainerChange::LimitsChanged {
                return;
            }
        }
        panic!("the events ended");
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("an event within 20 s");
    let condition = checked(&stage, &spec).await;
    assert_eq!((condition.is_true, condition.reason), (Some(false), Reason::Deviates));
    assert_eq!(condition.message, "it may swap; its memory limit is 128Mi, not 64Mi");
    docker(&["update", "--memory", "64m", "--memory-swap", "64m", "--cpus", "0.25", "--pids-limit", "100", &spec.name]);
    let expected = "its processor limit is 0.25, not 0.5; its limit on processes is 100, not 64";
    assert_eq!(checked(&stage, &spec).await.message, expected);
    docker(&["update", "--cpus", "0.5", "--pids-limit", "64", &spec.name]);
    assert_eq!(checked(&stage, &spec).await.reason, Reason::AsDeclared, "put right again by hand");
}

#[tokio::test]
async fn a_container_with_our_label_that_somebody_opened_wide_is_not_hardened() {
    let stage = Stage::new();
    let spec = stage.spec(|_| {});
    let labels: Vec<String> =
        spec.blueprint.labels.iter().map(|(key, value)| format!("--label={key}={value}")).collect();
    let digest = format!("--label={}={}", labels::DIGEST, spec.digest.as_str());
    let mut command = vec!["create", "--name", &spec.name, &digest];
    command.extend(labels.iter().map(String::as_str));
    command.extend([
        "--privileged",
        "--user=0",
        "--cap-add=SYS_ADMIN",
        "--pid=host",
        "--volume=/var/run/docker.sock:/s",
    ]);
    command.extend(["--publish=127.0.0.1::8080", "--log-driver=json-file", &spec.blueprint.image]);
    docker(&command);
    let condition = checked(&stage, &spec).await;
    for sentence in [
        "it runs as root",
        "not all capabilities are dropped",
        "it has the capabilities SYS_ADMIN",
        "it may gain new privileges",
        "it is privileged",
        "it has no init process",
        "it has no memory limit",
        "it has no processor limit",
        "it has no limit on processes",
        "it shares namespaces: pid (host)",
        "it has ports on the host: 8080/tcp",
        "it has paths of the host: /var/run/docker.sock",
        "its log, kept by json-file, is unbounded",
        "its root file system is writable",
    ] {
        assert!(condition.message.split("; ").any(|one| one == sentence), "{sentence:?} in {:?}", condition.message);
    }
}
