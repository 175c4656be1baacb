//! `events --watch`: past events, then new ones, each once.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::Duration,
};

use agentpod::{dashboard::live::Heartbeat, store::Event};
use futures_util::StreamExt;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use super::stage::Stage;
use crate::testkit::{
    dashboard::{ALAN, OLGA, VICTOR},
    declared::pod,
};
use agentpod::core::event::EventKind;

/// A running command, read line by line; it is killed with the test.
struct Watching {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    errors: mpsc::UnboundedReceiver<String>,
}

impl Watching {
    fn start(mut command: std::process::Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let errors = lines_of(child.stderr.take().unwrap());
        Self { child, lines, errors }
    }

    async fn next(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(20), self.lines.recv()).await;
        line.expect("a line in time").expect("it goes on")
    }
}

fn lines_of(out: impl std::io::Read + Send + 'static) -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    let out = BufReader::new(out);
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn happens(stage: &Stage, id: &str, message: &str) {
    stage.store.record(&Event::of_pod(&pod(id), EventKind::Changed, message), OffsetDateTime::now_utc()).await.unwrap();
}

#[tokio::test]
async fn a_new_event_is_shown_at_once_from_the_server_and_from_the_database() {
    let stage = Stage::new().await;
    let arguments = ["events", "-w", "-n", "1"];
    for (by, command) in
        [("server", stage.remote_command(VICTOR, &arguments)), ("database", stage.local_command(&arguments))]
    {
        let mut watching = Watching::start(command);
        let first = watching.next().await;
        assert!(!first.contains(&format!("new by {by}")), "{first}");
        if first.contains("its secret cannot be read") {
            assert!(watching.next().await.contains("why: it was declared"));
        }
        happens(&stage, "alice/assistant", &format!("new by {by}")).await;
        assert!(watching.next().await.ends_with(&format!("new by {by}")));
        // A repetition is printed again, with its count.
        happens(&stage, "alice/assistant", &format!("new by {by}")).await;
        assert!(watching.next().await.contains(&format!("new by {by} (2 times since ")));
    }
}

#[tokio::test]
async fn one_pods_events_are_shown_without_those_of_others_as_lines_of_json() {
    let stage = Stage::new().await;
    let mut watching =
        Watching::start(stage.remote_command(ALAN, &["events", "alice/idle", "-w", "-n", "1", "-o", "json"]));
    let first: serde_json::Value = serde_json::from_str(&watching.next().await).unwrap();
    assert_eq!(first["message"], "it is stopped");
    happens(&stage, "bob/helper", "of bob").await;
    happens(&stage, "alice/assistant", "of another").await;
    happens(&stage, "alice/idle", "its own").await;
    let next: serde_json::Value = serde_json::from_str(&watching.next().await).unwrap();
    assert_eq!((&next["message"], &next["pod"]), (&"its own".into(), &"alice/idle".into()));
}

#[tokio::test]
async fn events_during_an_outage_of_the_server_are_shown_once_it_is_back() {
    let mut stage = Stage::new().await;
    let mut watching = Watching::start(stage.remote_command(VICTOR, &["events", "alice/idle", "-w", "-n", "1"]));
    assert!(watching.next().await.ends_with("it is stopped"));
    assert!(watching.next().await.contains("why: it was declared"));
    happens(&stage, "alice/idle", "before").await;
    assert!(watching.next().await.ends_with("before"));
    stage.restart_server().await;
    happens(&stage, "alice/idle", "meanwhile").await;
    assert!(watching.next().await.ends_with("meanwhile"));
    assert!(watching.errors.recv().await.unwrap().ends_with("; reconnecting"));
    happens(&stage, "alice/idle", "after").await;
    assert!(watching.next().await.ends_with("after"));
}

#[tokio::test]
async fn watching_answers_pings_is_not_disconnected_and_ends_with_its_token() {
    let heartbeat = Heartbeat { ping: Duration::from_millis(50), silence: Duration::from_secs(1) };
    let stage = Stage::at_pace(heartbeat).await;
    let mut watching = Watching::start(stage.remote_command(VICTOR, &["events", "alice/idle", "-w", "-n", "1"]));
    assert!(watching.next().await.ends_with("it is stopped"));
    // A client that never answers is disconnected; the command has been connected for longer by then.
    let mut request = format!("ws://{}/api/v1/watch", stage.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {OLGA}").parse().unwrap());
    let stream = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    let (mut silent, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    while !matches!(silent.next().await, Some(Ok(Message::Close(_))) | None) {}
    assert!(watching.errors.try_recv().is_err(), "it was disconnected");
    happens(&stage, "alice/idle", "still there").await;
    assert!(watching.next().await.contains("why: it was declared"));
    assert!(watching.next().await.ends_with("still there"));
    stage.store.disable_account("victor", "the test", OffsetDateTime::now_utc()).await.unwrap();
    let why = watching.errors.recv().await.unwrap();
    assert!(why.starts_with("error: ") && why.contains("no longer accepts this token"), "{why}");
    assert_eq!(watching.child.wait().unwrap().code(), Some(1));
}
