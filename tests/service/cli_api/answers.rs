//! Commands that read: the same text and data from the database and from a server.

use serde_json::Value;

use super::stage::Stage;
use crate::testkit::{
    dashboard::{ALAN, OLGA, VICTOR},
    declared::pod,
};
use agentpod::core::{
    event::EventKind,
    report::{phase::Phase, reason::Reason, status::Status},
};

/// Every command that reads, with its arguments.
const LOOKS: [&[&str]; 13] = [
    &["status"],
    &["status", "--problems"],
    &["status", "--tenant", "alice"],
    &["status", "--phase", "held,Stopped"],
    &["describe", "alice/assistant"],
    &["describe", "bob/helper"],
    &["events"],
    &["events", "alice/assistant", "-n", "1"],
    &["events", "--tenant", "bob"],
    &["events", "--severity", "warning", "--since", "1h"],
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
                assert_is_snake_case(&serde_json::from_str(&remote.out).unwrap());
            }
        }
    }
    let (local, remote) =
        (stage.local(&["revisions", "1"]).await.well(), stage.remote(VICTOR, &["revisions", "1"]).await);
    assert_eq!(local.ageless(), remote.ageless());
}

/// Every key but those that people and agents name themselves.
fn assert_is_snake_case(value: &Value) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            // The names of environment variables are in capitals only.
            let is_mixed = key.contains(|c: char| c.is_uppercase()) && key.contains(|c: char| c.is_lowercase());
            assert!(!is_mixed, "{key:?} is not in snake case");
            if key != "config" {
                assert_is_snake_case(value);
            }
        }),
        Value::Array(items) => items.iter().for_each(assert_is_snake_case),
        _ => {}
    }
}

#[tokio::test]
async fn accounts_and_plans_have_the_same_kind_of_keys_as_everything_else() {
    let stage = Stage::new().await;
    let accounts = stage.local(&["account", "list", "-o", "json"]).await.well();
    let accounts: Value = serde_json::from_str(&accounts.out).unwrap();
    assert!(accounts[0]["created_at"].is_string() && accounts[0]["tokens"][0]["expires_at"].is_null(), "{accounts}");
    assert_is_snake_case(&accounts);
}

#[tokio::test]
async fn lists_show_only_what_was_asked_for_and_the_summary_is_of_all() {
    let stage = Stage::new().await;
    let pods = async |arguments: &[&str]| {
        let said = stage.local(&[&["status"], arguments].concat()).await;
        let is_row = |line: &&str| line.starts_with("alice/") || line.starts_with("bob/");
        let rows = said.out.lines().filter(is_row).count();
        (rows, said.code, said.out)
    };
    let (rows, code, out) = pods(&[]).await;
    assert_eq!((rows, code), (3, 1), "{out}");
    assert!(out.contains("\npods:   1 of 3 ready; 1 Held, 1 Stopped\n"), "{out}");
    let (_, code, out) = pods(&["--problems"]).await;
    assert!(code == 1 && out.contains("bob/helper") && !out.contains("alice/idle"), "{out}");
    assert!(out.contains("1 of 3 ready; 1 Held, 1 Stopped (1 shown)"), "{out}");
    let (_, code, out) = pods(&["--tenant", "alice"]).await;
    assert!(code == 0 && out.contains("alice/idle") && !out.contains("bob/"), "{out}");
    let (_, _, out) = pods(&["--phase", "held"]).await;
    assert!(out.contains("bob/helper") && !out.contains("alice/"), "{out}");
    assert!(stage.local(&["status", "--phase", "Sleeping"]).await.err.contains("possible values"));

    let events = stage.local(&["events", "--tenant", "bob"]).await.well().out;
    assert!(events.contains("bob/helper") && !events.contains("alice/"), "{events}");
    let future = stage.local(&["events", "--since", "2999-01-01T00:00:00Z"]).await.well().out;
    assert_eq!(future, "no events yet\n");
}

#[tokio::test]
async fn a_crashed_pods_last_line_and_the_reason_of_a_roll_back_are_in_the_list() {
    let stage = Stage::new().await;
    let (id, now) = (pod("alice/assistant"), time::OffsetDateTime::now_utc());
    let status = Status {
        phase: Phase::RolledBack,
        ready: true,
        reason: Reason::NewContainerFailed,
        message: "the new image was not ready in time".into(),
        container: Some("alice_assistant-1".into()),
        container_id: None,
        node: None,
    };
    stage.store.write_status(&id, &status, now).await.unwrap();
    let event = agentpod::store::Event {
        details: Some(serde_json::json!({"log": ["starting", "no such table: users", ""]})),
        ..agentpod::store::Event::of_pod(&id, EventKind::Exited, "exit code 1")
    };
    stage.store.record(&event, now).await.unwrap();
    for said in [stage.local(&["status"]).await, stage.remote(VICTOR, &["status"]).await] {
        let row = said.out.lines().find(|line| line.starts_with("alice/assistant")).unwrap();
        assert!(row.contains("the new image was not ready in time; its last line: no such table: users"), "{row}");
    }
    let data = stage.local(&["status", "-o", "json"]).await.out;
    let data: Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data["pods"][0]["last_line"], "no such table: users");
}

#[tokio::test]
async fn a_mistyped_pod_is_answered_with_the_one_that_is_meant() {
    let stage = Stage::new().await;
    for command in
        [&["describe", "alcie/assistant"][..], &["events", "alcie/assistant"], &["restart", "alcie/assistant"]]
    {
        for said in [stage.local(command).await, stage.remote(OLGA, command).await] {
            assert_eq!(said.code, 1, "{command:?}: {said:?}");
            assert!(said.err.contains("there is no pod alcie/assistant; did you mean alice/assistant?"), "{said:?}");
        }
    }
}

#[tokio::test]
async fn an_account_of_a_tenant_that_does_not_exist_is_told() {
    let stage = Stage::new().await;
    let add = ["account", "add", "zoe", "--role", "viewer", "--no-password", "--tenant"];
    let said = stage.local(&[&add[..], &["alcie"]].concat()).await.well();
    assert!(said.err.contains("no tenant alcie is declared") && said.err.contains("did you mean alice?"), "{said:?}");
    let token = stage.local(&["account", "token", "zoe"]).await.well();
    assert!(token.out.starts_with("agp_"), "{token:?}");
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
