//! What goes wrong outside while a whole reconciler runs: data that is gone, an engine that lists nothing, a registry that
//! hangs, a database that becomes read-only.

use std::time::Duration;

use agentpod::core::{decide::request::RequestSpec, event::EventKind, names::PodId, report::reason::Reason};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::stage::{POD, Stage};
use crate::testkit::wait::eventually;

const TICK: Duration = Duration::from_millis(100);

fn pod() -> PodId {
    POD.parse().unwrap()
}

async fn running() -> (Stage, String) {
    let mut stage = Stage::new("").await;
    stage.start(TICK);
    let container = stage.runs("").await;
    (stage, container)
}

async fn reason(stage: &Stage, reason: Reason) {
    let is_so = async || stage.overview().pods.get(POD).filter(|pod| pod.status.reason == reason).map(drop);
    eventually(&format!("the reason is {reason}"), is_so).await;
}

#[tokio::test]
async fn a_pod_whose_volume_is_gone_is_held_also_by_the_next_daemon_until_somebody_starts_it_empty() {
    let (mut stage, container) = running().await;
    let volume = {
        let mut world = stage.engine.world();
        let volume = world.containers.remove(&container).unwrap().volume;
        world.volumes.remove(&volume);
        volume
    };
    reason(&stage, Reason::VolumeGone).await;
    assert!(stage.event(EventKind::VolumeGone.as_str()).await.message.contains(&volume));
    stage.stop().await;
    stage.start(TICK);
    reason(&stage, Reason::VolumeGone).await;
    assert!(stage.running().is_empty());
    let id = stage.ask(RequestSpec::StartEmpty { pod: pod() }).await;
    assert_eq!(stage.answered(id).await.done, Some(true));
    stage.runs("").await;
    stage.stop().await;
}

#[tokio::test]
async fn an_engine_that_lists_nothing_for_a_while_loses_no_pod_and_gets_no_second_one() {
    let mut stage = Stage::new("").await;
    stage.start(Duration::from_secs(4));
    stage.runs("").await;
    let (containers, before) = {
        let mut world = stage.engine.world();
        (std::mem::take(&mut world.containers), world.writes.clone())
    };
    reason(&stage, Reason::EngineUnknown).await;
    stage.engine.world().containers = containers;
    stage.phase("Starting").await;
    assert_eq!(stage.engine.world().writes, before);
    stage.stop().await;
}

#[tokio::test]
async fn a_pull_that_hangs_ends_when_its_change_is_taken_back() {
    let (mut stage, container) = running().await;
    stage.engine.world().hanging_registry = Some("agentpod/echo:2".into());
    stage.declare("image: agentpod/echo:2");
    eventually("it is pulled", async || stage.engine.world().pulling.first().cloned()).await;
    stage.declare("");
    eventually("the pull ends", async || stage.engine.world().pulling.is_empty().then_some(())).await;
    assert_eq!(stage.running(), [container]);
    stage.declare("image: agentpod/echo:2");
    eventually("it is pulled again", async || stage.engine.world().pulling.first().cloned()).await;
    stage.declare("state: stopped");
    eventually("it is stopped", async || stage.running().is_empty().then_some(())).await;
    stage.phase("Stopped").await;
    stage.stop().await;
}

#[tokio::test]
async fn a_database_that_is_read_only_for_a_while_is_said_and_remembered() {
    let (mut stage, _) = running().await;
    let name = stage.options.get_database().unwrap().to_owned();
    let set = async |value: &str| {
        let mut connection = PgConnection::connect_with(&stage.options.clone().database("postgres")).await.unwrap();
        let statement = format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        let statement = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    };
    set("on").await;
    stage.declare("config: {mode: other}");
    eventually("it is said", async || {
        stage.overview().database.filter(|why| why.starts_with("the database is read-only"))
    })
    .await;
    set("off").await;
    let event = stage.event(EventKind::DatabaseUnavailable.as_str()).await;
    assert!(event.message.contains("the database could not be used for"), "{event:?}");
    stage.stop().await;
}
