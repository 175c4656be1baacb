//! Changes as they come: numbered, in order, made good after a gap, to whom they concern and no longer than they may look.

use std::time::Duration;

use agentpod::{core::report::phase::Phase, dashboard::live::Heartbeat, store::Event};
use time::OffsetDateTime;

use super::stage::Stage;
use crate::testkit::{
    dashboard::{ALAN, OLGA, VICTOR},
    declared::pod,
};
use agentpod::core::event::EventKind;

#[tokio::test]
async fn a_viewer_gets_a_snapshot_and_then_each_change_with_the_next_number() {
    let stage = Stage::new().await;
    let mut viewer = stage.watch_as(VICTOR, "?pods=true").await;
    let first = viewer.next().await.unwrap();
    assert_eq!((&first["type"], first["overview"]["pods"].as_i64()), (&"snapshot".into(), Some(3)));
    assert_eq!(first["pods"].as_array().unwrap().len(), 3);
    let mut seq = first["seq"].as_u64().unwrap();
    for (phase, message) in
        [(Phase::Starting, "soon"), (Phase::Running, "it is ready"), (Phase::Unhealthy, "not any more")]
    {
        stage.is("alice/assistant", phase, message).await;
        let change = viewer.next().await.unwrap();
        assert_eq!((&change["type"], &change["pod"]["message"]), (&"pod".into(), &message.into()));
        seq += 1;
        assert_eq!(change["seq"].as_u64(), Some(seq));
    }
    let event = Event::of_pod(&pod("alice/assistant"), EventKind::Unhealthy, "it went");
    stage.store.record(&event, OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!(viewer.next_of("event").await["event"]["message"], "it went");
    stage.post("/requests", OLGA, r#"{"kind": "restart", "pod": "alice/assistant"}"#).await;
    assert_eq!(viewer.next_of("request").await["request"]["actor"], "olga");
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed_and_who_was_away_too_long_gets_everything() {
    let stage = Stage::new().await;
    // Somebody else goes on looking, so that changes are read at all.
    let mut other = stage.watch_as(OLGA, "").await;
    other.next_of("snapshot").await;
    let mut viewer = stage.watch_as(VICTOR, "").await;
    let first = viewer.next().await.unwrap();
    let (stream, seq) = (first["stream"].as_str().unwrap().to_owned(), first["seq"].as_u64().unwrap());
    drop(viewer);
    stage.is("alice/assistant", Phase::Starting, "one").await;
    other.next_of("pod").await;
    stage.is("alice/assistant", Phase::Running, "two").await;
    other.next_of("pod").await;

    let mut viewer = stage.watch_as(VICTOR, &format!("?stream={stream}&after={seq}")).await;
    assert_eq!(viewer.next().await.unwrap()["type"], "hello");
    for (number, message) in [(1, "one"), (2, "two")] {
        let change = viewer.next().await.unwrap();
        assert_eq!((change["seq"].as_u64(), &change["pod"]["message"]), (Some(seq + number), &message.into()));
    }
    // The same over a socket that is open, for who noticed a gap.
    viewer.say(&format!(r#"{{"type": "resync", "stream": "{stream}", "after": {}}}"#, seq + 1)).await;
    assert_eq!(viewer.next().await.unwrap()["type"], "hello");
    assert_eq!(viewer.next().await.unwrap()["pod"]["message"], "two");
    for unknown in [r#"{"type": "resync"}"#, r#"{"type": "resync", "stream": "another", "after": 1}"#] {
        viewer.say(unknown).await;
        assert_eq!(viewer.next().await.unwrap()["type"], "snapshot", "{unknown}");
    }
    viewer.say(&format!(r#"{{"type": "resync", "stream": "{stream}", "after": {}}}"#, seq + 1000)).await;
    assert_eq!(viewer.next().await.unwrap()["type"], "snapshot", "a number that never was");
}

#[tokio::test]
async fn a_tenants_person_gets_changes_of_that_tenant_only_and_misses_no_number() {
    let stage = Stage::new().await;
    let mut viewer = stage.watch_as(ALAN, "?pods=true").await;
    let first = viewer.next().await.unwrap();
    assert!(!first.to_string().contains("bob"));
    let seq = first["seq"].as_u64().unwrap();
    stage.is("bob/helper", Phase::Held, "of bob").await;
    let fleet_wide = Event::of_none(EventKind::DaemonStarted, "of everybody");
    stage.store.record(&fleet_wide, OffsetDateTime::now_utc()).await.unwrap();
    stage.is("alice/assistant", Phase::Running, "of alice").await;
    let change = viewer.next().await.unwrap();
    assert_eq!((change["seq"].as_u64(), &change["pod"]["message"]), (Some(seq + 1), &"of alice".into()));
}

#[tokio::test]
async fn both_sides_ask_whether_the_other_is_there_and_who_is_silent_is_let_go() {
    let heartbeat = Heartbeat { ping: Duration::from_millis(100), silence: Duration::from_millis(500) };
    let stage = Stage::at_pace(heartbeat).await;
    let (mut talks, mut silent) = (stage.watch_as(VICTOR, "").await, stage.watch_as(VICTOR, "").await);
    talks.say(r#"{"type": "ping"}"#).await;
    talks.next_of("pong").await;
    for _ in 0..15 {
        talks.next_of("ping").await;
        talks.say(r#"{"type": "pong"}"#).await;
    }
    assert_eq!(silent.end().await, 4408);
    talks.say("nonsense").await;
    assert_eq!(talks.end().await, 1008);
}

#[tokio::test]
async fn whose_token_is_not_good_any_more_is_out() {
    let heartbeat = Heartbeat { ping: Duration::from_millis(100), ..Heartbeat::default() };
    let stage = Stage::at_pace(heartbeat).await;
    let mut viewer = stage.watch_as(VICTOR, "").await;
    viewer.next_of("ping").await;
    viewer.say(r#"{"type": "pong"}"#).await;
    let now = OffsetDateTime::now_utc();
    assert!(stage.store.disable_account("victor", "the test", now).await.unwrap());
    assert_eq!(viewer.end().await, 4401);
}

#[tokio::test]
async fn viewers_learn_that_agentpod_stops() {
    let stage = Stage::new().await;
    let mut viewer = stage.watch_as(VICTOR, "").await;
    viewer.next_of("snapshot").await;
    stage.server.stop.cancel();
    assert_eq!(viewer.end().await, 1001);
    stage.server.live.ended().await;
}

#[tokio::test]
async fn a_request_without_an_upgrade_is_refused() {
    let stage = Stage::new().await;
    assert_eq!(stage.get("/watch", VICTOR).await.status, 426);
}

#[tokio::test]
async fn two_hundred_viewers_all_see_a_change() {
    let stage = Stage::new().await;
    let mut viewers = Vec::new();
    for _ in 0..200 {
        let mut viewer = stage.watch_as(VICTOR, "").await;
        assert_eq!(viewer.next().await.unwrap()["type"], "snapshot");
        viewers.push(viewer);
    }
    stage.is("alice/assistant", Phase::Unhealthy, "seen by everybody").await;
    for viewer in &mut viewers {
        assert_eq!(viewer.next_of("pod").await["pod"]["message"], "seen by everybody");
    }
}
