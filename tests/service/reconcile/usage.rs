//! Usage: measured of what runs, from two readings, and forgotten of what does not.

use agentpod::{
    core::{
        access::{Person, Role},
        observe::usage::UsageSample,
        report::{phase::Phase, status::Status},
    },
    reconcile::{DaemonStatus, PodView, UsageMeter},
};
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

use super::stage::{POD, Stage};
use crate::testkit::wait::eventually;
use agentpod::core::report::reason::Reason;

fn shown(phase: Phase) -> DaemonStatus {
    let container = Some("c-1".into());
    let status = Status { phase, ready: true, reason: Reason::Unknown, message: String::new(), container };
    let pod =
        PodView { status, conditions: Vec::new(), url: None, adapter: None, doing: None, pull: None, settled: true };
    DaemonStatus { pods: [(POD.to_owned(), pod)].into(), ..DaemonStatus::default() }
}

#[tokio::test]
async fn what_runs_is_measured_from_two_readings_and_what_stopped_is_not_shown() {
    let mut stage = Stage::new("").await;
    stage.start(std::time::Duration::from_millis(50));
    eventually("the pod is declared", async || (!stage.store.identities().await.unwrap().is_empty()).then_some(()))
        .await;
    stage.stop().await;
    let (overview, view) = watch::channel(shown(Phase::Running));
    let mut meter = UsageMeter::new(stage.engine.clone(), stage.store.clone(), view);
    let begin = OffsetDateTime::now_utc();
    let pass = async |meter: &mut UsageMeter, seconds: i64, cpu: u64| {
        let at = begin + Duration::seconds(seconds);
        stage.engine.world().readings.insert("c-1".into(), UsageSample { at, memory: 50 << 20, cpu });
        meter.pass(at).await.unwrap();
        let person = Person { name: "o".into(), role: Role::Viewer, tenant: None };
        stage.store.view(&person).usage_now().await.unwrap()
    };
    assert!(pass(&mut meter, 0, 1_000_000_000).await.is_empty(), "one reading says nothing of a share");
    let used = pass(&mut meter, 60, 4_000_000_000).await;
    assert_eq!((used[0].id.to_string().as_str(), used[0].memory_mb, used[0].cpu_percent), (POD, 50, 5.0));
    assert!(pass(&mut meter, 120, 0).await.is_empty(), "a container that was started anew has no share yet");
    assert_eq!(pass(&mut meter, 180, 600_000_000).await[0].cpu_percent, 1.0);
    overview.send_replace(shown(Phase::Stopped));
    assert!(pass(&mut meter, 240, 600_000_000).await.is_empty());
}
