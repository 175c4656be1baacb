//! Against an engine that answers what the test says: for what a real one does too rarely or too slowly.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use agentpod::{
    core::observe::actual::ContainerState,
    engine::{Engine, EngineError, docker::Docker},
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixListener,
};

use crate::testkit::docker::unique_instance;
use agentpod::engine::ContainerChange;

/// Answers by path; keeps the paths it was asked for.
#[derive(Default)]
struct Fake {
    answers: Mutex<HashMap<String, (u16, String)>>,
    requested: Mutex<Vec<String>>,
}

impl Fake {
    async fn start() -> (Arc<Self>, Docker, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let fake = Arc::new(Self::default());
        let answering = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answering.clone().answer(BufReader::new(stream)));
            }
        });
        let docker = Docker::connect(unique_instance(), socket.to_str()).unwrap();
        fake.says("/info", 200, &json!({"Name": "machine-1"}));
        fake.lists(&[]);
        // The first observation also asks for the machine's name, once.
        docker.observe().await.unwrap();
        assert_eq!(fake.requested(), [LIST, "/info"]);
        (fake, docker, folder)
    }

    async fn answer(self: Arc<Self>, mut stream: BufReader<tokio::net::UnixStream>) {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let path = line.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
        while line.trim() != "" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        let (status, body) =
            self.answers.lock().unwrap().get(&path).cloned().unwrap_or((404, r#"{"message":"none"}"#.into()));
        self.requested.lock().unwrap().push(path);
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    }

    fn says(&self, path: &str, status: u16, body: &Value) {
        self.answers.lock().unwrap().insert(path.into(), (status, body.to_string()));
    }

    fn requested(&self) -> Vec<String> {
        std::mem::take(&mut *self.requested.lock().unwrap())
    }

    fn lists(&self, containers: &[(&str, &str, &str)]) {
        let entry = |(id, state, status): &(&str, &str, &str)| {
            json!({"Id": id, "Names": [format!("/alice_{id}-01")], "State": state, "Status": status, "Created": 1_790_000_000,
                "Labels": {"agentpod.pod-id": format!("alice_{id}"), "agentpod.digest": "01"}, "NetworkSettings": {"Networks": {}}})
        };
        self.says("/containers/json", 200, &containers.iter().map(entry).collect());
    }

    fn shows(&self, id: &str, state: &str) {
        let body = json!({"Id": id, "RestartCount": 4, "State": {"Status": state, "ExitCode": 9}});
        self.says(&format!("/containers/{id}/json"), 200, &body);
    }
}

const LIST: &str = "/containers/json";

#[tokio::test]
async fn a_fleet_at_rest_is_observed_with_one_call() {
    let (fake, docker, _folder) = Fake::start().await;
    fake.lists(&[("a", "running", "Up 2 hours"), ("b", "running", "Up About a minute")]);
    fake.shows("a", "running");
    fake.shows("b", "running");
    let first = docker.observe().await.unwrap();
    assert_eq!(fake.requested().len(), 3);
    assert_eq!(docker.observe().await.unwrap(), first);
    assert_eq!(fake.requested(), [LIST]);
    assert_eq!(first.iter().map(|observed| observed.restarts).collect::<Vec<_>>(), [4, 4]);
}

#[tokio::test]
async fn only_containers_that_are_new_changed_or_not_plainly_running_are_inspected_again() {
    let (fake, docker, _folder) = Fake::start().await;
    fake.lists(&[
        ("a", "running", "Up 2 hours"),
        ("b", "running", "Up 2 hours"),
        ("c", "exited", "Exited (9) 2 hours ago"),
    ]);
    fake.shows("a", "running");
    fake.shows("b", "running");
    fake.shows("c", "exited");
    docker.observe().await.unwrap();
    fake.requested();
    fake.lists(&[
        ("a", "running", "Up 2 hours"),
        ("b", "running", "Up 4 seconds"),
        ("c", "exited", "Exited (9) 2 hours ago"),
    ]);
    docker.observe().await.unwrap();
    let mut requested = fake.requested();
    requested.sort();
    assert_eq!(requested, ["/containers/b/json", "/containers/c/json", LIST]);
}

#[tokio::test]
async fn an_inspection_is_not_used_after_a_pause_in_which_anything_may_have_happened() {
    let (fake, docker, _folder) = Fake::start().await;
    fake.lists(&[("a", "running", "Up 2 hours")]);
    fake.shows("a", "running");
    docker.observe().await.unwrap();
    fake.requested();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(70)).await;
    tokio::time::resume();
    docker.observe().await.unwrap();
    assert_eq!(fake.requested(), [LIST, "/containers/a/json"]);
}

#[tokio::test]
async fn a_container_that_vanishes_is_left_out_and_one_that_cannot_be_inspected_is_unknown() {
    let (fake, docker, _folder) = Fake::start().await;
    fake.lists(&[("gone", "exited", ""), ("stuck", "running", "Up 2 hours"), ("fine", "running", "Up 2 hours")]);
    fake.says("/containers/stuck/json", 500, &json!({"message": "the disk is full"}));
    fake.shows("fine", "running");
    let observed = docker.observe().await.unwrap();
    assert_eq!(observed.iter().map(|observed| observed.id.as_str()).collect::<Vec<_>>(), ["fine", "stuck"]);
    assert!(
        matches!(&observed[1].state, ContainerState::Unknown(why) if why.contains("the disk is full")),
        "{observed:?}"
    );
}

#[tokio::test]
async fn a_list_that_fails_is_an_error_and_never_an_empty_fleet() {
    let (fake, docker, _folder) = Fake::start().await;
    fake.says(LIST, 500, &json!({"message": "broken"}));
    assert!(matches!(docker.observe().await, Err(EngineError::Other(_))));
    fake.lists(&[("a", "levitating", "In the air")]); // a state of a future engine: the client's enums are closed
    assert!(matches!(docker.observe().await, Err(EngineError::Other(_))));
    fake.says(LIST, 200, &json!({"not": "a list"}));
    assert!(matches!(docker.observe().await, Err(EngineError::Other(_))));
}

#[tokio::test]
async fn a_pull_reports_its_progress_and_its_failure() {
    let (fake, docker, _folder) = Fake::start().await;
    let messages = [
        json!({"status": "Downloading", "id": "a", "progressDetail": {"current": 5, "total": 10}}),
        json!({"status": "Downloading", "id": "b", "progressDetail": {"current": 20, "total": 20}}),
        json!({"errorDetail": {"message": "manifest unknown"}, "error": "manifest unknown"}),
    ];
    let body = messages.map(|message| format!("{message}\n")).concat();
    fake.answers.lock().unwrap().insert("/images/create".into(), (200, body));
    let heard = Mutex::new(Vec::new());
    let answer = docker
        .ensure_image("some/image:1", &|progress| heard.lock().unwrap().push((progress.received, progress.total)))
        .await;
    assert!(matches!(&answer, Err(EngineError::NotFound(why)) if why.contains("some/image:1")), "{answer:?}");
    assert_eq!(*heard.lock().unwrap(), [(5, 10), (25, 30)]);
}

#[tokio::test]
async fn a_container_is_inspected_again_when_the_engine_reports_a_changed_limit() {
    let (fake, docker, _folder) = Fake::start().await;
    fake.lists(&[("a", "running", "Up 2 hours"), ("b", "running", "Up 2 hours")]);
    fake.shows("a", "running");
    fake.shows("b", "running");
    docker.observe().await.unwrap();
    docker.observe().await.unwrap();
    assert_eq!(fake.requested().iter().filter(|path| *path != LIST).count(), 2, "each once");
    fake.says("/info", 200, &json!({"SystemTime": "2026-11-23T10:00:00Z"}));
    let labels = json!({"agentpod.pod-id": "alice_a", "name": "alice_a-01"});
    let update = json!({"Type": "container", "Action": "update", "Actor": {"ID": "a", "Attributes": labels}});
    fake.says("/events", 200, &update);
    let event = docker.watch().await.unwrap().next().await.unwrap().unwrap();
    assert_eq!((event.change, event.container.as_str()), (ContainerChange::LimitsChanged, "alice_a-01"));
    fake.requested();
    docker.observe().await.unwrap();
    assert_eq!(fake.requested(), [LIST, "/containers/a/json"]);
}
