//! Tokens and the key they are sealed with: shown, exchanged, lost, on a real engine.

use std::fs;

use super::echo;
use crate::testkit::stand::{PATIENCE, Stand, containers::Container};

const ALICE: &str = "alice/assistant";
const BOB: &str = "bob/assistant";

async fn stand() -> Stand {
    let stand = Stand::start(&[("alice.yaml", &echo("alice", "")), ("bob.yaml", &echo("bob", ""))]).await;
    stand.all_ready(&[ALICE, BOB]).await;
    stand
}

fn token(stand: &Stand, pod: &str) -> String {
    let said = stand.agentpod(&["token", "show", pod]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    said.out.trim_end().to_owned()
}

/// Waits until a pod is ready in a container that has a token.
async fn has(stand: &Stand, pod: &str, token: &str) -> Container {
    let with = async || stand.containers(pod).iter().any(|one| one.variable("ECHO_TOKEN") == Some(token)).then_some(());
    stand.until(&format!("{pod} has its new token"), PATIENCE, with).await;
    stand.ready(pod, PATIENCE).await;
    let one = stand.container(pod);
    assert_eq!(one.variable("ECHO_TOKEN"), Some(token));
    one
}

#[tokio::test]
async fn a_new_token_replaces_its_pod_alone_beside_a_running_daemon_and_its_data_stays() {
    let stand = stand().await;
    let (alice, bob) = (stand.container(ALICE), stand.container(BOB));
    let old = token(&stand, ALICE);
    assert_eq!(alice.variable("ECHO_TOKEN"), Some(&*old));
    stand.routed("alice", "/health").await;
    assert_eq!(stand.ask("PUT", "alice", "/data/note", "kept").await.unwrap().status, 200);

    // Asked first, and a no or silence is a no.
    for typed in ["n\n", "\n", ""] {
        let said = stand.agentpod_told(&["token", "rotate", ALICE], typed);
        assert_eq!(said.code, 1, "{}", said.out);
    }
    assert_eq!(token(&stand, ALICE), old);
    let said = stand.agentpod(&["token", "rotate", "alice/nobody", "--yes"]);
    assert!(said.code == 1 && said.err.contains("there is no pod alice/nobody"), "{}", said.err);

    let said = stand.agentpod(&["token", "rotate", ALICE, "--yes"]);
    assert!(said.code == 0 && said.out.contains("version 2"), "{}{}", said.out, said.err);
    let new = token(&stand, ALICE);
    assert!(new != old && !said.out.contains(&new) && !said.out.contains(&old));
    let after = has(&stand, ALICE, &new).await;
    assert!(after.id != alice.id && after.volume == alice.volume);
    assert_eq!(stand.routed("alice", "/data/note").await.body, "kept");
    assert_eq!(stand.container(BOB).life(), bob.life());
    let event = stand.events(ALICE).into_iter().find(|event| event["kind"] == "token_rotated").unwrap();
    assert!(event["message"].as_str().unwrap().contains("rotated its gateway token"), "{event}");
}

#[tokio::test]
async fn another_instance_key_moves_no_container_and_a_lost_one_stops_the_daemon_until_somebody_decides() {
    let mut stand = stand().await;
    let key = stand.state().join("instance.key");
    let lives = |stand: &Stand| {
        let life = |pod| {
            let one = stand.container(pod);
            (one.id.clone(), one.started_at.clone(), one.volume.clone())
        };
        [life(ALICE), life(BOB)]
    };
    let (before, tokens) = (lives(&stand), [token(&stand, ALICE), token(&stand, BOB)]);
    let text = fs::read_to_string(&key).unwrap();
    let said = stand.agentpod(&["key", "rotate", "--yes"]);
    assert!(said.code == 1 && said.err.contains("stop it"), "{}", said.err);
    assert_eq!(fs::read_to_string(&key).unwrap(), text);

    stand.stop_daemon().await;
    let said = stand.agentpod(&["key", "rotate", "--yes"]);
    assert!(said.code == 0 && said.out.contains("2 tokens"), "{}{}", said.out, said.err);
    let new = fs::read_to_string(&key).unwrap();
    assert!(new != text && !said.out.contains(new.trim_end()));
    stand.start_daemon();
    stand.all_ready(&[ALICE, BOB]).await;
    assert_eq!((lives(&stand), [token(&stand, ALICE), token(&stand, BOB)]), (before.clone(), tokens.clone()));

    // Lost: nothing starts, nothing is made in its place; put back, all is as before.
    stand.stop_daemon().await;
    let kept = stand.path("kept.key");
    fs::rename(&key, &kept).unwrap();
    for command in [&["run"][..], &["status"], &["token", "show", ALICE]] {
        let said = stand.agentpod(command);
        assert!(said.code == 1 && said.err.contains("agentpod key reset --tokens"), "{command:?}: {}", said.err);
        assert!(said.err.contains(key.to_str().unwrap()) && !key.exists(), "{}", said.err);
    }
    let said = stand.agentpod(&["--key-file", kept.to_str().unwrap(), "token", "show", ALICE]);
    assert_eq!((said.code, said.out.trim_end()), (0, &*tokens[0]), "a key can be named");
    assert_eq!(lives(&stand), before);

    // Given up: every pod has a new token and the volume it had.
    let said = stand.agentpod(&["key", "reset", "--yes"]);
    assert!(said.code == 2 && said.err.contains("--tokens"), "{}", said.err);
    let said = stand.agentpod_told(&["key", "reset", "--tokens"], "no\n");
    assert!(said.code == 1 && !key.exists(), "{}", said.err);
    let said = stand.agentpod(&["key", "reset", "--tokens", "--yes"]);
    assert!(said.code == 0 && said.out.contains("2 pods"), "{}{}", said.out, said.err);
    stand.start_daemon();
    for (pod, (old, (id, _, volume))) in [ALICE, BOB].into_iter().zip(tokens.iter().zip(before)) {
        let new = token(&stand, pod);
        assert_ne!(new, *old);
        let after = has(&stand, pod, &new).await;
        assert!(after.id != id && after.volume == volume);
    }
}
