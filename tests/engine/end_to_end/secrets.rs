//! A secret is in the agent's environment and nowhere else.

use std::fs;

use super::echo;
use crate::testkit::{
    docker::docker,
    stand::{PATIENCE, Stand},
};

const ALICE: &str = "alice/assistant";
const BOB: &str = "bob/assistant";
const FIRST: &str = "sk-first-0f1e2d3c4b5a";
const SECOND: &str = "sk-second-a9b8c7d6e5f4";

#[tokio::test]
async fn a_secret_reaches_its_agent_and_nobody_else_and_its_rotation_replaces_that_agent_alone() {
    let stand = Stand::start(&[("bob.yaml", &echo("bob", ""))]).await;
    stand.ready(BOB, PATIENCE).await;
    let bob = stand.container(BOB);

    // Declared before it exists: held, and it says which file.
    let file = stand.path("alice-key");
    let alice = echo("alice", &format!("secrets: {{ALICE_KEY: {{file: {}}}}}", file.display()));
    stand.save("alice.yaml", &alice);
    let held = stand.phase(ALICE, "Held", PATIENCE).await;
    assert!(held["message"].as_str().unwrap().contains("alice-key"), "{held}");
    assert!(stand.containers(ALICE).is_empty());

    // There: it runs, and has it.
    fs::write(&file, format!("{FIRST}\n")).unwrap();
    stand.nudge();
    stand.ready(ALICE, PATIENCE).await;
    assert_eq!(stand.container(ALICE).variable("ALICE_KEY"), Some(FIRST));
    assert_eq!(stand.routed("alice", "/env/ALICE_KEY").await.body, FIRST);
    nowhere_to_be_seen(&stand, FIRST).await;

    // Another value: another container, with it, at the next tick without anybody's word; bob does not notice.
    let before = stand.container(ALICE);
    fs::write(&file, SECOND).unwrap();
    let rotated = async || stand.containers(ALICE).iter().any(|one| one.id != before.id).then_some(());
    stand.until("alice gets the new value", PATIENCE, rotated).await;
    stand.ready(ALICE, PATIENCE).await;
    assert_eq!(stand.container(ALICE).variable("ALICE_KEY"), Some(SECOND));
    assert_eq!(stand.container(BOB).life(), bob.life());

    // Also when the agent prints it as it dies.
    nowhere_to_be_seen(&stand, FIRST).await;
    nowhere_to_be_seen(&stand, SECOND).await;
    let token = stand.container(ALICE).variable("ECHO_TOKEN").unwrap().to_owned();
    assert!(token.len() >= 32);
    nowhere_to_be_seen(&stand, &token).await;
}

async fn nowhere_to_be_seen(stand: &Stand, secret: &str) {
    let status = stand.status().await.unwrap().to_string();
    let said = |arguments: &[&str]| {
        let said = stand.agentpod(arguments);
        format!("{}{}", said.out, said.err)
    };
    let mut places = vec![("the status page".to_owned(), status), ("the daemon's log".to_owned(), stand.log())];
    for command in [
        &["status"][..],
        &["status", "-o", "json"],
        &["events", "--limit", "500"],
        &["events", "--limit", "500", "-o", "json"],
        &["plan"],
        &["plan", "-o", "json"],
        &["render", ALICE],
        &["validate"],
    ] {
        places.push((format!("agentpod {}", command.join(" ")), said(command)));
    }
    for container in stand.all_containers() {
        places.push((format!("labels of {}", container.name), container.raw["Config"]["Labels"].to_string()));
        let command = (&container.raw["Config"]["Cmd"], &container.raw["Args"], &container.name);
        places.push((format!("command of {}", container.name), format!("{command:?}")));
        places.push((format!("volumes of {}", container.name), docker(&["volume", "inspect", &container.volume])));
    }
    for (place, text) in places {
        assert!(!text.contains(secret), "a secret is in {place}:\n{text}");
    }
    stand.not_in_files(secret);
}
