//! Secret values are with their agents and nowhere else: not in the database, not in the log whatever it is asked to say,
//! not in a label, an answer, a page, or a process's arguments; also when an agent prints its secret as it dies.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};

use super::echo;
use crate::testkit::{
    docker::docker,
    stand::{PATIENCE, Stand},
};

const ALICE: &str = "alice/assistant";
const BOB: &str = "bob/assistant";

fn random() -> String {
    let mut bytes = [0; 20];
    SystemRandom::new().fill(&mut bytes).unwrap();
    format!("sk-{}", hex::encode(bytes))
}

#[tokio::test]
async fn no_secret_value_is_found_anywhere_but_with_its_agent() {
    let mut stand = Stand::start(&[("bob.yaml", &echo("bob", ""))]).await;
    let [from_env, from_file, from_age, rotated, printed] = [random(), random(), random(), random(), random()];
    let said = stand.agentpod(&["secret", "keygen"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let encrypted = stand.agentpod_told(&["secret", "encrypt"], &from_age);
    assert!(encrypted.code == 0 && encrypted.err.is_empty(), "{}", encrypted.err);
    let lines: Vec<&str> = encrypted.out.lines().skip(2).map(str::trim).collect();
    let encrypted = lines.join("\\n");
    stand.restart_with(&[("AGENTPOD_SECRET_ALICE", from_env.as_str()), ("AGENTPOD_LOG", "trace")]).await;
    let (file, port) = (stand.path("alice-key"), stand.path("bob-port"));
    fs::write(&file, &from_file).unwrap();
    fs::write(&port, &printed).unwrap();

    // Changes of every kind: made, replaced, reloaded, rotated, crashed.
    let alice = |config: &str| {
        let secrets = format!(
            "{{FROM_ENV: {{env: AGENTPOD_SECRET_ALICE}}, FROM_FILE: {{file: {}}}, FROM_AGE: {{age: \"{encrypted}\"}}}}",
            file.display()
        );
        echo("alice", &format!("secrets: {secrets}, config: {{{config}}}"))
    };
    stand.save("alice.yaml", &alice("mode: one"));
    stand.ready(ALICE, PATIENCE).await;
    let container = stand.container(ALICE);
    assert_eq!(container.variable("FROM_ENV"), Some(from_env.as_str()), "the agent has it");
    assert_eq!(container.variable("FROM_FILE"), Some(from_file.as_str()), "the agent has it");
    assert_eq!(container.variable("FROM_AGE"), Some(from_age.as_str()), "the agent has it");
    let token = container.variable("ECHO_TOKEN").unwrap().to_owned();
    stand.save("alice.yaml", &alice("mode: two, greeting: Hi"));
    let replaced =
        async || stand.containers(ALICE).iter().any(|one| one.variable("ECHO_MODE") == Some("two")).then_some(());
    stand.until("alice is replaced", PATIENCE, replaced).await;
    fs::write(&file, &rotated).unwrap();
    stand.nudge();
    let rolled =
        async || stand.containers(ALICE).iter().any(|one| one.variable("FROM_FILE") == Some(&rotated)).then_some(());
    stand.until("alice has the new value", PATIENCE, rolled).await;
    stand.ready(ALICE, PATIENCE).await;
    stand.routed("alice", "/health").await;
    stand.ask("POST", "alice", "/crash", "").await;
    // Bob's agent finds its port to be no number, and says what it found.
    stand.save("bob.yaml", &echo("bob", &format!("secrets: {{ECHO_PORT: {{file: {}}}}}", port.display())));
    let told = async || {
        let events = stand.events(BOB);
        let words = |event: &serde_json::Value| event["details"]["log"].to_string().contains("ECHO_PORT is not a port");
        events.into_iter().find(words)
    };
    let event = stand.until("bob's last words are kept", PATIENCE, told).await;
    assert!(event["details"]["log"].to_string().contains("[secret ECHO_PORT]"), "{event}");
    let said = stand.agentpod(&["logs", ALICE]);
    assert_eq!(said.code, 0, "{}", said.err);

    let places = everywhere(&stand).await;
    for secret in [&from_env, &from_file, &from_age, &rotated, &printed, &token] {
        for form in [secret.clone(), STANDARD_NO_PAD.encode(secret).split_off(4)] {
            for (place, text) in &places {
                assert!(!text.contains(&form), "a secret is in {place}");
            }
            stand.not_in_files(&form);
        }
    }
    // The search itself finds what is there.
    assert!(places.iter().any(|(_, text)| text.contains("[secret ECHO_PORT]")));
    assert!(places.iter().any(|(place, text)| place == "arguments of processes" && text.contains("--instance")));
}

/// Everything that anybody gets to see, by where it stands. Only the containers' own environment is left out.
async fn everywhere(stand: &Stand) -> Vec<(String, String)> {
    let mut places = vec![
        ("the status page".to_owned(), stand.status().await.unwrap().to_string()),
        ("the daemon's log".to_owned(), stand.log()),
        ("the database".to_owned(), stand.dump().await.join("\n")),
        ("arguments of processes".to_owned(), arguments()),
    ];
    assert!(stand.log().contains("TRACE"), "the log is at its most verbose");
    for command in [
        &["status"][..],
        &["status", "-o", "json"],
        &["events", "--limit", "500"],
        &["events", "--limit", "500", "-o", "json"],
        &["plan"],
        &["plan", "-o", "json"],
        &["render", ALICE],
        &["render", BOB],
        &["validate"],
        &["check"],
    ] {
        let said = stand.agentpod(command);
        places.push((format!("agentpod {}", command.join(" ")), said.out + &said.err));
    }
    for address in [
        "/dashboard",
        "/dashboard/pods",
        "/dashboard/pods/alice/assistant",
        "/dashboard/pods/alice/assistant/logs",
        "/dashboard/pods/bob/assistant",
        "/dashboard/pods/bob/assistant/logs",
        "/dashboard/tenants/alice",
        "/dashboard/adapters",
        "/dashboard/source",
        "/dashboard/settings",
        "/metrics",
        "/api/v1/pods",
        "/api/v1/pods/alice/assistant",
        "/api/v1/pods/alice/assistant/events",
        "/api/v1/pods/alice/assistant/logs",
        "/api/v1/pods/bob/assistant",
        "/api/v1/pods/bob/assistant/events",
        "/api/v1/pods/bob/assistant/logs",
        "/api/v1/events",
        "/api/v1/source",
        "/api/v1/revisions",
        "/api/v1/settings",
    ] {
        let answer = stand.own(address).await;
        assert_eq!(answer.status, 200, "{address}: {}", answer.body);
        places.push((address.to_owned(), answer.body));
    }
    for mut container in stand.all_containers() {
        container.raw["Config"]["Env"].take();
        places.push((format!("everything else about {}", container.name), container.raw.to_string()));
        places.push((format!("volume {}", container.volume), docker(&["volume", "inspect", &container.volume])));
    }
    places.push(("the network".into(), docker(&["network", "inspect", stand.instance()])));
    places
}

fn arguments() -> String {
    let lines =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n").collect()
}
