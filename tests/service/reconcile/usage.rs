//! Usage: measured of what runs, from two readings, and forgotten of what does not.

use agentpod::{
    core::{
        access::{Person, Role},
        observe::usage::UsageSample,
        report::{phase::Phase, status::Status},
    },
    reconcile::{DaemonStatus, PodView, UsageMeter},
};
use sqlx::Connection as _;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

use super::stage::{POD, Stage};
use crate::testkit::wait::eventually;
use agentpod::core::report::reason::Reason;

#[tokio::test]
async fn the_last_success_of_a_health_probe_is_stored_with_the_usage() {
    let mut stage = Stage::new("").await;
    stage.start(std::time::Duration::from_millis(50));
    eventually("the pod is declared", async || (!stage.store.identities().await.unwrap().is_empty()).then_some(()))
        .await;
    stage.stop().await;
    let success = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let mut status = daemon_status(Phase::Running);
    status.pods.get_mut(POD).unwrap().last_health_at = Some(success);
    let (_overview, view) = watch::channel(status);
    UsageMeter::new(stage.engine.clone(), stage.store.clone(), view).pass(success).await.unwrap();
    let mut connection = sqlx::PgConnection::connect_with(&stage.options).await.unwrap();
    let stored: Option<OffsetDateTime> =
        sqlx::query_scalar("SELECT last_health_at FROM pod_status").fetch_one(&mut connection).await.unwrap();
    assert_eq!(stored, Some(success));
}

fn daemon_status(phase: Phase) -> DaemonStatus {
    let container = Some("c-1".into());
    let status = Status {
        phase,
        ready: true,
        reason: Reason::Unknown,
        message: String::new(),
        container,
        container_id: None,
        node: None,
    };
    let pod = PodView {
        status,
        last_health_at: None,
        conditions: Vec::new(),
        url: None,
        adapter: None,
        doing: None,
        pull: None,
        settled: true,
    };
    DaemonStatus { pods: [(POD.to_owned(), pod)].into(), ..DaemonStatus::default() }
}

#[tokio::test]
async fn a_running_container_is_measured_by_two_readings_and_a_stopped_one_is_not() {
    let mut stage = Stage::new("").await;
    stage.start(std::time::Duration::from_millis(50));
    eventually("the pod is declared", async || (!stage.store.identities().await.unwrap().is_empty()).then_some(()))
        .await;
    stage.stop().await;
    let (overview, view) = watch::channel(daemon_status(Phase::Running));
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
    overview.send_replace(daemon_status(Phase::Stopped));
    assert!(pass(&mut meter, 240, 600_000_000).await.is_empty());
}
