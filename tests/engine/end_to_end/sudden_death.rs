//! The daemon dies in the middle of a change, again and again; the next one finishes what it finds.

use std::time::Duration;

use super::{echo, three_tenants};
use crate::testkit::stand::PATIENCE;

const IDS: [&str; 3] = ["alice/assistant", "bob/assistant", "carol/assistant"];

#[tokio::test]
async fn a_daemon_killed_during_a_change_is_followed_by_one_that_finishes_it_and_restarts_nothing_else() {
    let mut stand = three_tenants().await;
    stand.routed("alice", "/health").await;
    assert_eq!(stand.ask("PUT", "alice", "/data/x", "kept").await.unwrap().status, 200);
    let siblings = [stand.container(IDS[1]), stand.container(IDS[2])];
    // From before a change to after it: noticing takes a quarter of a second, a replacement about two.
    let pauses = [210, 390, 640, 980, 1450, 2250].map(Duration::from_millis);
    for (life, pause) in pauses.into_iter().enumerate() {
        let mode = format!("life-{life}");
        stand.save("alice.yaml", &echo("alice", &format!("config: {{mode: {mode}}}")));
        // The one wait for time and not for a state: the moment has to be any.
        tokio::time::sleep(pause).await;
        stand.kill_daemon();
        let left = stand.containers(IDS[0]);
        let running = left.iter().filter(|one| one.running).count();
        println!("killed after {pause:?}: {} containers, {running} running", left.len());
        assert!(running <= 1, "two of them ran on one volume");
        stand.start_daemon();
        let done = async || match &stand.containers(IDS[0])[..] {
            [one] if one.running && one.variable("ECHO_MODE") == Some(&mode) => Some(()),
            _ => None,
        };
        stand.until(&format!("the change to {mode} is finished, and only that"), PATIENCE, done).await;
        stand.all_ready(&IDS).await;
        assert_eq!(stand.routed("alice", "/data/x").await.body, "kept");
        for (before, id) in siblings.iter().zip(&IDS[1..]) {
            assert_eq!(stand.container(id).life(), before.life(), "{id}");
        }
    }

    // With nothing to do, a death leads to nothing at all; neither does an orderly stop.
    let (alice, events) = (stand.container(IDS[0]), stand.events(IDS[0]));
    stand.kill_daemon();
    stand.start_daemon();
    stand.all_ready(&IDS).await;
    assert_eq!(stand.stop_daemon().await, Some(0), "an orderly stop");
    assert_eq!(stand.routed("alice", "/data/x").await.body, "kept", "agents do not need the daemon");
    stand.start_daemon();
    stand.all_ready(&IDS).await;
    assert_eq!(stand.container(IDS[0]).life(), alice.life());
    assert_eq!(stand.events(IDS[0]), events);
    assert_eq!(stand.all_containers().len(), 3);
}
