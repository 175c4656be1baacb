//! Looking into a container: its log and commands run in it.

use std::time::Duration;

use agentpod::engine::{Engine, LogLine, LogQuery};
use futures_util::{StreamExt, stream::BoxStream};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::stage::Stage;
use crate::testkit::{http, wait::eventually};

async fn lines(stage: &Stage, name: &str, timestamps: bool) -> Vec<LogLine> {
    let query = LogQuery { tail: 100, follow: false, timestamps };
    stage.docker.logs(name, query).await.unwrap().map(|line| line.unwrap()).collect().await
}

#[tokio::test]
async fn a_log_has_lines_with_times_on_request() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    let line =
        eventually("it says something", async || lines(&stage, &spec.name, false).await.into_iter().next()).await;
    assert!(line.text.starts_with("echo: started for") && !line.stderr, "{line:?}");
    let timed = &lines(&stage, &spec.name, true).await[0];
    let (at, text) = timed.text.split_once(' ').unwrap();
    assert!(OffsetDateTime::parse(at, &Rfc3339).is_ok(), "{at}");
    assert_eq!(text, line.text);
}

#[tokio::test]
async fn the_log_goes_on_as_lines_come_and_tells_the_outputs_apart() {
    let stage = Stage::new();
    let (spec, address) = stage.running(|_| {}).await;
    let query = LogQuery { tail: 100, follow: true, timestamps: false };
    let mut log = stage.docker.logs(&spec.name, query).await.unwrap();
    let next = async |log: &mut BoxStream<'static, _>| {
        tokio::time::timeout(Duration::from_secs(20), log.next()).await.unwrap().unwrap()
    };
    let first: LogLine = next(&mut log).await.unwrap();
    assert!(first.text.starts_with("echo: started for") && !first.stderr, "{first:?}");
    http::ask("POST", (address, 8080), "/crash", &[], "").await;
    assert_eq!(
        next(&mut log).await.unwrap(),
        LogLine { stderr: true, text: "echo: crashing, as POST /crash asks".into() }
    );
}

#[tokio::test]
async fn a_command_answers_with_its_output_and_code() {
    let stage = Stage::new();
    let (spec, address) = stage.running(|_| {}).await;
    let health: Vec<String> = ["/echo", "health"].map(Into::into).into();
    let answer = stage.docker.exec(&spec.name, &health, Duration::from_secs(10)).await.unwrap();
    assert_eq!((answer.code, answer.stdout.trim(), answer.stderr.as_str()), (0, r#"{"ok":true}"#, ""));
    http::ask("POST", (address, 8080), "/health/fail", &[], "").await;
    assert_eq!(stage.docker.exec(&spec.name, &health, Duration::from_secs(10)).await.unwrap().code, 1);
    let missing = stage.docker.exec(&spec.name, &["/nothing".into()], Duration::from_secs(10)).await;
    assert!(matches!(missing.unwrap().code, 126 | 127), "the engine's way to say there is no such program");
}

#[tokio::test]
async fn a_command_that_does_not_end_is_given_up() {
    let stage = Stage::new();
    let (spec, _) = stage.running(|_| {}).await;
    // Nothing in this image runs for ever beside the agent, so the time is what is short.
    let answer = stage.docker.exec(&spec.name, &["/echo".into(), "health".into()], Duration::from_millis(1)).await;
    assert!(answer.unwrap_err().to_string().contains("did not end within 1ms"));
}

#[tokio::test]
async fn nothing_runs_in_a_stopped_container() {
    let stage = Stage::new();
    let spec = stage.made(|_| {}).await;
    let error = stage.docker.exec(&spec.name, &["/echo".into()], Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.code(), "engine_refused", "{error}");
}
