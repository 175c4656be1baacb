//! Commands that read: the same text and data from the database and from a server.

use serde_json::Value;

use super::stage::Stage;
use crate::testkit::dashboard::{ALAN, VICTOR};
use agentpod::core::event::EventKind;

/// Every command that reads, with its arguments.
const LOOKS: [&[&str]; 8] = [
    &["status"],
    &["describe", "alice/assistant"],
    &["describe", "bob/helper"],
    &["events"],
    &["events", "alice/assistant", "-n", "1"],
    &["revisions"],
    &["tenants"],
    &["adapters"],
];

#[tokio::test]
async fn a_command_says_the_same_by_the_database_and_by_the_server() {
    let stage = Stage::new().await;
    for command in LOOKS {
        for form in ["text", "json", "yaml"] {
            let arguments = [command, &["-o", form]].concat();
            let (local, remote) = (stage.local(&arguments).await, stage.remote(VICTOR, &arguments).await);
            assert_eq!((local.err.as_str(), remote.err.as_str()), ("", ""), "{arguments:?}");
            assert_eq!(local.ageless(), remote.ageless(), "{arguments:?}");
            assert_eq!(local.code, remote.code, "{arguments:?}");
            assert!(!local.out.trim().is_empty(), "{arguments:?}");
            if form == "json" {
                let _: Value = serde_json::from_str(&remote.out).unwrap();
            }
        }
    }
    let (local, remote) =
        (stage.local(&["revisions", "1"]).await.well(), stage.remote(VICTOR, &["revisions", "1"]).await);
    assert_eq!(local.ageless(), remote.ageless());
}

#[tokio::test]
async fn status_exits_with_one_while_a_pod_is_not_ready_and_names_it() {
    let stage = Stage::new().await;
    let said = stage.remote(VICTOR, &["status"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.starts_with("daemon: not running, and the last one ended abruptly"), "{}", said.out);
    assert!(said.out.contains("\nsource: the test, revision "), "{}", said.out);
    assert!(said.out.lines().any(|line| line.starts_with("bob/helper") && line.ends_with("its secret cannot be read")));
}

#[tokio::test]
async fn describe_shows_everything_about_one_pod() {
    let stage = Stage::new().await;
    let said = stage.remote(VICTOR, &["describe", "alice/assistant"]).await.well();
    for part in [
        "alice/assistant: Running, ready, for ",
        "\nurl:        https://alice.example.com",
        "\ncontainer:  alice_assistant-1 on local\n",
        " MiB memory, 3.3 % of a processor, 5 MiB data, as of ",
        "\nconditions:\n  Ready: yes for ",
        "\nplan: none yet, no round has seen this pod\n",
        "desired against actual: how the container was created is unknown",
        "\nconfig:\n",
        "  greeting: hello",
        "\nevents, newest last:\n",
        "it is ready\n      why: it was declared",
    ] {
        assert!(said.out.contains(part), "{part:?} is missing in\n{}", said.out);
    }
    let said = stage.remote(VICTOR, &["describe", "alice/assistant", "-o", "json"]).await.well();
    let data: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&data["id"], &data["memory_mb"]), (&"alice/assistant".into(), &12.into()));
    assert!(data["events"].is_array() && data["usage"].is_array() && data["conditions"].is_array());
    for asked in
        [stage.remote(VICTOR, &["describe", "alice/nobody"]).await, stage.local(&["describe", "alice/nobody"]).await]
    {
        assert_eq!(asked.code, 1);
        assert_eq!(asked.err, "error: there is no pod alice/nobody; list the pods with agentpod status\n");
    }
}

#[tokio::test]
async fn a_tenants_token_sees_its_tenant_and_nothing_else() {
    let stage = Stage::new().await;
    for command in [&["status"][..], &["events"], &["tenants"], &["status", "-o", "json"]] {
        let said = stage.remote(ALAN, command).await;
        assert!(said.out.contains("alice") && !said.out.contains("bob"), "{command:?}: {said:?}");
    }
    let said = stage.remote(ALAN, &["describe", "bob/helper"]).await;
    assert_eq!((said.code, said.err.contains("there is no pod bob/helper")), (1, true), "{said:?}");
    for command in [&["revisions"][..], &["adapters"]] {
        let said = stage.remote(ALAN, command).await;
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{command:?}");
        assert!(said.err.contains("alan may see one tenant only"), "{}", said.err);
    }
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_whole() {
    let stage = Stage::new().await;
    let now = time::OffsetDateTime::now_utc();
    for number in 0..1_050 {
        let event = agentpod::store::Event::of_none(EventKind::Changed, format!("number {number}"));
        stage.store.record(&event, now).await.unwrap();
    }
    for said in [stage.local(&["events", "-n", "1040"]).await, stage.remote(VICTOR, &["events", "-n", "1040"]).await] {
        let lines: Vec<&str> = said.out.lines().collect();
        assert_eq!(lines.len(), 1040, "{}", said.err);
        assert!(lines[0].ends_with("number 10") && lines[1039].ends_with("number 1049"));
    }
}
