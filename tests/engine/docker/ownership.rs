//! What is not ours is never touched, whatever its name.

use std::time::Duration;

use agentpod::engine::{Engine, EngineError, LogQuery};

use super::stage::{Stage, config, inspect};
use crate::testkit::docker::{Cleanup, docker, unique_instance};
use agentpod::core::declare::infra::VolumeSpec;

/// A container by that name that some other instance made.
fn foreign(name: &str) -> Cleanup {
    let other = unique_instance();
    let label = format!("agentpod.instance={other}");
    docker(&[
        "run",
        "--detach",
        "--name",
        name,
        "--label",
        &label,
        "--label",
        "agentpod.managed=true",
        "--env",
        "ECHO_CONFIG=/none",
        "--restart=always",
        "agentpod/echo:1",
    ]);
    Cleanup(other)
}

#[tokio::test]
async fn a_foreign_container_of_the_same_name_is_refused_and_untouched() {
    let stage = Stage::new();
    let spec = stage.spec(|_| {});
    let _foreign = foreign(&spec.name);
    let id = inspect(&spec.name)["Id"].clone();
    let (docker, name) = (&stage.docker, spec.name.as_str());
    let query = LogQuery { tail: 1, follow: false, timestamps: false };
    let answers = [
        docker.create(&spec, &spec.blueprint.environment).await.err(),
        docker.deliver_files(name, &[config("mine")]).await.err(),
        docker.start(name).await.err(),
        docker.stop(name).await.err(),
        docker.remove(name).await.err(),
        docker.exec(name, &["/echo".into(), "health".into()], Duration::from_secs(5)).await.err(),
        docker.logs(name, query).await.err(),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        assert!(matches!(answer, Some(EngineError::NameTaken(_))), "call {number}: {answer:?}");
    }
    assert_eq!(inspect(name)["Id"], id);
    assert_ne!(inspect(name)["State"]["Status"], "exited");
    assert_eq!(docker.observe().await.unwrap(), [], "and it is not seen either");
}

#[tokio::test]
async fn a_container_of_ours_created_for_something_else_does_not_pass_for_the_desired_one() {
    let stage = Stage::new();
    let spec = stage.made(|_| {}).await;
    let mut other = stage.spec(|blueprint| blueprint.pids = 65);
    other.name = spec.name;
    let error = stage.docker.create(&other, &other.blueprint.environment).await.unwrap_err();
    assert_eq!(error.code(), "engine_name_taken");
}

#[tokio::test]
async fn the_volume_of_another_owner_is_refused() {
    let stage = Stage::new();
    let other = unique_instance();
    let _cleanup = Cleanup(other.clone());
    docker(&["volume", "create", "--label", &format!("agentpod.instance={other}"), &stage.volume()]);
    let error =
        stage.docker.ensure_volume(&VolumeSpec { name: stage.volume(), labels: stage.labels() }).await.unwrap_err();
    assert!(matches!(&error, EngineError::NameTaken(why) if why.contains(other.as_str())), "{error}");

    let unlabelled = format!("{}-bare", stage.volume());
    docker(&["volume", "create", &unlabelled]);
    let answer = stage.docker.ensure_volume(&VolumeSpec { name: unlabelled.clone(), labels: stage.labels() }).await;
    docker(&["volume", "rm", &unlabelled]);
    assert_eq!(answer.unwrap_err().code(), "engine_name_taken");
}

#[tokio::test]
async fn the_volume_of_another_pod_is_refused() {
    let stage = Stage::new();
    stage.docker.ensure_volume(&VolumeSpec { name: stage.volume(), labels: stage.labels() }).await.unwrap();
    let mut labels = stage.labels();
    labels.insert("agentpod.pod-id".into(), "bob_assistant".into());
    let error =
        stage.docker.ensure_volume(&VolumeSpec { name: stage.volume(), labels: labels.clone() }).await.unwrap_err();
    assert_eq!(error.code(), "engine_name_taken");
}

#[tokio::test]
async fn a_container_with_our_label_but_no_pod_is_left_out() {
    let stage = Stage::new();
    let spec = stage.made(|_| {}).await;
    let label = format!("agentpod.instance={}", stage.instance);
    for pod in ["agentpod.pod-id=nonsense", "other=label"] {
        docker(&["create", "--label", &label, "--label", "agentpod.managed=true", "--label", pod, "agentpod/echo:1"]);
    }
    let names: Vec<String> = stage.docker.observe().await.unwrap().into_iter().map(|observed| observed.name).collect();
    assert_eq!(names, [spec.name]);
}
