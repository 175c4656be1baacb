//! What people ask for at the command line, done by the daemon on the real engine.

use std::time::{Duration, Instant};

use super::echo;
use crate::testkit::stand::{PATIENCE, Stand};

const ID: &str = "alice/assistant";

async fn alice() -> Stand {
    let stand = Stand::start(&[("alice.yaml", &echo("alice", ""))]).await;
    stand.all_ready(&[ID]).await;
    stand
}

#[tokio::test]
async fn a_restart_starts_the_same_container_again_once_and_says_who_requested_it() {
    let mut stand = alice().await;
    let before = stand.container(ID);
    let said = stand.agentpod(&["restart", ID, "--as", "carol@laptop", "--wait"]);
    assert!(said.code == 0 && said.out.contains("the container was restarted"), "{}{}", said.out, said.err);
    stand.all_ready(&[ID]).await;
    let after = stand.container(ID);
    assert_eq!(after.id, before.id);
    assert_ne!(after.started_at, before.started_at);
    let events = stand.events(ID);
    let event = events.iter().find(|event| event["kind"] == "restarted").unwrap_or_else(|| panic!("{events:?}"));
    assert!(event["cause"].as_str().unwrap().starts_with("carol@laptop requested a restart"), "{event}");

    // Asked while nobody is there: done by who comes next, once.
    stand.kill_daemon();
    stand.nobody_leads().await;
    let said = stand.agentpod(&["restart", ID]);
    assert!(said.code == 0 && said.out.contains("no daemon is running"), "{}{}", said.out, said.err);
    stand.start_daemon();
    let again = async || Some(stand.container(ID)).filter(|now| now.running && now.started_at != after.started_at);
    let again = stand.until("it is started again", PATIENCE, again).await;
    stand.all_ready(&[ID]).await;
    stand.rounds(Duration::from_secs(1)).await;
    assert_eq!(stand.container(ID).life(), again.life());

    for (asked, why) in [
        (vec!["restart", "alice/nobody"], "there is no pod alice/nobody"),
        (vec!["resume", ID], "is not paused"),
        (vec!["pause", ID], "--for"),
    ] {
        let said = stand.agentpod(&asked);
        assert!(said.code != 0 && said.err.contains(why), "{asked:?}: {}{}", said.out, said.err);
    }
}

#[tokio::test]
async fn a_paused_pod_stays_stopped_whatever_comes_until_its_time_or_until_it_is_resumed() {
    let mut stand = alice().await;
    let before = stand.container(ID);
    let asked = Instant::now();
    let said = stand.agentpod(&["pause", ID, "--for", "1h", "--as", "carol@laptop", "--wait"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(!stand.container(ID).running, "after {:?}", asked.elapsed());
    let row = stand.row(ID);
    assert_eq!((&row["phase"], &row["reason"]), (&"Stopped".into(), &"Paused".into()));
    assert!(row["message"].as_str().unwrap().starts_with("paused by carol@laptop until "), "{row}");
    let said = stand.agentpod(&["pause", ID, "--until-resumed"]);
    assert!(said.code == 1 && said.err.contains("already paused by carol@laptop"), "{}", said.err);

    // Neither a changed manifest nor a new daemon starts it.
    stand.save("alice.yaml", &echo("alice", "config: {mode: later}"));
    stand.kill_daemon();
    stand.start_daemon();
    stand.phase(ID, "Stopped", PATIENCE).await;
    stand.rounds(Duration::from_secs(1)).await;
    assert!(!stand.container(ID).running && stand.container(ID).id == before.id);

    let said = stand.agentpod(&["resume", ID, "--as", "dave@desk", "--wait"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    stand.all_ready(&[ID]).await;
    assert_eq!(stand.container(ID).variable("ECHO_MODE"), Some("later"));

    let running = stand.container(ID);
    let said = stand.agentpod(&["pause", ID, "--for", "3s", "--wait"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    stand.all_ready(&[ID]).await;
    let back = stand.container(ID);
    assert!(back.id == running.id && back.started_at != running.started_at);
    let causes: Vec<String> =
        stand.events(ID).iter().filter_map(|event| event["cause"].as_str().map(str::to_owned)).collect();
    for why in ["carol@laptop paused it", "requested by dave@desk", "the pause by root@"] {
        assert!(causes.iter().any(|cause| cause.contains(why)), "{why}: {causes:?}");
    }
}

#[tokio::test]
async fn a_sync_reads_the_source_now() {
    let stand = alice().await;
    stand.save("alice.yaml", &echo("alice", "config: {mode: synced}"));
    let said = stand.agentpod(&["sync"]);
    assert!(said.code == 0 && said.out.contains("the source was read; revision "), "{}{}", said.out, said.err);
    let arrived = async || {
        stand.containers(ID).iter().any(|one| one.running && one.variable("ECHO_MODE") == Some("synced")).then_some(())
    };
    stand.until("the change arrives", PATIENCE, arrived).await;
}
