//! `events --watch`: what happened, then what happens, each thing once.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use agentpod::store::Event;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::{
    declared::pod,
    stage::{ALAN, Stage, VICTOR},
};

/// A command that goes on, line by line; it ends with the test.
struct Watching {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Watching {
    fn start(mut command: std::process::Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::unbounded_channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    async fn next(&mut self) -> String {
        let line = tokio::time::timeout(std::time::Duration::from_secs(20), self.lines.recv()).await;
        line.expect("a line in time").expect("it goes on")
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn happens(stage: &Stage, id: &str, message: &str) {
    stage.store.record(&Event::of_pod(&pod(id), "phase", message), OffsetDateTime::now_utc()).await.unwrap();
}

#[tokio::test]
async fn a_new_event_is_shown_as_it_comes_by_the_server_and_by_the_database() {
    let stage = Stage::new().await;
    let arguments = ["events", "-w", "-n", "1"];
    for (by, command) in [("server", stage.asking(VICTOR, &arguments)), ("database", stage.with_database(&arguments))] {
        let mut watching = Watching::start(command);
        let first = watching.next().await;
        assert!(!first.contains(&format!("new by {by}")), "{first}");
        if first.contains("its secret cannot be read") {
            assert!(watching.next().await.contains("why: it was declared"));
        }
        happens(&stage, "alice/assistant", &format!("new by {by}")).await;
        assert!(watching.next().await.ends_with(&format!("new by {by}")));
        // Once more is shown once more, with how often.
        happens(&stage, "alice/assistant", &format!("new by {by}")).await;
        assert!(watching.next().await.ends_with(&format!("new by {by} (2 times)")));
    }
}

#[tokio::test]
async fn one_pods_events_are_shown_without_those_of_others_as_lines_of_json() {
    let stage = Stage::new().await;
    let mut watching = Watching::start(stage.asking(ALAN, &["events", "alice/idle", "-w", "-n", "1", "-o", "json"]));
    let first: serde_json::Value = serde_json::from_str(&watching.next().await).unwrap();
    assert_eq!(first["message"], "it is stopped");
    happens(&stage, "bob/helper", "of bob").await;
    happens(&stage, "alice/assistant", "of another").await;
    happens(&stage, "alice/idle", "its own").await;
    let next: serde_json::Value = serde_json::from_str(&watching.next().await).unwrap();
    assert_eq!((&next["message"], &next["pod"]), (&"its own".into(), &"alice/idle".into()));
}
