//! What goes wrong, and whether it is seen.

use std::time::Duration;

use agentpod::{
    core::observe::actual::{ContainerState, Exit},
    engine::{Engine, EngineError, EngineEvent, docker::Docker},
};
use futures_util::{StreamExt, stream::BoxStream};

use super::stage::{Stage, inspect};
use crate::testkit::{
    docker::{docker, unique_instance},
    http,
    wait::eventually,
};
use agentpod::engine::ContainerChange;

type Events = BoxStream<'static, agentpod::engine::Result<EngineEvent>>;

async fn any(events: &mut Events) -> EngineEvent {
    let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
    event.expect("an event within 20 s").expect("the stream goes on").unwrap()
}

fn exited(change: ContainerChange) -> bool {
    matches!(change, ContainerChange::Exited { .. })
}

async fn next(events: &mut Events, is_it: impl Fn(ContainerChange) -> bool) -> EngineEvent {
    loop {
        let event = any(events).await;
        if is_it(event.change) {
            return event;
        }
    }
}

#[tokio::test]
async fn a_crash_arrives_as_an_event_and_the_restart_is_counted() {
    let stage = Stage::new();
    let (spec, address) = stage.running(|_| {}).await;
    let mut events = stage.docker.watch().await.unwrap();
    http::ask("POST", (address, 8080), "/crash", &[], "").await;
    let death = next(&mut events, exited).await;
    let expected = EngineEvent {
        pod: Some("alice/assistant".parse().unwrap()),
        container: spec.name.clone(),
        change: ContainerChange::Exited { code: Some(3) },
    };
    assert_eq!(death, expected);
    next(&mut events, |change| change == ContainerChange::Started).await;
    let observed =
        stage.until(&spec.name, "it runs again", |state| matches!(state, ContainerState::Running { .. })).await;
    assert_eq!(observed.restarts, 1);
}

#[tokio::test]
async fn what_happens_between_the_subscription_and_its_first_reading_is_not_lost() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    let mut events = stage.docker.watch().await.unwrap();
    docker(&["kill", &spec.name]);
    assert_eq!(next(&mut events, exited).await.change, ContainerChange::Exited { code: Some(137) });
}

#[tokio::test]
async fn a_container_removed_by_hand_is_gone_and_says_so() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    let mut events = stage.docker.watch().await.unwrap();
    docker(&["rm", "--force", &spec.name]);
    assert_eq!(next(&mut events, |change| change == ContainerChange::Removed).await.container, spec.name);
    assert_eq!(stage.docker.observe().await.unwrap(), []);
}

#[tokio::test]
async fn events_of_foreign_containers_are_not_received() {
    let (stage, other) = (Stage::new(), Stage::new());
    let mut events = stage.docker.watch().await.unwrap();
    let (theirs, _) = other.running(|_| {}).await;
    other.docker.stop(&theirs.name).await.unwrap();
    let (ours, _) = stage.running(|_| {}).await;
    let first = any(&mut events).await;
    assert_eq!((first.change, first.container), (ContainerChange::Started, ours.name));
}

#[tokio::test]
async fn the_exit_code_is_observed() {
    let stage = Stage::new();
    let (spec, address) = stage.running(|_| {}).await;
    docker(&["update", "--restart=no", &spec.name]);
    http::ask("POST", (address, 8080), "/crash", &[], "").await;
    let observed = stage.until(&spec.name, "it has ended", |state| matches!(state, ContainerState::Exited(_))).await;
    assert_eq!(observed.state, ContainerState::Exited(Exit { code: 3, out_of_memory: false, error: String::new() }));
}

#[tokio::test]
async fn a_container_killed_for_its_memory_is_observed() {
    let stage = Stage::new();
    let (spec, address) = stage.running(|blueprint| blueprint.memory = 24 << 20).await;
    docker(&["update", "--restart=no", &spec.name]);
    http::ask("PUT", (address, 8080), "/data/large", &[], vec![1; 64 << 20]).await;
    let observed = stage.until(&spec.name, "it has ended", |state| matches!(state, ContainerState::Exited(_))).await;
    assert_eq!(observed.state, ContainerState::Exited(Exit { code: 137, out_of_memory: true, error: String::new() }));
}

#[tokio::test]
async fn a_paused_container_is_observed_as_paused() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    docker(&["pause", &spec.name]);
    assert_eq!(stage.observed(&spec.name).await.unwrap().state, ContainerState::Paused);
    stage.docker.stop(&spec.name).await.unwrap();
    stage.until(&spec.name, "it has ended", |state| matches!(state, ContainerState::Exited(_))).await;
}

#[tokio::test]
async fn a_start_that_failed_says_why() {
    let stage = Stage::new();
    let spec = stage.made(|blueprint| blueprint.network = "no-such-network".into()).await;
    let error = stage.docker.start(&spec.name).await.unwrap_err();
    assert!(matches!(&error, EngineError::NotFound(why) if why.contains("no-such-network")), "{error}");
    let observed = stage.observed(&spec.name).await.unwrap();
    assert!(!observed.has_run);
    let state = observed.state;
    assert!(matches!(&state, ContainerState::Exited(exit) if exit.error.contains("no-such-network")), "{state:?}");
}

#[tokio::test]
async fn a_missing_image_is_reported_with_its_name_and_what_to_do() {
    let stage = Stage::new();
    let spec = stage.spec(|blueprint| blueprint.image = "agentpod/nowhere:1".into());
    let error = stage.docker.create(&spec, &spec.blueprint.environment).await.unwrap_err();
    assert!(matches!(&error, EngineError::NotFound(why) if why.contains("agentpod/nowhere:1")), "{error}");
    // A registry that refuses the connection: nothing listens on port 1.
    let error = stage.docker.ensure_image("127.0.0.1:1/agentpod/nowhere:1", &|_| {}).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Other(why) if why.contains("127.0.0.1:1/agentpod/nowhere:1") && why.contains("docker load")),
        "{error}"
    );
    let error = stage.docker.ensure_image("Not An Image", &|_| {}).await.unwrap_err();
    assert_eq!(error.code(), "engine_refused", "{error}");
}

#[tokio::test]
async fn a_container_the_engine_will_not_make_is_refused() {
    let stage = Stage::new();
    let spec = stage.spec(|blueprint| blueprint.memory = 1024);
    let error = stage.docker.create(&spec, &spec.blueprint.environment).await.unwrap_err();
    assert_eq!(error.code(), "engine_refused", "{error}");
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_unreachable_until_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let host = format!("unix://{}", socket.display());
    let docker = Docker::connect(unique_instance(), Some(&host)).unwrap();
    for error in
        [docker.info().await.unwrap_err(), docker.observe().await.unwrap_err(), docker.watch().await.err().unwrap()]
    {
        assert!(
            matches!(&error, EngineError::Unreachable(why) if why.contains(&host) && why.contains("systemctl status docker")),
            "{error}"
        );
    }
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap()); // a socket nobody listens on
    assert_eq!(docker.observe().await.unwrap_err().code(), "engine_unreachable");
    std::fs::remove_file(&socket).unwrap();
    std::os::unix::fs::symlink("/var/run/docker.sock", &socket).unwrap();
    assert_eq!(docker.info().await.unwrap().api.split('.').next(), Some("1"));
    assert_eq!(Docker::connect(unique_instance(), Some("ssh://host")).err().unwrap().code(), "engine_refused");
}

#[tokio::test]
async fn a_container_removed_during_its_inspection_is_left_out() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    let id = inspect(&spec.name)["Id"].as_str().unwrap().to_owned();
    let hand = tokio::task::spawn_blocking(move || docker(&["rm", "--force", &id]));
    let last = eventually("it is gone", async || stage.docker.observe().await.unwrap().is_empty().then_some(())).await;
    assert_eq!((last, hand.await.is_ok()), ((), true));
}
