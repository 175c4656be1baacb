//! What people ask for, done by a whole reconciler that nobody else wakes.

use std::time::Duration;

use agentpod::core::{
    decide::{request::RequestSpec, request_kind::RequestKind},
    names::PodId,
};
use time::OffsetDateTime;

use super::stage::{POD, Stage};
use crate::testkit::wait::eventually;
use agentpod::core::report::reason::Reason;

/// Longer than any test: only what is asked wakes.
const NEVER: Duration = Duration::from_hours(1);

fn pod() -> PodId {
    POD.parse().unwrap()
}

async fn at_rest() -> (Stage, String) {
    let mut stage = Stage::new("").await;
    stage.start(NEVER);
    let container = stage.runs("").await;
    stage.listens().await;
    stage.engine.world().writes.clear();
    (stage, container)
}

fn writes(stage: &Stage) -> Vec<String> {
    stage.engine.world().writes.clone()
}

#[tokio::test]
async fn a_restart_is_done_at_once_and_says_who_requested_it() {
    let (mut stage, container) = at_rest().await;
    let id = stage.ask(RequestSpec::Restart { pod: pod() }).await;
    let row = stage.answered(id).await;
    assert_eq!((row.done, row.outcome.as_deref()), (Some(true), Some("the container was restarted")));
    assert!(row.picked_up_at.is_some());
    assert_eq!(writes(&stage), [format!("stop {container}"), format!("start {container}")]);
    let event = stage.event("restarted").await;
    assert_eq!(event.cause.as_deref(), Some("alice@host requested a restart; triggered by a request"));
    let answer = stage.event("request").await;
    assert_eq!((answer.pod, answer.cause.as_deref()), (Some(pod()), Some("requested by alice@host")));
    stage.stop().await;
}

#[tokio::test]
async fn a_pause_outlives_the_daemon_and_is_shown_until_somebody_resumes_it() {
    let (mut stage, container) = at_rest().await;
    stage.ask(RequestSpec::Pause { pod: pod(), until: None }).await;
    stage.phase("Stopped").await;
    let shown = async || stage.overview().pods.get(POD).filter(|pod| pod.status.reason == Reason::Paused).cloned();
    let shown = eventually("it is shown as paused", shown).await;
    assert!(shown.status.message.starts_with("paused by alice@host until somebody resumes it"), "{shown:?}");
    let stopped = stage.event("stopped").await;
    assert!(stopped.cause.unwrap().starts_with("alice@host paused it; "));

    stage.stop().await;
    stage.declare("config: {mode: other}");
    stage.start(NEVER);
    stage.phase("Stopped").await;
    assert!(stage.running().is_empty());
    assert_eq!(writes(&stage), [format!("stop {container}")]);
    stage.listens().await;
    stage.ask(RequestSpec::Resume { pod: pod() }).await;
    assert_ne!(stage.runs(&container).await, container, "with what was declared meanwhile");
    stage.stop().await;
}

#[tokio::test]
async fn a_pause_ends_by_itself_when_its_time_has_come() {
    let (mut stage, container) = at_rest().await;
    let until = OffsetDateTime::now_utc() + time::Duration::milliseconds(700);
    let id = stage.ask(RequestSpec::Pause { pod: pod(), until: Some(until) }).await;
    let row = stage.answered(id).await;
    assert_eq!((row.done, row.outcome.as_deref()), (Some(true), Some("the pause is over")));
    assert_eq!(stage.runs("").await, container);
    let started = stage.event("started").await;
    assert!(started.cause.unwrap().starts_with("the pause by alice@host is over"));
    stage.stop().await;
}

#[tokio::test]
async fn a_request_made_while_no_daemon_runs_is_done_by_the_next_one_once() {
    let (mut stage, container) = at_rest().await;
    stage.stop().await;
    let id = stage.ask(RequestSpec::Restart { pod: pod() }).await;
    assert_eq!(stage.store.request(id).await.unwrap().unwrap().picked_up_at, None);
    for _ in 0..2 {
        stage.start(NEVER);
        assert_eq!(stage.answered(id).await.done, Some(true));
        stage.stop().await;
    }
    assert_eq!(writes(&stage), [format!("stop {container}"), format!("start {container}")]);
}

#[tokio::test]
async fn a_sync_reads_the_source_now_and_says_what_came_of_it() {
    let (mut stage, container) = at_rest().await;
    stage.declare("config: {mode: other}");
    let row = stage.answered(stage.ask(RequestSpec::Sync).await).await;
    assert!(row.outcome.unwrap().starts_with("the source was read; revision "));
    stage.runs(&container).await;
    stage.declare("config: {mod: typo}");
    let row = stage.answered(stage.ask(RequestSpec::Sync).await).await;
    let outcome = row.outcome.unwrap();
    assert!(outcome.starts_with("the newest revision is refused: all.yaml: "), "{outcome}");
    assert_eq!(row.done, Some(false));
    assert_eq!(stage.event("request_refused").await.cause.as_deref(), Some("requested by alice@host"));
    stage.stop().await;
}

#[tokio::test]
async fn a_request_of_every_kind_is_answered() {
    let (mut stage, _) = at_rest().await;
    let mut requests = Vec::new();
    for kind in RequestKind::ALL {
        let what = match kind {
            RequestKind::Restart => RequestSpec::Restart { pod: pod() },
            RequestKind::Pause => RequestSpec::Pause { pod: pod(), until: None },
            RequestKind::Resume => RequestSpec::Resume { pod: pod() },
            RequestKind::Retry => RequestSpec::Retry { pod: pod() },
            RequestKind::StartEmpty => RequestSpec::StartEmpty { pod: pod() },
            RequestKind::Sync => RequestSpec::Sync,
            RequestKind::Approve => RequestSpec::Approve { plan: "5d0c41aa90f3".into() },
        };
        let id = stage.ask(what).await;
        // A pause ends when it is resumed, which is the next kind.
        if kind == RequestKind::Pause {
            stage.phase("Stopped").await;
        } else {
            stage.answered(id).await;
        }
        requests.push((kind, id));
    }
    for (kind, id) in requests {
        assert_eq!(
            stage.answered(id).await.done,
            Some(!matches!(kind, RequestKind::Approve | RequestKind::StartEmpty)),
            "{kind}"
        );
    }
    stage.stop().await;
}
